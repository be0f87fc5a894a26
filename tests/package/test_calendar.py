# SPDX-License-Identifier: GPL-3.0-or-later
"""Calendar expressions by systemd itself, which is not there where the package is built."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cyber_zfs_backup.actions.elapses import CalendarError, next_elapse

AT = datetime(2026, 11, 27, 2, tzinfo=UTC)


def test_real_systemd_comes_next_after_the_moment_and_not_at_it() -> None:
    assert next_elapse("*-*-* 02:00:00 UTC", AT) == datetime(2026, 11, 28, 2, tzinfo=UTC)
    assert next_elapse("2020-01-01", AT) is None
    with pytest.raises(CalendarError, match="config check"):
        next_elapse("no such day", AT)
