# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that messages are posted to. Their paths are as good as passwords: no message shows them."""

from __future__ import annotations

from urllib.parse import urlsplit

_WRITE = "write a whole one, for example https://chat.example.com/hooks/backup"


def checked_webhook(url: str) -> str:
    """The same URL. Raises ``ValueError``, whose message does not have it."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"a URL has letters, digits and signs of ASCII alone; {_WRITE}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"the host or the port in a URL is none; {_WRITE}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"a URL begins with https:// or http:// here; {_WRITE}")
    if not parts.hostname or port == 0:
        raise ValueError(f"a URL names a host here, and a port that is not 0 where it names one; {_WRITE}")
    if "@" in parts.netloc:
        raise ValueError(f"a URL has no user and no password here; {_WRITE}")
    return url


def without_secret(url: str) -> str:
    """How messages name it: scheme and host alone."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/..."
