# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the product with every command of its hosts timed; ``trace.py ARGUMENTS...``, as its command line.

Prints to stderr, at the end, when each command began (seconds since this process did), how long it took
and what it was. Standard library and the product only.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

BEGAN = time.monotonic()
_events: list[tuple[float, float, str, str]] = []
_lock = threading.Lock()


def main() -> int:
    """Run it, and print what was seen."""
    _mark("python", "interpreter and this file are there")
    from cyber_zfs_backup.cli.main import main as whole  # noqa: PLC0415 - its time is measured

    _mark("import", "cli.main")
    import cyber_zfs_backup.actions.run  # noqa: F401, PLC0415 - its time is measured

    _mark("import", "actions.run and all below it")
    from cyber_zfs_backup.hosts.local import LocalHost  # noqa: PLC0415 - after what is timed
    from cyber_zfs_backup.hosts.ssh import SshHost  # noqa: PLC0415 - after what is timed
    from cyber_zfs_backup.hosts.stream import ProcessLink  # noqa: PLC0415 - after what is timed

    def opened(*_: object) -> str:
        return "open the control connection (import paramiko, ssh -G, log in)"

    _wrap(LocalHost, "run", "source", lambda _host, argv, **_: " ".join(argv))
    _wrap(SshHost, "run", "receiver", lambda _host, argv, **_: " ".join(argv))
    _wrap(SshHost, "_open", "connect", opened)
    _wrap(ProcessLink, "transfer", "data", _streams)
    status = whole()
    _mark("end", "result shown")
    for start, end, where, what in sorted(_events):
        print(f"{start:8.2f} {end - start:7.2f} s  {where:<9}{what[:110]}", file=sys.stderr)
    return status


def _streams(_link: object, sends: Sequence[object], *_: object, **__: object) -> str:
    return f"{len(sends)} streams on one connection"


def _mark(where: str, what: str) -> None:
    now = time.monotonic() - BEGAN
    _events.append((now, now, where, what))


def _wrap(owner: Any, name: str, where: str, tell: Callable[..., str]) -> None:
    plain = getattr(owner, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.monotonic() - BEGAN
        try:
            return plain(*args, **kwargs)
        finally:
            with _lock:
                _events.append((start, time.monotonic() - BEGAN, where, tell(*args, **kwargs)))

    setattr(owner, name, timed)


if __name__ == "__main__":
    sys.exit(main())
