# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd says of calendar expressions, understood."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from cyber_zfs_backup.actions.elapses import CalendarError, longest_gap, next_elapse
from cyber_zfs_backup.hosts.protocol import Finished

AT = datetime(2026, 11, 27, 2, tzinfo=UTC)
BERLIN = """\
  Original form: 02:00
Normalized form: *-*-* 02:00:00
    Next elapse: Sat 2026-11-28 02:00:00 CET
       (in UTC): Sat 2026-11-28 01:00:00 UTC
       From now: 20h left
"""


def says(text: str, status: int = 0, errors: str = "") -> datetime | None:
    def run(argv: Sequence[str]) -> Finished:
        assert list(argv) == ["systemd-analyze", "calendar", "--base-time=@1795744800", "--", "02:00"]
        return Finished(tuple(argv), status, text, errors)

    return next_elapse("02:00", AT, run)


def test_the_moment_is_in_utc() -> None:
    assert says(BERLIN) == datetime(2026, 11, 28, 1, tzinfo=UTC)
    assert says("    Next elapse: Sat 2026-11-28 02:00:00 UTC\n") == datetime(2026, 11, 28, 2, tzinfo=UTC)
    assert says("    Next elapse: never\n") is None


def test_what_cannot_be_told_is_said() -> None:
    with pytest.raises(CalendarError, match="systemd-analyze is not here"):
        says("", 127)
    with pytest.raises(CalendarError, match="not understood"):
        says("    Next elapse: tomorrow\n")
    with pytest.raises(CalendarError, match="bad"):
        says("", 1, "bad\n")


MANY = """\
  Original form: Fri,Mon 02:00
Normalized form: Mon,Fri *-*-* 02:00:00
    Next elapse: Fri 2026-10-23 02:00:00 CEST
       (in UTC): Fri 2026-10-23 00:00:00 UTC
       From now: 1 month 4 days ago
       Iter. #2: Mon 2026-10-26 02:00:00 CET
       (in UTC): Mon 2026-10-26 01:00:00 UTC
       From now: 1 month 1 day ago
   Iteration #3: Fri 2026-10-30 02:00:00 CET
       (in UTC): Fri 2026-10-30 01:00:00 UTC
"""


def test_the_longest_time_between_two_moments() -> None:
    def run(status: int, said: str) -> timedelta | None:
        return longest_gap("x", AT, lambda argv: Finished(tuple(argv), status, said, ""))

    assert run(0, MANY) == timedelta(days=4)
    # The clock is set back on that Sunday, which makes no difference.
    assert run(0, MANY[: MANY.index("   Iteration")]) == timedelta(days=3)
    assert run(0, BERLIN) is None
    assert run(0, "    Next elapse: never\n") is None
    assert run(1, "") is None
