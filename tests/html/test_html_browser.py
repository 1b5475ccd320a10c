"""report.html in a real browser: it opens in silence, asks for nothing, is accessible, and obeys nobody's text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from examples import finding, hostile, report
from rich_report import rich
from test_reading_limits import everything_wrong

from collapse_audit.reports import as_html
from collapse_audit.reports.document import AuditReport, Outcome, Verdict

PAPER = {"width": 702, "height": 1020}
"""A4 between margins of 12 mm: 186 mm at 96 pixels an inch."""
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def long() -> AuditReport:
    """30 generations."""
    made = [finding("looping", k, Outcome.FAIL, (0.2, 0.15123, 0.25), n_needed=5_816_092) for k in range(1, 31)]
    return report(made, Verdict.COLLAPSE, 1, "collapse: all of it [exit 1]")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, committed: AuditReport) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    addresses = {}
    for name, made in {"rich": rich(), "hostile": hostile(), "committed": committed, "long": long()}.items():
        path = Path(folder, f"{name}.html")
        path.write_text(as_html.render(made), encoding="utf-8")
        addresses[name] = path.as_uri()
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
    tab.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    for button in tab.page.locator("table.matrix button").all()[:3]:
        button.click()
        tab.page.keyboard.press("Escape")
    assert tab.said == []
    assert tab.asked == [files[name]]
    assert tab.page.locator("script").count() == 0
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.parametrize(
    ("size", "scheme", "name"),
    [
        pytest.param(DESKTOP, "light", "rich", id="desktop-light"),
        pytest.param(DESKTOP, "dark", "rich", id="desktop-dark"),
        pytest.param(PHONE, "light", "rich", id="phone-light"),
        pytest.param(PHONE, "dark", "rich", id="phone-dark"),
        pytest.param(DESKTOP, "light", "committed", id="committed"),
    ],
)
def test_axe_finds_no_serious_fault(
    size: dict[str, int], scheme: str, name: str, files: dict[str, str], open_tab: Any, axe: Any
) -> None:
    # The checker is a script of its own, which the page's policy rightly refuses.
    tab = open_tab(files[name], viewport=size, color_scheme=scheme, bypass_csp=True)
    tab.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    # Of what passes one element a rule is listed, which halves the time; what fails is listed whole.
    for where, rules in ((None, 20), (":popover-open", 5)):
        if where is not None:
            tab.page.locator("button.cell.fail").first.click()
        checked = axe.run(tab.page, context=where, options={"resultTypes": ["violations"]}).response
        assert len(checked["passes"]) > rules
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


def test_print_shows_what_is_folded_and_no_card(files: dict[str, str], open_tab: Any) -> None:
    page = open_tab(files["rich"], viewport=DESKTOP).page
    hidden = page.locator("#findings table")
    assert not hidden.is_visible()
    page.emulate_media(media="print")
    assert hidden.bounding_box()["height"] > 100
    assert not page.locator(".card").first.is_visible()
    assert not page.locator("nav").is_visible()


_EDGES = """() => [...document.querySelectorAll('table, table td, table th')].map(each => {
    const box = each.getBoundingClientRect();
    return [box.left, box.right];
})"""


@pytest.mark.parametrize("name", ["rich", "hostile", "committed", "long"])
def test_no_column_of_a_table_is_cut_off_in_print(name: str, files: dict[str, str], open_tab: Any) -> None:
    page = open_tab(files[name], viewport=PAPER).page
    page.emulate_media(media="print")
    edges = page.evaluate(_EDGES)
    assert len(edges) > 50
    assert min(edge[0] for edge in edges) >= 0
    assert max(edge[1] for edge in edges) <= PAPER["width"]


def test_a_committed_lineage_prints_on_few_pages(files: dict[str, str], open_tab: Any) -> None:
    page = open_tab(files["committed"], viewport=DESKTOP).page
    sheets = len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True)))
    assert 5 < sheets < 65  # three seeds, four generations, twenty-odd findings of each


_LABELLED = """() => [...document.querySelectorAll('#failed td, #inconclusive td')].filter(each => each.innerHTML)
    .map(each => [each.getBoundingClientRect().left, each.getBoundingClientRect().right,
                  getComputedStyle(each, '::before').content])"""


@pytest.mark.parametrize("name", ["rich", "committed", "long"])
def test_a_phone_shows_every_number_of_what_did_not_pass(name: str, files: dict[str, str], open_tab: Any) -> None:
    page = open_tab(files[name], viewport=PHONE).page
    cells = page.evaluate(_LABELLED)
    assert len(cells) > 8
    for left, right, label in cells:
        assert left >= 0
        assert right <= PHONE["width"]
        assert label not in ("none", "normal", '""')
    assert page.locator("#failed svg.gauge").first.bounding_box()["width"] > 200


def test_the_page_of_a_committed_lineage_is_small(committed: AuditReport) -> None:
    assert (len({f.seed for f in committed.findings}), len(committed.lineage["generations"])) == (3, 5)
    assert len(as_html.render(committed).encode()) < 3_000_000


def test_a_text_from_right_to_left_is_set_so(files: dict[str, str], open_tab: Any) -> None:
    page = open_tab(files["rich"], viewport=DESKTOP).page
    directions = [each.evaluate("each => getComputedStyle(each).direction") for each in page.locator(".texts p").all()]
    assert directions == ["rtl", "ltr"]


# ------------------------------------------------------------------------------------------------------- how long it is


@pytest.mark.parametrize("seeds", [1, 3])
def test_on_a_phone_it_is_no_longer_than_ten_screens_before_anything_is_unfolded(
    open_tab: Any, tmp_path: Path, seeds: int
) -> None:
    path = tmp_path / "page.html"
    path.write_text(as_html.render(everything_wrong(seeds)), encoding="utf-8")
    tab = open_tab(path.as_uri(), viewport=PHONE)
    assert tab.page.evaluate("document.documentElement.scrollHeight") <= 10 * PHONE["height"]


@pytest.mark.parametrize("name", ["rich", "long"])
def test_it_opens_with_the_sentences_that_the_terminal_opens_with(
    open_tab: Any, files: dict[str, str], name: str
) -> None:
    tab = open_tab(files[name], viewport=PHONE)
    first = tab.page.inner_text("ul.said li >> nth=0")
    assert first
    assert tab.page.evaluate("document.querySelector('ul.said').getBoundingClientRect().top") < PHONE["height"]
