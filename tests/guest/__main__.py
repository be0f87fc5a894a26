# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest by hand: ``python3 -m tests.guest up``, ``run``, ``sh``, ``down`` and so on."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import cache
from .channel import GuestError, Running
from .guest import Guest
from .image import HEARTBEAT, console_report, image
from .inside.wire import Kind
from .keeper import attach, keep, keeper_folder
from .machine import Machine
from .prepare import clean, install_missing, prepare
from .recipe import Suite

CHECKOUT = Path(__file__).parents[2]
PACKAGE = "cyber_zfs_backup"
INSTALLED = "/opt/cyber-zfs-backup"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and answer the exit status."""
    options = _parser().parse_args(arguments)
    suite = Suite(options.suite)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        status: int = options.action(suite, options)
    except GuestError as error:
        print(f"guest: {error}", file=sys.stderr)
        return 125
    return status


def _up(suite: Suite, options: argparse.Namespace) -> int:
    folder = keeper_folder(suite)
    with cache.locked(folder):
        if attach(suite) is None:
            install_missing(console_report)
            image(suite, console_report)
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "keeper.log").open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tests.guest", "--suite", suite.value, "keep"],
                    cwd=CHECKOUT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            started = told = time.monotonic()
            while attach(suite) is None:
                if process.poll() is not None:
                    raise GuestError(f"no guest:\n{(folder / 'keeper.log').read_text(errors='replace')}")
                if time.monotonic() > told + HEARTBEAT:
                    told = time.monotonic()
                    console_report(f"[{told - started:4.0f} s] ... still starting the guest")
                time.sleep(0.5)
            console_report(f"guest up after {time.monotonic() - started:.0f} s")
    return 0


def _keep(suite: Suite, options: argparse.Namespace) -> int:
    keep(suite, Machine(image(suite, console_report), console_report))
    return 0


def _prepare(suite: Suite, options: argparse.Namespace) -> int:
    prepare(suite, console_report, thorough=options.thorough)
    return 0


def _clean(suite: Suite, options: argparse.Namespace) -> int:
    clean(suite, console_report)
    return 0


def _order(suite: Suite, options: argparse.Namespace) -> int:
    guest = attach(suite)
    if guest is None:
        console_report("no guest is up")
        return 0 if options.order == "quit" else 125
    guest.order_keeper(options.order)
    while options.order == "quit" and attach(suite) is not None:
        time.sleep(0.2)
    return 0


def _run(suite: Suite, options: argparse.Namespace) -> int:
    argv = (
        [word for word in options.command if word != "--"]
        if options.command[:1] == ["--"]
        else options.command
    )
    with _any_guest(suite) as guest:
        return _follow(guest, options.make(argv), options)


def _follow(guest: Guest, argv: Sequence[str], options: argparse.Namespace) -> int:
    """Run a command with its output shown as it comes; Ctrl-C goes to the command."""
    running = guest.start(argv, timeout=options.timeout)
    running.on_output = _show
    if options.stdin:
        threading.Thread(target=_feed, args=(running,), daemon=True).start()
    else:
        running.feed(b"", end=True)
    while not running.ended:
        try:
            result = running.wait()
        except KeyboardInterrupt:
            running.signal(signal.SIGINT)
    result = running.wait()
    if result.timed_out:
        print(f"guest: killed after {options.timeout:g} s", file=sys.stderr)
        return 124
    return result.status if result.status >= 0 else 128 - result.status


def _show(kind: Kind, data: bytes) -> None:
    stream = sys.stdout if kind is Kind.OUT else sys.stderr
    stream.buffer.write(data)
    stream.buffer.flush()


def _feed(running: Running) -> None:
    while data := os.read(0, 65536):
        running.feed(data)
    running.feed(b"", end=True)


def _put(suite: Suite, options: argparse.Namespace) -> int:
    with _any_guest(suite) as guest:
        if options.source.is_dir():
            guest.put_tree(options.source, options.target)
        else:
            guest.put(options.source, options.target, options.source.stat().st_mode & 0o777)
    return 0


def _get(suite: Suite, options: argparse.Namespace) -> int:
    with _any_guest(suite) as guest:
        options.target.write_bytes(guest.get(options.source))
    return 0


def _install(suite: Suite, options: argparse.Namespace) -> int:
    with _any_guest(suite) as guest:
        guest.put_tree(CHECKOUT / PACKAGE, f"{INSTALLED}/{PACKAGE}")
    return 0


@contextlib.contextmanager
def _any_guest(suite: Suite) -> Iterator[Guest]:
    """The shared guest where one is up, else one for this command alone."""
    guest = attach(suite)
    if guest is not None:
        yield guest
        guest.close()
        return
    machine = Machine(image(suite, console_report), console_report)
    try:
        yield machine
    finally:
        machine.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.guest", description=__doc__)
    parser.add_argument("--suite", choices=[suite.value for suite in Suite], default=Suite.BOOKWORM.value)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    ready = commands.add_parser(
        "prepare", help="install what is missing, build the image, keep a booted state"
    )
    ready.add_argument("--thorough", action="store_true", help="read every checksum of what is kept")
    ready.set_defaults(action=_prepare)
    commands.add_parser("clean", help="remove images that this checkout does not use").set_defaults(
        action=_clean
    )
    up = commands.add_parser("up", help="keep a guest running in the background (built and booted as needed)")
    up.set_defaults(action=_up)
    commands.add_parser("keep", help="what up starts: the guest in the foreground").set_defaults(action=_keep)
    down = commands.add_parser("down", help="end the guest that up started")
    down.set_defaults(action=_order, order="quit")
    reset = commands.add_parser("reset", help="pull the plug of that guest and boot it again")
    reset.set_defaults(action=_order, order="reset")
    for name, words, make in (
        ("run", "run a command in the guest as root: run zfs list", list),
        (
            "sh",
            "run a line of shell in the guest: sh 'zpool list; zfs list'",
            lambda argv: ["sh", "-c", *argv],
        ),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("-i", "--stdin", action="store_true", help="pass standard input on")
        command.add_argument("--timeout", type=float, default=3600.0, metavar="SECONDS")
        command.add_argument("command", nargs=argparse.REMAINDER)
        command.set_defaults(action=_run, make=make)
    put = commands.add_parser("put", help="copy a file or folder into the guest")
    put.add_argument("source", type=Path)
    put.add_argument("target")
    put.set_defaults(action=_put)
    get = commands.add_parser("get", help="copy a file out of the guest")
    get.add_argument("source")
    get.add_argument("target", type=Path)
    get.set_defaults(action=_get)
    install = commands.add_parser("install", help=f"copy this checkout's {PACKAGE} to {INSTALLED}")
    install.set_defaults(action=_install)
    return parser


if __name__ == "__main__":
    sys.exit(main())
