# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo, started: ``./run-demo`` installs what this needs and calls it."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from tests.guest.channel import GuestError
from tests.guest.recipe import Suite

from .ground import GroundError, ground, real_zfs_works
from .in_guest import play_in_guest
from .screen import say
from .story import Story, StoryError

REHEARSAL = (
    "REHEARSAL: this is no ZFS. The same script on a model of ZFS; commands, SSH and the tool are real."
)


class Stopped(BaseException):
    """A signal asked us to end; ``args`` is its number."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demo; the exit status is 0 only where everything was as it should be."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        if options.rehearse:
            return rehearse()
        if not options.guest and (options.here or real_zfs_works()):
            return _on_this_machine()
        return play_in_guest(Suite(options.suite), rehearse)
    except (GroundError, GuestError) as error:
        say("", f"The demo could not be played: {error}")
        return 1
    except Stopped as stopped:
        say("", "Interrupted; cleaned up.")
        return 128 + int(stopped.args[0])


def rehearse() -> int:
    """Play on the fake ZFS."""
    say(REHEARSAL)
    return _perform(fake=True)


def _on_this_machine() -> int:
    said = subprocess.run(["zfs", "version"], capture_output=True, text=True, check=False).stdout.split()
    version = said[0] if said else "an unknown version"
    say(f"On OpenZFS ({version}): two scratch pools on files, an sshd on loopback.")
    return _perform(fake=False)


def _perform(*, fake: bool) -> int:
    began = time.monotonic()
    status = 0
    with ground(fake=fake) as made:
        story = Story(made)
        try:
            story.play()
        except StoryError as error:
            say("", f"FAILED: {error}")
            status = 1
    if not status:
        what = "Rehearsed" if fake else "All as it should be"
        say("", f"{what}: {story.checks} checks held, {time.monotonic() - began:.0f} s.")
    say("Cleaned up: the pools are destroyed, the sshd is ended, the temporary files are removed.")
    return status


def _stop(number: int, frame: FrameType | None) -> None:
    """End once; while we clear up, further signals are ignored."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run-demo",
        description="Play the main job for real and show what happens: snapshots of some months, a first "
        "push over SSH, expire, an incremental push, a push that is cut half way and goes on. On scratch "
        "pools of this machine's ZFS where it has one, else in a Debian guest (QEMU), whose image is built "
        "the first time; while that goes on, the rehearsal is played. Cleans up after itself.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--rehearse", action="store_true", help="play on a model of ZFS, in seconds")
    where.add_argument("--guest", action="store_true", help="in the guest, even where this machine has ZFS")
    where.add_argument("--here", action="store_true", help="on this machine's ZFS, and nowhere else")
    parser.add_argument(
        "--suite",
        choices=[suite.value for suite in Suite],
        default=Suite.BOOKWORM.value,
        help="which Debian the guest is (default: bookworm, which is Debian 12; trixie is 13)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
