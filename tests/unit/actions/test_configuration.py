# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd-analyze says of calendar expressions, and what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cyber_zfs_backup.actions.configuration import calendars
from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.protocol import Finished

from .rig import Said

NO = "is no calendar expression (systemd.time(7))"

# As systemd 252 prints it.
OUT = """\
  Original form: hourly
Normalized form: *-*-* *:00:00
    Next elapse: Fri 2026-11-27 01:00:00 UTC
       From now: 32min left

  Original form: 2020-01-01
Normalized form: 2020-01-01 00:00:00
    Next elapse: never

Normalized form: *-*-* 02:00:00
    Next elapse: Mon 2026-11-30 02:00:00 UTC
       From now: 3 days left
"""
ERR = """\
Failed to parse calendar specification 'bogus x': Invalid argument
Failed to parse calendar specification '': Invalid argument
"""


@dataclass
class Machine:
    """Answers one command."""

    answer: Finished | HostError
    asked: list[Sequence[str]] = field(default_factory=list)
    label: str = "this machine"

    def run(self, argv: Sequence[str], *, timeout: float | None = None) -> Finished:
        self.asked.append(argv)
        if isinstance(self.answer, HostError):
            raise self.answer
        return self.answer

    def close(self) -> None:
        """Nothing is open."""


def said_by(status: int | None, out: str = "", err: str = "") -> Machine:
    return Machine(Finished((), status, out, err))


def test_what_is_none_and_what_never_comes() -> None:
    machine, surface = said_by(1, OUT, ERR), Said()
    asked = ("hourly", "bogus x", "2020-01-01", "", "*-*-* 02:00:00")
    assert calendars(machine, asked, surface) == {"bogus x": NO, "": NO, "2020-01-01": "never comes any more"}
    assert machine.asked == [["systemd-analyze", "calendar", "--", *asked]]
    assert surface.notes == []


def test_where_there_is_no_systemd_it_is_said() -> None:
    surface = Said()
    assert calendars(said_by(127, "", "not found"), ("hourly",), surface) == {}
    assert surface.notes == ["systemd-analyze is not installed here; calendar expressions are not checked"]


def test_what_cannot_be_run_is_not_called_missing() -> None:
    surface = Said()
    assert calendars(said_by(126, "", "systemd-analyze: Permission denied\n"), ("hourly",), surface) == {}
    assert surface.warnings == [
        "calendar expressions are not checked: systemd-analyze says 'systemd-analyze: Permission denied'"
    ]
    assert surface.notes == []


def test_what_fails_otherwise_is_no_fault_of_the_file() -> None:
    surface = Said()
    assert calendars(said_by(1, "", "Out of memory\n"), ("hourly",), surface) == {}
    assert surface.warnings == ["calendar expressions are not checked: systemd-analyze says 'Out of memory'"]


def test_what_takes_too_long_is_no_fault_of_the_file_either() -> None:
    surface = Said()
    late = HostError(HostErrorKind.TIMEOUT, "this machine", "systemd-analyze calendar had not ended", "wait")
    assert calendars(Machine(late), ("hourly",), surface) == {}
    assert surface.warnings == [
        "calendar expressions are not checked: systemd-analyze calendar had not ended"
    ]
