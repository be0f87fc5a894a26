# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gatekeeper must decide, said in another way than it is decided there: a line is allowed where the
sender's own builders, given the names that stand in it, make exactly that line, and the names are good.
"""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial

from cyber_zfs_backup.hosts.quoting import UnspeakableArgumentError, command_line, joined
from cyber_zfs_backup.zfs import commands, pools

ROOT = "offsite/zippy"

_PART = r"(?!\.{1,2}(?:/|$|@))[A-Za-z0-9_.: -]+"
_DATASET = re.compile(rf"[A-Za-z][A-Za-z0-9_.: -]*(/{_PART})*")
_NAME = re.compile(_PART)
_BASE = re.compile(rf"@(?=.{{1,253}}$){_PART}")
_OWN_NAME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d:?Z", re.ASCII
)
_TOKEN = re.compile(r"1-[0-9a-f]{1,20}-[0-9a-f]{1,20}-[0-9a-f]{1,4000}")
_OWN_PROPERTY = re.compile(r"cyber-zfs-backup:[a-z0-9.-]{1,64}")

FIXED = tuple(
    command_line(words)
    for words in (
        *(pools.version(), pools.clock()),
        *(pools.list_pool("offsite"), pools.status("offsite")),
    )
)


def good_dataset(name: str) -> bool:
    below = name == ROOT or name.startswith(ROOT + "/")
    return below and len(name) <= 255 and _DATASET.fullmatch(name) is not None


def good_snapshot(name: str) -> bool:
    dataset, at, rest = name.partition("@")
    return bool(at) and good_dataset(dataset) and _NAME.fullmatch(rest) is not None and len(name) <= 255


def good_names(text: str) -> bool:
    dataset, at, rest = text.partition("@")
    names = rest.split(",")
    whole = bool(at) and good_dataset(dataset) and len(names) == len(set(names))
    return whole and all(_OWN_NAME.fullmatch(name) and _is_a_day(name[:10]) for name in names)


def _is_a_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def allowed(line: str) -> bool:
    """Whether the line may be served."""
    if not line or len(line) > 128 * 1024 or not all(" " <= char <= "~" for char in line):
        return False
    receives = line.split(" && ")
    if len(receives) > 1:
        return all(_receive(one) for one in receives)
    return line in FIXED or _receive(line) or _asks(line) or _sends(line)


def _words(line: str) -> list[str] | None:
    try:
        return shlex.split(line)
    except ValueError:
        return None


def _same(line: str, build: Callable[[], Sequence[str]]) -> bool:
    try:
        return command_line(build()) == line
    except UnspeakableArgumentError:
        return False


def _receive(line: str) -> bool:
    words = _words(line)
    if not words or not good_dataset(words[-1]):
        return False
    dataset = words[-1]
    own = sorted({word for word in words[:-1] if _OWN_PROPERTY.fullmatch(word)})
    return any(
        _same(line, build)
        for build in (
            lambda: commands.receive_root(dataset, own),
            lambda: commands.receive_root_volume(dataset, own),
            lambda: commands.receive_below(dataset, own),
            lambda: commands.receive_plain(dataset),
        )
    )


def _asks(line: str) -> bool:
    words = _words(line)
    if not words:
        return False
    last = words[-1]
    named = [word for word in words if "@" in word]
    if good_dataset(last):
        of_dataset = (
            *(commands.get_partial, commands.get_verify, commands.list_snapshots),
            *(commands.list_of_one, commands.exists, commands.get_back, commands.get_received),
            commands.show_allowed,
            commands.receive_abort,
        )
        return any(_same(line, partial(build, last)) for build in of_dataset)
    if named and all(map(good_snapshot, named)):
        for listing in (commands.list_named, commands.list_use, commands.holds):
            if _same(line, partial(listing, named)):
                return True
    dataset, _, names = last.partition("@")
    return good_names(last) and any(
        _same(line, partial(build, dataset, names.split(","), recursive=deep))
        for build in (commands.destroy_snapshots, commands.destroy_estimate)
        for deep in (False, True)
    )


def _sends(line: str) -> bool:
    words = _words(line)
    if not words:
        return False
    last = words[-1]
    bases = [word[1:] for word in words if _BASE.fullmatch(word)]
    builds: list[Callable[[], list[str]]] = []
    if good_snapshot(last):
        builds += [partial(commands.send_back_tree, last), partial(commands.send_back_full, last)]
        builds += [partial(commands.send_back_rest, last, base) for base in bases]
    if _TOKEN.fullmatch(last):
        builds += [partial(commands.send_back_resume, last)]
        if _same(line, partial(commands.token_contents, last)):
            return True
    return any(
        _same(line, build) or _same(line, lambda build=build: commands.send_back_estimate(build()))  # type: ignore[misc]
        for build in builds
    )


# Lines to begin with, and what an attacker makes of them.

DATASETS = (ROOT, f"{ROOT}/zippy", f"{ROOT}/zippy/home", f"{ROOT}/zippy/with space", f"{ROOT}/a:b_c.d-e")
NAMES = ("2026-11-26T02:00:00Z", "2025-01-31T23:59:59Z", "2024-02-29T00:00:00Z")
TOKEN = "1-f56b50a6e-f0-789c636064000310a500c4ec50360710e72765a5"
PROPERTIES = ("cyber-zfs-backup:base.0123456789abcdef", "cyber-zfs-backup:mirror.fedcba9876543210")
SPICE = (
    *(" ", "  ", "'", '"', "\\", "$(id)", "`id`", ";", "&&", " && ", "|", "||", ">", "<", "&", "\n"),
    *("\x00", "\t", "#", "~", "*", "..", "/..", "@", "@@", "/", "//", ",", "%", "=", "-", "--", "-F"),
    *("-d", "-e", "-M", "-A", "-r", "-n", "-h", "-o", "-x", "origin=offsite/other@x"),
    *("mountpoint=/root/.ssh", "sharenfs=on", "exec=on", "readonly=off", "zfs", "zpool", "sh"),
    *("offsite", "offsite/other", "offsite/zippyx", "sudo", "/usr/sbin/zfs", "\u200b", "\xe9"),
    *("\uff0f", "\u2215", "2037-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "mypics", "ROOT"),
    *("DATASET", "SNAPSHOTS", "OWN", "TOKEN", "%2e%2e", "%00", "${IFS}", "a" * 300),
)  # fmt: skip


def lines(rng: random.Random) -> Iterator[str]:
    """Allowed lines, without end."""
    while True:
        dataset = rng.choice(DATASETS)
        some = rng.sample(NAMES, rng.randint(1, len(NAMES)))
        snapshots = [
            f"{rng.choice(DATASETS)}@{rng.choice((*NAMES, 'by hand'))}" for _ in range(rng.randint(1, 4))
        ]
        own = sorted(rng.sample(PROPERTIES, rng.randint(0, 2)))
        deep = rng.random() < 0.5
        receives = (
            partial(commands.receive_root, dataset, own),
            partial(commands.receive_root_volume, dataset, own),
            partial(commands.receive_below, dataset, own),
            partial(commands.receive_plain, dataset),
        )
        if rng.random() < 0.1:
            yield rng.choice(FIXED)
        elif rng.random() < 0.2:
            yield joined([rng.choice(receives)() for _ in range(rng.randint(2, 4))])
        else:
            build = rng.choice(
                (
                    *receives,
                    partial(commands.receive_abort, dataset),
                    partial(commands.get_partial, dataset),
                    partial(commands.get_verify, dataset),
                    partial(commands.list_snapshots, dataset),
                    partial(commands.list_of_one, dataset),
                    partial(commands.exists, dataset),
                    partial(commands.get_back, dataset),
                    partial(commands.get_received, dataset),
                    partial(commands.show_allowed, dataset),
                    partial(commands.send_back_tree, snapshots[0]),
                    partial(commands.send_back_rest, snapshots[0], some[0]),
                    partial(commands.send_back_estimate, commands.send_back_full(snapshots[0])),
                    partial(commands.send_back_resume, TOKEN),
                    partial(commands.token_contents, TOKEN),
                    partial(commands.list_named, snapshots),
                    partial(commands.list_use, snapshots),
                    partial(commands.holds, snapshots),
                    partial(commands.destroy_snapshots, dataset, some, recursive=deep),
                    partial(commands.destroy_estimate, dataset, some, recursive=deep),
                )
            )
            yield command_line(build())


def mutated(rng: random.Random, line: str, other: str) -> str:
    """The line with one change: insert, delete, swap, quote, encode or splice; of characters or of words."""
    way = rng.randrange(8)
    at = rng.randint(0, len(line))
    words = line.split(" ")
    spot = rng.randrange(len(words))
    if way == 0:
        return line[:at] + rng.choice(SPICE) + line[at:]
    if way == 1:
        return line[:at] + line[at + rng.randint(1, 3) :]
    if way == 2:
        words.insert(spot, rng.choice((*SPICE, *other.split(" "))))
    elif way == 3:
        del words[spot]
    elif way == 4:
        there = rng.randrange(len(words))
        words[spot], words[there] = words[there], words[spot]
    elif way == 5:
        words[spot] = rng.choice(
            (shlex.quote(words[spot]), f"'{words[spot]}'", f'"{words[spot]}"', words[spot] + "''")
        )
    elif way == 6:
        words[spot] = rng.choice(
            (words[spot].upper(), words[spot].replace("/", "%2f"), words[spot] * 2, words[spot] + "\u00a0")
        )
    else:
        return line[:at] + other[rng.randint(0, len(other)) :]
    return " ".join(words)
