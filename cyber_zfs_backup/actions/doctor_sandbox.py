# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service's sandbox keeps from it: files that whoever looks here sees, and the service does not."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from ..plan.doctor_here import Hidden

SETTINGS = (
    *("ProtectHome", "PrivateTmp", "BindPaths", "BindReadOnlyPaths", "CapabilityBoundingSet", "User"),
)
"""What is asked of systemd (systemd.exec(5))."""

HOMES = ("/home", "/root", "/run/user")
TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - these are looked for, not written to


@dataclass(frozen=True, slots=True)
class Sandbox:
    """``hiding`` are settings, and the folders in whose place the service has others, but for what is
    ``bound`` into them. ``shut`` are settings and folders of which nothing can be bound. ``strict``: root has
    no right there to what is others' alone."""

    shut: Mapping[str, tuple[str, ...]]
    hiding: Mapping[str, tuple[str, ...]]
    bound: tuple[str, ...] = ()
    strict: bool = False

    def hides(self, path: str) -> Hidden | None:
        """What keeps the service from a file, by its name or by what that leads to; ``None`` for nothing."""
        names = (os.path.abspath(path), os.path.realpath(path))
        for settings, bound in ((self.shut, ()), (self.hiding, self.bound)):
            for setting, folders in settings.items():
                for name in names:
                    if _below(folders, name) and not _below(bound, name):
                        return Hidden(path, setting)
        barred = (_barred(name) for name in names) if self.strict else ()
        at = next((each for each in barred if each), "")
        return Hidden(path, "CapabilityBoundingSet", at) if at else None


def read_sandbox(unit: Mapping[str, str]) -> Sandbox:
    """The sandbox of a unit, from its ``SETTINGS`` as systemd shows them."""
    homes = unit.get("ProtectHome")
    hiding: dict[str, tuple[str, ...]] = {"ProtectHome": HOMES} if homes == "tmpfs" else {}
    if unit.get("PrivateTmp", "no") != "no":
        hiding["PrivateTmp"] = TEMPORARY
    bound = (word for name in ("BindPaths", "BindReadOnlyPaths") for word in unit.get(name, "").split())
    rights = unit.get("CapabilityBoundingSet", "cap_dac_override").split()
    return Sandbox(
        shut={"ProtectHome": HOMES} if homes == "yes" else {},
        hiding=hiding,
        # SOURCE:PLACE:OPTIONS, or one path that is both.
        bound=tuple(word.lstrip("-").split(":")[:2][-1] for word in bound),
        strict=unit.get("User", "") in ("", "0", "root")
        and not {"cap_dac_override", "cap_dac_read_search"} & set(rights),
    )


def _below(folders: tuple[str, ...], path: str) -> bool:
    # A folder may be a link itself; systemd follows it.
    places = {PurePath(place) for folder in folders for place in (folder, os.path.realpath(folder))}
    return bool(places & {PurePath(path), *PurePath(path).parents})


def _barred(path: str) -> str:
    """Where root, that is only the owner of what is root's, gets no further on its way to a file."""
    for each in (*reversed(PurePath(path).parents), PurePath(path)):
        try:
            status = os.stat(each)
        except OSError:
            return ""
        wanted = stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else stat.S_IROTH
        # The first of owner, group and others that fits decides (path_resolution(7)).
        shift = 6 if status.st_uid == 0 else 3 if status.st_gid == 0 else 0
        if not status.st_mode & (wanted << shift):
            return str(each)
    return ""
