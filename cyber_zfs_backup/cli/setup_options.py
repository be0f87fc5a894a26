# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of ``setup``, and the values that it gives."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .. import __version__
from ..config.job import UsageError
from ..config.public_key import MOST_BYTES, PublicKey, public_key
from ..config.setup import MODES, PACKAGE_CONFIG, Counts, PolicyWish, SetupReceiver, SetupSender
from . import helptext
from .options import PROGRAM, add_show, show_of, whole_number
from .plain_parser import PlainParser
from .request import Lines, Request

SIDES = ("receiver", "sender")


def add_receiver(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``setup receiver``."""
    parser.add_argument(
        "keyfile",
        nargs="?",
        metavar="KEYFILE",
        help="the file with the client's public key, one line as id_ed25519.pub has it; '-' is stdin",
    )
    who = parser.add_argument_group("who, and where")
    who.add_argument(
        "--client", required=True, metavar="NAME", help="the client's name; its user here is zfs-NAME"
    )
    who.add_argument(
        "--root",
        metavar="POOL/NAME",
        help="the dataset at or below which its copies lie; made where it is not there",
    )
    policy = parser.add_argument_group("what it may do (not given: as it is, for a new client the default)")
    policy.add_argument(
        "--mode",
        choices=MODES,
        help="archive: the client destroys nothing, this machine expires by its own retention (default); "
        "mirror: it may destroy its own expired snapshots, down to --keep-at-least",
    )
    for option, about, default in (
        ("--keep-at-least", "no destroy leaves fewer days, weeks and months that have a snapshot", "7 4 12"),
        ("--retention", "what an archive keeps", "31 12 36"),
    ):
        policy.add_argument(
            option,
            nargs=3,
            type=whole_number,
            metavar=("DAYS", "WEEKS", "MONTHS"),
            help=f"{about} (default: {default})",
        )
    policy.add_argument(
        "--quota", metavar="BYTES", help="receive so much a day at most: 500M, 100G (default: no limit)"
    )
    _switch(policy, "--allow-restore", "let it read its copies back (default: it cannot)")
    _switch(
        policy,
        "--keep-properties",
        "let copies take over harmless properties (compression, recordsize, user properties and the like), "
        "so that a restore brings them back (default: they take over none)",
    )
    _switch(
        policy,
        "--never-destroy",
        "have ZFS itself refuse the client every destroy; a partial receive that its source cannot go on "
        "with then stays until root throws it away here, with zfs receive -A (default: the client may)",
    )
    _add_how(parser)


def _switch(group: argparse._ArgumentGroup, option: str, about: str) -> None:
    name = option.removeprefix("--").replace("-", "_")
    group.add_argument(option, dest=name, action="store_const", const=True, help=about)
    group.add_argument(
        option.replace("--", "--no-", 1), dest=name, action="store_const", const=False, help="the opposite"
    )


def receiver_of(options: argparse.Namespace) -> Request:
    """What ``setup receiver`` asks for; the key file is read. Raises ``UsageError``."""
    policy = PolicyWish(
        mode=options.mode,
        keep_at_least=_counts(options.keep_at_least),
        retention=_counts(options.retention),
        quota=options.quota,
        restore=options.allow_restore,
        properties=options.keep_properties,
        never_destroy=options.never_destroy,
    )
    key = None if options.keyfile is None else _key(options.keyfile)
    work = SetupReceiver(options.client, options.root, key, policy, options.undo, options.dry_run)
    return _request(work, options)


def add_sender(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``setup sender``."""
    parser.add_argument(
        "destination", metavar="DESTINATION", help="how ssh is to call the receiver, for --ssh-destination"
    )
    there = parser.add_argument_group("where the receiver is")
    there.add_argument(
        "--hostname", metavar="HOST", help="its name or address (default: as the configuration has it)"
    )
    there.add_argument("--port", type=whole_number, metavar="PORT", help="its sshd's port (default: 22)")
    there.add_argument("--user", metavar="USER", help="whom to log in as (default: zfs-CLIENT)")
    there.add_argument(
        "--fingerprint",
        metavar="SHA256:...",
        help="its host key's, as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints it there "
        "(default: ask)",
    )
    there.add_argument(
        "--client", metavar="NAME", help="this machine's name as a client (default: HOSTNAME, unqualified)"
    )
    there.add_argument(
        "--root",
        metavar="POOL/NAME",
        help="the dataset there that is this client's (default: offsite/CLIENT)",
    )
    there.add_argument(
        "--ssh-config",
        metavar="FILE",
        default=str(PACKAGE_CONFIG),
        help=f"the ssh configuration to write into (default: {PACKAGE_CONFIG}); where its entry names no "
        "others, the key and the known host keys lie beside it",
    )
    _add_how(parser)


def sender_of(options: argparse.Namespace, host: str) -> Request:
    """What ``setup sender`` asks for, on a machine of this name. Raises ``UsageError``."""
    client = options.client if options.client is not None else host.lower()
    work = SetupSender(
        options.destination,
        client,
        options.root if options.root is not None else f"offsite/{client}",
        hostname=options.hostname,
        user=options.user,
        port=options.port,
        config=Path(options.ssh_config).absolute(),
        fingerprint=options.fingerprint,
        undo=options.undo,
        dry_run=options.dry_run,
    )
    return _request(work, options)


def side_of(argv: Sequence[str]) -> str:
    """The first word: which side is to be set up. Raises ``UsageError``."""
    if not argv or argv[0] not in SIDES:
        given = f" and not {argv[0]!r}" if argv else ""
        raise UsageError(f"setup: write receiver or sender after it{given}: cyber-zfs-backup setup --help")
    return argv[0]


def _add_how(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how")
    how.add_argument(
        "--print",
        "--dry-run",
        "--no-act",
        "-n",
        dest="dry_run",
        action="store_true",
        help="print the commands, as lines for a shell, and run none of them",
    )
    how.add_argument("--undo", action="store_true", help="take back what was made; data stay")
    add_show(parser)


def _request(work: SetupReceiver | SetupSender, options: argparse.Namespace) -> Request:
    return Request(work, replace(show_of(options), lines=Lines.SCRIPT if work.dry_run else Lines.ALL))


def _counts(given: Sequence[int] | None) -> Counts | None:
    return None if given is None else Counts(*given)


def _key(name: str) -> PublicKey:
    if name == "-":
        data = sys.stdin.buffer.read(MOST_BYTES + 1) if sys.stdin is not None else b""
        return public_key(data, "standard input")
    try:
        with Path(name).open("rb") as file:
            return public_key(file.read(MOST_BYTES + 1), name)
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}; name the file with the client's public key") from None
    except ValueError as error:
        raise UsageError(f"{name!r}: {error}") from None


def setup_receiver_parser() -> argparse.ArgumentParser:
    """The grammar of ``setup receiver``."""
    parser = PlainParser(f"{PROGRAM} setup receiver", helptext.SETUP_RECEIVER)
    add_receiver(parser)
    return parser


def setup_sender_parser() -> argparse.ArgumentParser:
    """The grammar of ``setup sender``."""
    parser = PlainParser(f"{PROGRAM} setup sender", helptext.SETUP_SENDER)
    add_sender(parser)
    return parser


def setup_parser() -> argparse.ArgumentParser:
    """The grammar of ``setup``: which side, and then its own."""
    parser = PlainParser(f"{PROGRAM} setup", helptext.SETUP_ABOUT)
    sides = parser.add_subparsers(metavar="SIDE", parser_class=argparse.ArgumentParser)
    for side, whole in zip(SIDES, (setup_receiver_parser(), setup_sender_parser()), strict=True):
        sides.add_parser(side, parents=[whole], add_help=False, help=helptext.SETUP[side])
    parser.add_argument(
        "--version", action="version", version=f"{PROGRAM} {__version__}", help="print the version and exit"
    )
    return parser


def understand_setup(argv: Sequence[str], host: str) -> Request:
    """What ``setup`` asks for, on a machine of the name ``host``. Raises as ``parse`` does."""
    if argv and argv[0] in ("-h", "--help", "--version"):
        setup_parser().parse_args(argv)
    if side_of(argv) == "receiver":
        return receiver_of(setup_receiver_parser().parse_args(argv[1:]))
    return sender_of(setup_sender_parser().parse_args(argv[1:]), host)
