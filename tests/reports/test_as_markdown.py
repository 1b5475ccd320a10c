"""report.md, judged by what a Markdown parser makes of it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import lxml.html
import pytest
from examples import EXAMPLES, HOSTILE, collapsed, finding, healthy, inconclusive, report
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from collapse_audit.reports import as_markdown
from collapse_audit.reports._format import inert
from collapse_audit.reports.as_markdown import code, prose
from collapse_audit.reports.document import AuditReport, Finding, Outcome, Verdict

OURS = {"html", "body", "h2", "h3", "p", "strong", "code", "details", "summary", "ul", "li"}
OURS |= {"table", "thead", "tbody", "tr", "th", "td"}
"""Every HTML element that a report is made of."""
ACTIVE = re.compile(r"@\w|#\d|://|\bwww\.", re.IGNORECASE)
"""What GitHub turns into mentions, references and links, wherever it stands outside code."""
nasty = st.text(alphabet="ab1 \\`*_{}[]()<>#+-.!|~$&;:@=^\"'/\n\t\x1b\u202e\u05d0漢", max_size=30)


def page(markdown: str) -> lxml.html.HtmlElement:
    rendered = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)
    return lxml.html.document_fromstring(f"<html><body>{rendered}</body></html>")


def audit(*findings: Finding) -> AuditReport:
    return report(list(findings), Verdict.COLLAPSE, 1, "collapse [exit 1]")


def table(root: lxml.html.HtmlElement, heading: str) -> list[dict[str, str]]:
    """The first table after ``heading``, a mapping from column to text for each row."""
    (found,) = root.xpath(f"//h3[text()='{heading}']/following-sibling::table[1]")
    header = [cell.text_content() for cell in found.findall("thead/tr/th")]
    rows = [[cell.text_content() for cell in row.findall("td")] for row in found.findall("tbody/tr")]
    return [dict(zip(header, row, strict=True)) for row in rows]


def shown_words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_in_a_report_becomes_an_element_that_is_not_ours(name: str) -> None:
    root = page(as_markdown.render(EXAMPLES[name]()))
    assert {element.tag for element in root.iter() if isinstance(element.tag, str)} <= OURS


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_outside_code_notifies_or_links(name: str) -> None:
    root = page(as_markdown.render(EXAMPLES[name]()))
    texts = root.xpath("//text()[not(ancestor::code)]")
    assert not [text for text in texts if ACTIVE.search(text)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_hidden_character_is_left(name: str) -> None:
    text = as_markdown.render(EXAMPLES[name]()).replace("\n", "")
    assert {unicodedata.category(character) for character in text}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


@pytest.mark.parametrize(
    "text",
    [
        *(
            "[a](b)",
            "![a](b)",
            "[a]: b",
            "[a][b] [b]: c",
            "[^1] [^1]: note",
            "[ ] box",
            "<!-- -->",
            "a &amp; b",
            "a<br>b",
        ),
        *(
            "*a* _b_ **c** __d__ ~~e~~ `f`",
            "a__b__c",
            "# a",
            "> a",
            "+ a",
            "1) a",
            "---",
            "===",
            "a\\|b",
            "snake_case_name",
        ),
    ],
)
def test_markup_is_shown_as_it_was_written(text: str) -> None:
    (item,) = page(f"- {prose(text)}\n\n{prose(text)}\n").iter("li")
    assert item.text_content().strip() == text
    assert not [each.tag for each in item.iter() if each.tag not in ("li", "p") and isinstance(each.tag, str)]


@given(nasty)
def test_sentence_shows_exactly_what_it_says_at_the_start_of_a_line(text: str) -> None:
    (item,) = page(f"- {prose(text)}\n").iter("li")
    assert item.text_content().strip() == inert(text).strip()


@given(nasty)
def test_sentence_shows_exactly_what_it_says_in_a_cell(text: str) -> None:
    root = page(f"| a | b |\n| --- | --- |\n| {prose(text)} | last |\n")
    assert [cell.text_content().strip() for cell in root.iter("td")] == [inert(text).strip(), "last"]


@given(nasty)
def test_quoted_text_shows_exactly_what_it_says_in_a_cell(text: str) -> None:
    root = page(f"| a | b |\n| --- | --- |\n| {code(text)} | last |\n")
    assert [cell.text_content() for cell in root.iter("td")] == [inert(text) or "(empty)", "last"]
    if text:
        assert root.find(".//td/code").text_content() == inert(text)


@pytest.mark.parametrize(
    "text", ["GH-1", "see gh-12.", "at 0123abc", "f" * 40, "00006d7851c", "@org/team", "#1", "a/b#1"]
)
def test_what_github_links_by_itself_is_parted_by_a_comment(text: str) -> None:
    made = prose(text)
    assert "<!-- -->" in made
    assert not re.search(r"(?<![0-9a-z])[0-9a-f]{7,40}(?![0-9a-z])", made)
    assert made.replace("<!-- -->", "").replace("\\", "") == text


@pytest.mark.parametrize("text", ["GHOST-1", "high-1", "abcdefg", "1,234,567", "facade", "f" * 41])
def test_what_github_does_not_link_stays_as_it_is(text: str) -> None:
    assert prose(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_in_its_cell(text: str) -> None:
    made = finding("tail-mass", 1, Outcome.FAIL, (0.5, 0.4, 0.6), reason=text, seed=text, notes=(text,))
    (row,) = table(page(as_markdown.render(audit(made))), "What failed")
    assert row["finding"] == "tail-mass / ratio"
    assert row["value"] == "0.500 ratio"
    assert row["seed"] == (inert(text) or "(empty)")
    if prose(text):
        assert row["why"] == inert(text, limit=600).strip()


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("healthy", "PASS"),
        ("collapsed", "COLLAPSE"),
        ("inconclusive", "INCONCLUSIVE"),
        ("error", "ERROR"),
        ("nothing_measured", "NOTHING MEASURED"),
    ],
)
def test_verdict_comes_first_and_in_a_word(name: str, word: str) -> None:
    made = EXAMPLES[name]()
    lines = as_markdown.render(made).splitlines()
    assert lines[0] == f"## collapse-audit: {word}"
    assert lines[2] == f"**{made.summary}**"


def test_every_failure_is_listed_with_value_interval_margin_and_reason() -> None:
    made = collapsed()
    rows = table(page(as_markdown.render(made)), "What failed")
    failed = [each for each in made.findings if each.outcome is Outcome.FAIL and each.gating]
    assert {(row["generation"], row["seed"], row["finding"]) for row in rows} == {
        (str(each.generation), each.seed, f"{each.probe} / {each.statistic}") for each in failed
    }
    assert len(rows) == len(failed)
    first = rows[0]
    assert first["value"] == "0.0153 nats"
    assert first["90% interval"] == "0.0113 to 0.0193"
    assert first["margin"] == "> 0.0100"
    assert first["why"] == "the distribution moved"


def test_baselines_that_differ_are_told_for_each_row() -> None:
    made = [finding("tail-mass", k, Outcome.FAIL, (0.5, 0.4, 0.6), baseline=f"generation {k - 1}") for k in (1, 2)]
    rows = table(page(as_markdown.render(audit(*made))), "What failed")
    assert [row["against"] for row in rows] == ["generation 0", "generation 1"]
    assert "against" not in table(page(as_markdown.render(audit(made[0]))), "What failed")[0]


def test_margin_points_to_the_damage() -> None:
    made = finding("tail-mass", 1, Outcome.FAIL, (0.5, 0.4, 0.6))
    (row,) = table(page(as_markdown.render(audit(made))), "What failed")
    assert row["margin"] == "< 0.800"


def test_inconclusive_findings_say_how_many_texts_would_settle_them() -> None:
    (row,) = table(page(as_markdown.render(inconclusive())), "Inconclusive")
    assert (row["n"], row["n needed"], row["detectable"]) == ("140 / 150", "1,300", "0.0115")


def test_matrix_of_each_seed_has_a_word_for_every_cell() -> None:
    root = page(as_markdown.render(collapsed()))
    first = table(root, "Probes and generations")
    assert first[0] == {
        "probe": "token-divergence",
        "generation 0": "(fail)",
        **{f"generation {k}": "FAIL" for k in range(1, 6)},
    }
    assert first[-1]["probe"] == "repetition"
    assert [first[-1][f"generation {k}"] for k in range(1, 6)] == ["inconclusive"] * 3 + ["FAIL"] * 2
    assert "Seed 1" in [paragraph.text_content() for paragraph in root.iter("p")]


def test_all_findings_margins_and_settings_are_folded_away() -> None:
    root = page(as_markdown.render(healthy()))
    folded = {summary.text_content(): summary.getparent() for summary in root.iter("summary")}
    everything = "Everything: intervals, p-values, evidence, notes and settings"
    assert set(folded) == {everything, "Every finding (14)", "Margins and their reasons", "Settings"}
    assert len(folded["Every finding (14)"].findall(".//tbody/tr")) == 14
    assert "KL(baseline||generation) 0.254, alpha 0.500" in folded["Every finding (14)"].text_content()
    assert "p^1.1 moves it by .008" in folded["Margins and their reasons"].text_content()
    settings = folded["Settings"].text_content()
    for expected in ("Unicode words, case kept", "permutations", "999", "sha256:9f2c1d0a"):
        assert expected in settings


def test_evidence_is_folded_away_under_what_it_shows() -> None:
    root = page(as_markdown.render(collapsed()))
    (evidence,) = [each.getparent() for each in root.iter("summary") if each.text == "Evidence (what failed)"]
    items = [shown_words(item.text_content()) for item in evidence.iter("li")]
    assert "0.0401 -> 0.0491 the" in items
    assert "lost, count 20 -> 1, retained 0.0700 EU-TIRADS 2" in items


def test_of_many_failures_the_worst_of_a_statistic_gives_the_evidence() -> None:
    many = [
        finding("looping", k, Outcome.FAIL, (v, v, v), evidence=({"term": f"word{k}"},))
        for k, v in enumerate([0.1, 0.3, *[0.2] * 20], start=1)
    ]
    root = page(as_markdown.render(audit(*many)))
    (evidence,) = [each.getparent() for each in root.iter("summary") if each.text == "Evidence (what failed)"]
    assert "generation 2 (baseline" in evidence.text_content()
    assert [shown_words(item.text_content()) for item in evidence.iter("li")] == ["word2"]


def test_the_margin_of_a_statistic_looks_alike_in_every_row() -> None:
    made = [finding("token-divergence", k, Outcome.FAIL, (v, v, v)) for k, v in ((1, 0.01002), (2, 0.5), (3, 0.03))]
    rows = table(page(as_markdown.render(audit(*made))), "What failed")
    assert [row["margin"] for row in rows] == ["> 0.01000"] * 3
    assert [row["value"] for row in rows] == ["0.01002 nats", "0.50000 nats", "0.03000 nats"]


def test_long_evidence_is_cut_and_says_where_the_rest_is() -> None:
    terms = tuple({"kind": "term", "term": f"word{k}"} for k in range(1000))
    root = page(as_markdown.render(audit(finding("tail-mass", 1, Outcome.FAIL, evidence=terms))))
    items = [
        item.text_content()
        for item in root.iter("li")
        if "word" in item.text_content() or "more" in item.text_content()
    ]
    assert items == [*(f"word{k}" for k in range(10)), "and 990 more in report.json"]


def test_what_was_not_measured_is_one_line_with_its_reason() -> None:
    items = [item.text_content() for item in page(as_markdown.render(healthy())).iter("li")]
    (line,) = [item for item in items if item.startswith("Not measured: ")]
    assert line.startswith("Not measured: label-coverage / retained (no record carries a label")


def test_notes_of_the_audit_are_listed() -> None:
    items = [item.text_content() for item in page(as_markdown.render(collapsed())).iter("li")]
    assert "generation 5 of seed 1 has 1,612 texts; both sides were cut to 1,612" in items


def test_long_tables_are_cut_and_say_so() -> None:
    many = [finding("tail-mass", k, Outcome.FAIL, (0.5, 0.4, 0.6)) for k in range(1, 301)]
    root = page(as_markdown.render(audit(*many)))
    (folded,) = root.xpath("//details[summary[text()='What failed: all 300']]")
    assert len(folded.findall(".//tbody/tr")) == 200
    assert "100 more rows in report.json." in [paragraph.text_content() for paragraph in root.iter("p")]


def test_many_failures_are_first_told_a_row_a_statistic_with_the_worst_of_each() -> None:
    kept = [0.5, 0.7, 0.3, *[0.6] * 20]
    many = [finding("tail-mass", k, Outcome.FAIL, (v, v - 0.1, v + 0.1)) for k, v in enumerate(kept, start=1)]
    risen = [finding("looping", k, Outcome.FAIL, (0.2 + k / 10, 0.1, 0.9)) for k in (4, 2)]
    rows = table(page(as_markdown.render(audit(*many, *risen))), "What failed")
    told = [(row["finding"], row["comparisons"], row["from generation"], row["worst in"]) for row in rows]
    assert told == [
        ("tail-mass / ratio", "23", "1", "generation 3"),
        ("repetition / looping", "2", "2", "generation 4"),
    ]
    assert rows[0]["worst value"] == "0.300 ratio"


@pytest.mark.parametrize("longest", [5_000, 20_000, 1_000_000])
def test_a_page_stays_under_its_limit_and_says_what_it_leaves_out(longest: int) -> None:
    made = collapsed()
    text = as_markdown.render(made, longest=longest)
    whole = as_markdown.render(made)
    assert len(text.encode()) <= longest
    assert made.summary.split(",")[0] in text
    assert ("Left out here" in text) == (len(whole.encode()) > longest)
    assert text == whole or len(whole.encode()) > longest


def test_seconds_do_not_change_the_page() -> None:
    made = collapsed()
    faster = replace(made, findings=tuple(replace(each, seconds=0.001) for each in made.findings))
    assert as_markdown.render(made) == as_markdown.render(faster)
