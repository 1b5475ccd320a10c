"""report.html, judged by what an HTML parser makes of it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import lxml.html
import pytest
from examples import EXAMPLES, HOSTILE, collapsed, empty, finding, healthy, hostile, report
from rich_report import rich

from collapse_audit.errors import ProbeError
from collapse_audit.reports import as_html, as_text
from collapse_audit.reports._format import inert, shown
from collapse_audit.reports._page import VERDICTS
from collapse_audit.reports.document import Finding, Outcome, Verdict, cells

MAKERS = {**EXAMPLES, "rich": rich}
OURS = {"html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "article"}
OURS |= {"figure", "figcaption", "h1", "h2", "h3", "h4", "p", "div", "span", "ul", "li", "dl", "dt", "dd", "table"}
OURS |= {"caption", "thead", "tbody", "tr", "th", "td", "button", "details", "summary", "blockquote", "q", "a", "b"}
OURS |= {"small", "bdi", "svg", "desc", "g", "defs", "path", "use", "rect", "line", "circle", "text", "clippath"}
"""Every element that the page is made of; a script is none of them."""
FEW = ["rich", "hostile", "empty"]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {name: as_html.render(make()) for name, make in MAKERS.items()}


def root_of(page: str) -> lxml.html.HtmlElement:
    return lxml.html.document_fromstring(page.encode(), parser=lxml.html.HTMLParser(encoding="utf-8"))


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_in_a_report_becomes_an_element_or_an_attribute_that_acts(name: str, pages: dict[str, str]) -> None:
    elements = list(root_of(pages[name]).iter())
    assert {str(element.tag).lower() for element in elements} <= OURS
    names = {key.lower() for element in elements for key in element.attrib}
    assert not {
        key for key in names if key.startswith("on") or key in ("src", "style", "srcset", "action", "xlink:href")
    }
    assert all(element.get("href", "#").startswith("#") for element in elements)


@pytest.mark.parametrize("name", FEW)
def test_the_policy_allows_this_style_sheet_and_nothing_else(name: str, pages: dict[str, str]) -> None:
    root = root_of(pages[name])
    (style,) = root.iter("style")
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    (policy,) = root.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"@import|url\((?!#)|</|expression", style.text)


@pytest.mark.parametrize("name", MAKERS)
def test_every_reference_has_its_target_and_every_id_is_there_once(name: str, pages: dict[str, str]) -> None:
    root = root_of(pages[name])
    ids = Counter(root.xpath("//@id"))
    assert set(ids.values()) <= {1}
    wanted = {each.removeprefix("#") for each in root.xpath("//@href")} | set(root.xpath("//@popovertarget"))
    wanted |= {each for named in root.xpath("//@aria-labelledby") for each in named.split()}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", pages[name]))
    assert wanted <= set(ids)


@pytest.mark.parametrize("name", MAKERS)
def test_headings_never_skip_a_level_and_the_first_is_the_only_h1(name: str, pages: dict[str, str]) -> None:
    levels = [int(each.tag[1]) for each in root_of(pages[name]).iter("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_the_same_report_gives_the_same_bytes_in_another_process(tmp_path: Path, pages: dict[str, str]) -> None:
    here = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "reports")]
    script = (
        f"import sys; sys.path += {here!r}\n"
        "from rich_report import rich\nfrom collapse_audit.reports import as_html\n"
        f"open('out.html', 'wb').write(as_html.render(rich()).encode())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "17", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env=environment)
    assert (tmp_path / "out.html").read_bytes() == pages["rich"].encode()


def test_drawing_writes_nothing_into_the_users_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    here = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "reports")]
    script = (
        f"import sys; sys.path += {here!r}\nfrom rich_report import rich\nfrom collapse_audit.reports import as_html\n"
    )
    script += "as_html.render(rich())"
    keys = ("MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    environment = {key: value for key, value in os.environ.items() if key not in keys}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env={**environment, "HOME": str(home)})
    assert not list(home.rglob("*"))


def test_the_summary_and_the_verdict_lead(pages: dict[str, str]) -> None:
    for name, make in MAKERS.items():
        root = root_of(pages[name])
        made = make()
        heading = VERDICTS[made.verdict][1]
        said = root.xpath("string(//p[@class='summary'])")
        assert inert(made.summary, limit=1000) in (said, f"{heading.lower()}: {said}")
        assert not said.lower().startswith(f"{heading.lower()}: ")
        assert root.xpath("string(//h1)") == heading


def test_every_cell_opens_a_card_with_its_word_symbol_and_numbers() -> None:
    made = rich()
    root = root_of(as_html.render(made))
    words = {"pass": "✓", "fail": "✕", "inconclusive": "?", "not_measured": "–", "waived": "w"}
    for cell in cells(made.findings):
        if cell.probe == "integrity":  # measured nothing in any generation: a line below the matrix
            continue
        where = f"generation {cell.generation} (seed {cell.seed})"
        (button,) = root.xpath(f"//table//button[starts-with(@title, '{cell.probe}, {where}')]")
        mark = "waived" if cell.waived else cell.outcome.value
        assert button.text_content().startswith(words[mark])
        card = root.get_element_by_id(button.get("popovertarget"))
        text = card.text_content()
        for each in cell.findings:
            numbers = shown(each, alpha=0.05)
            for told in (numbers.value, numbers.interval, numbers.margin, numbers.n, numbers.n_needed, each.reason):
                assert told in text
    assert "Not measured: integrity" in root.text_content()


def told_below(*findings: Finding) -> tuple[str, str, list[str]]:
    """Of the only problem: its reason, the heading of its evidence, and the evidence."""
    made = report(list(findings), Verdict.COLLAPSE, 1, "collapse: some [exit 1]")
    (problem,) = root_of(as_html.render(made)).xpath("//section[@id='failed']/article")
    quoted = [each.text for each in problem.xpath(".//q")]
    return problem.xpath("string(.//p[@class='reason'])"), problem.xpath("string(.//h4)"), quoted


def test_the_worst_comparison_is_shown_and_named_in_every_format() -> None:
    values = [("0", 1, 0.1), ("0", 2, 0.4), ("1", 1, 0.3), ("1", 2, 0.2)]
    made = [
        finding("looping", k, Outcome.FAIL, (v, v, v), seed=s, reason=f"why {v}", evidence=({"term": f"word {v}"},))
        for s, k, v in values
    ]
    reason, heading, quoted = told_below(*made)
    assert reason == "The worst, generation 2 (seed 0): why 0.4"
    assert heading.startswith("Evidence: generation 2 (seed 0)")
    assert quoted == ["word 0.4"]
    whole = report(made, Verdict.COLLAPSE, 1, "collapse: some [exit 1]")
    text = as_text.render(whole, verbosity=1)
    assert "generation 2 (seed 0): why 0.4" in text
    assert '"word 0.4"' in text
    assert '"word 0.1"' not in text
    assert as_text.render(whole, verbosity=-1, width=300).startswith("x F  repetition / looping, generation 2 (seed 0)")


def test_a_lost_label_is_worse_than_any_other() -> None:
    made = [
        finding("label-coverage", k, Outcome.FAIL, (v, v, v), evidence=({"kind": "label", "label": f"L{k}", **count},))
        for k, v, count in ((1, 0.2, {"generation_count": 0}), (2, 0.01, {"generation_count": 1}))
    ]
    assert told_below(*made)[2] == ["L1"]


def test_evidence_is_that_of_the_worst_that_has_any() -> None:
    made = [
        finding("looping", 1, Outcome.FAIL, (0.1, 0.1, 0.1), evidence=({"term": "a", "baseline": 1, "generation": 2},)),
        finding("looping", 2, Outcome.FAIL, (0.4, 0.4, 0.4), reason="why"),
    ]
    reason, heading, quoted = told_below(*made)
    assert (reason, quoted) == ("The worst, generation 2: why", ["a"])
    assert heading.startswith("Evidence: generation 1")
    page = as_html.render(report(made, Verdict.COLLAPSE, 1, "collapse: some [exit 1]"))
    assert "1 → 2" in page
    assert "1 -&gt; 2" not in page


def test_no_column_is_without_a_heading(pages: dict[str, str]) -> None:
    for name in set(pages) - {"hostile"}:  # there a name is the empty string
        assert all(each.text_content().strip() for each in root_of(pages[name]).xpath("//th"))


def test_the_legend_shows_context_as_its_cells_are_drawn(pages: dict[str, str]) -> None:
    (swatch,) = root_of(pages["healthy"]).xpath("//ul[@class='legend']//span[@class='mark context']")
    assert not swatch.text
    for name in (".mark.context", ".cell.context"):
        (rule,) = re.findall(re.escape(name) + r" \{([^}]*)\}", pages["healthy"])
        assert "dashed var(--line)" in rule


def test_the_card_of_a_waived_finding_says_who_and_until_when(pages: dict[str, str]) -> None:
    text = root_of(pages["rich"]).xpath("string(//div[@popover][.//*[contains(text(), 'Waived:')]])")
    assert "owner me" in " ".join(text.split())
    assert "expires 2030-01-01" in " ".join(text.split())


def test_every_picture_is_named_and_described(pages: dict[str, str]) -> None:
    root = root_of(pages["rich"])
    plots = root.xpath("//*[local-name()='svg'][contains(@class, 'plot')]")
    assert len(plots) == 23 + 1  # and the one of what failed, beside its sentence
    for plot in plots:
        assert plot.get("role") == "img"
        named = [root.get_element_by_id(each).text_content() for each in plot.get("aria-labelledby").split()]
        assert all(text.strip() for text in named)


def test_there_is_a_picture_of_everything_that_the_report_holds(pages: dict[str, str]) -> None:
    drawn = root_of(pages["rich"]).xpath("//section[@class='picture']/@id")
    assert drawn == [
        f"picture-{slug}"
        for slug in (
            *("statistics", "forest", "histograms", "ridges", "perplexity", "surprise", "divergence", "unique"),
            *("labels", "survival", "coverage", "trend", "training"),
        )
    ]
    assert not root_of(pages["empty"]).xpath("//section[@class='picture']")


def test_texts_that_run_from_right_to_left_stand_in_an_element_of_their_own(pages: dict[str, str]) -> None:
    (prompt,) = root_of(pages["rich"]).xpath("//blockquote")
    assert (prompt.get("dir"), prompt.text) == ("auto", "صف الغدة الدرقية")
    texts = [each.text for each in root_of(pages["rich"]).xpath("//div[@class='texts']//p[@dir='auto']")]
    assert texts == ["عقدة في الفص الأيمن (EU-TIRADS 4)", "Узел правой доли, EU-TIRADS 4"]


def test_nothing_of_a_hostile_text_is_obeyed(pages: dict[str, str]) -> None:
    page = pages["hostile"]
    controls = {c for c in page if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n"}
    assert not controls
    text = root_of(page).text_content()
    assert "<script>alert(1)</script>" in text
    assert "\\u202eright-to-left override\\u202c" in text
    assert "\\x1b[31mred" in text
    page.encode("utf-8")


def test_a_label_of_a_megabyte_is_cut_and_the_cut_is_marked() -> None:
    row = {"label": HOSTILE[-1], "baseline_count": 1, "baseline_n": 2, "baseline_share": 0.5, "generations": []}
    made = replace(
        collapsed(),
        lineage={"name": HOSTILE[-1], "digest": "sha256:0"},
        survival=(row,),
        examples=({"prompt": HOSTILE[-1], "texts": [{"name": HOSTILE[-1], "text": HOSTILE[-1]}]},),
    )
    page = as_html.render(made)
    assert len(page) < 400_000
    assert "[+999,800 characters]" in page


def test_what_is_not_finite_is_refused_by_name() -> None:
    broken = finding("looping", 2, Outcome.PASS, (float("nan"), 0.0, 0.1))
    with pytest.raises(ProbeError, match="repetition / looping of generation 2"):
        as_html.render(report([broken], Verdict.PASS, 0, "pass [exit 0]"))


def test_template_syntax_in_a_text_is_text() -> None:
    made = replace(healthy(), lineage={"name": "{{ 7 * 7 }}{% raw %}", "digest": "{{ css }}"})
    assert "{{ 7 * 7 }}{% raw %}" in root_of(as_html.render(made)).text_content()


def test_an_audit_without_findings_has_a_page(pages: dict[str, str]) -> None:
    assert empty().findings == ()
    root = root_of(pages["empty"])
    assert not root.xpath("//table[contains(@class, 'matrix')]")
    assert root.xpath("//h1")


def test_seconds_do_not_change_the_page() -> None:
    made = collapsed()
    faster = replace(made, findings=tuple(replace(each, seconds=0.001) for each in made.findings))
    assert as_html.render(made) == as_html.render(faster)


def test_hostile_page_is_not_long(pages: dict[str, str]) -> None:
    assert len(pages["hostile"].encode()) < 3_000_000
    assert hostile().findings
