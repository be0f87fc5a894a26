# SPDX-License-Identifier: GPL-3.0-or-later
"""All contract cases."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from tests.contract import (
    cases_allow,
    cases_crypt,
    cases_destroy,
    cases_holds,
    cases_list,
    cases_names,
    cases_props,
    cases_receive,
    cases_resume,
    cases_send,
    cases_snapshots,
    cases_streams,
    cases_trees,
    cases_volumes,
)
from tests.contract.zfs import Zfs

Case = Callable[[Zfs], None]


def _cases(module: ModuleType) -> list[Case]:
    return [value for name, value in vars(module).items() if name.startswith("case_")]


CASES: list[Case] = [
    case
    for module in (
        cases_list,
        cases_props,
        cases_snapshots,
        cases_holds,
        cases_destroy,
        cases_send,
        cases_receive,
        cases_streams,
        cases_resume,
        cases_trees,
        cases_crypt,
        cases_volumes,
        cases_names,
        cases_allow,
    )
    for case in _cases(module)
]
