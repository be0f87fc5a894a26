# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made here is what the floors above ask for; mypy checks the types, the test the calls."""

from __future__ import annotations

import inspect

import pytest

from cyber_zfs_backup.hosts.local import LocalHost
from cyber_zfs_backup.hosts.protocol import Host, Link
from cyber_zfs_backup.hosts.ssh import SshHost
from cyber_zfs_backup.hosts.stream import ProcessLink


def hosts() -> list[Host]:
    return [LocalHost(), SshHost("offsite")]


def link() -> Link:
    return ProcessLink(LocalHost(), SshHost("offsite"))


def test_labels_name_the_hosts() -> None:
    assert [host.label for host in hosts()] == ["this machine", "offsite"]


@pytest.mark.parametrize("name", ["run", "close"])
def test_hosts_are_called_as_the_protocol_says(name: str) -> None:
    wanted = list(inspect.signature(getattr(Host, name)).parameters)
    for cls in (LocalHost, SshHost):
        assert list(inspect.signature(getattr(cls, name)).parameters) == wanted


@pytest.mark.parametrize("name", ["transfer", "stop"])
def test_links_are_called_as_the_protocol_says(name: str) -> None:
    wanted = list(inspect.signature(getattr(Link, name)).parameters)
    assert list(inspect.signature(getattr(type(link()), name)).parameters) == wanted
