# SPDX-License-Identifier: GPL-3.0-or-later
"""How a command of ours that mends something is told which tree, and which copy of it."""

from __future__ import annotations

from ..config.job import Destination, Job, SourceHost
from ..hosts.quoting import as_typed


def tree_options(job: Job) -> str:
    """How a command of ours is told which tree."""
    return f"{as_typed(['--dataset', job.dataset])} {source_options(job)}".rstrip()


def source_options(job: Job) -> str:
    """How a command of ours is told where the tree is; empty for this machine."""
    if not job.source.ssh:
        return ""
    sudo = ["--source-use-sudo"] if job.source.use_sudo else []
    return as_typed(["--source-ssh-destination", job.source.ssh, *sudo, *_config(job.source)])


def way_options(job: Job, to: Destination) -> str:
    """How a command of ours is told which tree, and which copy of it."""
    words = ["--ssh-destination", to.ssh, "--zfs-receive-dataset", to.dataset]
    words += ["--use-sudo"] if to.use_sudo else []
    # One option for both ends, and told already where the source is on another machine.
    words += [] if job.source.ssh else _config(to)
    return f"{tree_options(job)} {as_typed(words)}"


def _config(end: SourceHost | Destination) -> list[str]:
    return [] if end.ssh_config is None else ["--ssh-config", str(end.ssh_config)]
