"""The page in the terminal: the same words at any width, without colour, whatever the text holds."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import pytest
from examples import EXAMPLES, HOSTILE, collapsed, error, finding, healthy, hostile, inconclusive, report
from rich.cells import cell_len

from collapse_audit.reports import as_text
from collapse_audit.reports.document import AuditReport, Finding, Outcome, Verdict, cells

ANSI = re.compile(r"\x1b\[[0-9;]*m")
WIDTHS = (20, 40, 60, 80, 160)


def audit(*findings: Finding) -> AuditReport:
    return report(list(findings), Verdict.COLLAPSE, 1, "collapse [exit 1]")


def words(text: str) -> str:
    """Text without line breaks, so that a sentence is found wherever it was wrapped."""
    return " ".join(text.split())


@pytest.mark.parametrize("verbosity", [-1, 0, 1, 2])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_last_line_is_the_summary_in_one_piece(name: str, width: int, verbosity: int) -> None:
    made = EXAMPLES[name]()
    text = as_text.render(made, width=width, verbosity=verbosity)
    assert text.endswith("\n")
    assert text.splitlines()[-1] == made.summary


@pytest.mark.parametrize("verbosity", [-1, 0, 1, 2])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_no_line_but_the_last_is_wider_than_the_terminal(name: str, width: int, verbosity: int) -> None:
    lines = as_text.render(EXAMPLES[name](), width=width, verbosity=verbosity).splitlines()
    assert max(map(cell_len, lines[:-1]), default=0) <= width


@pytest.mark.parametrize("verbosity", [-1, 0, 1, 2])
@pytest.mark.parametrize("name", EXAMPLES)
def test_without_colour_nothing_is_hidden(name: str, verbosity: int) -> None:
    text = as_text.render(EXAMPLES[name](), color=False, verbosity=verbosity).replace("\n", "")
    assert {unicodedata.category(character) for character in text}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


@pytest.mark.parametrize("name", EXAMPLES)
def test_colour_adds_nothing_but_colour(name: str) -> None:
    plain, coloured = (as_text.render(EXAMPLES[name](), color=color) for color in (False, True))
    stripped = [line.rstrip() for line in ANSI.sub("", coloured).splitlines()]
    assert stripped == plain.splitlines()


def test_outcomes_have_their_colours() -> None:
    text = as_text.render(collapsed(), color=True, verbosity=1)
    for code, mark in (("1;31", "x F"), ("32", ". P"), ("33", "? I")):
        assert f"\x1b[{code}m{mark}\x1b[0m" in text


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"hostile"}))
def test_our_own_characters_are_ascii(name: str) -> None:
    assert as_text.render(EXAMPLES[name](), verbosity=2).isascii()


def test_page_depends_on_nothing_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = as_text.render(collapsed(), width=80, color=True)
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "JUPYTER_COLUMNS"):
        monkeypatch.setenv(name, "33")
    monkeypatch.setenv("TERM", "dumb")
    assert as_text.render(collapsed(), width=80, color=True) == before


def test_header_says_what_was_audited_and_how() -> None:
    top = words(as_text.render(healthy(), verbosity=1).split("generation  ")[0])
    for expected in (
        "collapse-audit 0.1.0",
        "pydocs_ngram (recursive; generations 0-2)",
        "baseline generation-0 (held-out)",
        "tokens Unicode words, case kept",
        "labels none",
        "seed 0, alpha 0.05, permutations 999",
    ):
        assert expected in top


@pytest.mark.parametrize("width", [60, 80, 160])
def test_matrix_has_symbol_and_letter_for_each_cell(width: int) -> None:
    made = collapsed()
    marks = {"pass": ". P", "fail": "x F", "inconclusive": "? I"}
    text = as_text.render(made, width=width, verbosity=1)
    for seed in ("0", "1"):
        block = text.split(f"\nseed {seed}\n")[1].split("\n\n")[0].splitlines()
        assert block[0].split() == ["generation", "0", "1", "2", "3", "4", "5"]
        for line in block[1:]:
            probe = line.split()[0]
            expected = [
                marks[cell.outcome]
                for cell in cells(made.findings)
                if (cell.probe, cell.seed) == (probe, seed) and cell.gating
            ]
            assert re.findall(r"[.x?!-] [PFINE]", line.removeprefix(probe)) == expected


def test_context_is_in_parentheses_and_explained() -> None:
    text = as_text.render(healthy(), verbosity=1)
    assert re.search(r"^token-divergence +\(F\) +\. P +\. P$", text, re.MULTILINE)
    assert "( ) context, outside the verdict" in text
    context = "token-divergence / js-excess 0.0158 nats; tail-mass / ratio 1.012 ratio"
    assert f"context, generation 0 against reference: {context}" in words(text)
    assert "context, generation 1" not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_long_name_of_a_probe_is_folded_and_not_cut(width: int) -> None:
    made = audit(finding("tail-mass", 1, Outcome.PASS, (1.0, 0.9, 1.1), probe="abcdefghij" * 5))
    matrix = as_text.render(made, width=width, verbosity=1).split("generation ")[1].split("\n\n")[0]
    assert "abcdefghij" * 5 in re.sub(r"[\s1]|[.] P", "", matrix)


@pytest.mark.parametrize("width", WIDTHS)
def test_many_generations_are_split_over_several_matrices(width: int) -> None:
    made = audit(*(finding("tail-mass", k, Outcome.PASS, (1.0, 0.9, 1.1)) for k in range(1, 31)))
    text = as_text.render(made, width=width, verbosity=1)
    shown = [number for line in text.splitlines() if line.startswith("generation ") for number in line.split()[1:]]
    assert shown == [str(k) for k in range(1, 31)]
    assert text.count(". P") == 30 + 1  # and once in the legend


def test_legend_explains_the_marks_that_occur() -> None:
    text = as_text.render(error(), verbosity=1)
    assert ". P pass   ! E error" in text
    assert "x F" not in text


def test_problem_says_what_where_how_much_against_what_and_why() -> None:
    text = as_text.render(collapsed(), width=80, verbosity=1)
    block = words(text.split("FAILURES")[1].split("label-coverage / retained")[0])
    for expected in (
        "x F token-divergence / js-excess (CA101) in generations 1-5",
        "nats; higher is worse; margin 0.0100; n 2,000 / 2,000; against generation-0 (held-out)",
        "seed gen value 90% interval p Holm p",
        "0 1 0.0153 0.0113 to 0.0193 .001 .035",
        "1 5 0.0576 0.0536 to 0.0616 .001 .035",
        "generation 5 (seed 0): the distribution moved",
        "raw: js 0.0187, kl smoothing 0.500",
        'evidence, generation 5 (seed 0) (baseline -> generation): 0.0401 -> 0.0851 "the"',
    ):
        assert expected in block


def test_baselines_that_differ_are_told_for_each_row() -> None:
    made = audit(
        *(finding("tail-mass", k, Outcome.FAIL, (0.5, 0.4, 0.6), baseline=f"generation {k - 1}") for k in (1, 2))
    )
    text = words(as_text.render(made, width=100, verbosity=1))
    assert "gen against value 90% interval p Holm p 1 generation 0 0.500 0.400 to 0.600" in text
    assert "2 generation 1 0.500" in text


def test_same_facts_are_told_where_a_table_does_not_fit() -> None:
    text = words(as_text.render(collapsed(), width=40, verbosity=1))
    assert "seed 0, gen 1, value 0.0153, 90% interval 0.0113 to 0.0193, p .001, Holm p .035" in text


@pytest.mark.parametrize("width", range(40, 100, 3))
def test_no_number_is_cut_at_any_width(width: int) -> None:
    text = as_text.render(collapsed(), width=width, verbosity=1)
    assert "\u2026" not in text
    for number in ("0.0153", "0.0294", "0.0435", "0.0576", "0.0717"):
        assert re.search(rf"(?<![\d.]){number}(?![\d])", text.split("FAILURES")[1])
    assert len(re.findall(r"(?<!\w)\.035(?!\d)", text)) == 17


def test_inconclusive_finding_says_how_many_texts_would_settle_it() -> None:
    text = words(as_text.render(inconclusive(), verbosity=1))
    assert "n needed detectable 1 0.0067 -0.0021 to 0.0155 .084 .168 1,300 0.0115" in text


def test_error_shows_its_reason() -> None:
    text = as_text.render(error(), verbosity=1)
    assert "! E  tail-mass / ratio (CA104) in generation 1" in text
    assert "ZeroDivisionError: division by zero (tail_mass.py:41)" in text


def test_what_was_not_measured_is_one_sentence_with_its_reason() -> None:
    text = words(as_text.render(healthy(), verbosity=1))
    assert text.count("no record carries a label") == 1
    assert "not measured: label-coverage / retained (no record carries a label" in text


def test_pass_with_a_note_is_not_silent() -> None:
    assert "passed, noted as shift: tail-mass / ratio, generations 1-2" in as_text.render(healthy(), verbosity=1)
    fails = finding("tail-mass", 1, Outcome.FAIL, (0.5, 0.4, 0.6), notes=("shift",), reason="because")
    assert "passed" not in as_text.render(audit(fails), verbosity=1)
    assert "generation 1: because [shift]" in as_text.render(audit(fails), verbosity=1)


def test_many_rows_are_cut_unless_all_are_asked_for() -> None:
    made = audit(*(finding("tail-mass", k, Outcome.FAIL, (0.5, 0.4, 0.6)) for k in range(1, 31)))
    text = as_text.render(made, verbosity=1)
    assert text.count("0.400 to 0.600") == 10
    assert "and 20 more (-v shows every row)" in text
    everything = words(as_text.render(made, verbosity=2))
    assert everything.count("0.400 to 0.600") == 60  # every finding, and every failure


def test_evidence_that_is_only_quoted_stands_at_the_margin_of_evidence() -> None:
    made = audit(finding("tail-mass", 1, Outcome.FAIL, (0.5, 0.4, 0.6), evidence=({"kind": "texts", "text": "loop"},)))
    assert '\n         "loop"\n' in as_text.render(made, verbosity=1)


def test_long_evidence_is_cut_and_says_where_the_rest_is() -> None:
    terms = tuple({"kind": "term", "term": f"word{k}"} for k in range(1000))
    made = audit(finding("tail-mass", 1, Outcome.FAIL, (0.5, 0.4, 0.6), evidence=terms))
    text = as_text.render(made, verbosity=1)
    assert '"word4"' in text
    assert '"word5"' not in text
    assert "and 995 more in report.json" in text


def test_quiet_shows_failures_and_errors_only() -> None:
    lines = as_text.render(collapsed(), width=300, verbosity=-1).splitlines()
    assert len(lines) == 4
    assert lines[0] == (
        "x F  token-divergence / js-excess, generation 5 (seed 0): 0.0717 nats (90% interval 0.0677 to 0.0757); "
        "margin 0.0100, higher is worse; p = .001, Holm p = .035; n 2,000 / 2,000; detectable from 0.0031 "
        "(and 8 more like it)"
    )
    assert as_text.render(healthy(), verbosity=-1) == healthy().summary + "\n"
    assert "ZeroDivisionError" in as_text.render(error(), verbosity=-1)


@pytest.mark.parametrize("width", [60, 80, 160])
def test_verbose_shows_every_finding_with_all_its_numbers(width: int) -> None:
    made = collapsed()
    text = words(as_text.render(made, width=width, verbosity=2))
    assert "EVERY FINDING" in text
    listed = text.split("EVERY FINDING")[1].split("FAILURES")[0]
    measured = [each for each in made.findings if each.value is not None]
    assert len(re.findall(r"(?:[.x?!-] [PFINE]|\([PFINE]\)) +[a-z-]+ / ", listed)) == len(measured)
    assert len(re.findall(r" to -?[0-9.]+", listed)) == len(measured)


def test_verbose_gives_the_reason_of_each_failure() -> None:
    made = audit(*(finding("tail-mass", k, Outcome.FAIL, (0.5, 0.4, 0.6), reason=f"because {k}") for k in (1, 2)))
    assert "because 2" not in as_text.render(made, verbosity=1)
    assert "because 2" in as_text.render(made, verbosity=2)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_not_obeyed(text: str) -> None:
    made = finding("tail-mass", 1, Outcome.FAIL, (0.5, 0.4, 0.6), reason=text, evidence=({"term": text},), seed=text)
    rendered = as_text.render(audit(made), width=1000, color=True, verbosity=1)
    plain = ANSI.sub("", rendered)
    assert "\x1b" not in plain
    assert len(plain) < 30_000
    if text.isprintable() and len(text) <= 200 and not unicodedata.category(text[:1] or "x").startswith("M"):
        assert text.strip() in plain


def test_markup_of_the_terminal_library_is_text() -> None:
    made = finding("tail-mass", 1, Outcome.FAIL, (0.5, 0.4, 0.6), reason="[bold red]x[/bold red] :boom:")
    assert "[bold red]x[/bold red] :boom:" in as_text.render(audit(made), color=True, verbosity=1)


def test_summary_is_shown_inert() -> None:
    made = replace(hostile(), summary="collapse\x1b[2J\nsecond line")
    assert as_text.render(made, verbosity=1).splitlines()[-1] == "collapse\\x1b[2J\\nsecond line"


# ------------------------------------------------------------------------------------------------------ at a glance


def test_the_verdict_and_why_come_first_in_sentences() -> None:
    made = audit(finding("tail-mass", 1, Outcome.FAIL, (0.5, 0.4, 0.6), sentence="half of the rare words are gone"))
    lines = as_text.render(made).splitlines()
    assert lines[2:4] == ["Collapse:", "- half of the rare words are gone"]


def test_of_several_seeds_each_has_a_letter_in_one_matrix() -> None:
    text = as_text.render(collapsed(), width=60)
    assert "a letter a seed: 0, 1" in text
    block = text.split("a letter a seed: 0, 1\n")[1].splitlines()
    assert block[0].split() == ["generation", "0", "1", "2", "3", "4", "5"]
    letters = {"pass": "P", "fail": "F", "inconclusive": "I", "not_measured": "N"}
    told: dict[str, dict[int, str]] = {}
    for cell in cells(collapsed().findings):
        row = told.setdefault(cell.probe, {})
        row[cell.generation] = row.get(cell.generation, "") + letters[cell.outcome]
    for line in block[1 : 1 + len(told)]:
        name, *marks = line.split()
        assert [re.sub(r"[()]", "", mark) for mark in marks] == [told[name][k] for k in sorted(told[name])]


def test_a_symptom_is_one_line_with_its_worst_value_beside_its_margin() -> None:
    made = audit(*(finding("tail-mass", k, Outcome.FAIL, (0.7 - k / 10, 0.1, 0.75)) for k in (1, 2, 3)))
    assert "x F  tail-mass/ratio  0.400  0.800   1-3" in as_text.render(made, width=60).splitlines()


def test_intervals_p_values_and_raw_numbers_stand_behind_v() -> None:
    text = as_text.render(collapsed(), width=200)
    assert not re.search(r"\d to -?\d|Holm|raw:|p [=<]", text)
    assert "-v shows intervals, p-values and evidence" in text
    assert "0.0677 to 0.0757" in as_text.render(collapsed(), width=200, verbosity=1)
