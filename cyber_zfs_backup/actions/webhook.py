# SPDX-License-Identifier: GPL-3.0-or-later
"""Posts a message to a webhook, in a time that is known beforehand, whatever the other side does.

``http.client`` and not ``urllib.request``: it takes no proxy from the environment, and follows no redirect
(which for a POST would be a GET somewhere else). The URL is as good as a password, so nothing that is said
here has more of it than its host.
"""

from __future__ import annotations

import http
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from .. import __version__
from ..config.webhooks import without_secret

LIMIT = 30.0
"""Seconds for all of it: names, connections, answers, and the pauses between."""

PAUSES = (0.0, 1.0, 4.0)
"""Seconds before each try."""

_LATER = frozenset({408, 429})


class WebhookError(Exception):
    """The message was not taken. ``what`` happened, and the ``remedy``."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class _Trouble:
    what: str
    remedy: str
    passing: bool


def post(url: str, document: str, limit: float = LIMIT, pauses: Sequence[float] = PAUSES) -> None:
    """Post a JSON document (ASCII); passing trouble is tried again, as long as there is time.

    What was sent, but not answered in time, may have arrived: then it is left to the next run. Raises
    ``WebhookError``.
    """
    end = time.monotonic() + limit
    trouble: _Trouble | None = None
    for pause in pauses:
        if time.monotonic() + pause >= end:
            break
        time.sleep(pause)
        trouble = _Try(url, document.encode("ascii"), end, limit).trouble()
        if trouble is None:
            return
        if not trouble.passing:
            break
    if trouble is None:
        trouble = _silent(limit)
    raise WebhookError(f"{without_secret(url)} {trouble.what}", trouble.remedy)


class _Try:
    """One try, in a thread of its own: neither a name that is looked up nor an answer that comes one byte a
    second can be ended otherwise."""

    def __init__(self, url: str, data: bytes, end: float, limit: float) -> None:
        self._parts = urlsplit(url)
        self._data = data
        self._end = end
        self._limit = limit
        self._connection: http.client.HTTPConnection | None = None
        self._outcome: _Trouble | None = None
        self._done = threading.Event()

    def trouble(self) -> _Trouble | None:
        """What was wrong; ``None`` where it was taken."""
        # A daemon: whatever it still waits for does not keep the process from its end.
        threading.Thread(target=self._run, name="cyber-zfs-backup webhook", daemon=True).start()
        if self._done.wait(max(0.0, self._end - time.monotonic())):
            return self._outcome
        connection = self._connection
        sock = connection.sock if connection is not None else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        return _silent(self._limit)

    def _run(self) -> None:
        try:
            self._outcome = _judged(self._status())
        except TimeoutError:
            self._outcome = _silent(self._limit)
        except ssl.SSLCertVerificationError as error:
            what = f"has a certificate that cannot be trusted: {error.verify_message}"
            remedy = "renew it there, or give its authority to this machine (update-ca-certificates)"
            self._outcome = _Trouble(what, remedy, passing=False)
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            remedy = "look whether it runs, and whether this machine reaches it"
            self._outcome = _Trouble(f"cannot be reached: {why}", remedy, passing=True)
        except Exception as error:  # in a thread, whoever waits would never hear of it
            remedy = "please report it"
            self._outcome = _Trouble(f"internal error: {type(error).__name__}", remedy, passing=False)
        finally:
            self._done.set()

    def _status(self) -> int:
        parts, left = self._parts, max(0.1, self._end - time.monotonic())
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=left, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=left)
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        headers = {"Content-Type": "application/json", "User-Agent": f"cyber-zfs-backup/{__version__}"}
        try:
            self._connection.request("POST", target, self._data, headers)
            return self._connection.getresponse().status
        finally:
            self._connection.close()


def _judged(status: int) -> _Trouble | None:
    if 200 <= status < 300:
        return None
    with suppress(ValueError):
        name = f"{status} {http.HTTPStatus(status).phrase}"
        if 300 <= status < 400:
            return _Trouble(f"leads elsewhere ({name})", "write the address that it leads to", passing=False)
        passing = status >= 500 or status in _LATER
        remedy = "it is tried again by the next run" if passing else "look whether the address is right"
        return _Trouble(f"answers {name}", remedy, passing)
    return _Trouble(f"answers {status}", "look whether the address is right", passing=status >= 500)


def _silent(limit: float) -> _Trouble:
    remedy = "it is tried again by the next run; look whether that service works"
    return _Trouble(f"has not answered within {limit:g} s", remedy, passing=False)
