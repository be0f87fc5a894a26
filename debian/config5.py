# SPDX-License-Identifier: GPL-3.0-or-later
"""config5.py VERSION: the man page of the configuration file, from its JSON Schema and its example."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cyber_zfs_backup.config.shape import schema

PAGE = """\
.TH CYBER-ZFS-BACKUP.CONFIG 5 "" "cyber-zfs-backup {version}" "File Formats"
.SH NAME
cyber-zfs-backup.config \\- what is backed up, declared
.SH SYNOPSIS
.I /etc/cyber-zfs-backup/config.toml
.SH DESCRIPTION
{about} The file is TOML (https://toml.io). It must belong to root, and nobody else may write it, since it
names commands.
.BR "cyber-zfs-backup config check"
says all that is wrong in it,
.BR "cyber-zfs-backup config show"
what it comes to.
.PP
An age or a period is a whole number and a unit: s, min, h, d, w, months or y, or the word for it. Editors
that know JSON Schema complete its keys with a first line
.BR "#:schema /usr/share/cyber-zfs-backup/config.schema.json" .
{tables}
.SH EXAMPLE
.nf
{example}
.fi
.SH SEE ALSO
.BR cyber-zfs-backup (8),
.BR cyber-zfs-backup-config (8),
.BR systemd.time (7)
"""

TABLES = {
    "[defaults]": ("defaults",),
    "[[dataset]]": ("dataset", "items"),
    "[destination.NAME]": ("destination", "additionalProperties"),
    "[retention.NAME]": ("retention", "additionalProperties"),
    "[notification]": ("notification",),
    "[monitoring]": ("monitoring",),
}


def roff(text: str) -> str:
    """Text as roff takes it literally."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped[:1] in (".", "\\") else escaped


def resolved(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the schema says of a key, where it may say it elsewhere."""
    found: Mapping[str, Any] = (
        schema()["definitions"][said["$ref"].rpartition("/")[2]] if "$ref" in said else said
    )
    return found


def lines(said: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """The keys of a table, and of the tables in it."""
    for key, each in said["properties"].items():
        what = resolved(each)
        yield ".TP"
        yield f".B {roff(before + key)}"
        yield roff(f"{what.get('description', '').rstrip()} Write {what['x-write']}.".strip())
        if "x-default" in what:
            yield roff(f"Built in: {what['x-default']}.")
        inner = what.get("items", what)
        if "properties" in inner:
            yield from lines(inner, f"{before}{key}.")


def tables() -> Iterator[str]:
    """A section for each table. Settings are explained once."""
    for title, (name, *path) in TABLES.items():
        said: Mapping[str, Any] = schema()["properties"][name]
        yield f'.SH "{title}"'
        yield roff(said["description"])
        for step in path:
            said = said[step]
        if name == "dataset":
            said = {"properties": {"name": said["properties"]["name"]}}
        yield from lines(said)
        if name == "dataset":
            yield ".PP"
            yield "And all that may stand in [defaults]."


if __name__ == "__main__":
    example = "\n".join(map(roff, Path("etc/config.toml").read_text().splitlines()))
    about = roff(schema()["description"])
    print(PAGE.format(version=sys.argv[1], about=about, tables="\n".join(tables()), example=example), end="")
