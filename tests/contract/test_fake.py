# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract on the fake: in process, and as an executable."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract import cases_resume, cases_streams
from tests.contract.fronts import VERSIONS, Executable, InProcess
from tests.contract.registry import CASES, Case


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: ".".join(map(str, version)))
@pytest.mark.parametrize("case", CASES)
def test_in_process(case: Case, version: tuple[int, int, int]) -> None:
    """Every case holds on the model, whichever version it imitates."""
    case(InProcess(version))


ON_PIPES = (
    cases_streams.case_full_and_increment,
    cases_streams.case_a_whole_tree,
    cases_streams.case_joined_streams,
    cases_streams.case_joined_streams_that_end_early,
    cases_streams.case_joined_streams_where_the_first_fails,
    cases_streams.case_a_receive_that_meets_the_next_stream,
    cases_resume.case_a_cut_full_stream,
    cases_resume.case_a_cut_increment,
    cases_resume.case_a_tree_cut_in_a_child,
)
"""What real pipes and processes can change; a case takes seconds there."""


@pytest.mark.parametrize("case", ON_PIPES)
def test_executable(case: Case, tmp_path: Path) -> None:
    """Cases with streams hold on the executable, over real pipes."""
    case(Executable(tmp_path))


def test_there_are_enough_cases() -> None:
    """The contract does not shrink unseen."""
    assert len(CASES) >= 80
