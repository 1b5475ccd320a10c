"""Results that lm-eval wrote are read as they are; what contradicts itself is refused and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval_files import STAMP, answers, lineage, losses, results, write

from collapse_audit import audit
from collapse_audit.lineages.digest import file_digest
from collapse_audit.lineages.evaluation.results import read_results
from collapse_audit.lineages.lineage import GenerationEntry, load_lineage
from collapse_audit.probes.errors import InputError
from collapse_audit.probes.task_results import TaskResults
from collapse_audit.reports.document import Finding

RIGHT = [1.0] * 80 + [0.0] * 20
LOST = [0.0] * 40 + [1.0] * 40 + [0.0] * 20

Change = Callable[[Path], None]


def entry(root: Path, index: int = 0) -> GenerationEntry:
    return load_lineage(root, needs_comparison=False).generations[index]


def read(root: Path, index: int = 0) -> TaskResults:
    found = read_results(entry(root, index))
    assert found is not None
    return found


def findings(root: Path) -> dict[str, Finding]:
    report = audit(root)
    return {finding.statistic: finding for finding in report.findings if finding.probe == "task-score"}


# What is read


def test_a_folder_of_lm_eval_is_read_as_it_is(tmp_path: Path) -> None:
    words = np.arange(5, 105)
    tasks = {"quiz": answers("quiz", RIGHT), "text": losses("text", (-2.5 * words).tolist(), words.tolist())}
    found = read(lineage(tmp_path, [tasks]))
    assert found.where.endswith("gen_0/lm_eval")
    assert found.harness == "0.4.13"
    quiz, text = found.tasks["quiz"], found.tasks["text"]
    assert [(scores.name, scores.values.tolist()) for scores in quiz.scores] == [("acc", RIGHT)]
    assert quiz.values == {"acc": 0.8}
    assert quiz.units[:2] == ("document 0", "document 1")
    assert text.loss is not None
    np.testing.assert_allclose(text.loss.values, -2.5 * words)
    assert text.values["word_perplexity"] == pytest.approx(np.exp(2.5))
    assert not text.scores


def test_each_filter_is_a_metric_of_its_own(tmp_path: Path) -> None:
    tasks = {"quiz": answers("quiz", RIGHT, filters=("strict-match", "flexible-extract"))}
    found = read(lineage(tmp_path, [tasks])).tasks["quiz"]
    assert [scores.name for scores in found.scores] == ["acc (strict-match)", "acc (flexible-extract)"]


def test_the_newest_run_of_a_task_counts(tmp_path: Path) -> None:
    root = lineage(tmp_path, [{"quiz": answers("quiz", RIGHT), "other": answers("other", RIGHT)}])
    write(root / "gen_0/lm_eval", {"quiz": answers("quiz", LOST)}, stamp="2026-02-02T03-04-05.678901")
    tasks = read(root).tasks
    assert tasks["quiz"].values == {"acc": 0.4}
    assert tasks["other"].values == {"acc": 0.8}


def test_documents_are_resampled_with_their_group_or_record(tmp_path: Path) -> None:
    rows = answers("quiz", RIGHT)
    for row in rows:
        row["doc"] = {"group": f"patient {row['doc_id'] // 2}" if row["doc_id"] < 4 else "", "id": row["doc_id"]}
    found = read(lineage(tmp_path, [{"quiz": rows}])).tasks["quiz"]
    assert found.units[:6] == ("group patient 0",) * 2 + ("group patient 1",) * 2 + ("id 4", "id 5")


def test_a_metric_that_is_said_of_some_documents_is_shown_and_not_paired(tmp_path: Path) -> None:
    rows = answers("quiz", RIGHT)
    rows[3] |= {"metrics": ["acc", "recall_1"], "recall_1": 1.0}
    changed = results({"quiz": rows})
    changed["results"]["quiz"]["recall_1,none"] = 1.0
    root = lineage(tmp_path, [{"quiz": rows}])
    (root / f"gen_0/lm_eval/a__model/results_{STAMP}.json").write_text(json.dumps(changed))
    found = read(root).tasks["quiz"]
    assert [scores.name for scores in found.scores] == ["acc"]
    assert found.values["recall_1"] == 1.0


def test_a_group_of_tasks_has_no_samples_and_its_tasks_are_read(tmp_path: Path) -> None:
    changed = results({"quiz": answers("quiz", RIGHT)})
    changed["results"]["all"] = {"alias": "all", "acc,none": 0.8}
    changed["groups"] = {"all": changed["results"]["all"]}
    root = lineage(tmp_path, [{"quiz": answers("quiz", RIGHT)}])
    (root / f"gen_0/lm_eval/a__model/results_{STAMP}.json").write_text(json.dumps(changed))
    assert set(read(root).tasks) == {"quiz"}


# An audit of them


def test_a_lineage_that_lost_its_task_fails_and_one_that_kept_it_passes(tmp_path: Path) -> None:
    healthy = [1.0] * 320 + [0.0] * 80
    kept = [0.0, *healthy[1:-1], 1.0]
    lost = [0.0] * 100 + healthy[100:]
    sides = [{"quiz": answers("quiz", one)} for one in (healthy, kept)]
    found = findings(lineage(tmp_path / "kept", sides))
    assert found["drop"].outcome.value == "pass"
    assert found["drop"].value == pytest.approx(0.0)
    assert found["loss"].outcome.value == "not_measured"
    found = findings(lineage(tmp_path / "lost", [sides[0], {"quiz": answers("quiz", lost)}]))
    assert found["drop"].outcome.value == "fail"
    assert found["drop"].value == pytest.approx(0.25)


def test_without_results_nothing_is_measured_and_with_those_of_one_side_it_is_inconclusive(tmp_path: Path) -> None:
    nothing = findings(lineage(tmp_path / "none", [None, None]))
    assert {finding.outcome.value for finding in nothing.values()} == {"not_measured"}
    one = findings(lineage(tmp_path / "one", [{"quiz": answers("quiz", RIGHT)}, None]))
    assert {finding.outcome.value for finding in one.values()} == {"inconclusive"}
    assert "the generation has no lm-eval results" in str(one["drop"].reason)


def test_results_without_samples_are_inconclusive_and_say_what_to_do(tmp_path: Path) -> None:
    root = lineage(tmp_path, [{"quiz": answers("quiz", RIGHT)}, {"quiz": answers("quiz", LOST)}])
    next((root / "gen_1").rglob("samples_*")).unlink()
    found = findings(root)["drop"]
    assert found.outcome.value == "inconclusive"
    assert "evaluate with --log_samples" in str(found.reason)


def test_one_model_evaluated_twice_is_no_second_generation(tmp_path: Path) -> None:
    found = findings(lineage(tmp_path, [{"quiz": answers("quiz", RIGHT)}] * 2))["drop"]
    assert found.outcome.value == "inconclusive"
    assert "use_cache" in str(found.reason)


# What is refused


def _edit(change: Callable[[dict[str, Any]], None]) -> Change:
    def edit(root: Path) -> None:
        file = root / f"gen_0/lm_eval/a__model/results_{STAMP}.json"
        data = json.loads(file.read_text())
        change(data)
        file.write_text(json.dumps(data))

    return edit


def _edit_samples(change: Callable[[list[dict[str, Any]]], None]) -> Change:
    def edit(root: Path) -> None:
        file = root / f"gen_0/lm_eval/a__model/samples_quiz_{STAMP}.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        change(rows)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    return edit


REFUSED: dict[str, tuple[Change, str]] = {
    "another version": (
        _edit(lambda data: data.update(lm_eval_version="0.3.0")),
        "found lm_eval_version '0.3.0'; expected results of lm-evaluation-harness 0.4 [lm-eval-version]",
    ),
    "no version": (_edit(lambda data: data.pop("lm_eval_version")), "found no lm_eval_version"),
    "another format": (_edit(lambda data: data.pop("configs")), "found no table configs"),
    "no JSON": (
        lambda root: next((root / "gen_0").rglob("results_*")).write_text("{") and None,
        "found a file that is no JSON",
    ),
    "no results": (lambda root: next((root / "gen_0").rglob("results_*")).unlink(), "found a folder without results"),
    "fewer samples": (
        _edit_samples(lambda rows: rows.pop()),
        "99 samples; expected 100, from which the results of quiz were made",
    ),
    "a sample twice": (_edit_samples(lambda rows: rows.append(rows[5])), "the document 5 twice"),
    "other samples": (
        _edit_samples(lambda rows: rows[0].update(doc_hash="0")),
        "other samples; expected those of which the results of quiz were made",
    ),
    "another mean": (
        _edit_samples(lambda rows: rows[0].update(acc=0.0)),
        "found quiz: a mean acc of 0.79 in the samples; expected 0.8, as the results say",
    ),
    "a number that is none": (
        _edit_samples(lambda rows: rows[0].update(acc=float("nan"))),
        "acc that is no number",
    ),
    "a line that is no sample": (_edit_samples(lambda rows: rows[0].pop("doc_id")), "line 1: no sample"),
    "another model": (
        _edit(lambda data: data.update(collapse_audit={"model": {"adapter_digest": "sha256:0"}})),
        "found results of the adapter sha256:0; expected results of sha256:",
    ),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_contradicts_itself_is_refused_and_named(tmp_path: Path, what: str) -> None:
    change, message = REFUSED[what]
    root = lineage(tmp_path, [{"quiz": answers("quiz", RIGHT)}, {"quiz": answers("quiz", LOST)}])
    (root / "gen_0/adapter").mkdir()
    (root / "gen_0/adapter/adapter_model.safetensors").write_bytes(b"weights")
    change(root)
    with pytest.raises(InputError) as caught:
        audit(root)
    assert message in str(caught.value)
    assert "gen_0/lm_eval" in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_broken_likelihood_is_refused(tmp_path: Path) -> None:
    rows = losses("text", [-10.0] * 20, [4] * 20)
    root = lineage(tmp_path, [{"text": rows}])
    rows[0]["word_perplexity"] = [float("nan"), 4]
    file = root / f"gen_0/lm_eval/a__model/samples_text_{STAMP}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match="a log-likelihood that is no number"):
        read(root)


def test_results_of_the_generations_own_adapter_are_taken(tmp_path: Path) -> None:
    root = lineage(tmp_path, [{"quiz": answers("quiz", RIGHT)}])
    weights = root / "gen_0/adapter/adapter_model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    _edit(lambda data: data.update(collapse_audit={"model": {"adapter_digest": file_digest(weights)}}))(root)
    assert read(root).tasks["quiz"].values == {"acc": 0.8}
