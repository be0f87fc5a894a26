# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows once the streams of a restore have arrived: the properties, and the words for the person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..config.restoring import Restore
from ..model.names import join
from ..model.trees import Kind, Snapshot
from ..plan.restore import BackStep, Part, Selection, settings_of
from ..zfs import commands, parse
from ..zfs.errors import ZfsError
from .back import Back, Copy
from .result import Problem

Received = Mapping[str, Mapping[str, str]]
"""Full name of each dataset of the copy to the source's properties, as the copy has them on record."""


@dataclass(frozen=True, slots=True)
class Restoring:
    """One restore under way: from where, what, in which streams, and under which mark."""

    request: Restore
    back: Back
    copy: Copy
    selection: Selection
    steps: tuple[BackStep, ...]
    mark: str

    def there(self, part: Part) -> str:
        """A part's name on the copy."""
        return self.copy.tree.full(part.origin)

    def here(self, part: Part) -> str:
        """A part's name here."""
        return join(self.request.to, part.path)


def finish(doing: Restoring, received: Received) -> list[Problem]:
    """Give the datasets the properties of their source; answers what could not be set.

    ``canmount=noauto`` comes first: a mount point that is set where there was none mounts the dataset at once
    (measured on OpenZFS 2.1.11), and after a restart nothing may mount that nobody has looked at.
    """
    zfs, to, parts = doing.back.here, doing.request.to, doing.selection.parts
    filesystems = [doing.here(part) for part in parts if part.kind is Kind.FILESYSTEM]
    if filesystems:
        zfs.set_property("canmount", "noauto", filesystems)
    problems: list[Problem] = []
    top = received.get(doing.there(doing.selection.top), {})
    if doing.request.in_place and doing.selection.top.kind is Kind.FILESYSTEM and "mountpoint" not in top:
        zfs.inherit("mountpoint", [to])
    for part in parts:
        about = received.get(doing.there(part), {})
        wanted = settings_of(about, commands.PROPERTY_PREFIX, in_place=doing.request.in_place)
        wanted |= _key_location(doing, part)
        problems += _set(doing, part, wanted)
    if "readonly" not in top:
        zfs.inherit("readonly", [to])
    return problems


def _key_location(doing: Restoring, part: Part) -> dict[str, str]:
    """Where the key lies, where the copy knows of a file: a package brings that, other streams do not."""
    about = doing.copy.about[doing.there(part)]
    location, keeper = about.get("keylocation"), about.get("encryptionroot")
    if location is None or keeper is None or keeper.value != doing.there(part):
        return {}
    return {"keylocation": location.value} if location.value.startswith("file:///") else {}


def _set(doing: Restoring, part: Part, wanted: Mapping[str, str]) -> list[Problem]:
    """Set them all at once; where that fails one by one, to tell which is the trouble."""
    name = doing.here(part)
    settings = [f"{prop}={value}" for prop, value in wanted.items()]
    if not settings:
        return []
    try:
        doing.back.here.set_properties(settings, name)
    except ZfsError:
        return [problem for setting in settings if (problem := _set_one(doing, name, setting))]
    return []


def _set_one(doing: Restoring, name: str, setting: str) -> Problem | None:
    try:
        doing.back.here.set_properties([setting], name)
    except ZfsError as error:
        remedy = f"set it by hand, where it matters: zfs set {setting} {name}"
        return Problem(f"{setting} could not be set: {error.text}", name, remedy, "property")
    return None


def last_words(doing: Restoring, received: Received) -> Iterator[str]:
    """What the person does next. Every command stands as it is to be typed."""
    to, parts = doing.request.to, doing.selection.parts
    if not any(received.get(doing.there(part)) for part in parts):
        yield (
            "ATTENTION: the copy has no property of the source on record (its receiver keeps none): "
            "mountpoint, compression and all others stand at their defaults; set again what you need"
        )
    here = doing.back.here.back_properties(to) or {}
    keepers = sorted({about["encryptionroot"].value for about in here.values() if _encrypted(about)})
    if keepers:
        yield "encrypted data came as they lie on the disk, no key was needed; to read them load the key:"
        yield from (f"  zfs load-key {keeper}" for keeper in keepers)
    yield from _adopt(doing, here)
    if any(part.kind is Kind.FILESYSTEM for part in parts):
        yield from _how_to_mount(doing)
    yield (
        "a copy has no record of canmount, sharenfs, sharesmb, quotas and reservations: set again what the "
        "source had"
    )
    if to == doing.request.wanted and not doing.request.path:
        yield from _how_to_go_on(doing)


def _encrypted(about: Mapping[str, parse.Property]) -> bool:
    keeper = about.get("encryptionroot")
    return keeper is not None and keeper.value not in ("", "-")


def _adopt(doing: Restoring, here: parse.Properties) -> Iterator[str]:
    """Datasets that have a key of their own now, below another encrypted one.

    Only a package keeps who inherits from whom, and only where the user who received it might change keys
    (measured on OpenZFS 2.1.11); so the copy itself may not know.
    """
    apart, perhaps = [], []
    for part in doing.selection.parts:
        there, name = doing.there(part), doing.here(part)
        about = doing.copy.about[there]
        own = name in here and _encrypted(here[name]) and here[name]["encryptionroot"].value == name
        if not (part.path and own):
            continue
        if _encrypted(about) and about["encryptionroot"].value != there:
            apart.append(name)
        elif _encrypted(here.get(name.rpartition("/")[0], {})):
            perhaps.append(name)
    if apart:
        yield "these inherited their key and now have each their own; with all keys loaded, join them again:"
        yield from (f"  zfs change-key -i {name}" for name in apart)
    if perhaps:
        yield (
            "on the copy these have each their own key, as all have on a receiver that trusts nobody; those "
            "that inherited it on the source can be joined again, with all keys loaded:"
        )
        yield from (f"  zfs change-key -i {name}" for name in perhaps)


def _how_to_mount(doing: Restoring) -> Iterator[str]:
    to = doing.request.to
    yield "nothing is mounted, nor will be after a restart (canmount=noauto). To mount it:"
    if not doing.request.in_place:
        yield f"  zfs set mountpoint=/mnt/restored {to}"
    yield f"  zfs list -rH -o name -t filesystem {to} | xargs -n 1 zfs mount"
    if doing.request.in_place:
        yield "and, where it looks right, for every restart to come (leave out what was never mounted):"
        yield f"  zfs list -rH -o name -t filesystem {to} | xargs zfs set canmount=on"


def _how_to_go_on(doing: Restoring) -> Iterator[str]:
    newest = doing.copy.tree.datasets[doing.selection.top.origin].snapshots[-1]
    target: Snapshot = doing.selection.top.target
    if newest.guid == target.guid:
        yield (
            f"it stands in the source's place: cyber-zfs-backup verify compares it with {doing.copy.label}, "
            "and the next push goes on from it, with no new full one"
        )
    else:
        yield (
            f"{doing.copy.label} has newer snapshots than @{target.name}: the next push there will find "
            "that the two have parted. Let it go to another --zfs-receive-dataset, or roll back the copy"
        )
