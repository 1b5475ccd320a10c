"""Scores beside the texts: what is read, what is refused, and whose an audit compares. No torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from collapse_audit import audit
from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.measured.scores import Identity, header, path_of, read_scores, scores_beside, with_scores
from collapse_audit.reports.document import AuditReport, Finding, Outcome

TEXTS = 40


def scorer(name: str = "generation-0", digest: str = "sha256:aa") -> Identity:
    return Identity(name=name, digest=digest, about={})


def corpus_file(root: Path, name: str, *, nll: list[float] | None = None) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    extra: list[dict[str, Any]] = [{} if nll is None else {"nll": value} for value in nll or [0.0] * TEXTS]
    words = [f"{name} text {number} of many" for number in range(TEXTS)]
    path.write_text("".join(json.dumps({"text": w, **e}) + "\n" for w, e in zip(words, extra, strict=True)))
    return path


def score(root: Path, name: str, values: list[float | None], by: Identity, **changes: Any) -> Path:
    """Write a scorer's file for the corpus file ``name``."""
    corpus = open_corpus(root / name)
    import dataclasses

    corpus = dataclasses.replace(corpus, shown=name)
    path = path_of(root, by.name, corpus)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"n_tokens": 0} if value is None else {"nll": value, "n_tokens": 5} for value in values]
    lines = [header(by, corpus) | changes, *rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def drawn(seed: int, shift: float = 0.0) -> list[float]:
    return (np.random.default_rng(seed).normal(3.0, 0.3, TEXTS) + shift).round(6).tolist()


def lineage(root: Path, **nll: list[float]) -> Path:
    """Generations 0 and 1, held out and independent, with these likelihoods in their records."""
    for index in (0, 1):
        corpus_file(root, f"gen_{index}.jsonl", nll=nll.get(f"gen_{index}"))
    return root


def perplexity(root: Path) -> tuple[Finding, AuditReport]:
    report = audit(root, independent=True)
    (found,) = (finding for finding in report.findings if finding.probe == "perplexity")
    return found, report


def test_what_is_written_is_read(tmp_path: Path) -> None:
    corpus_file(tmp_path, "gen_0.jsonl")
    path = score(tmp_path, "gen_0.jsonl", [1.5, None, 2.25], scorer())
    found = read_scores(path, "here")
    assert found.scorer == scorer()
    assert found.nll.tolist()[::2] == [1.5, 2.25]
    assert np.isnan(found.nll[1])
    assert found.n_tokens.tolist() == [5, 0, 5]
    assert path == tmp_path / "scores" / "generation-0" / "gen_0.jsonl"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: ["{", *lines[1:]], "here: found a first line that cannot be read"),
        (lambda _: [], "here: found a first line that cannot be read"),
        (lambda lines: [lines[0].replace('"format": 1', '"format": 2'), *lines[1:]], "found scores of format 2"),
        (lambda lines: [*lines, '{"nll": -1, "n_tokens": 2}'], 'here:5: found \'{"nll": -1'),
        (lambda lines: [*lines, '{"nll": NaN, "n_tokens": 2}'], "here:5: found"),
        (lambda lines: [*lines, '{"nll": 1.0}'], "here:5: found"),
        (lambda lines: [*lines, '{"nll": 1.0, "n_tokens": 1.5}'], "here:5: found"),
        (lambda lines: [*lines, "[1]"], "here:5: found"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    corpus_file(tmp_path, "gen_0.jsonl")
    path = score(tmp_path, "gen_0.jsonl", [1.0, 2.0, 3.0], scorer())
    path.write_text("\n".join(change(path.read_text().splitlines())))
    with pytest.raises(InputError) as refused:
        read_scores(path, "here")
    assert message in str(refused.value)
    assert refused.value.slug == "bad-scores"


def test_as_many_scores_as_records_or_none(tmp_path: Path) -> None:
    corpus = open_corpus(corpus_file(tmp_path, "gen_0.jsonl"))
    table = pa.Table.from_batches(corpus.batches())
    few = read_scores(score(tmp_path, "gen_0.jsonl", [1.0] * (TEXTS - 1), scorer()), "here")
    with pytest.raises(InputError, match="39 scores by generation-0 of 40 records"):
        with_scores(table, np.arange(TEXTS), TEXTS, [few], "gen_0.jsonl")


def test_token_counts_come_along_where_records_have_none(tmp_path: Path) -> None:
    corpus = open_corpus(corpus_file(tmp_path, "gen_0.jsonl"))
    found = read_scores(score(tmp_path, "gen_0.jsonl", drawn(0), scorer()), "here")
    drawn_rows = np.array([0, 3, 39])
    table = pa.Table.from_batches(corpus.batches()).take(pa.array(drawn_rows))
    table = with_scores(table, drawn_rows, TEXTS, [found], "gen_0.jsonl")
    assert table["n_tokens"].to_pylist() == [5] * 3
    assert table["nll:generation-0@sha256:aa"].to_pylist() == found.nll[drawn_rows].tolist()
    assert table["nll"].null_count == 3


def test_a_seed_has_its_own_generation_0(tmp_path: Path) -> None:
    corpus_file(tmp_path, "reference.jsonl")
    names = ("generation-0.seed_0", "generation-0.seed_1", "other")
    for number, name in enumerate(names):
        score(tmp_path, "reference.jsonl", drawn(number), scorer(name))
    import dataclasses

    corpus = dataclasses.replace(open_corpus(tmp_path / "reference.jsonl"), shown="reference.jsonl")
    found, stale = scores_beside(tmp_path, corpus, "1")
    assert [one.scorer.name for one in found] == ["generation-0.seed_1", "other"]
    assert stale == []


def test_generation_0s_scores_stand_in_for_the_records(tmp_path: Path) -> None:
    """The same numbers in the records and beside them give the same finding."""
    values = {"gen_0": drawn(1), "gen_1": drawn(2, 0.5)}
    beside, inside = lineage(tmp_path / "beside"), lineage(tmp_path / "inside", **values)
    for name, nll in values.items():
        score(beside, f"{name}.jsonl", list(nll), scorer())
    found, expected = perplexity(beside)[0], perplexity(inside)[0]
    assert found.outcome is expected.outcome is not Outcome.NOT_MEASURED
    assert found.value == pytest.approx(expected.value, rel=0.02)  # other bytes, so other permutations
    assert found.raw["w1"] == pytest.approx(expected.raw["w1"], rel=1e-12)


def test_scores_of_two_scorers_are_never_compared(tmp_path: Path) -> None:
    root = lineage(tmp_path)
    score(root, "gen_0.jsonl", list(drawn(1)), scorer(digest="sha256:aaaaaaaaaa"))
    score(root, "gen_1.jsonl", list(drawn(2)), scorer(digest="sha256:bbbbbbbbbb"))
    found, report = perplexity(root)
    assert found.outcome is Outcome.NOT_MEASURED
    told = "scores by different models are not compared (generation-0 aaaaaaaa, generation-0 bbbbbbbb)"
    assert any(note.startswith(told) for note in report.notes)


def test_records_of_one_side_and_scores_of_the_other_are_never_compared(tmp_path: Path) -> None:
    root = lineage(tmp_path, gen_0=drawn(1))
    score(root, "gen_1.jsonl", list(drawn(2)), scorer())
    found, _ = perplexity(root)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "the records of the generation carry no nll" in found.reason


def test_one_scorer_for_all_also_where_some_records_carry_their_own(tmp_path: Path) -> None:
    root = lineage(tmp_path, gen_0=drawn(1, 7.0))
    score(root, "gen_0.jsonl", list(drawn(1)), scorer())
    score(root, "gen_1.jsonl", list(drawn(1, 0.25)), scorer())
    found, _ = perplexity(root)
    assert found.raw["shift_mean"] == pytest.approx(0.25)


def test_scores_of_a_file_that_has_changed_are_left_out_and_named(tmp_path: Path) -> None:
    root = lineage(tmp_path)
    for name in ("gen_0.jsonl", "gen_1.jsonl"):
        score(root, name, list(drawn(1)), scorer())
    with (root / "gen_1.jsonl").open("a") as file:
        file.write('{"text": "one more"}\n')
    found, report = perplexity(root)
    assert found.outcome is not Outcome.PASS
    expected = "scores/generation-0/gen_1.jsonl is left out: gen_1.jsonl has changed since"
    assert any(note.startswith(expected) for note in report.notes)


def test_scores_under_another_name_than_their_folders_are_refused(tmp_path: Path) -> None:
    root = lineage(tmp_path)
    path = score(root, "gen_0.jsonl", list(drawn(1)), scorer("other"))
    (root / "scores" / "generation-0").mkdir()
    path.rename(root / "scores" / "generation-0" / "gen_0.jsonl")
    with pytest.raises(InputError, match="found scores by other; expected scores by generation-0"):
        audit(root, independent=True)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_baseline_from_elsewhere_has_no_scores_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    """Its name may lead out of the folder of scores; nothing there is taken for scores."""
    root = lineage(tmp_path / "lineage")
    score(root, "gen_0.jsonl", list(drawn(1)), scorer())
    score(root, "gen_1.jsonl", list(drawn(2)), scorer())
    approved = corpus_file(tmp_path, "approved.jsonl", nll=drawn(3))
    monkeypatch.chdir(root)
    report = audit(root, independent=True, baseline=str(approved if absolute else Path("../approved.jsonl")))
    found = [finding for finding in report.findings if finding.probe == "perplexity"]
    assert {finding.outcome for finding in found} == {Outcome.INCONCLUSIVE}  # one side has been scored by nobody known


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    root = lineage(tmp_path / "lineage")
    score(root, "gen_0.jsonl", list(drawn(1)), scorer())
    path = score(root, "gen_1.jsonl", list(drawn(2)), scorer())
    path.rename(tmp_path / "outside.jsonl")
    path.symlink_to(tmp_path / "outside.jsonl")
    assert perplexity(root)[0].outcome is Outcome.NOT_MEASURED


def second_opinions(root: Path) -> list[dict[str, Any]]:
    return [dict(row) for row in perplexity(root)[0].evidence if row["kind"] == "scorer"]


def test_an_independent_scorer_is_a_second_opinion_and_judges_nothing(tmp_path: Path) -> None:
    """It calls the texts in the same order (x -> 2x + 1 keeps ranks), and the finding stays what it was."""
    values = {"gen_0": drawn(1), "gen_1": drawn(2, 0.5)}
    root = lineage(tmp_path, **values)
    before = perplexity(root)[0]
    for name, nll in values.items():
        score(root, f"{name}.jsonl", [2 * x + 1 for x in nll], scorer("other", "sha256:cc"))
    after = perplexity(root)[0]
    assert (after.value, after.outcome, after.raw) == (before.value, before.outcome, before.raw)
    (row,) = second_opinions(root)
    assert (row["scorer"], row["digest"], row["n"]) == ("other", "sha256:cc", 2 * TEXTS)
    assert row["rank_correlation"] == pytest.approx(1.0)
    assert row["shift_mean"] == pytest.approx(2 * row["generation_0_shift_mean"])
    assert row["w1"] == pytest.approx(2 * after.raw["w1"])


def test_a_second_opinion_of_one_side_alone_says_so(tmp_path: Path) -> None:
    root = lineage(tmp_path, gen_0=drawn(1), gen_1=drawn(2))
    score(root, "gen_1.jsonl", list(drawn(3)), scorer("other"))
    assert second_opinions(root)[0]["reason"] == "it has scored the generation alone, so nothing can be compared"


def test_rank_correlation_is_scipys(tmp_path: Path) -> None:
    from scipy.stats import spearmanr

    values = {"gen_0": drawn(1), "gen_1": drawn(2)}
    others = {"gen_0": [round(x, 1) for x in drawn(5)], "gen_1": [round(x, 1) for x in drawn(6)]}  # with ties
    root = lineage(tmp_path, **values)
    for name, nll in others.items():
        score(root, f"{name}.jsonl", list(nll), scorer("other"))
    expected = spearmanr(values["gen_0"] + values["gen_1"], others["gen_0"] + others["gen_1"]).statistic
    assert second_opinions(root)[0]["rank_correlation"] == pytest.approx(expected, abs=1e-12)
