# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor finds: each check on both sides of each of its limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cyber_zfs_backup.plan.doctor_here import Hidden, KeyFile, Timer, Way, examine_timers, examine_way
from cyber_zfs_backup.plan.doctor_pools import (
    Permissions,
    Pool,
    Side,
    Usage,
    Version,
    examine_both,
    examine_side,
)
from cyber_zfs_backup.plan.findings import Finding, Severity, typed, worst

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
GOOD, WARNING, FAILS = Severity
TIB = 1 << 40
POOL = Pool("vault", 10 * TIB, 5 * TIB, 5 * TIB, "ONLINE", "No known data errors")
SIDE = Side("offsite:vault/copy", Version("2.1.11-1", "2.1.11-1"), POOL)


def of(kind: str, found: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.kind == kind]


def one(kind: str, found: Iterable[Finding]) -> Finding:
    (finding,) = of(kind, found)
    return finding


def side(**changes: object) -> list[Finding]:
    return list(examine_side(replace(SIDE, **changes), NOW))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("commands", "module", "severity"),
    [
        ("2.1.11-1", "2.1.11-1", GOOD),
        ("2.1.11-1", "2.1.11-1+deb12u1", GOOD),
        ("2.3.9-1", "2.1.11-1", WARNING),
        ("2.0.3-9", "2.0.3-9", FAILS),
        ("0.8.6-1", "0.8.6-1", FAILS),
        ("2.1.0", "2.1.0", GOOD),
    ],
)
def test_versions(commands: str, module: str, severity: Severity) -> None:
    assert one("zfs-version", side(version=Version(commands, module))).severity is severity


@pytest.mark.parametrize(
    ("health", "errors", "severity", "remedy"),
    [
        ("ONLINE", "No known data errors", GOOD, ""),
        ("ONLINE", "", GOOD, ""),
        ("ONLINE", "2 data errors, use '-v' for a list", WARNING, "zpool status -v vault"),
        ("DEGRADED", "No known data errors", WARNING, "zpool replace vault"),
        ("FAULTED", "", FAILS, "zpool status -v vault"),
        ("SUSPENDED", "", FAILS, "zpool status -v vault"),
    ],
)
def test_health(health: str, errors: str, severity: Severity, remedy: str) -> None:
    found = one("pool-health", side(pool=replace(POOL, health=health, errors=errors)))
    assert found.severity is severity
    assert remedy in found.remedy


def test_a_pool_of_which_errors_could_not_be_asked_is_not_said_to_be_well() -> None:
    assert not of("pool-health", side(pool=replace(POOL, errors=None)))
    assert one("pool-health", side(pool=replace(POOL, health="DEGRADED", errors=None))).severity is WARNING


@pytest.mark.parametrize(
    ("percent", "severity"),
    [(0, GOOD), (80, GOOD), (80.01, WARNING), (95, WARNING), (95.01, FAILS), (100, FAILS)],
)
def test_capacity(percent: float, severity: Severity) -> None:
    used = int(10 * TIB * percent / 100)
    found = one("pool-capacity", side(pool=replace(POOL, allocated=used, free=10 * TIB - used)))
    assert found.severity is severity


@pytest.mark.parametrize(
    ("past", "severity", "said"),
    [
        ((), GOOD, "from tomorrow's call on"),
        # Half a day says nothing about a day.
        ((Usage(NOW - timedelta(hours=12), 0),), GOOD, "from tomorrow's call on"),
        ((Usage(NOW - timedelta(days=40), 0),), GOOD, "from tomorrow's call on"),
        ((Usage(NOW - timedelta(days=10), 6 * TIB),), GOOD, "has not grown in 10 days"),
        ((Usage(NOW - timedelta(days=10), 5 * TIB),), GOOD, "has not grown in 10 days"),
        # 0.1 TiB a day, and 5 TiB left; then 0.2, so 25 days.
        ((Usage(NOW - timedelta(days=10), 4 * TIB),), GOOD, "102.4 GiB a day, and is full in 50 days"),
        ((Usage(NOW - timedelta(days=10), 3 * TIB),), WARNING, "204.8 GiB a day, and is full in 25 days"),
        # The oldest of the month counts, not one that is older.
        (
            (
                Usage(NOW - timedelta(days=40), 0),
                Usage(NOW - timedelta(days=10), 4 * TIB),
                Usage(NOW, 5 * TIB),
            ),
            GOOD,
            "full in 50 days",
        ),
    ],
)
def test_growth(past: tuple[Usage, ...], severity: Severity, said: str) -> None:
    found = one("pool-growth", side(pool=replace(POOL, past=past)))
    assert found.severity is severity
    assert said in found.what


@pytest.mark.parametrize(
    ("source", "receiver", "severity", "said"),
    [
        (0.0, 0.0, GOOD, ""),
        (0.0, 10.0, GOOD, ""),
        (-3.0, 8.0, WARNING, "11 s ahead of"),
        (0.0, -10.5, WARNING, "behind"),
        (0.0, 3600.0, WARNING, "3600 s ahead of"),
        (0.0, -3601.0, FAILS, "3601 s behind"),
    ],
)
def test_clocks(source: float, receiver: float, severity: Severity, said: str) -> None:
    found = one(
        "clock", examine_both(replace(SIDE, where="here", ahead=source), replace(SIDE, ahead=receiver))
    )
    assert found.severity is severity
    assert said in found.what


def test_a_clock_that_nobody_told_is_not_judged() -> None:
    assert not of("clock", examine_both(SIDE, replace(SIDE, ahead=5000.0)))


def test_features_that_the_source_uses_must_be_there() -> None:
    uses = replace(
        SIDE, features={"encryption": "active", "zstd_compress": "active", "large_blocks": "enabled"}
    )
    has = replace(
        SIDE, features={"encryption": "enabled", "zstd_compress": "disabled", "large_blocks": "disabled"}
    )
    found = one("pool-features", examine_both(uses, has))
    assert (found.severity, found.remedy) == (
        FAILS,
        "as root there: zpool set feature@zstd_compress=enabled vault",
    )
    old = replace(SIDE, features={"encryption": "active"})
    assert one("pool-features", examine_both(uses, old)).remedy == "upgrade ZFS there"
    all_there = replace(SIDE, features={"encryption": "active", "zstd_compress": "enabled"})
    assert one("pool-features", examine_both(uses, all_there)).severity is GOOD
    assert not of("pool-features", examine_both(uses, SIDE))


def test_permissions() -> None:
    may = Permissions(
        "bob", "vault/copy", frozenset({"receive", "mount"}), ("receive", "create", "mount"), ("destroy",)
    )
    first, second = of("permissions", side(permissions=may))
    assert (first.severity, first.remedy) == (FAILS, "as root there: zfs allow -u bob create vault/copy")
    assert (second.severity, second.remedy) == (WARNING, "as root there: zfs allow -u bob destroy vault/copy")
    enough = replace(may, given=frozenset({"receive", "mount", "create", "destroy", "send"}))
    assert one("permissions", side(permissions=enough)).severity is GOOD
    assert not of("permissions", side())


def test_what_was_not_told_is_not_judged() -> None:
    assert side(version=None, pool=None) == []


# The machine

TIMER = Timer(
    "cyber-zfs-backup.timer",
    "enabled",
    True,
    NOW - timedelta(hours=10),
    "success",
    "cyber-zfs-backup.service",
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [("timer", GOOD)]),
        ({"last": None}, [("timer", GOOD)]),
        ({"enabled": "disabled"}, [("timer", WARNING)]),
        ({"active": False}, [("timer", WARNING)]),
        ({"last": NOW - timedelta(days=2)}, [("timer", GOOD)]),
        ({"last": NOW - timedelta(days=2, seconds=1)}, [("timer", WARNING)]),
        ({"result": "exit-code"}, [("timer", GOOD), ("last-run", WARNING)]),
        ({"result": ""}, [("timer", GOOD)]),
    ],
)
def test_timers(changes: dict[str, object], expected: list[tuple[str, Severity]]) -> None:
    found = list(examine_timers((replace(TIMER, **changes),), NOW))  # type: ignore[arg-type]
    assert [(finding.kind, finding.severity) for finding in found] == expected


def test_either_of_the_packages_timers_is_enough() -> None:
    def off(timer: Timer) -> Timer:
        return replace(timer, enabled="disabled", active=False)

    declared = replace(TIMER, name="cyber-zfs-backup-run.timer")
    other = replace(TIMER, name="cyber-zfs-backup@x.timer")

    def told(*timers: Timer) -> list[tuple[str, Severity]]:
        return [(each.what.split()[0], each.severity) for each in examine_timers(timers, NOW)]

    assert told(TIMER, off(declared)) == [(TIMER.name, GOOD)]
    assert told(off(TIMER), declared) == [(declared.name, GOOD)]
    assert told(off(TIMER), off(declared)) == [(TIMER.name, WARNING)]
    assert told(TIMER, off(other)) == [(TIMER.name, GOOD), (other.name, WARNING)]


def test_another_user_sees_other_files_than_the_service() -> None:
    assert one("user", examine_timers((TIMER,), NOW, root=False)).severity is WARNING
    assert not of("user", examine_timers((TIMER,), NOW))
    assert not of("user", examine_timers((), NOW, root=False))


def test_a_remedy_says_where_it_is_typed() -> None:
    assert (
        typed("this machine", "zpool clear a")
        == typed("this machine:a/b", "zpool clear a")
        == "zpool clear a"
    )
    assert typed("this machine2:a/b", "zpool clear a") == "as root there: zpool clear a"


def test_no_timer_and_no_systemd() -> None:
    assert one("timer", examine_timers((), NOW)).severity is WARNING
    assert one("timer", examine_timers(None, NOW)).severity is GOOD
    silent = one("timer", examine_timers(None, NOW, silent="systemctl had not ended"))
    assert (silent.severity, "systemctl had not ended" in silent.what) == (WARNING, True)


KEY = KeyFile("/etc/ssh/cyber-zfs-backup.id_ed25519", 0o600, 0, encrypted=False)
WAY = Way("offsite", "/etc/ssh/x.conf", (KEY,), known_in=("/etc/ssh/known",), known_hosts="/etc/ssh/known")


@pytest.mark.parametrize(
    ("changes", "bad", "remedy"),
    [
        ({}, [], ""),
        ({"known_in": ()}, [("known-hosts", FAILS)], "ssh -F /etc/ssh/x.conf offsite"),
        ({"keys": ()}, [("key", FAILS)], "setup sender"),
        ({"keys": (replace(KEY, mode=0o640),)}, [("key", FAILS)], f"chmod 600 {KEY.path}"),
        ({"keys": (replace(KEY, mode=0o400),)}, [], ""),
        ({"keys": (replace(KEY, owner=1000),)}, [("key", WARNING)], f"chown root: {KEY.path}"),
        ({"keys": (replace(KEY, encrypted=True),)}, [("key", FAILS)], "ssh-keygen -p"),
        ({"keys": (replace(KEY, encrypted=True), KEY)}, [], ""),
        ({"hidden": (Hidden("/root/x.conf", "ProtectHome"),)}, [("ssh", FAILS)], "ProtectHome=read-only"),
        ({"hidden": (Hidden(KEY.path, "PrivateTmp"),)}, [("ssh", FAILS)], "move it to /etc/ssh"),
        (
            {"hidden": (Hidden(KEY.path, "CapabilityBoundingSet", "/home/bob"),)},
            [("ssh", FAILS)],
            "as root's own",
        ),
        ({"hidden": (Hidden("/etc/ssh/known", "PrivateTmp"),)}, [("ssh", FAILS)], "move it to /etc/ssh"),
        # Another file has the host key, too.
        (
            {
                "hidden": (Hidden("/root/known", "ProtectHome"),),
                "known_in": ("/root/known", "/etc/ssh/known"),
            },
            [],
            "",
        ),
        ({"trouble": "ssh refuses its configuration", "known_in": ()}, [("ssh", FAILS)], "/etc/ssh/x.conf"),
    ],
)
def test_the_way(changes: dict[str, object], bad: list[tuple[str, Severity]], remedy: str) -> None:
    found = [each for each in examine_way(replace(WAY, **changes)) if each.severity is not GOOD]  # type: ignore[arg-type]
    assert [(finding.kind, finding.severity) for finding in found] == bad
    assert all(remedy in finding.remedy for finding in found)


@pytest.mark.parametrize(("path", "kind"), [(KEY.path, "key"), ("/etc/ssh/known", "known-hosts")])
def test_what_the_service_does_not_see_is_not_said_to_be_well(path: str, kind: str) -> None:
    assert one(kind, examine_way(WAY)).severity is GOOD
    assert not of(kind, examine_way(replace(WAY, hidden=(Hidden(path, "PrivateTmp"),))))


def test_every_finding_that_is_not_good_has_a_remedy_and_the_worst_counts() -> None:
    found = [
        *side(version=Version("2.0.3", "2.0.3"), pool=replace(POOL, health="DEGRADED", allocated=10 * TIB)),
        *examine_way(replace(WAY, keys=(), known_in=())),
    ]
    assert all(finding.remedy for finding in found if finding.severity is not GOOD)
    assert worst(found) is FAILS
    assert worst([]) is GOOD
    assert [int(severity) for severity in Severity] == [0, 1, 2]
