# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses for webhooks: what is one, and that no message shows what is secret in them."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.config.effective_text import notification_rows
from cyber_zfs_backup.config.webhooks import checked_webhook, without_secret

from .worlds import declared

SECRET = "T0pS3cret"


@pytest.mark.parametrize(
    "url",
    [
        f"https://chat.example.com/hooks/{SECRET}",
        f"http://127.0.0.1:8080/?token={SECRET}",
        f"https://[2001:db8::1]/{SECRET}",
        "https://chat.example.com",
    ],
)
def test_what_is_one(url: str) -> None:
    assert checked_webhook(url) == url
    assert SECRET not in without_secret(url)
    assert url.startswith(without_secret(url).removesuffix("/..."))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"ftp://chat.example.com/{SECRET}", "begins with https:// or http://"),
        (f"file:///etc/{SECRET}", "begins with https:// or http://"),
        (SECRET, "begins with https:// or http://"),
        (f"https:///{SECRET}", "names a host"),
        (f"https://chat.example.com:0/{SECRET}", "a port that is not 0"),
        (f"https://chat.example.com:x/{SECRET}", "the host or the port"),
        (f"https://[::1/{SECRET}", "the host or the port"),
        (f"https://me:{SECRET}@chat.example.com/", "no user and no password"),
        (f"https://chat.example.com/{SECRET}\r\nX-Evil: 1", "ASCII alone"),
        (f"https://chat.example.com/{SECRET}\n", "ASCII alone"),
        (f"https://chat.example.com/ {SECRET}", "ASCII alone"),
        (f"https://chät.example.com/{SECRET}", "ASCII alone"),
        ("", "begins with https:// or http://"),
    ],
)
def test_what_is_none(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        checked_webhook(url)
    assert SECRET not in str(caught.value)
    assert "; write a whole one" in str(caught.value)


def test_the_configuration_is_shown_without_it() -> None:
    text = (
        f'[notification]\nwebhook = ["https://chat.example.com/hooks/{SECRET}"]\n[[dataset]]\nname = "tank"\n'
    )
    (row,) = (row for row in notification_rows(declared(text)) if row.setting == "webhook")
    assert row.value == "https://chat.example.com/..."
    assert SECRET not in str(row.typed)
