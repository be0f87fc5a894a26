# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates of bytes per second, as an administrator writes them."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.config.rates import parse_rate

K, M, G = 1024, 1024**2, 1024**3


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1024", 1024),
        ("123456", 123456),
        ("2048B", 2048),
        ("2048 B/s", 2048),
        # A letter alone, and with i, is a power of 1024, in either case (rsync, pv).
        ("1k", K),
        ("500k", 500 * K),
        ("500K", 500 * K),
        ("800KiB/s", 800 * K),
        ("800 KiB/s", 800 * K),
        ("20M", 20 * M),
        ("20m", 20 * M),
        ("20Mi", 20 * M),
        ("20M/s", 20 * M),
        ("1.5MiB/s", 3 * M // 2),
        ("1G", G),
        ("0.5G", G // 2),
        ("1T", 1024 * G),
        ("007k", 7 * K),
        # With B alone it is a power of 1000 (rsync, dd).
        ("20MB", 20_000_000),
        ("20MB/s", 20_000_000),
        ("500kB", 500_000),
        ("1.5GB", 1_500_000_000),
        # Exact, as no binary fraction is: and a fraction of a byte is dropped.
        ("1.1k", 1126),
        ("2.3MB", 2_300_000),
    ],
)
def test_a_rate(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "k", "M/s", ".5M", "5.M", "1,5M", "1e6", "-5M", "+5M", "0x10k", "fast", "none", "inf"),
        *(
            "nan",
            "20 M B",
            "20  M",
            " 20M",
            "20M ",
            "20M\n",
            "20M/h",
            "20M/s/s",
            "20MM",
            "20iB",
            "20P",
            "1_000k",
        ),
        *("\u0662\u0660M", "\uff120M", "20\u00b5", "20M\0", "9" * 16, "1." + "1" * 10 + "M"),
    ],
)
def test_no_rate(text: str) -> None:
    with pytest.raises(
        ValueError, match="is no rate; write bytes per second, for example 500k, 20M"
    ) as caught:
        parse_rate(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["0", "0M", "0.0G", "1023", "500", "1kB", "0.9k", "0.0000001G"])
def test_too_little(text: str) -> None:
    """Also who takes a plain number for KiB, as rsync does, is told what it is."""
    with pytest.raises(ValueError, match="is less than 1 KiB per second; write bytes per second"):
        parse_rate(text)


@pytest.mark.parametrize(
    "text", ["20Mbit", "20Mbit/s", "20Mb", "20Mb/s", "20Mbps", "100 Mbit/s", "100MiBit", "5000b"]
)
def test_bits(text: str) -> None:
    with pytest.raises(ValueError, match="is a rate in bits; write bytes per second"):
        parse_rate(text)
