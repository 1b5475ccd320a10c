"""``collapse-audit compare``: what it takes, what it prints and writes, and what it exits with."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contrast_examples import finding, prompted, report
from scipy import stats

from collapse_audit.api import prepare
from collapse_audit.commands.compare import compare, kind_of
from collapse_audit.commands.console import exit_with
from collapse_audit.comparison.contrast import contrast
from collapse_audit.comparison.difference import Kind, difference
from collapse_audit.comparison.text import contrast_text, difference_text
from collapse_audit.errors import InputError, UsageError
from collapse_audit.reports.as_json import render
from collapse_audit.reports.document import AuditReport, Finding, Outcome
from collapse_audit.reports.from_json import schema
from collapse_audit.reports.write import write_report


def command(*arguments: object) -> int:
    """``collapse-audit compare`` in this process; its exit code."""
    try:
        return exit_with(compare, [str(argument) for argument in arguments], prog="collapse-audit")
    except SystemExit as left:
        return int(left.code or 0)


# ------------------------------------------------------------------------------------------------------------ reports

PASS, FAIL, OPEN, ERROR, MISSING = (
    Outcome.PASS,
    Outcome.FAIL,
    Outcome.INCONCLUSIVE,
    Outcome.ERROR,
    Outcome.NOT_MEASURED,
)


def state(outcome: Outcome | None, value: float = 0.5) -> list[Finding]:
    """One finding with that outcome, or none; beside it one that never changes, so that generation 1 is audited."""
    always = finding("looping", 0.0)
    if outcome is None:
        return [always]
    return [always, finding("W1", None if outcome in (ERROR, MISSING) else value, outcome=outcome)]


@pytest.mark.parametrize(
    ("before", "after", "kind", "code"),
    [
        (PASS, FAIL, Kind.WORSE, 1),
        (OPEN, FAIL, Kind.WORSE, 1),
        (ERROR, FAIL, Kind.WORSE, 1),
        (None, FAIL, Kind.WORSE, 1),
        (MISSING, FAIL, Kind.WORSE, 1),
        (PASS, ERROR, Kind.WORSE, 3),
        (FAIL, ERROR, Kind.WORSE, 3),
        (PASS, OPEN, Kind.WORSE, 6),
        (None, OPEN, Kind.WORSE, 6),
        (PASS, MISSING, Kind.WORSE, 6),
        (FAIL, MISSING, Kind.WORSE, 6),
        (PASS, None, Kind.WORSE, 6),
        (FAIL, None, Kind.WORSE, 6),
        (FAIL, PASS, Kind.BETTER, 0),
        (FAIL, OPEN, Kind.BETTER, 0),
        (OPEN, PASS, Kind.BETTER, 0),
        (ERROR, PASS, Kind.BETTER, 0),
        (None, PASS, Kind.NEW, 0),
        (MISSING, PASS, Kind.NEW, 0),
        (PASS, PASS, None, 0),
        (FAIL, FAIL, None, 0),
        (ERROR, ERROR, None, 0),
        (MISSING, None, None, 0),
        (None, MISSING, None, 0),
        (ERROR, None, Kind.GONE, 0),
    ],
)
def test_every_change_of_an_outcome(
    before: Outcome | None, after: Outcome | None, kind: Kind | None, code: int
) -> None:
    found = difference(report(state(before)), report(state(after)))
    assert [change.kind for change in found.changes] == ([] if kind is None else [kind])
    assert found.exit_code == code
    assert found.summary.endswith(f"[exit {code}]")


WAIVER = {"probe": "perplexity", "owner": "Ada", "reason": "known", "expires": "2099-01-01", "origin": "own.toml"}


def waived(outcome: Outcome) -> list[Finding]:
    """As :func:`state`, with a waiver for the one that changes."""
    always, one = state(outcome)
    return [always, replace(one, waiver=WAIVER)]


@pytest.mark.parametrize(
    ("before", "after", "kind", "code"),
    [
        # What is waived counts as a pass, in the exit code of an audit and so here.
        (state(PASS), waived(FAIL), None, 0),
        (state(PASS), waived(OPEN), None, 0),
        (waived(OPEN), waived(FAIL), None, 0),
        (state(FAIL), waived(FAIL), Kind.BETTER, 0),
        (state(None), waived(FAIL), Kind.NEW, 0),
        (state(MISSING), waived(OPEN), Kind.NEW, 0),
        # The waiver has expired.
        (waived(FAIL), state(FAIL), Kind.WORSE, 1),
        (waived(OPEN), state(OPEN), Kind.WORSE, 6),
        (waived(FAIL), state(OPEN), Kind.WORSE, 6),
        (waived(FAIL), state(PASS), None, 0),
        (waived(FAIL), state(MISSING), Kind.WORSE, 6),
        (waived(FAIL), state(None), Kind.WORSE, 6),
    ],
)
def test_a_waived_outcome_counts_as_a_pass(
    before: list[Finding], after: list[Finding], kind: Kind | None, code: int
) -> None:
    found = difference(report(before), report(after))
    assert [change.kind for change in found.changes] == ([] if kind is None else [kind])
    assert found.exit_code == code


def test_a_waived_outcome_is_shown_as_it_was_found_with_who_waives_it() -> None:
    expired = difference(report(waived(FAIL)), report(state(FAIL)))
    page = difference_text(expired, ("old", "new"), width=200, color=False)
    assert "perplexity / W1, generation 1: FAIL (waived by Ada until 2099-01-01) -> FAIL, 0.500" in page
    (change,) = expired.summarised("old", "new")["changes"]
    assert (change["old"]["outcome"], change["old"]["waiver"]) == ("fail", WAIVER)
    assert (change["new"]["outcome"], change["new"]["waiver"]) == ("fail", None)
    assert difference(report(state(PASS)), report(waived(FAIL))).notes[-1] == (
        "1 in the new report waived by Ada until 2099-01-01: counted as passed, as its audit did (perplexity / W1)"
    )
    page = difference_text(difference(report(state(None)), report(waived(FAIL))), ("o", "n"), width=200, color=False)
    assert "generation 1: 1 FAIL (waived by Ada until 2099-01-01)" in page


def test_the_worst_change_decides_and_is_named_first() -> None:
    old = [finding("JS-excess", 0.1), finding("W1", 0.1), finding("looping", 0.1, outcome=FAIL)]
    new = [
        finding("JS-excess", 0.1, outcome=OPEN),
        finding("W1", 0.1, outcome=FAIL),
        finding("looping", 0.1),
    ]
    found = difference(report(old), report(new))
    assert (
        found.summary
        == "worse: 1 of 3 findings newly failed, first perplexity / W1 in generation 1, 1 got better [exit 1]"
    )


def test_a_generation_that_was_not_audited_again_is_no_loss() -> None:
    old = [finding("W1", 0.1, generation=1, outcome=FAIL), finding("W1", 0.1, generation=2)]
    new = [finding("W1", 0.1, generation=2), finding("W1", 0.1, generation=3)]
    found = difference(report(old), report(new))
    assert [(change.kind, change.finding.generation) for change in found.changes] == [(Kind.GONE, 1), (Kind.NEW, 3)]
    assert found.summary == "no worse: 0 of 1 findings changed for the worse [exit 0]"


def test_seeds_are_told_apart() -> None:
    old = [finding("W1", 0.1, seed="0"), finding("W1", 0.1, seed="1")]
    new = [finding("W1", 0.1, seed="0"), finding("W1", 0.1, seed="1", outcome=FAIL)]
    found = difference(report(old), report(new))
    assert (
        found.summary == "worse: 1 of 2 findings newly failed, first perplexity / W1 in generation 1 (seed 1) [exit 1]"
    )


def test_reports_without_a_common_finding_are_not_compared() -> None:
    found = difference(report([finding("W1", 0.1, generation=1)]), report([finding("W1", 0.1, generation=2)]))
    assert (found.exit_code, found.summary) == (
        5,
        "nothing compared: the reports have no finding in common [exit 5]",
    )


def test_context_is_not_compared() -> None:
    context = finding("W1", 0.1, gating=False, generation=0)
    old, new = report([context, *state(PASS)]), report([replace(context, outcome=FAIL), *state(PASS)])
    assert difference(old, new).changes == ()


@pytest.mark.parametrize(
    ("statistic", "value", "kind"),
    [
        # The old interval is .4 to .6.
        ("W1", 0.601, Kind.MOVED_WORSE),
        ("W1", 0.399, Kind.MOVED_BETTER),
        ("W1", 0.6, None),
        ("W1", 0.4, None),
        ("tail-mass-ratio", 0.601, Kind.MOVED_BETTER),
        ("tail-mass-ratio", 0.399, Kind.MOVED_WORSE),
    ],
)
def test_a_value_beyond_its_old_interval_has_moved(statistic: str, value: float, kind: Kind | None) -> None:
    found = difference(report([finding(statistic, 0.5)]), report([finding(statistic, value)]))
    assert [change.kind for change in found.changes] == ([] if kind is None else [kind])
    assert found.exit_code == 0
    assert (", 1 moved for the worse within their outcome" in found.summary) == (kind is Kind.MOVED_WORSE)


def test_plain_facts_do_not_move() -> None:
    old, new = (report([finding("constant", value, p_value=None, half_width=0.0)]) for value in (0.1, 0.2))
    assert difference(old, new).changes == ()


def test_an_unbounded_side_is_never_left() -> None:
    old = finding("W1", 0.5)
    assert old.interval is not None
    open_above = replace(old, interval=replace(old.interval, high=None))
    assert difference(report([open_above]), report([finding("W1", 99.0)])).changes == ()


def test_one_value_in_four_leaves_the_interval_of_another_sample() -> None:
    """What the note says: two independent estimates of one truth are sqrt(2) errors apart, the interval 1.645 wide."""
    assert 2 * stats.norm.sf(stats.norm.ppf(0.95) / 2**0.5) == pytest.approx(0.25, abs=0.01)
    found = difference(report([finding("W1", 0.5)]), report([finding("W1", 0.9)]))
    assert any(
        "1 of 1 values lie beyond their old interval" in note and "one value in four" in note for note in found.notes
    )


def test_one_generation_alone() -> None:
    old = [finding("W1", 0.1, generation=k) for k in (1, 2)]
    new = [finding("W1", 0.1, generation=1, outcome=FAIL), finding("W1", 0.1, generation=2)]
    assert difference(report(old), report(new), generation="last").exit_code == 0
    assert difference(report(old), report(new), generation="1").exit_code == 1
    with pytest.raises(UsageError, match=r"--generation 7: expected last, or a generation of the reports: 1, 2"):
        difference(report(old), report(new), generation="7")


# ------------------------------------------------------------------------------------------------------ like for like

LIKE = report(state(PASS))


def with_config(**config: Any) -> AuditReport:
    return replace(LIKE, config={**LIKE.config, **config})


@pytest.mark.parametrize(
    ("new", "unlike"),
    [
        (LIKE, []),
        (with_config(alpha=0.01), ["alpha: 0.05 -> 0.01"]),
        (with_config(baseline="previous"), ["baseline: generation-0 -> previous"]),
        (with_config(disabled=["repetition"]), ["disabled: none -> repetition"]),
        (
            with_config(margins={"tail-mass/tail-mass-ratio": {"margin": 0.9, "reason": "ours"}}),
            ["margin of tail-mass/tail-mass-ratio: 0.8 -> 0.9"],
        ),
        # Who set the margin, and why, moves nothing; nor do these.
        (with_config(margins={"tail-mass/tail-mass-ratio": {"margin": 0.8, "reason": "ours"}}), []),
        (with_config(evidence="texts", allow_inconclusive=True, permutations=1999), []),
        (replace(LIKE, seed=1), ["seed of the audit: 0 -> 1"]),
        (replace(LIKE, tool={"name": "collapse-audit", "version": "0.2"}), ["version of collapse-audit: 0.1.0 -> 0.2"]),
        (replace(LIKE, lineage={**LIKE.lineage, "tokens": "hf:x"}), ["tokens: words -> hf:x"]),
        (replace(LIKE, lineage={**LIKE.lineage, "labels": "field"}), ["labels: none -> field"]),
        (replace(LIKE, lineage={**LIKE.lineage, "name": "other"}), ["lineage name: made up -> other"]),
        (
            replace(LIKE, findings=tuple(replace(f, baseline="reference") for f in LIKE.findings)),
            ["compared with: generation 0 (held-out) -> reference"],
        ),
        (
            replace(LIKE, findings=tuple(replace(f, n_baseline=90) for f in LIKE.findings)),
            ["documents of the baseline: 100 -> 90"],
        ),
        # Part of the documents, as tail-mass has it, is no other number of them.
        (replace(LIKE, findings=(LIKE.findings[0], replace(LIKE.findings[1], n_baseline=50))), []),
    ],
)
def test_what_is_not_like_is_said(new: AuditReport, unlike: Sequence[str]) -> None:
    found = difference(LIKE, new)
    assert list(found.unlike) == list(unlike)
    assert found.summarised("old", "new")["like_for_like"] == (not unlike)


AUTO = {"margins": {"perplexity/W1": {"margin": "auto"}}}
SET = {"margins": {"perplexity/W1": {"margin": 0.1}}}


@pytest.mark.parametrize(
    ("old", "new", "unlike"),
    [
        # Settled in the one and not in the other, where the default holds.
        ((AUTO, 0.0), (AUTO, 0.1), ["margin of perplexity/W1: 0 (auto) -> 0.1 (auto)"]),
        ((AUTO, 0.0), (SET, 0.1), ["margin of perplexity/W1: 0 (auto) -> 0.1"]),
        ((AUTO, 0.0), (AUTO, 0.0), []),
        # Not settled, so what holds is what the other set.
        ((AUTO, 0.1), (SET, 0.1), []),
    ],
)
def test_automatic_margins_are_compared_by_the_numbers_of_the_findings(
    old: tuple[dict[str, Any], float], new: tuple[dict[str, Any], float], unlike: list[str]
) -> None:
    found = difference(*(report([finding("W1", 0.5, margin=margin)], config=config) for config, margin in (old, new)))
    assert list(found.unlike) == unlike
    told = [note for note in found.notes if "how large a change passes" in note and "(perplexity/W1)" in note]
    assert bool(told) == (old[0] is AUTO and new[0] is AUTO)


def test_other_baseline_texts_are_noticed() -> None:
    def of(effective: float) -> AuditReport:
        return report([finding("W1", 0.5, raw={"effective_tokens_baseline": effective})])

    assert difference(of(100.5), of(100.5)).unlike == ()
    assert difference(of(100.5), of(100.6)).unlike == (
        "other baseline texts, first in generation 1: their effective number of tokens is not the same",
    )


def test_equal_digests_and_other_names_are_noted() -> None:
    same = "both reports are of the very same files: only the audit can differ"
    assert same in difference(LIKE, LIKE).notes
    other = replace(LIKE, lineage={**LIKE.lineage, "digest": "sha256:1", "name": "other"})
    assert difference(LIKE, other).notes == (
        "the reports are of two lineages; which of them holds better is asked of their folders, not of reports",
    )


# ------------------------------------------------------------------------------------------------ the command, reports


@pytest.fixture
def old_and_new(tmp_path: Path) -> tuple[Path, Path]:
    """Two report folders; in the new one a finding fails, one is better, one moved, one is new, one was not audited."""
    old = [
        finding("W1", 0.5),
        finding("looping", 0.5, outcome=FAIL),
        finding("JS-excess", 0.5, seed="1"),
        finding("W1", 0.5, generation=9),
    ]
    new = [
        finding("W1", 0.7, outcome=FAIL),
        finding("looping", 0.5),
        finding("JS-excess", 0.9, seed="1"),
        finding("W1", 0.5, generation=2),
    ]
    for name, findings in (("old", old), ("new", new)):
        write_report(report(findings), tmp_path / name)
    return tmp_path / "old", tmp_path / "new"


def test_a_report_is_named_by_its_file_or_its_folder(
    old_and_new: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = old_and_new
    assert command(old, new) == 1
    by_folder = capsys.readouterr().out
    assert command(old / "report.json", new / "report.json") == 1
    assert capsys.readouterr().out == by_folder


def test_the_last_line_says_what_the_exit_code_says(
    old_and_new: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = old_and_new
    assert command(old, new) == 1
    last = "worse: 1 of 5 findings newly failed, first perplexity / W1 in generation 1, 1 got better [exit 1]"
    assert capsys.readouterr().out.splitlines()[-1] == last
    # The other way round, looping newly fails.
    assert command(new, old) == 1
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .startswith("worse: 1 of 5 findings newly failed, first repetition / looping")
    )
    assert command(old, old) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "no worse: 0 of 4 findings changed for the worse [exit 0]"


def test_every_kind_of_change_has_its_section(old_and_new: tuple[Path, Path]) -> None:
    from collapse_audit.reports.from_json import read

    old, new = (read(folder / "report.json") for folder in old_and_new)
    page = difference_text(difference(old, new), ("old", "new"), width=200, color=False)
    lines = page.splitlines()
    for section, line in (
        ("GOT WORSE", "  perplexity / W1, generation 1: pass -> FAIL, "
         "0.500 (0.400 to 0.600) -> 0.700 (0.600 to 0.800) nats per token; margin 0.100"),
        ("GOT BETTER", "  repetition / looping, generation 1: FAIL -> pass, "
         "0.500 (0.400 to 0.600) -> 0.500 (0.400 to 0.600) share of documents; margin 0.025"),
        ("MOVED FOR THE WORSE, SAME OUTCOME", "  token-divergence / JS-excess, generation 1 (seed 1): pass, "
         "0.500 (0.400 to 0.600) -> 0.900 (0.800 to 1.000) nats; margin 0.010"),
        ("NEW", "generation 2: 1 pass"),
        ("GONE: NOT AUDITED AGAIN", "generation 9: 1 pass"),
    ):  # fmt: skip
        (heading,) = (index for index, each in enumerate(lines) if f" {section} " in each)
        assert lines[heading + 1] == line


def test_json_holds_every_change_and_no_null(old_and_new: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = old_and_new
    assert command(old, new, "--json", tmp_path / "found.json") == 1
    text = (tmp_path / "found.json").read_text("ascii")
    found = json.loads(text, parse_constant=pytest.fail)
    assert "null" not in text
    assert (found["format_version"], found["kind"], found["exit_code"]) == (1, "reports", 1)
    assert found["old"]["path"] == str(old / "report.json")
    kinds = {(each["statistic"], each["generation"]): each["kind"] for each in found["changes"]}
    assert kinds == {
        ("W1", 1): "worse",
        ("looping", 1): "better",
        ("JS-excess", 1): "moved-worse",
        ("W1", 2): "new",
        ("W1", 9): "gone",
    }
    (worse,) = (each for each in found["changes"] if each["kind"] == "worse")
    assert (worse["old"]["value"], worse["new"]["value"]) == (0.5, 0.7)
    assert (worse["old"]["outcome"], worse["new"]["outcome"]) == ("pass", "fail")


def test_what_reports_say_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    evil = "a\x1b[31m\u202eb"
    old = report([finding("W1", None, outcome=PASS, reason=evil)], lineage={**LIKE.lineage, "name": evil})
    new = report([finding("W1", None, outcome=ERROR, reason=evil)], summary=evil)
    page = difference_text(difference(old, new), (evil, str(tmp_path)), width=80, color=False)
    assert not {"\x1b", "\u202e"} & set(page)
    assert "\\x1b" in page


@pytest.mark.parametrize("width", [1, 20, 40, 80, 200])
def test_pages_fit_any_width(width: int, old_and_new: tuple[Path, Path], lineages: Path) -> None:
    from collapse_audit.reports.from_json import read

    old, new = (read(folder / "report.json") for folder in old_and_new)
    two = contrast(prepare(lineages / "a"), prepare(lineages / "b"))
    for found, page in (
        (difference(old, new), difference_text(difference(old, new), ("old", "new"), width=width, color=False)),
        (two, contrast_text(two, width=width, color=False)),
    ):
        *body, last = page.splitlines()
        assert max(map(len, body)) <= max(width, 20)
        assert last == found.summary


# ---------------------------------------------------------------------------------------------- the command, lineages


@pytest.fixture(scope="module")
def lineages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lineages of two seeds, a folder with a report, and folders that are neither."""
    root = tmp_path_factory.mktemp("lineages")
    prompted(root / "a", 200, 200, 200, seeds=(0, 1), count=40, source="a")
    prompted(root / "b", 200, 30, 30, seeds=(0, 1), count=40, source="b")
    write_report(report(state(PASS)), root / "report")
    write_report(report(state(PASS)), root / "both")
    prompted(root / "both", 200, 100, seeds=(0,), count=40)
    (root / "empty").mkdir()
    (root / "text.txt").write_text("words", encoding="utf-8")
    return root


def test_two_seeds_are_too_few(lineages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(lineages / "a", lineages / "b") == 6
    out = capsys.readouterr().out
    assert "no claim about a recipe can rest on fewer than three seeds (2 in common)" in out
    last = out.splitlines()[-1]
    assert last.startswith(
        "inconclusive: no claim about a recipe can rest on fewer than three seeds, and here are 2; of"
    )
    assert last.endswith("[exit 6]")


def test_json_of_lineages_holds_what_python_finds(lineages: Path, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    assert command(lineages / "a", lineages / "b", "--generation", 1, "--seed", 3, "--json", file) == 6
    found = json.loads(file.read_text("ascii"), parse_constant=pytest.fail)
    expected = contrast(prepare(lineages / "a", seed=3), prepare(lineages / "b", seed=3), generation="1")
    assert (found["kind"], found["generation"], found["seed"]) == ("lineages", 1, 3)
    assert [(each["statistic"], each.get("difference")) for each in found["recipe"]] == [
        (each.statistic, each.difference) for each in expected.recipe
    ]
    assert [(each["seed"], each["statistic"], each["p_value"]) for each in found["documents"]] == [
        (each.seed, each.statistic, each.p_value) for each in expected.documents
    ]
    assert found["summary"] == expected.summary


def test_settings_reach_both_audits(lineages: Path, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    command(lineages / "a", lineages / "b", "--set", "repetition.looping.margin=0.2", "--json", file)
    found = json.loads(file.read_text("ascii"))
    assert {each["margin"] for each in found["recipe"] if each["statistic"] == "looping"} == {0.2}


def test_tables_show_every_generation_and_every_seed(lineages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(lineages / "a", lineages / "b", "-v")
    lines = capsys.readouterr().out.splitlines()
    (dots,) = (line for line in lines if line.split() == ["finding", "A", "-", "B", "seed", "0", "seed", "1", "better"])
    (values,) = (line for line in lines if line.split() == ["finding", "1", "2"])
    rows = lines[lines.index(values) + 1 :]
    assert rows[0].split()[:4] == ["token-divergence", "/", "JS-excess", "A"]
    assert rows[1].split()[0] == "B"
    assert lines.index(dots) < lines.index(values)


# -------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a", "lineage"), ("report", "report"), ("report/report.json", "report"), ("both", "lineage")],
)
def test_kinds_are_told_apart(lineages: Path, name: str, kind: str) -> None:
    assert kind_of(lineages / name) == kind


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("empty", "a folder with neither"),
        ("text.txt", "a file"),
        ("a/seed_0/gen_0/texts.jsonl", "a file"),
        ("nowhere", "nothing of that name"),
        ("nowhere.json", "nothing of that name"),
    ],
)
def test_what_is_neither_is_refused(lineages: Path, name: str, found: str) -> None:
    with pytest.raises(InputError) as refused:
        kind_of(lineages / name)
    assert str(refused.value) == (
        f"{lineages / name}: found {found}; expected a report (a .json file, or a folder with report.json) "
        "or a lineage (a folder with lineage.toml, or whose files are generations by their names) [compare-kind]"
    )


Complaint = Callable[[Path], tuple[Sequence[object], str]]


@pytest.mark.parametrize(
    "complaint",
    [
        lambda root: (
            (root / "report", root / "a"),
            f"A ({root / 'report'}) is a report, B ({root / 'a'}) is a lineage; compare two reports, or two lineages",
        ),
        lambda root: ((root / "a", root / "nowhere"), "found nothing of that name"),
        lambda root: ((root / "a", root / "a"), "A and B are the same lineage"),
        lambda root: ((root / "a", root / "b", "--generation", "7"), "--generation 7: expected last"),
        lambda root: ((root / "report", root / "report", "--generation", "7"), "--generation 7: expected last"),
        lambda root: (
            (root / "report", root / "report", "--set", "alpha=0.01"),
            "--set and --seed are for lineages: a stored report is read as it is, not audited again",
        ),
        lambda root: ((root / "report", root / "report", "--seed", "0"), "--set and --seed are for lineages"),
        lambda root: ((root / "a", root / "b", "--set", "nonsense=1"), "unknown setting 'nonsense'"),
        lambda root: ((root / "a", root / "b", "--json", root), "a file in an existing folder is needed"),
        lambda root: ((root / "a", root / "b", "--json", root / "no" / "x"), "a file in an existing folder is needed"),
        lambda root: ((root / "a",), "the following arguments are required: B"),
    ],
)
def test_bad_usage_exits_with_4_and_says_why(
    lineages: Path, complaint: Complaint, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = complaint(lineages)
    assert command(*arguments) == 4
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""


def test_a_report_that_cannot_be_read_is_refused_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(render(LIKE), encoding="utf-8")
    bad.write_text(render(LIKE).replace('"verdict": "pass"', '"verdict": "fine"'), encoding="utf-8")
    assert command(good, bad, "--json", tmp_path / "out.json") == 4
    assert "report-schema" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_a_json_file_that_is_no_report_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.json"
    file.write_text("{}", encoding="utf-8")
    assert command(file, file) == 4
    (line,) = capsys.readouterr().err.splitlines()
    missing = len(schema()["required"]) - 1
    assert "format_version" in line
    assert f" (and {missing} more); expected" in line


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--help") == 0
    out = capsys.readouterr().out
    assert "0 nothing worse in B    1 something is worse in B    3 a probe crashed" in out


def test_a_folder_is_a_lineage_by_any_names_that_the_audit_reads(tmp_path: Path) -> None:
    for name in ("checkpoint-500", "checkpoint-1000"):
        (tmp_path / f"{name}.jsonl").write_text('{"text": "x"}\n')
    assert kind_of(tmp_path) == "lineage"
