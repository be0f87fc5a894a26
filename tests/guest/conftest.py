# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures on real OpenZFS: ``guest``, ``lab``, ``pools``, ``alpha``, ``beta``, ``product``.

One guest serves the whole session. ``CYBER_ZFS_BACKUP_SUITE=trixie`` makes it Debian 13;
``CYBER_ZFS_BACKUP_GUEST=attach`` uses the one that ``python3 -m tests.guest up`` keeps.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.package.builds import Built

from . import evidence
from .channel import GuestError
from .guest import Guest
from .image import Report, console_report, image
from .installed import Installed
from .keeper import attach
from .lab import Host, Lab, Pools, Product
from .machine import Machine
from .recipe import Suite

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
PACKAGE = "cyber_zfs_backup"
INSTALLED = "/opt/cyber-zfs-backup"
RUNNING = pytest.StashKey[Guest]()
BEGUN = pytest.StashKey[evidence.Mark]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder needs the guest."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.guest)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember where a test began, for the evidence of its failure."""
    if RUNNING in item.config.stash:
        item.stash[BEGUN] = evidence.Mark.now(item.config.stash[RUNNING])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Put the guest's evidence into the report of a test that failed, before its pools go."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    guest = item.config.stash.get(RUNNING, None)
    if report.failed and guest is not None and item.path.is_relative_to(HERE):
        text = evidence.gather(guest, item.stash.get(BEGUN, evidence.Mark(0.0, 0)))
        path = evidence.save(text, f"{item.name}-{report.when}")
        report.sections.append((f"guest (whole: {path})", evidence.shortened(text)))


@pytest.fixture(scope="session")
def guest(pytestconfig: pytest.Config) -> Guest:
    """A running guest, one for the whole session."""
    return the_guest(pytestconfig)


def the_suite() -> Suite:
    """Which Debian this session is about."""
    return Suite(os.environ.get("CYBER_ZFS_BACKUP_SUITE", Suite.BOOKWORM.value))


def the_guest(config: pytest.Config) -> Guest:
    """The session's guest, started at the first call and ended with the session.

    Apart from the fixture so that another folder's conftest can hand out the same guest.
    """
    if RUNNING not in config.stash:
        suite = the_suite()
        if os.environ.get("CYBER_ZFS_BACKUP_GUEST") == "attach":
            shared = attach(suite)
            if shared is None:
                raise GuestError("no guest is up: python3 -m tests.guest up")
            Lab(shared).tidy()
            made = shared
        else:
            report = reporter(config)
            made = Machine(image(suite, report), report)
        config.add_cleanup(made.close)
        config.stash[RUNNING] = made
    return config.stash[RUNNING]


def reporter(config: pytest.Config) -> Report:
    """Progress goes past pytest's capture: an image takes minutes to build."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")
    if terminal is None or capture is None:  # a worker of xdist
        return console_report

    def report(line: str) -> None:
        with capture.global_and_fixture_disabled():
            terminal.write_line(line)

    return report


@pytest.fixture
def lab(guest: Guest) -> Iterator[Lab]:
    """Pools and hosts, tidied up after the test."""
    made = Lab(guest)
    yield made
    made.tidy()


@pytest.fixture
def pools(lab: Lab) -> Pools:
    """Makes fresh pools for this test."""
    return lab.pools


@pytest.fixture
def alpha(lab: Lab) -> Host:
    """A host with sshd, as which root may log in."""
    return lab.alpha


@pytest.fixture
def beta(lab: Lab) -> Host:
    """Another host."""
    return lab.beta


@pytest.fixture(scope="session")
def product(guest: Guest) -> Product:
    """The checkout's package in the guest, compiled once, run by ``python3 -m``."""
    guest.put_tree(CHECKOUT / PACKAGE, f"{INSTALLED}/{PACKAGE}")
    guest.run(["python3", "-m", "compileall", "-q", INSTALLED], timeout=300).check()
    return Product(guest, INSTALLED, PACKAGE)


@pytest.fixture(scope="module")
def packaging(guest: Guest) -> Iterator[Installed]:
    """What installs the package. It goes after the module's last test."""
    made = Installed(guest)
    yield made
    made.tidy()


@pytest.fixture
def package(packaging: Installed, built: Built, lab: Lab) -> Installed:  # the lab goes after what uses it
    """The checkout's package, installed as new."""
    packaging.settle(built)
    return packaging
