# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind


def test_an_error_reads_as_one_line_whatever_the_far_side_said() -> None:
    error = HostError(HostErrorKind.UNREACHABLE, "offsite", "it said:\n\x1b[31mno\r\n", "try\tagain")
    assert str(error) == "offsite: it said: [31mno; try again"


@pytest.mark.parametrize("kind", list(HostErrorKind))
def test_only_trouble_of_the_network_is_passing(kind: HostErrorKind) -> None:
    passing = HostError(kind, "offsite", "what", "remedy").passing
    assert passing == (kind in {HostErrorKind.UNREACHABLE, HostErrorKind.TIMEOUT})
