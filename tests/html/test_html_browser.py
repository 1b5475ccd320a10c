"""report.html in a real browser: it opens in silence, asks for nothing, is accessible, and obeys nobody's text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from examples import hostile
from rich_report import rich

from collapse_audit.reports import as_html

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    addresses = {}
    for make in (rich, hostile):
        path = Path(folder, f"{make.__name__}.html")
        path.write_text(as_html.render(make()), encoding="utf-8")
        addresses[make.__name__] = path.as_uri()
    return addresses


class Watched:
    """A tab and all that happened in it."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", self._dialog)

    def _dialog(self, dialog: Any) -> None:
        self.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def open_tab(browser: Any) -> Iterator[Any]:
    tabs: list[Watched] = []

    def opened(address: str, **options: Any) -> Watched:
        tabs.append(Watched(browser, **options))
        tabs[-1].page.goto(address)
        return tabs[-1]

    yield opened
    for tab in tabs:
        tab.context.close()


@pytest.mark.parametrize("name", ["rich", "hostile"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_page_opens_in_silence_asks_for_nothing_and_is_not_too_wide(
    name: str, size: dict[str, int], files: dict[str, str], open_tab: Any
) -> None:
    tab = open_tab(files[name], viewport=size)
    for button in tab.page.locator("table.matrix button").all()[:3]:
        button.click()
        tab.page.keyboard.press("Escape")
    assert tab.said == []
    assert tab.asked == [files[name]]
    assert tab.page.locator("script").count() == 0
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_axe_finds_no_serious_fault(size: dict[str, int], scheme: str, files: dict[str, str], open_tab: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    # The checker is a script of its own, which the page's policy rightly refuses.
    tab = open_tab(files["rich"], viewport=size, color_scheme=scheme, bypass_csp=True)
    tab.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    for card in (False, True):
        if card:
            tab.page.locator("button.cell.fail").first.click()
        checked = axe.Axe().run(tab.page).response
        assert len(checked["passes"]) > 20
        grave = [
            (fault["id"], fault["impact"], [node["target"] for node in fault["nodes"]][:3])
            for fault in checked["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert grave == []


def test_a_cell_opens_its_card_and_escape_closes_it_by_keyboard_alone(files: dict[str, str], open_tab: Any) -> None:
    page = open_tab(files["rich"], viewport=DESKTOP).page
    cell = page.locator("button.cell.inconclusive").first
    cell.focus()
    card = page.locator(f"#{cell.get_attribute('popovertarget')}")
    assert not card.is_visible()
    page.keyboard.press("Enter")
    assert card.is_visible()
    assert "about 900 a side" in card.inner_text()
    page.keyboard.press("Escape")
    assert not card.is_visible()
    assert cell.evaluate("each => each === document.activeElement")


def test_what_has_the_focus_shows_it(files: dict[str, str], open_tab: Any) -> None:
    page = open_tab(files["rich"], viewport=DESKTOP).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0


def test_dark_and_light_are_two_pages_and_pictures_follow(files: dict[str, str], open_tab: Any) -> None:
    ink: dict[str, tuple[Any, ...]] = {}
    for scheme in ("light", "dark"):
        page = open_tab(files["rich"], viewport=DESKTOP, color_scheme=scheme).page
        body = page.evaluate("getComputedStyle(document.body).backgroundColor")
        ink[scheme] = body, page.locator("svg.plot text").first.evaluate("each => getComputedStyle(each).fill")
    assert all(light != dark for light, dark in zip(ink["light"], ink["dark"], strict=True))


def test_print_shows_what_is_folded_and_the_cards_of_what_did_not_pass(files: dict[str, str], open_tab: Any) -> None:
    page = open_tab(files["rich"], viewport=DESKTOP).page
    hidden = page.locator("#findings table")
    assert not hidden.is_visible()
    page.emulate_media(media="print")
    assert hidden.bounding_box()["height"] > 100
    assert page.locator(".card.fail").first.is_visible()
    assert not page.locator(".card.pass").first.is_visible()
    assert not page.locator("nav").is_visible()


def test_a_text_from_right_to_left_is_set_so(files: dict[str, str], open_tab: Any) -> None:
    page = open_tab(files["rich"], viewport=DESKTOP).page
    directions = [each.evaluate("each => getComputedStyle(each).direction") for each in page.locator(".texts p").all()]
    assert directions == ["rtl", "ltr"]
