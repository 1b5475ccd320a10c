"""What reports carry for their pictures: loss curves, example texts, coverage by rank."""

from __future__ import annotations

import json
from pathlib import Path

import lxml.etree
import lxml.html
import numpy as np
import pytest

import collapse_audit
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.probes.statistics.tables import count_table
from collapse_audit.probes.tail_coverage import _by_rank
from collapse_audit.reports import as_annotations, as_json, as_text
from collapse_audit.reports.from_json import parse
from collapse_audit.reports.write import write_report
from collapse_audit.run.overview.training_log import thinned, training_losses


def lineage(root: Path, *, log: str | None = None, prompts: bool = True) -> Path:
    """Generation 0 and 1 with held-out texts under shared prompts, and a training log of generation 0."""
    for k in (0, 1):
        (root / f"gen_{k}").mkdir(parents=True)
        for name in ("texts", "holdout"):
            records = [
                {"text": f"{name} {k} {i} " + "x " * (3000 if i == 2 else 1)} | ({"prompt": f"p{i}"} if prompts else {})
                for i in (range(8) if k == 0 else reversed(range(1, 9)))
            ]
            (root / f"gen_{k}" / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    entries = []
    for k in (0, 1):
        entries += [
            "[[generation]]",
            f"index = {k}",
            f'texts = "gen_{k}/texts.jsonl"',
            f'holdout = "gen_{k}/holdout.jsonl"',
        ]
        if log is not None and k == 0:
            (root / "gen_0" / "train.jsonl").write_text(log, encoding="utf-8")
            entries.append('train_log = "gen_0/train.jsonl"')
    (root / "lineage.toml").write_text("\n".join(["format = 1", 'name = "small"', *entries]) + "\n")
    return root


def test_losses_are_averaged_over_stretches_of_equally_many_steps() -> None:
    points = [(float(step), float(step % 7)) for step in range(1, 121)]
    found = thinned(points)
    assert found["steps"] == [float(step) for step in range(2, 121, 2)]
    assert found["losses"] == [((step - 1) % 7 + step % 7) / 2 for step in range(2, 121, 2)]
    assert thinned(points[:3]) == {"steps": [1.0, 2.0, 3.0], "losses": [1.0, 2.0, 3.0]}


def test_a_log_is_read_and_what_is_no_loss_is_passed_over(tmp_path: Path) -> None:
    log = '{"step": 1, "loss": 2.5}\n\n{"step": 2, "loss": NaN}\n{"step": 3}\n{"step": 4, "loss": 1.5}\n'
    curves, notes = training_losses(load_lineage(lineage(tmp_path, log=log)))
    assert curves == [{"seed": None, "generation": 0, "steps": [1.0, 4.0], "losses": [2.5, 1.5]}]
    assert notes == []


@pytest.mark.parametrize("log", ["{", "[1]\n", '{"step": 1, "loss": 2}\nnonsense\n'])
def test_a_broken_log_is_noted_and_ends_no_audit(log: str, tmp_path: Path) -> None:
    made = collapse_audit.audit(lineage(tmp_path, log=log))
    assert made.training == ()
    (note,) = [note for note in made.notes if "training log" in note]
    assert note.startswith("generation 0: the training log cannot be read (")


def test_examples_are_the_first_shared_prompts_and_only_where_texts_may_be_quoted(tmp_path: Path) -> None:
    root = lineage(tmp_path)
    made = collapse_audit.audit(root, evidence="texts")
    assert [each["prompt"] for each in made.examples] == ["p1", "p2", "p3"]  # generation 1 has no p0
    first, second, _ = made.examples
    assert [each["name"] for each in first["texts"]] == ["generation 0 (held-out)", "generation 1 (held-out)"]
    assert [each["text"].split()[:3] for each in first["texts"]] == [["holdout", "0", "1"], ["holdout", "1", "1"]]
    assert all(len(each["text"]) < 2040 and "[+" in each["text"] for each in second["texts"])
    assert parse(as_json.render(made)).examples == made.examples
    assert collapse_audit.audit(root).examples == ()


def test_without_prompts_there_are_no_examples(tmp_path: Path) -> None:
    assert collapse_audit.audit(lineage(tmp_path, prompts=False), evidence="texts").examples == ()


def test_coverage_by_rank_counts_the_distinct_types_of_each_side_in_classes_of_equal_frequency() -> None:
    rng = np.random.default_rng(5)
    blocks = 12
    side = np.arange(blocks) % 2 == 1
    types, block = rng.zipf(1.4, 400) % 60, rng.integers(0, blocks, 400)
    found = _by_rank(count_table(block, types, blocks), side)
    stands = {kind: set(block[types == kind].tolist()) for kind in set(types.tolist())}
    wanted = []
    for low, high in ((8, 16), (4, 8), (2, 4), (1, 2), (0, 1)):
        group = [kind for kind, where in stands.items() if low < len(where) <= high]
        ahead = sum(len(where) > low for where in stands.values())
        if group:
            on = [sum(any(side[b] == which for b in stands[kind]) for kind in group) for which in (False, True)]
            wanted.append({"rank": ahead, "baseline": on[0], "generation": on[1]})
    assert found == wanted


def test_a_lineage_that_means_harm_is_shown_inert_in_every_format(tmp_path: Path) -> None:
    harm = "<script>alert(1)</script>\x1b[2J\u202e%0A::error::]]>\x07"
    root = tmp_path / "lineage"
    for k, words in ((0, "one two three"), (1, "four five six")):
        (root / f"gen_{k}").mkdir(parents=True)
        records = [
            {"text": f"{harm} {words}", "prompt": harm, "label": harm + "L" * 1_000_000 * (i == 0)} for i in range(30)
        ]
        for name in ("texts", "holdout"):
            lines = (json.dumps({**each, "id": f"{name}{i}"}) for i, each in enumerate(records))
            (root / f"gen_{k}" / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    name = json.dumps(harm)  # a TOML string, too
    files = "\n".join(
        f'[[generation]]\nindex = {k}\ntexts = "gen_{k}/texts.jsonl"\nholdout = "gen_{k}/holdout.jsonl"' for k in (0, 1)
    )
    (root / "lineage.toml").write_text(f"format = 1\nname = {name}\n{files}\n", encoding="utf-8")
    made = collapse_audit.audit(root, evidence="texts", labels="field")
    assert made.examples
    for written in write_report(made, tmp_path / "out"):
        text = written.read_text(encoding="utf-8")
        assert not {"\x1b", "\u202e", "\x07"} & set(text)
        assert len(text) < 3_000_000 or written.name == "report.json"  # which keeps every text in full
    lxml.etree.parse(str(tmp_path / "out" / "junit.xml"))
    page = lxml.html.document_fromstring((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert not list(page.iter("script"))
    assert "<script>alert(1)</script>\\x1b[2J" in page.xpath("string(//p[@class='kicker'])")
    shown = as_text.render(made)
    assert not {"\x1b", "\u202e", "\x07"} & set(shown)
    assert all(line.startswith("::") for line in as_annotations.render(made).splitlines())
