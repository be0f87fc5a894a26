# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's page as a document: whole, small, and with nothing in it but text."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from cyber_zfs_backup.actions.report_html import html
from cyber_zfs_backup.model.trees import Dataset, Tree
from cyber_zfs_backup.plan.report_page import Page, Seen, recorded, report_page
from tests.browser import made

MIB = 1_000_000
VOID = {"meta", "link", "path"}
PAGES = [made.page_of_many, made.well, made.hostile, made.empty]


class Read(HTMLParser):
    """What a document consists of. An element that is not closed, or not open, is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [value or "" for key, value in self.attributes if key == name]


@pytest.mark.parametrize("make", PAGES)
def test_it_is_whole_fetches_nothing_and_has_no_script(make: Callable[[], Page]) -> None:
    text = html(make())
    read = Read(text)
    assert not {"script", "img", "iframe", "object", "form", "base"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on") or name in ("src", "style")]
    assert [each for each in read.values("href") if not each.startswith("#")] == ["data:,"]
    assert "url(" not in text
    assert "@import" not in text
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    named = [
        word
        for key in ("aria-labelledby", "aria-describedby")
        for each in read.values(key)
        for word in each.split()
    ]
    assert set(named) <= set(ids)
    assert {each[1:] for each in read.values("href")[1:]} <= set(ids)
    for level in ("h1", "main", "header", "footer", "title"):
        # A drawing's title is none of the document's.
        assert read.tags.count(level) == (1 if level != "title" else 1 + read.values("role").count("img"))


def test_the_policy_allows_its_own_style_and_nothing_else() -> None:
    text = html(made.well())
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert (
        f"content=\"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'\""
    ) in text


def test_a_hostile_text_is_text_everywhere() -> None:
    text = html(made.hostile())
    # What cannot be written, or would turn the text about, is shown as such.
    shown = "<script>alert(1)</script> \"'&amp; {{ 7 * 7 }} \ufffd\ufffd\ufffd[31m\ufffd </title></style>]]>"
    assert "".join(Read(text).text).count(shown) > 20
    assert not re.search("[\0\x1b\u202e\udcff]", text)
    text.encode()


@pytest.mark.parametrize(("trees", "datasets"), [(1, 200), (200, 1), (8, 25)])
def test_two_hundred_datasets_with_years_of_history_are_a_small_page(trees: int, datasets: int) -> None:
    seen, record = made.machine(trees, datasets, destinations=1 if trees == 200 else 2)
    page = report_page("zippy", made.NOW, seen, record)
    assert page.datasets == 200
    assert len(html(page).encode()) < 2 * MIB


def test_more_runs_do_not_make_it_larger() -> None:
    """Four runs an hour for three years are as many bars as one a day."""
    seen, record = made.machine(1, 1, destinations=1)
    (runs,) = record.runs.values()
    often = recorded([run for run in runs for _ in range(96)], ())
    once, again = (len(html(report_page("zippy", made.NOW, seen, each))) for each in (record, often))
    assert again < once * 1.1


def test_more_snapshots_than_fit_are_one_mark() -> None:
    ages = [number / 96 for number in range(96 * 365)]
    whole = Tree("tank/a", {"": Dataset("", made.snapshots(1, ages))})
    page = report_page("zippy", made.NOW, [Seen("tank/a", (), whole)], recorded((), ()))
    assert page.trees[0].datasets[0].count == len(ages)
    assert len(html(page)) < 20_000


def test_what_is_wrong_is_at_the_top_and_the_rest_unfolds() -> None:
    text = html(made.page_of_many(60, 2))
    top = text[: text.index('id="overview"')]
    assert "<title>12 things are wrong, 24 things to look at: backups of zippy</title>" in text
    assert top.count('s2"><span') == 12
    assert top.count('<li><span class="badge') == 36
    assert "<summary>16 more</summary>" in top
    assert "are wrong" in top
    assert "All is well" not in text


def test_words() -> None:
    text = " ".join("".join(Read(html(made.well())).text).split())
    assert "All is well" in text
    assert (
        "20 snapshots, the newest 7 h old, the oldest of 2026-11-08 (the last 5 weeks: 20); 1 that others"
        in text
    )
    assert "Each week: 1.7 TiB in 1095 runs, most 142.5 GiB in the week of 2024-08-05; 33 runs" in text
    assert "Last drill 2026-11-24 02:00: 3 datasets, nothing was wrong." in text
    assert "Has it up to 2026-11-27 02:00, not behind. On record since 2023-11-29 02:00." in text
