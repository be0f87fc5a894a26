# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo in the guest: the same program, copied there and run on the guest's OpenZFS."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from tests.guest import cache
from tests.guest.channel import GuestError
from tests.guest.guest import Guest
from tests.guest.image import Image, image
from tests.guest.inside.wire import Kind
from tests.guest.machine import Machine, kept_state
from tests.guest.prepare import missing_packages
from tests.guest.recipe import Recipe, Suite

from .ground import CHECKOUT
from .screen import say

INSIDE = "/opt/demo"
LONGEST = 3600.0


def play_in_guest(suite: Suite, meanwhile: Callable[[], int]) -> int:
    """Play in a guest of our own; where it must be built first, ``meanwhile`` is played while that is done.

    Answers the exit status. Raises GuestError.
    """
    if not _ready(suite):
        say(
            f"This machine has no ZFS to use, so a guest (Debian {suite}, QEMU) is built for it, once:",
            "5 to 15 minutes. While that goes on, here is a rehearsal.",
            "",
        )
        with _building(suite) as building:
            status = meanwhile()
            if status:
                return status
            _follow(building)
    say("", f"Now for real: OpenZFS in a guest (Debian {suite}, in QEMU). Starting it ...")
    began = time.monotonic()
    machine = Machine(image(suite, say), say)
    try:
        say(f"The guest is up after {time.monotonic() - began:.0f} s.")
        for name in ("cyber_zfs_backup", "tests"):
            machine.put_tree(CHECKOUT / name, f"{INSIDE}/{name}")
        return _run(machine)
    finally:
        machine.close()
        say("The guest is ended.")


def _run(guest: Guest) -> int:
    running = guest.start(
        ["python3", "-u", "-m", "tests.demo", "--here"],
        env={"TMPDIR": "/run/lab", "LC_ALL": "C.UTF-8"},
        cwd=INSIDE,
        timeout=LONGEST,
    )
    running.on_output = _pass_on
    running.feed(b"", end=True)
    result = running.wait()
    if result.timed_out:
        raise GuestError(f"it took more than {LONGEST:g} s")
    return result.status if result.status >= 0 else 128 - result.status


def _pass_on(kind: Kind, data: bytes) -> None:
    stream = sys.stdout if kind is Kind.OUT else sys.stderr
    stream.buffer.write(data)
    stream.buffer.flush()


def _ready(suite: Suite) -> bool:
    folder = cache.cache_folder() / "images" / Recipe(suite).folder
    if missing_packages() or cache.why_broken(folder):
        return False
    return not cache.why_broken(kept_state(Image(suite, folder)))


@contextlib.contextmanager
def _building(suite: Suite) -> Iterator[subprocess.Popen[str]]:
    """Build in the background; ended with the block, however that ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.guest", "--suite", suite.value, "prepare"],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # A session of its own: Ctrl-C is ours to handle.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _follow(building: subprocess.Popen[str]) -> None:
    """Show what the build has said and says, to its end. Raises GuestError where it failed."""
    say("", "The guest's image:")
    for line in building.stdout or ():
        say(f"  {line.rstrip()}")
    if building.wait():
        raise GuestError("the guest's image could not be built; the lines above say why")
