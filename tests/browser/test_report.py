# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's page in headless Chromium: on a phone and on a wide screen, by day and by night."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import Browser, Page, sync_playwright

from cyber_zfs_backup.actions.report_html import html
from tests.browser import made

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PAGES = {"many": made.page_of_many, "well": made.well, "hostile": made.hostile, "empty": made.empty}
GROUNDS: dict[Literal["light", "dark"], str] = {"light": "rgb(247, 248, 249)", "dark": "rgb(18, 22, 26)"}
LOOKED_AT = """[
    document.scrollingElement.scrollWidth <= innerWidth,
    getComputedStyle(document.body).backgroundColor,
    getComputedStyle(document.querySelector('.card')).borderTopWidth,
]"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass
class Opened:
    """A page that is shown, what it said on the console, and what it asked for."""

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def violations(self, rules: dict[str, object]) -> list[str]:
        """What axe-core finds, in short."""
        options = {"resultTypes": ["violations"], "selectors": False, **rules}
        found = Axe().run(self.page, options=options).response["violations"]
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # With an empty profile of its own, which is gone afterwards.
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, make in PAGES.items():
        found[name] = folder / f"{name}.html"
        found[name].write_bytes(html(make()).encode("utf-8", "replace"))
    return found


def opened(browser: Browser, file: Path) -> Opened:
    page = browser.new_page(viewport={"width": 1600, "height": 900}, color_scheme="light")
    shown = Opened(page)
    page.on("console", lambda message: shown.console.append(message.text))
    page.on("pageerror", lambda error: shown.console.append(str(error)))
    page.on("request", lambda request: shown.requests.append(request.url))
    page.goto(file.as_uri())
    return shown


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")


@pytest.mark.parametrize("name", PAGES)
def test_it_fits_and_says_nothing_and_asks_for_nothing(
    browser: Browser, files: dict[str, Path], name: str
) -> None:
    shown = opened(browser, files[name])
    # What is folded has to fit, too.
    unfold(shown.page)
    for width in (360, 1600):
        shown.page.set_viewport_size({"width": width, "height": 900})
        for scheme, ground in GROUNDS.items():
            shown.page.emulate_media(color_scheme=scheme)
            seen = shown.page.evaluate(LOOKED_AT)
            # The border: without the style's hash in the policy the page would be bare.
            assert seen == [True, ground, "1px"], (width, scheme)
    assert (shown.console, shown.requests) == ([], [files[name].as_uri()])
    shown.page.close()


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(browser: Browser, files: dict[str, Path], name: str) -> None:
    """All rules but contrast, which is the next test's: on 200 datasets that alone takes ten seconds."""
    shown = opened(browser, files[name])
    off = {"color-contrast": {"enabled": False}}
    assert shown.violations({"runOnly": RULES, "rules": off}) == []
    shown.page.close()


@pytest.mark.parametrize("name", ["well", "hostile", "empty"])
def test_everything_stands_out_from_its_ground(browser: Browser, files: dict[str, Path], name: str) -> None:
    """These have all that a page may have, in each colour."""
    shown = opened(browser, files[name])
    shown.page.set_viewport_size({"width": 360, "height": 900})
    unfold(shown.page)
    for scheme in GROUNDS:
        shown.page.emulate_media(color_scheme=scheme)
        assert shown.violations({"runOnly": ["color-contrast"]}) == [], scheme
    shown.page.close()


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        ("document.documentElement.removeAttribute('lang')", "html-has-lang"),
        ("document.querySelector('svg[role=img]').removeAttribute('aria-labelledby')", "svg-img-alt"),
        ("document.querySelector('main').style.color = '#888'", "color-contrast"),
    ],
)
def test_axe_would_find_it(browser: Browser, files: dict[str, Path], spoil: str, rule: str) -> None:
    shown = opened(browser, files["empty" if rule == "color-contrast" else "well"])
    shown.page.evaluate(f"{spoil}; document.querySelectorAll('svg title').forEach(each => each.remove())")
    assert rule in {each.partition(":")[0] for each in shown.violations({"runOnly": RULES})}
    shown.page.close()


def test_a_script_would_not_run(browser: Browser, files: dict[str, Path], tmp_path: Path) -> None:
    """Were a name ever written as markup, the page's policy would stop it."""
    text = files["well"].read_text()
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(text.replace("<main>", "<main><script>document.title = 'taken'</script>"))
    shown = opened(browser, spoilt)
    assert shown.page.title() == "All is well: backups of zippy"
    assert "Content Security Policy" in shown.console[0]
    shown.page.close()


def test_hostile_text_is_text(browser: Browser, files: dict[str, Path]) -> None:
    shown = opened(browser, files["hostile"])
    assert shown.page.evaluate("document.scripts.length") == 0
    assert (
        shown.page.locator("h1 .name")
        .inner_text()
        .startswith("<script>alert(1)</script> \"'&amp; {{ 7 * 7 }} ")
    )
    shown.page.close()


def test_a_link_of_the_overview_leads_to_its_tree(browser: Browser, files: dict[str, Path]) -> None:
    shown = opened(browser, files["many"])
    link = shown.page.locator("tbody a").last
    name = link.inner_text()
    target = link.get_attribute("href")
    assert shown.page.locator(f"h2{target}").inner_text() == name
    shown.page.close()
