# SPDX-License-Identifier: GPL-3.0-or-later
"""The way in: ``python3 -m cyber_zfs_backup`` and the script ``cyber-zfs-backup``.

``--version`` is answered here, before anything but ``sys`` is imported.
"""

from __future__ import annotations

import sys

from . import __version__


def main() -> int:
    """Run the command line of this process; answer its exit code."""
    if sys.argv[1:] == ["--version"]:
        return _version()
    try:
        from .cli.main import main as whole  # noqa: PLC0415 - argparse alone costs more than --version may

        return whole(sys.argv[1:])
    except KeyboardInterrupt:
        # Ctrl-C before the command line has its own handlers: nothing has begun that needs cleaning up.
        return 130


def _version() -> int:
    try:
        print(f"cyber-zfs-backup {__version__}", flush=True)
    except BrokenPipeError:
        sys.stdout = None  # a reader that has gone is no error, and nothing may flush the stream again
    except OSError as error:
        sys.stdout = None
        print(f"cyber-zfs-backup: error: cannot write to stdout: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
