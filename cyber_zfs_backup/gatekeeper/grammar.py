# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client may ask for. A line that is not, byte for byte, what our own sender writes is refused.

The sender's vectors are those of ``zfs/commands.py``, quoted by ``shlex.quote`` and joined by `` && ``. Of a
line that fits a form below, names are taken and nothing else: what is run is built anew of the form's words.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ..model.names import BadNameError, check_dataset, check_snapshot, own_time

MAX_LINE = 128 * 1024  # the sender stays below 96 KiB, and Linux refuses one argument of 128 KiB

Words = tuple[str, ...]


class RefusedError(Exception):
    """The client's command is not allowed; the message says why, in one line."""


class Verb(Enum):
    """What is done with a command of a form."""

    ASK = "ask"
    RECEIVE = "receive"
    ABORT = "abort"
    DESTROY = "destroy"
    SEND = "send"


@dataclass(frozen=True, slots=True)
class Wish:
    """One command: ``argv`` is made of a form's words and checked names."""

    verb: Verb
    argv: Words


# Words in capitals stand for names: see Grammar._checked.
ABOUT = "guid,type,encryption,receive_resume_token"
"""In the answer to this question, alone or with ``written``, the policy is told."""
_GET = "zfs get -Hp -r -t filesystem,volume -o name,property,"
_LIST = "zfs list -Hp -o name,guid,createtxg -t snapshot"
_STILL = "-o readonly=on -o setuid=off -o exec=off -o devices=off -o volmode=none -o mountpoint=none"
_APART = "-x canmount -x sharenfs -x sharesmb -x quota -x refquota -x reservation -x refreservation"
_STAY_STILL = "-x readonly -x setuid -x exec -x devices -x volmode"
_FORMS = {
    Verb.ASK: (
        f"{_GET}value,source {ABOUT} DATASET",
        f"{_GET}value,source {ABOUT},written DATASET",
        f"{_GET}value,source {ABOUT},encryptionroot,keyformat,keylocation DATASET",
        f"{_GET}received,source all DATASET",
        f"{_LIST} -r DATASET",
        f"{_LIST} DATASET",
        f"{_LIST} SNAPSHOTS",
        "zfs list -Hp -o name,guid,userrefs,clones -t snapshot SNAPSHOTS",
        "zfs list -Hp -o guid -d 0 DATASET",
        "zfs holds -H SNAPSHOTS",
        "zfs destroy -nvp NAMES",
        "zfs destroy -nvp -r NAMES",
        "zfs allow DATASET",
        "zfs version",
        "zpool list -Hp -o name,size,allocated,free,health POOL",
        "zpool status POOL",
        "date -u +%s",
    ),
    Verb.RECEIVE: (
        f"zfs receive -s -u {_STILL} {_APART} OWN DATASET",
        "zfs receive -s -u -o readonly=on -o volmode=none -x reservation -x refreservation OWN DATASET",
        f"zfs receive -s -u {_STAY_STILL} -x mountpoint {_APART} OWN DATASET",
        "zfs receive -s -u DATASET",
    ),
    Verb.ABORT: ("zfs receive -A DATASET",),
    Verb.DESTROY: ("zfs destroy NAMES", "zfs destroy -r NAMES"),
    Verb.SEND: (
        "zfs send -nvt TOKEN",
        *(
            f"zfs send {dry}-w {what}"
            for dry in ("", "-nvP ")
            for what in ("SNAPSHOT", "-R SNAPSHOT", "-I BASE SNAPSHOT", "-t TOKEN")
        ),
    ),
}
FORMS = tuple((verb, tuple(form.split())) for verb, forms in _FORMS.items() for form in forms)

_NO_BUSINESS = "-x mountpoint -x canmount -x sharenfs -x sharesmb"
RECEIVE = tuple(f"zfs receive -s -u {_NO_BUSINESS} {_STAY_STILL}".split())
"""How every stream is received, whatever the sender wrote. A copy inherits all this from the root, where the
receiver's own root has set it; the client's user may not set it, and -x leaves out what the stream says."""

_OWN = re.compile(r"cyber-zfs-backup:[a-z0-9.-]{1,64}")
_TOKEN = re.compile(r"1-[0-9a-f]{1,20}-[0-9a-f]{1,20}-[0-9a-f]{1,4000}")


_AT = dict.fromkeys(("SNAPSHOTS", "SNAPSHOT", "NAMES", "BASE"), True)
_AT |= dict.fromkeys(("DATASET", "POOL", "TOKEN"), False)
"""The words that stand for names, and which of these have an @: so no command fits two forms."""


def _aligned(form: Words, words: Words) -> list[tuple[str, str]] | None:
    """A command's words, each with its part of the form; ``None`` where it is not of this form."""
    if "OWN" in form:
        at = form.index("OWN")
        own, names = words[at:-1], words[at + 1 : -1 : 2]
        if own != tuple(word for name in sorted(set(names)) for word in ("-x", name)):
            return None
        if not all(_OWN.fullmatch(name) for name in names):
            return None
        form, words = form[:at] + form[at + 1 :], words[:at] + words[-1:]
    if form[-1] == "SNAPSHOTS":
        form += form[-1:] * (len(words) - len(form))
    if len(form) != len(words):
        return None
    pairs = list(zip(form, words, strict=True))
    fits = all(_AT[part] == ("@" in word) if part in _AT else part == word for part, word in pairs)
    return pairs if fits else None


@dataclass(frozen=True, slots=True)
class Grammar:
    """What may be asked about one root."""

    root: str

    def understand(self, line: str) -> tuple[Wish, ...]:
        """What a client's command line asks for: one wish, or several receives. Raises ``RefusedError``."""
        wishes = tuple(self._wish(words) for words in _commands(line))
        if len(wishes) > 1 and any(wish.verb is not Verb.RECEIVE for wish in wishes):
            raise RefusedError("only receives can be joined")
        return wishes

    def _wish(self, words: Words) -> Wish:
        for verb, form in FORMS:
            pairs = _aligned(form, words)
            if pairs is not None:
                argv = tuple(self._checked(part, word) if part in _AT else part for part, word in pairs)
                return Wish(verb, RECEIVE + argv[-1:] if verb is Verb.RECEIVE else argv)
        raise RefusedError(f"no command of this form is allowed: {' '.join(words[:2])[:60]}")

    def _checked(self, part: str, word: str) -> str:
        """A name, where it is one of its kind, and at or below the root."""
        dataset, _, names = word.partition("@")
        try:
            match part:
                case "DATASET":
                    self._below(check_dataset(word))
                case "SNAPSHOT" | "SNAPSHOTS":
                    self._below(check_snapshot(word).partition("@")[0])
                case "NAMES":
                    self._below(check_dataset(dataset))
                    if len(set(names.split(","))) != len(names.split(",")):
                        raise RefusedError("a snapshot is named twice")
                    if any(own_time(name) is None for name in names.split(",")):
                        raise RefusedError("only snapshots with names of this tool can be destroyed")
                case "BASE":
                    check_snapshot(f"x{word}" if word[0] == "@" else "")
                case "POOL":
                    if word != self.root.partition("/")[0]:
                        raise RefusedError(f"expected the pool of {self.root} and not {word!r}")
                case _ if not _TOKEN.fullmatch(word):
                    raise RefusedError("not a resume token")
        except BadNameError as error:
            raise RefusedError(str(error)) from None
        return word

    def _below(self, dataset: str) -> None:
        if dataset != self.root and not dataset.startswith(f"{self.root}/"):
            raise RefusedError(f"{dataset!r} is not at or below {self.root}")


def _commands(line: str) -> Iterator[Words]:
    """The commands of a line as words; refused where our sender would have quoted it otherwise."""
    if not line:
        raise RefusedError("no command: this login is for backups only, and has no shell")
    if len(line) > MAX_LINE:
        raise RefusedError(f"a line of {len(line)} characters is too long")
    if not (line.isascii() and line.isprintable()):
        raise RefusedError("a character that is not printable ASCII")
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise RefusedError(f"it cannot be read: {error}") from None
    commands: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            commands.append([])
        else:
            commands[-1].append(word)
    if not all(commands) or " && ".join(map(shlex.join, commands)) != line:
        raise RefusedError("it is not quoted as the sender quotes it")
    return map(tuple, commands)
