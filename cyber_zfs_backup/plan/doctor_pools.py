# SPDX-License-Identifier: GPL-3.0-or-later
"""A check-up of one host: its ZFS, its pool, its clock, and what its user may do. Pure: facts in, findings
out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from shlex import quote

from .findings import Finding, fails, good, typed, warning

OLDEST = (2, 1, 0)
"""The oldest OpenZFS that this program is made for."""

FULL_WARNING = 80
FULL_FAILS = 95
"""Percent of a pool. Above the first ZFS looks ever longer for room (zpool-list(8), FRAG); above the second
the next receive is likely to find none."""

DAYS_LEFT = 30
"""A pool that is full sooner is told of."""

CLOCK_WARNING = 10.0
CLOCK_FAILS = 3600.0
"""Seconds. Names are times of the source's clock: with an hour's difference the receiver counts snapshots to
other days than the source."""

STREAM_FEATURES = (
    "encryption",
    "large_blocks",
    "large_dnode",
    "lz4_compress",
    "zstd_compress",
    "embedded_data",
)
"""Pool features that a raw stream of a dataset needs on the receiver where they are active on the source
(zpool-features(7))."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a pool was used at a moment (UTC), in bytes."""

    when: datetime
    allocated: int


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as ``zpool`` shows it, in bytes. ``errors`` is the status's last word, ``None`` where that was
    not told; ``past`` is oldest first."""

    name: str
    size: int
    allocated: int
    free: int
    health: str
    errors: str | None = None
    past: tuple[Usage, ...] = ()


@dataclass(frozen=True, slots=True)
class Version:
    """What ``zfs version`` says: of the commands, and of the kernel's module."""

    commands: str
    module: str

    @property
    def number(self) -> tuple[int, ...]:
        """The module's, as numbers."""
        return tuple(int(part) for part in self.module.split("-")[0].split(".") if part.isdigit())


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a user that is not root may do on the copy's root, against what it needs."""

    user: str
    root: str
    given: frozenset[str]
    needed: tuple[str, ...]
    wanted: tuple[str, ...] = ()
    """Without these a backup works, but something else does not."""


@dataclass(frozen=True, slots=True)
class Side:
    """One host. What was not, or could not be, asked is ``None``."""

    where: str
    version: Version | None = None
    pool: Pool | None = None
    ahead: float | None = None
    """Seconds that its clock is ahead of this machine's."""
    features: Mapping[str, str] | None = None
    """Pool feature to ``disabled``, ``enabled`` or ``active``."""
    permissions: Permissions | None = None


def examine_side(side: Side, now: datetime) -> Iterator[Finding]:
    """All that one host shows by itself."""
    if side.version is not None:
        yield _version(side.where, side.version)
    if side.pool is not None:
        yield from _health(side.where, side.pool)
        yield _capacity(side.where, side.pool)
        yield from _growth(side.where, side.pool, now)
    if side.permissions is not None:
        yield from _permissions(side.where, side.permissions)


def examine_both(source: Side, receiver: Side) -> Iterator[Finding]:
    """What only the two together show."""
    if source.ahead is not None and receiver.ahead is not None:
        yield _clocks(source, receiver, receiver.ahead - source.ahead)
    if source.features is not None and receiver.features is not None and receiver.pool is not None:
        yield from _features(source.features, receiver.features, receiver.where, receiver.pool.name)


def _version(where: str, version: Version) -> Finding:
    if version.number < OLDEST:
        least = ".".join(map(str, OLDEST[:2]))
        return fails(
            "zfs-version", where, f"OpenZFS {version.module} is too old", f"upgrade it to {least} or later"
        )
    if version.commands.split("-")[0] != version.module.split("-")[0]:
        return warning(
            "zfs-version",
            where,
            f"the zfs command is of {version.commands}, the kernel's module of {version.module}",
            "reboot it, so that both are of one version",
        )
    return good("zfs-version", where, f"OpenZFS {version.module}")


def _health(where: str, pool: Pool) -> Iterator[Finding]:
    look = f"zpool status -v {pool.name}"
    if pool.health not in ("ONLINE", "DEGRADED"):
        what = f"pool {pool.name} is {pool.health}"
        yield fails("pool-health", where, what, typed(where, f"{look} says what to do"))
    elif pool.health == "DEGRADED":
        what = f"pool {pool.name} is DEGRADED: a further disk that fails may cost data"
        yield warning(
            "pool-health", where, what, typed(where, f"{look}, then zpool replace {pool.name} DISK")
        )
    elif pool.errors in ("", "No known data errors"):
        yield good("pool-health", where, f"pool {pool.name} is ONLINE")
    elif pool.errors is not None:
        what = f"pool {pool.name} has errors: {pool.errors}"
        yield warning("pool-health", where, what, typed(where, f"{look} names the files; restore them"))


def _capacity(where: str, pool: Pool) -> Finding:
    percent = 100 * pool.allocated / pool.size if pool.size else 100.0
    what = f"pool {pool.name} is {percent:.0f} % full"
    remedy = (
        "destroy what nobody needs (zfs list -o space shows where it is), keep fewer snapshots, or add disks"
    )
    if percent > FULL_FAILS:
        return fails("pool-capacity", where, what, remedy)
    if percent > FULL_WARNING:
        return warning("pool-capacity", where, what, remedy)
    return good("pool-capacity", where, what)


def _growth(where: str, pool: Pool, now: datetime) -> Iterator[Finding]:
    """From the oldest note of the last month that is a day old: what was taken and given back since then."""
    recent = [use for use in pool.past if timedelta(days=1) <= now - use.when <= timedelta(days=31)]
    if not recent:
        yield good(
            "pool-growth", where, f"pool {pool.name}: how fast it grows is known from tomorrow's call on"
        )
        return
    days = (now - recent[0].when) / timedelta(days=1)
    rate = (pool.allocated - recent[0].allocated) / days
    if rate <= 0:
        yield good("pool-growth", where, f"pool {pool.name} has not grown in {days:.0f} days")
        return
    left = pool.free / rate
    what = f"pool {pool.name} grows by {rate / 2**30:.1f} GiB a day, and is full in {left:.0f} days"
    if left < DAYS_LEFT:
        yield warning("pool-growth", where, what, "make room before that, or keep fewer snapshots")
    else:
        yield good("pool-growth", where, what)


def _clocks(source: Side, receiver: Side, ahead: float) -> Finding:
    way = "ahead of" if ahead > 0 else "behind"
    what = f"its clock is {abs(ahead):.0f} s {way} that of {source.where}"
    remedy = "let both keep time: apt install systemd-timesyncd, and timedatectl set-ntp true"
    if abs(ahead) > CLOCK_FAILS:
        return fails("clock", receiver.where, what, remedy)
    if abs(ahead) > CLOCK_WARNING:
        return warning("clock", receiver.where, what, remedy)
    return good("clock", receiver.where, f"its clock is that of {source.where}")


def _features(
    source: Mapping[str, str], receiver: Mapping[str, str], where: str, pool: str
) -> Iterator[Finding]:
    lacking = [
        name
        for name in STREAM_FEATURES
        if source.get(name) == "active" and receiver.get(name, "disabled") == "disabled"
    ]
    for name in lacking:
        unknown = name not in receiver
        yield fails(
            "pool-features",
            where,
            f"pool {pool} lacks the feature {name}, which is in use on the source",
            "upgrade ZFS there" if unknown else typed(where, f"zpool set feature@{name}=enabled {pool}"),
        )
    if not lacking:
        yield good("pool-features", where, f"pool {pool} has all that the source's streams need")


def _permissions(where: str, may: Permissions) -> Iterator[Finding]:
    missing = [word for word in may.needed if word not in may.given]
    less = [word for word in may.wanted if word not in may.given]
    if missing:
        yield fails(
            "permissions",
            where,
            f"{may.user} lacks the permissions {', '.join(missing)} on {may.root}",
            typed(where, f"zfs allow -u {quote(may.user)} {','.join(missing)} {quote(may.root)}"),
        )
    if less:
        yield warning(
            "permissions",
            where,
            f"{may.user} lacks the permission {', '.join(less)} on {may.root}: "
            "nothing expires there, and a partial receive that cannot go on stays",
            typed(where, f"zfs allow -u {quote(may.user)} {','.join(less)} {quote(may.root)}"),
        )
    if not missing and not less:
        yield good("permissions", where, f"{may.user} may do on {may.root} what it must")
