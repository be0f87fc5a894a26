# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest for the contract's part on real OpenZFS, and readable failures."""

from __future__ import annotations

import pytest

from tests.guest.conftest import guest

pytest.register_assert_rewrite(
    "tests.contract.zfs",
    *(
        f"tests.contract.cases_{name}"
        for name in (
            "allow",
            "crypt",
            "destroy",
            "holds",
            "list",
            "props",
            "receive",
            "resume",
            "send",
            "snapshots",
            "streams",
            "trees",
            "volumes",
        )
    ),
)

__all__ = ["guest"]
