"""Results that lm-eval wrote are read as they are; what contradicts itself is refused and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval_files import STAMP, answers, lineage, losses, results, sha, write

from collapse_audit import audit
from collapse_audit.cli import main
from collapse_audit.errors import InputError
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.measured.lm_eval_results import read_results
from collapse_audit.lineages.model.lineage import GenerationEntry
from collapse_audit.probes.models.task_results import TaskResults
from collapse_audit.reports.document import Finding, Outcome

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
    report = audit(root, select="not integrity")  # which would read the adapters; bytes stand for them here
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


# Results of another model, or of one model twice


def _told(root: Path, index: int, **changes: Any) -> None:
    """Another line of ``config`` in the results of one generation, or another table of them."""
    for file in (root / f"gen_{index}").rglob("results_*.json"):
        data = json.loads(file.read_text())
        data["config"] |= changes
        file.write_text(json.dumps(data))


def _two(root: Path, *, adapters: bool = False) -> Path:
    """Two generations that answer a little differently: a pass, if they may be compared."""
    sides = [[1.0] * 320 + [0.0] * 80, [0.0] + [1.0] * 319 + [0.0] * 79 + [1.0]]
    lineage(root, [{"quiz": answers("quiz", one)} for one in sides])
    for index in (0, 1):
        _told(root, index, model_args={"pretrained": "base", "peft": f"gen_{index}/adapter"})
        if adapters:
            (root / f"gen_{index}/adapter").mkdir()
            (root / f"gen_{index}/adapter/adapter_model.safetensors").write_bytes(b"weights %d" % index)
    return root


@pytest.mark.parametrize("adapters", [False, True])
@pytest.mark.parametrize(
    "told",
    [
        {"pretrained": "base", "peft": "gen_0/adapter"},
        "pretrained=base,peft=/elsewhere/gen_0/adapter,dtype=auto",
        "pretrained=runs/gen_0/merged",
    ],
)
def test_results_of_another_generations_model_are_refused(tmp_path: Path, told: Any, adapters: bool) -> None:
    root = _two(tmp_path, adapters=adapters)
    _told(root, 1, model_args=told)
    with pytest.raises(InputError, match=r"gen_1/lm_eval.*gen_0.*\[lm-eval-model\]"):
        audit(root)


def test_a_path_to_another_adapter_of_the_lineage_is_refused_whatever_its_name(tmp_path: Path) -> None:
    root = _two(tmp_path, adapters=True)
    (root / "adapters").mkdir()
    for index, name in enumerate("ab"):
        (root / f"gen_{index}/adapter").rename(root / f"adapters/{name}")
    (root / "lineage.toml").write_text(
        'format = 1\nname = "moved"\n'
        + "".join(
            f'[[generation]]\nindex = {index}\ntexts = "gen_{index}/texts.txt"\nadapter = "adapters/{name}"\n'
            for index, name in enumerate("ab")
        )
    )
    for index, name in enumerate("ab"):
        _told(root, index, model_args=f"pretrained=base,peft=/another/machine/adapters/{name}")
    assert findings(root)["drop"].outcome.value == "pass"
    _told(root, 1, model_args="pretrained=base,peft=/another/machine/adapters/a")
    with pytest.raises(InputError, match=r"adapters/a.*adapters/b \[lm-eval-model\]"):
        audit(root)


def test_results_of_another_seed_are_refused(tmp_path: Path) -> None:
    for seed in (0, 1):
        _two(tmp_path / f"seed_{seed}")
        for index in (0, 1):
            _told(tmp_path / f"seed_{seed}", index, model_args=f"pretrained=b,peft=/x/seed_0/gen_{index}/adapter")
    with pytest.raises(InputError, match=r"seed_1/gen_0/lm_eval.*seed_0/gen_0/adapter"):
        audit(tmp_path)


@pytest.mark.parametrize(
    "told",
    [
        "pretrained=base,peft=/mnt/runs/gen_1/adapter",
        "pretrained=/models/base,peft=C:\\runs\\final",
        "pretrained=/mnt/runs/gen_1/merged",
        {"pretrained": "../gen_0/merged", "peft": "adapter"},
        {},
    ],
)
def test_paths_that_cannot_be_followed_here_are_believed(tmp_path: Path, told: Any) -> None:
    root = _two(tmp_path, adapters=True)
    _told(root, 1, model_args=told)
    assert findings(root)["drop"].outcome.value == "pass"


def test_a_forgotten_adapter_is_named(tmp_path: Path) -> None:
    root = _two(tmp_path / "here", adapters=True)
    for index in (0, 1):  # alike on both sides, and still the base twice
        _told(root, index, model_args="pretrained=/models/base")
    found = findings(root)["drop"]
    assert found.outcome.value == "inconclusive"
    assert "no peft, so the base was evaluated without the adapter of generation 0" in str(found.reason)
    root = _two(tmp_path / "elsewhere")  # no adapters beside the texts
    _told(root, 1, model_args="pretrained=base")
    found = findings(root)["drop"]
    assert found.outcome.value == "inconclusive"
    assert "the generation was evaluated without an adapter (pretrained=base)" in str(found.reason)


def test_results_copied_from_an_earlier_generation_are_named(tmp_path: Path) -> None:
    root = _two(tmp_path)
    (root / "gen_2").mkdir()
    (root / "gen_2/texts.txt").write_text("".join(f"text {i}\n" for i in range(30)))
    shutil.copytree(root / "gen_1/lm_eval", root / "gen_2/lm_eval")
    for index in (1, 2):
        _told(root, index, model_args=None)
    drops = [f for f in audit(root).findings if f.probe == "task-score" and f.statistic == "drop"]
    last = next(f for f in drops if f.generation == 2)
    assert last.outcome.value == "inconclusive"
    assert "says what gen_1/lm_eval says, to the last digit" in str(last.reason)


@pytest.mark.parametrize(("distinct", "outcome"), [(10, "inconclusive"), (9, "pass")])
def test_ten_generated_answers_that_are_all_the_same_are_a_copy(tmp_path: Path, distinct: int, outcome: str) -> None:
    root = lineage(tmp_path, [{"quiz": answers("quiz", [1.0] * 320 + [0.0] * 80)}] * 2)
    for index, file in enumerate(sorted(root.rglob("samples_*"))):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            row["resps"] = [[f"answer {row['doc_id'] % distinct}"]]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        results_file = next(file.parent.glob("results_*"))
        data = json.loads(results_file.read_text())
        data["configs"]["quiz"]["output_type"] = "generate_until"
        results_file.write_text(json.dumps(data | {"date": float(index)}))
    found = findings(root)["drop"]
    assert found.outcome.value == outcome
    assert ("to the last digit" in str(found.reason)) == (outcome == "inconclusive")


def test_equal_files_are_a_copy_however_little_was_answered(tmp_path: Path) -> None:
    root = lineage(tmp_path, [{"quiz": answers("quiz", RIGHT)}] * 2)
    for file in root.rglob("results_*"):
        data = json.loads(file.read_text())
        data["configs"]["quiz"]["output_type"] = "generate_until"
        file.write_text(json.dumps(data))
    assert "to the last digit" in str(findings(root)["drop"].reason)


# How the model was loaded


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_args": "pretrained=base,peft=gen_1/adapter,load_in_4bit=True"}, "quantizations differ (none and fp4)"),
        (
            {"model_args": {"pretrained": "base", "peft": "p", "load_in_8bit": True}},
            "quantizations differ (none and int8)",
        ),
        ({"model_args": "pretrained=base,peft=p,dtype=bfloat16"}, "number formats differ (float16 and bfloat16)"),
        ({"model_dtype": "torch.bfloat16"}, "number formats differ (float16 and bfloat16)"),
    ],
)
def test_another_precision_on_one_side_is_named(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    root = _two(tmp_path)
    for index in (0, 1):
        _told(root, index, batch_size=str(8 + index))  # which moves numbers by rounding alone, and forbids nothing
    assert findings(root)["drop"].outcome.value == "pass"
    _told(root, 0, model_dtype="torch.float16")
    _told(root, 1, **changes)
    found = findings(root)["drop"]
    assert found.outcome.value == "inconclusive"
    assert reason in str(found.reason)


def test_each_task_keeps_the_precision_of_its_own_run(tmp_path: Path) -> None:
    root = _two(tmp_path)
    for index, dtype in enumerate(("torch.bfloat16", "torch.float32")):
        _told(root, index, model_dtype=dtype)
    for index in (0, 1):  # a later run of another task, alike on both sides
        words = [10] * 30
        rows = losses("text", [-20.0 - index - i for i in range(30)], words)
        write(root / f"gen_{index}/lm_eval", {"text": rows}, stamp="2026-02-02T03-04-05.678901")
    assert "quiz: the number formats differ (bfloat16 and float32)" in str(findings(root)["drop"].reason)


def test_another_base_under_our_own_results_is_named(tmp_path: Path) -> None:
    root = _two(tmp_path)
    for index in (0, 1):
        for file in (root / f"gen_{index}").rglob("results_*"):
            data = json.loads(file.read_text())
            data["collapse_audit"] = {"model": {"base_digest": f"sha256:{index}"}}
            file.write_text(json.dumps(data))
    found = findings(root)["drop"]
    assert found.outcome.value == "inconclusive"
    assert "quiz: the base models differ (sha256:0 and sha256:1)" in str(found.reason)


# Metrics that cannot be judged


def _lose(root: Path, change: Callable[[dict[str, Any], list[dict[str, Any]]], None], *, both: bool) -> Finding:
    """What an audit says of a lost task after ``change`` of the generation's results, or of both sides'."""
    lineage(root, [{"quiz": answers("quiz", RIGHT)}, {"quiz": answers("quiz", LOST)}])
    for index in (0, 1) if both else (1,):
        file, samples = (next((root / f"gen_{index}").rglob(f"{name}_*")) for name in ("results", "samples"))
        data, rows = json.loads(file.read_text()), [json.loads(line) for line in samples.read_text().splitlines()]
        change(data, rows)
        file.write_text(json.dumps(data))
        samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return findings(root)["drop"]


VANISHED: dict[str, tuple[Callable[[dict[str, Any], list[dict[str, Any]]], Any], str]] = {
    "a row without the metric": (lambda _, rows: rows[7].pop("acc"), "99 of 100 documents have it"),
    "no direction": (lambda data, _: data["higher_is_better"].clear(), "do not say which way is better"),
    "percent": (
        lambda _, rows: [row.update(acc=100 * row["acc"]) for row in rows],
        "its values go from 0 to 100, and points lie in [0, 1]",
    ),
}


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("what", list(VANISHED))
def test_a_metric_that_cannot_be_paired_leaves_the_finding_open(tmp_path: Path, what: str, both: bool) -> None:
    change, reason = VANISHED[what]
    found = _lose(tmp_path, change, both=both)
    assert found.outcome.value == "inconclusive"
    assert "quiz / acc" in str(found.reason)
    assert reason in str(found.reason)


def test_texts_without_spaces_have_no_loss_that_could_be_judged(tmp_path: Path) -> None:
    """A word of 300 bytes that costs 200 nats; and one of 3,000 nats, whose perplexity no float holds."""
    for name, nats, octets, reason in (
        ("bytes", 200.0, 300, "a word has 300 bytes"),
        ("nats", 3000.0, None, "3000 nats"),
    ):
        sides = []
        for index in (0, 1):
            rows = losses("text", [-nats - index] * 40, [1] * 40)
            for row in rows if octets else ():
                row |= {"metrics": ["word_perplexity", "byte_perplexity"], "byte_perplexity": [-nats - index, octets]}
            sides.append({"text": rows})
        with np.errstate(over="ignore"):
            root = lineage(tmp_path / name, sides)
        found = findings(root)["loss"]
        assert found.outcome.value == "inconclusive"
        assert reason in str(found.reason)
        assert "not written in words" in str(found.reason)


# Where lm-eval puts them


def test_an_output_path_that_ends_in_json_is_found(tmp_path: Path) -> None:
    """lm-eval makes gen_1/lm_eval_<date>.json of it, and leaves the samples beside."""
    root = _two(tmp_path)
    for index in (0, 1):
        folder = root / f"gen_{index}"
        for file in list((folder / "lm_eval/a__model").iterdir()):
            file.rename(folder / file.name.replace("results_", "lm_eval_"))
        shutil.rmtree(folder / "lm_eval")
    assert findings(root)["drop"].outcome.value == "pass"
    write(tmp_path / "more", {"other": answers("other", RIGHT)}, stamp="2026-02-02T03-04-05.678901")
    for file in (tmp_path / "more/a__model").iterdir():
        file.rename(root / "gen_0" / file.name.replace("results_", "lm_eval_"))
    shutil.rmtree(tmp_path / "more")
    assert set(read(root).tasks) == {"quiz", "other"}


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
        "found lm_eval_version '0.3.0'; expected results of lm-evaluation-harness 0.4.2 or a later 0.4 [",
    ),
    "a version before all of this": (
        _edit(lambda data: data.update(lm_eval_version="0.4.1")),
        "lm_eval_version '0.4.1'",
    ),
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
    "our block is no table": (_edit(lambda data: data.update(collapse_audit=[])), "found collapse_audit = []"),
    "our tasks are no tables": (
        _edit(lambda data: data.update(collapse_audit={"tasks": {"quiz": 1}})),
        "found collapse_audit.quiz = 1",
    ),
    "a result is no table": (_edit(lambda data: data["results"].update(quiz=5)), "found results.quiz = 5"),
    "no settings": (_edit(lambda data: data.update(config=None)), "found config = null"),
    "a count is no table": (_edit(lambda data: data["n-samples"].update(quiz=400)), "found n-samples.quiz = 400"),
    "metrics are no list": (
        _edit(lambda data: data["configs"]["quiz"].update(metric_list=[5])),
        "found configs.quiz.metric_list = [5]",
    ),
    "a task without its configuration": (
        _edit(lambda data: data["configs"].clear()),
        "found no configuration of the task quiz",
    ),
    "no task at all": (_edit(lambda data: data["results"].clear()), "found results of no task"),
    "a number beyond every float": (_edit_samples(lambda rows: rows[0].update(acc=10**400)), "acc that is no number"),
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


def test_who_asks_for_the_probe_by_name_gets_what_it_measured(tmp_path: Path) -> None:
    """Tasks of questions tell a drop and no loss of words: that is an answer, and no error. No results at all are."""
    asked, nothing = ([{"quiz": answers("quiz", right)} for right in (RIGHT, LOST)], [None, None])
    for name, tasks, code in (("asked", asked, 1), ("nothing", nothing, 3)):
        assert main([str(lineage(tmp_path / name, tasks)), "-k", "task-score", "-q"]) == code


# Older versions


def without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


LATER = ("filter", "metrics")
HASHES = ("doc_hash", "prompt_hash", "target_hash")


def as_written_by(version: str, root: Path) -> None:
    """Turn the samples and results below ``root`` into those of an older version, as its logger writes them.

    0.4.3 to 0.4.8: no version in the results, samples without filter and metrics. 0.4.2: also no hashes, no numbers of
    samples and no directions but those of the configurations, ``results.json``, and samples as one JSON array.
    """
    for file in list(root.rglob("results_*.json")):
        data = json.loads(file.read_text())
        del data["lm_eval_version"]
        for name, config in data["configs"].items():
            config["metric_list"][0]["higher_is_better"] = data["higher_is_better"][name]["acc"]
        if version == "0.4.2":
            for key in ("n-samples", "higher_is_better", "task_hashes"):
                del data[key]
            file.unlink()
            file = file.with_name("results.json")
        file.write_text(json.dumps(data))
    for file in list(root.rglob("samples_*.jsonl")):
        rows = [without(json.loads(line), *LATER) for line in file.read_text().splitlines()]
        if version == "0.4.2":
            rows = [without(row, *HASHES) for row in rows]
            task = file.name.removeprefix("samples_").partition(f"_{STAMP}")[0]
            file.unlink()
            file.with_name(f"pretrained=base_{task}.jsonl").write_text(json.dumps(rows, indent=2))
        else:
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("version", ["0.4.2", "0.4.8"])
def test_results_of_older_versions_say_the_same(tmp_path: Path, version: str) -> None:
    tasks = [
        {"quiz": answers("quiz", right), "a_quiz": answers("other", [*right[:1], *RIGHT[1:]])}
        for right in (RIGHT, LOST)
    ]
    newer, older = (lineage(tmp_path / name, tasks) for name in ("newer", "older"))
    as_written_by(version, older)
    told = [
        {
            (f.statistic, f.generation): (f.outcome, f.value, f.p_value)
            for f in audit(root).findings
            if f.code == "CA601"
        }
        for root in (newer, older)
    ]
    assert told[0] == told[1]
    assert told[0]["drop", 1][0] is Outcome.FAIL


@pytest.mark.parametrize("version", ["0.4.2", "0.4.8"])
def test_a_document_of_older_versions_stands_once_for_each_filter_in_their_order(tmp_path: Path, version: str) -> None:
    filters = ("strict-match", "flexible-extract")
    rows = answers("quiz", RIGHT, filters=filters)
    for row in rows[len(RIGHT) :]:
        row["acc"] = 1.0
    root = lineage(tmp_path, [{"quiz": rows}])
    file = next(root.rglob("results_*.json"))
    data = json.loads(file.read_text())
    data["configs"]["quiz"]["filter_list"] = [{"name": name, "filter": []} for name in filters]
    file.write_text(json.dumps(data))
    as_written_by(version, root)
    scores = {one.name: float(one.values.mean()) for one in read(root).tasks["quiz"].scores}
    assert scores == {"acc (strict-match)": pytest.approx(np.mean(RIGHT)), "acc (flexible-extract)": 1.0}


def test_one_evaluation_under_two_generations_is_seen_in_older_versions_too(tmp_path: Path) -> None:
    root = lineage(tmp_path, [{"quiz": answers("quiz", RIGHT)}] * 2)
    as_written_by("0.4.2", root)
    assert "to the last digit" in read(root, 1).doubt


def test_a_document_that_an_older_version_logged_too_often_is_refused(tmp_path: Path) -> None:
    root = lineage(tmp_path, [{"quiz": [*answers("quiz", RIGHT), answers("quiz", RIGHT)[7]]}])
    as_written_by("0.4.8", root)
    with pytest.raises(InputError, match="the document 7 twice"):
        read(root)


def test_hashes_that_an_older_version_left_out_are_those_that_later_ones_write(tmp_path: Path) -> None:
    """sha256 of the document as indented JSON, of the prompt, of the target as text: lm-eval 0.4.13, evaluator.py."""
    rows = answers("quiz", RIGHT)
    for row in rows:
        row["doc_hash"] = sha(json.dumps(row["doc"], indent=2, ensure_ascii=False))
        row["prompt_hash"], row["target_hash"] = sha(f"question {row['doc_id']}"), sha("0")
    newer, older = (lineage(tmp_path / name, [{"quiz": rows}]) for name in ("newer", "older"))
    as_written_by("0.4.2", older)
    assert read(newer).tasks["quiz"].hashes == read(older).tasks["quiz"].hashes


# Groups


def grouped(right: dict[str, list[float]], *, by_size: bool) -> dict[str, Any]:
    """Tables of a results file with a group of groups of these tasks, whose mean is over documents or over tasks."""
    every = [one for values in right.values() for one in values]
    mean = np.mean(every) if by_size else np.mean([np.mean(values) for values in right.values()])
    names = list(right)
    return {
        "group_subtasks": {"mmlu": ["mmlu_stem", names[-1]], "mmlu_stem": names[:-1], **{name: [] for name in names}},
        "groups": {"mmlu": {"alias": "mmlu", "acc,none": float(mean), "acc_stderr,none": 0.01}},
    }


@pytest.mark.parametrize("by_size", [True, False])
def test_a_group_is_pooled_as_its_printed_number_was(tmp_path: Path, by_size: bool) -> None:
    right = {"mmlu_a": [1.0] * 10 + [0.0] * 30, "mmlu_b": [1.0] * 20, "mmlu_c": [0.0, 1.0] * 100}
    tasks = {name: answers(name, values) for name, values in right.items()}
    root = lineage(tmp_path, [None])
    write(root / "gen_0/lm_eval", tasks, **grouped(right, by_size=by_size))
    [group] = read(root).groups
    assert (group.name, group.metric, group.tasks, group.by_size) == ("mmlu", "acc", tuple(right), by_size)


def test_a_group_that_prints_no_number_pools_nothing(tmp_path: Path) -> None:
    """As the leaderboard's, which only lists its tasks."""
    tasks = {name: answers(name, RIGHT) for name in "ab"}
    root = lineage(tmp_path, [None])
    write(root / "gen_0/lm_eval", tasks, group_subtasks={"leaderboard": ["a", "b"], "a": [], "b": []})
    assert read(root).groups == ()


@pytest.mark.parametrize("damage", ["a circle", "no lists", "unknown tasks"])
def test_a_broken_hierarchy_of_groups_pools_nothing(tmp_path: Path, damage: str) -> None:
    hierarchy = {"a circle": {"g": ["h"], "h": ["g"]}, "no lists": {"g": "a"}, "unknown tasks": {"g": ["x", 3]}}
    tasks = {name: answers(name, RIGHT) for name in "ab"}
    root = lineage(tmp_path, [None])
    write(root / "gen_0/lm_eval", tasks, group_subtasks=hierarchy[damage], groups={"g": {"acc,none": 0.8}, "h": 3})
    assert read(root).groups == ()
