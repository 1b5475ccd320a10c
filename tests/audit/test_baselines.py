"""A baseline that is itself degenerate is named in the first lines of every report, and changes no outcome."""

from __future__ import annotations

import itertools
import json
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from running import command, report_of

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.reports import as_annotations, as_html, as_junit, as_markdown, as_text
from collapse_audit.reports.document import AuditReport
from collapse_audit.run.overview.baselines import _judged, _shares


def texts(seed: int, count: int = 200) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(f"w{rng.randrange(300)}" for _ in range(20)) for _ in range(count)]


def stuck(healthy: list[str], share: float) -> list[str]:
    many = round(share * len(healthy))
    made = [f"{text} and so and so and so and so" for text in healthy[:many]] + healthy[many:]
    random.Random(0).shuffle(made)  # in order, neighbours would depend on each other
    return made


def lineage(root: Path, **corpora: list[str]) -> Path:
    root.mkdir(exist_ok=True)
    for name, lines in corpora.items():
        rows = "".join(json.dumps({"text": text}) + "\n" for text in lines)
        (root / f"{name.replace('__', '.')}.jsonl").write_text(rows)
    return root


@pytest.fixture
def loops(tmp_path: Path) -> AuditReport:
    """Generation 0 loops in 86% of its texts, as generation 1 does; people's text in 3%."""
    root = lineage(
        tmp_path / "loops",
        reference=texts(1),
        reference__holdout=stuck(texts(2), 0.03),
        gen_0=stuck(texts(3), 0.86),
        gen_1=stuck(texts(4), 0.86),
    )
    return report_of(root, tmp_path / "out", "--independent", "-k", "repetition or integrity")


SENTENCE = "generation 0 is itself degenerate: 86% of its texts loop, 3% of people's do"


def test_a_degenerate_generation_0_is_named_and_no_pass_becomes_a_collapse(loops: AuditReport) -> None:
    [row] = loops.baselines
    assert row["sentence"] == SENTENCE
    assert (row["looping"], row["looping_people"], row["degenerate"]) == (0.86, 0.03, ["looping"])
    assert (row["n"], row["n_people"]) == (200, 200)
    assert loops.verdict != "collapse"
    assert "repetition / looping" in row["lost"]


def test_the_first_lines_of_every_report_say_it(loops: AuditReport, tmp_path: Path) -> None:
    assert SENTENCE in "\n".join(as_text.render(loops, width=100).splitlines()[:5])
    assert SENTENCE in as_text.render(loops, width=100, verbosity=-1)
    assert SENTENCE.replace("'", "&#39;") in as_html.render(loops).partition("<main")[0].replace("’", "&#39;")
    assert SENTENCE in "\n".join(as_markdown.render(loops).splitlines()[:6])
    properties = {one.get("name"): one.get("value") for one in ET.fromstring(as_junit.render(loops)).iter("property")}
    assert properties["baseline"] == SENTENCE
    assert SENTENCE.replace("%", "%25") in as_annotations.render(loops)
    assert SENTENCE in (tmp_path / "out" / "report.json").read_text()


def test_without_people_the_limits_are_absolute(tmp_path: Path) -> None:
    """30% of 200 texts loop: by Clopper-Pearson at least 24.7%, which is within the limit of 25%; of 45%, 39.1%."""
    for share, said in ((0.30, None), (0.45, "generation 0 is itself degenerate: 45% of its texts loop")):
        root = lineage(tmp_path / str(share), gen_0=stuck(texts(3), share), gen_1=stuck(texts(4), share))
        [row] = report_of(root, tmp_path / f"out{share}", "--independent", "-k", "integrity").baselines
        assert row.get("sentence") == said


def test_a_healthy_baseline_is_not_named(tmp_path: Path) -> None:
    root = lineage(tmp_path / "fine", reference=texts(1), gen_0=texts(2), gen_1=texts(3))
    report = report_of(root, tmp_path / "out", "--independent", "-k", "integrity")
    assert [row["degenerate"] for row in report.baselines] == [[]]
    assert "degenerate:" not in as_text.render(report) + as_markdown.render(report) + as_junit.render(report)


def test_what_generation_0_lacks_beside_people_is_said_where_nothing_else_is_wrong_with_it(tmp_path: Path) -> None:
    """It writes 60 of people's 300 words, and as varied texts of them as can be."""
    poor = [" ".join(f"w{int(word[1:]) % 60}" for word in text.split()) for text in texts(2)]
    root = lineage(tmp_path / "poor", reference=texts(1), gen_0=poor, gen_1=poor[::-1])
    report = report_of(root, tmp_path / "out", "--independent", "-k", "tail-coverage or integrity")
    [row] = report.baselines
    assert row["degenerate"] == []
    assert row["lost"] == ["tail-coverage / distinct-types"]
    said = (
        "generation 0 has itself lost some of what people's text has: distinct words; what it lacks no later one can "
        "lose"
    )
    assert row["sentence"] == said
    assert said in "\n".join(as_text.render(report, width=130).splitlines()[:5])


def test_a_comparison_that_is_only_context_has_no_baseline_to_judge(tmp_path: Path) -> None:
    root = lineage(tmp_path / "context", reference=texts(1), gen_0=stuck(texts(2), 0.9))
    assert report_of(root, tmp_path / "out", "--independent", "-k", "integrity").baselines == ()


def test_duplicates_are_counted_among_as_many_texts_as_people_have() -> None:
    """By enumeration: of all 4 of 6 texts, how many are copies of another of the four, in the mean."""
    pool = ["a", "a", "a", "b", "b", "c"]
    drawn = list(itertools.combinations(pool, 4))
    copies = sum(4 - len(set(four)) for four in drawn) / len(drawn) / 4
    assert _shares(sample_of(pool), 4)["duplicates"] == pytest.approx(copies)
    assert _shares(sample_of(pool), 6)["duplicates"] == pytest.approx(3 / 6)


def test_copies_and_empty_texts_make_a_baseline_degenerate_too() -> None:
    people = sample_of(texts(1))
    copied = _judged(sample_of(texts(2, 100) * 2), people)
    assert (copied["duplicates"], copied["degenerate"]) == (pytest.approx(0.5), ["duplicates"])
    empty = _judged(sample_of(texts(2, 150) + [f"{' ' * k}" for k in range(50)]), people)
    assert (empty["empty"], empty["degenerate"]) == (0.25, ["duplicates", "empty"])


def test_a_silly_share_of_a_few_texts_is_no_proof() -> None:
    """Three of ten loop: at least 8.7% by Clopper-Pearson, and of ten of people's none, at most 25.9%."""
    assert _judged(sample_of(stuck(texts(1, 10), 0.3)), sample_of(texts(2, 10)))["degenerate"] == []


def test_the_command_says_it_before_anything_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = lineage(tmp_path / "loops", gen_0=stuck(texts(3), 0.86), gen_1=stuck(texts(4), 0.86))
    command(root, "--independent", "-k", "integrity")
    assert "generation 0 is itself degenerate: 86% of its texts loop" in "\n".join(
        capsys.readouterr().out.splitlines()[:5]
    )
