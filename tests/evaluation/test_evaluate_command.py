"""``collapse-lineage evaluate`` on a committed lineage, in 4 bit, against likelihoods computed without lm-eval."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collapse_audit import audit
from collapse_audit.lineage_cli import main

pytest.importorskip("lm_eval")
LINEAGES = Path(__file__).parents[2] / "lineages"
TASKS = ("collapse_eu_tirads", "collapse_reference_perplexity")
ANSWERED = "collapse_answer_perplexity"
LIMIT = 6


@pytest.fixture(scope="module", autouse=True)
def _offline() -> Iterator[None]:
    """Nothing here may ask the network, nor wait for it: lm-eval's dummy model looks for a tokenizer on the hub."""
    import huggingface_hub.constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")  # for processes; in this one it was read when something imported the client
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        yield


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generations 0 and 1 of seed 0, six documents a task. Only to be read."""
    root = tmp_path_factory.mktemp("evaluated") / "lineage"
    shutil.copytree(LINEAGES / "mistral_recursive", root, ignore=shutil.ignore_patterns("lm_eval*"))
    assert main(command(root)) == 0
    return root


@pytest.fixture
def copy(evaluated: Path, tmp_path: Path) -> Path:
    """One that a test may change."""
    return Path(shutil.copytree(evaluated, tmp_path / "lineage"))


def command(root: Path, *more: str, generations: str = "0-1") -> list[str]:
    tasks = [word for task in TASKS for word in ("--task", task)]
    chosen = ["--seed", "0", "--generation", generations, "--limit", str(LIMIT), "--batch-size", "4", "--quiet"]
    return ["evaluate", str(root), *chosen, *tasks, *more]


def results(root: Path, index: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / f"seed_0/gen_{index}/lm_eval.json").read_text("utf-8"))
    return found


def samples(root: Path, index: int, task: str) -> list[dict[str, Any]]:
    file = root / f"seed_0/gen_{index}/lm_eval_samples_{task}.jsonl.gz"
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def bytes_of(root: Path, index: int) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / f"seed_0/gen_{index}").glob("lm_eval*")}


class Fake:
    """In the place of the model and of lm-eval: which generations were evaluated on what."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        from collapse_audit.lineages.evaluation import evaluate, harness

        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.interrupt_at = -1
        real = harness.Harness.evaluate
        assert real

        def load(base: Any, recipe: Any, *, writer: Path, scorer: Path) -> tuple[Any, Any]:  # noqa: ARG001
            return writer.parent.name, None

        def run(_: Any, model: str, tokenizer: Any, names: Any) -> Any:  # noqa: ARG001
            if len(self.calls) == self.interrupt_at:
                raise KeyboardInterrupt
            self.calls.append((model, tuple(names)))
            made = {name: self._rows(model) for name in names}
            about = {name: {"alias": name, "acc,none": 0.5} for name in names}
            return {
                "results": about,
                "configs": {name: {"task": name, "metadata": {"config_source": "/here"}} for name in names},
                "versions": dict.fromkeys(names, 1.0),
                "n-samples": {name: {"original": 2, "effective": 2} for name in names},
                "higher_is_better": {name: {"acc": True} for name in names},
                "config": {},
                "lm_eval_version": "0.4.13",
                "date": 1.0,
            }, made

        patch.setattr(evaluate, "load_generation", load)
        patch.setattr(harness.Harness, "evaluate", run)

    @staticmethod
    def _rows(model: str) -> list[dict[str, Any]]:
        about = {"arguments": [], "target": "", "filter": "none", "metrics": ["acc"], "filtered_resps": []}
        hashes = {"doc_hash": "d", "prompt_hash": "p", "target_hash": "t"}
        return [{**about, **hashes, "doc_id": i, "acc": float(i), "resps": [[f"{model}"]]} for i in range(2)]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(monkeypatch)


# The numbers


def generation_1(root: Path) -> tuple[Any, Any]:
    """The model of generation 1 of seed 0, and its tokenizer."""
    from collapse_audit.lineages.training.base import prepare_base
    from collapse_audit.lineages.training.models import load_generation
    from collapse_audit.lineages.training.progress import Silent
    from collapse_audit.lineages.training.run import open_run

    run = open_run(root)
    adapter = root / "seed_0/gen_1/adapter"
    return load_generation(prepare_base(run.root, run.recipe, Silent()), run.recipe, writer=adapter, scorer=adapter)


def log_likelihood(model: Any, before: Sequence[int], tokens: Sequence[int]) -> float:
    """Of ``tokens`` behind ``before``, in nats and float64, without the harness."""
    import torch

    ids = torch.tensor([[*before, *tokens]])
    with torch.inference_mode():
        logp = model(input_ids=ids).logits[0, :-1].double().log_softmax(-1)
    return float(logp.gather(1, ids[0, 1:, None])[len(before) - 1 :].sum())


def test_perplexities_are_those_of_the_model_computed_without_the_harness(evaluated: Path) -> None:
    """-log p of every token after the first one, in float64, text by text, no padding."""
    model, tokenizer = generation_1(evaluated)
    rows = samples(evaluated, 1, "collapse_reference_perplexity")
    total = words = octets = 0.0
    for row in rows:
        text = row["doc"]["text"]
        likelihood = log_likelihood(model, [tokenizer.bos_token_id], tokenizer.encode(text, add_special_tokens=False))
        assert row["word_perplexity"][0] == pytest.approx(likelihood, abs=1e-3)
        total, words, octets = total + likelihood, words + len(text.split()), octets + len(text.encode())
    printed = results(evaluated, 1)["results"]["collapse_reference_perplexity"]
    assert printed["word_perplexity,none"] == pytest.approx(math.exp(-total / words), rel=1e-4)
    assert printed["byte_perplexity,none"] == pytest.approx(math.exp(-total / octets), rel=1e-4)
    assert printed["bits_per_byte,none"] == pytest.approx(-total / octets / math.log(2), rel=1e-4)


def test_an_answer_s_perplexity_is_that_of_its_words_behind_its_prompt(copy: Path) -> None:
    """The white space between prompt and answer is counted as the answer's, which is how lm-eval splits the two."""
    which = ("--seed", "0", "--generation", "1", "--limit", "6")
    assert main(["evaluate", str(copy), "-q", *which, "--task", ANSWERED]) == 0
    model, tokenizer = generation_1(copy)
    rows = samples(copy, 1, ANSWERED)
    assert len(rows) == 6
    total = octets = 0.0
    for row in rows:
        asked, text = row["doc"]["question"].rstrip(), row["doc"]["text"]
        space = row["doc"]["question"][len(asked) :]
        answer = tokenizer.encode(space + text, add_special_tokens=False)
        likelihood = log_likelihood(model, tokenizer.encode(asked), answer)
        assert row["word_perplexity"] == [pytest.approx(likelihood, abs=1e-3), len(text.split())]
        total, octets = total + likelihood, octets + len(text.encode())
    printed = results(copy, 1)["results"][ANSWERED]
    assert printed["bits_per_byte,none"] == pytest.approx(-total / octets / math.log(2), rel=1e-4)


def test_classification_is_scored_as_scikit_learn_does(evaluated: Path) -> None:
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    rows = samples(evaluated, 0, "collapse_eu_tirads")
    said = [1 + int(np.argmax([float(one[0]) for one in row["filtered_resps"]])) for row in rows]
    true = [row["doc"]["category"] for row in rows]
    printed = results(evaluated, 0)["results"]["collapse_eu_tirads"]
    assert printed["acc,none"] == pytest.approx(accuracy_score(true, said))
    assert printed["macro_f1,none"] == pytest.approx(f1_score(true, said, average="macro"))
    recalls = recall_score(true, said, average=None, labels=sorted(set(true)), zero_division=0)
    assert [printed[f"recall_{one},none"] for one in sorted(set(true))] == pytest.approx(list(recalls))


def test_two_generations_answer_the_same_questions_with_other_likelihoods(evaluated: Path) -> None:
    for task in TASKS:
        before, after = samples(evaluated, 0, task), samples(evaluated, 1, task)
        assert len(before) == LIMIT
        for part in ("doc_id", "doc_hash", "prompt_hash", "target_hash"):
            assert [row[part] for row in before] == [row[part] for row in after]
        assert [row["resps"] for row in before] != [row["resps"] for row in after]


def test_results_name_the_model_and_no_place_of_this_machine(evaluated: Path) -> None:
    from collapse_audit.lineages.files.digest import file_digest

    for index in (0, 1):
        found = results(evaluated, index)
        weights = evaluated / f"seed_0/gen_{index}/adapter/adapter_model.safetensors"
        assert found["collapse_audit"]["model"]["adapter_digest"] == file_digest(weights)
        assert found["collapse_audit"]["model"]["quantization"] == "nf4"
        assert found["config"]["batch_size"] == 4
        assert found["config"]["use_cache"] is None
        text = json.dumps(found)
        assert str(evaluated) not in text
        assert not {"date", "start_time", "pretty_env_info", "git_hash"} & found.keys()


def test_an_audit_reads_them(evaluated: Path) -> None:
    report = audit(evaluated, select="task-score", generations="1")
    measured = {f.statistic: f for f in report.findings if f.seed == "0"}
    loss = measured["loss"]
    perplexity = [
        results(evaluated, index)["results"]["collapse_reference_perplexity"]["word_perplexity,none"]
        for index in (0, 1)
    ]
    assert loss.value == pytest.approx(math.log(perplexity[1] / perplexity[0]))
    assert measured["drop"].raw["worst"] == "collapse_eu_tirads / acc"


# What is evaluated, and what is left alone


def test_what_is_current_is_left_alone_and_a_new_generation_alone_is_evaluated(
    copy: Path, fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [bytes_of(copy, index) for index in (0, 1)]
    assert main(command(copy)) == 0
    assert fake.calls == []
    assert "seed 0, generation 1: current" in capsys.readouterr().out
    assert main(command(copy, generations="0-2")) == 0
    assert fake.calls == [("gen_2", TASKS)]
    assert [bytes_of(copy, index) for index in (0, 1)] == before
    assert len(bytes_of(copy, 2)) == 1 + len(TASKS)


def test_a_changed_adapter_is_evaluated_again(copy: Path, fake: Fake) -> None:
    weights = "adapter/adapter_model.safetensors"
    shutil.copy(copy / f"seed_0/gen_3/{weights}", copy / f"seed_0/gen_1/{weights}")
    assert main(command(copy)) == 0
    assert fake.calls == [("gen_1", TASKS)]


def test_changed_or_lost_samples_are_evaluated_again(copy: Path, fake: Fake) -> None:
    (copy / "seed_0/gen_0/lm_eval_samples_collapse_eu_tirads.jsonl.gz").unlink()
    (copy / "seed_0/gen_1/lm_eval_samples_collapse_reference_perplexity.jsonl.gz").write_text("{}\n")
    assert main(command(copy)) == 0
    assert fake.calls == [("gen_0", TASKS[:1]), ("gen_1", TASKS[1:])]


def test_another_limit_or_batch_size_is_another_evaluation(copy: Path, fake: Fake) -> None:
    assert main(command(copy, "--limit", "5", generations="1")) == 0
    assert main(command(copy, "--batch-size", "5", generations="0")) == 0
    assert fake.calls == [("gen_1", TASKS), ("gen_0", TASKS)]


def test_another_task_is_added_and_those_that_are_there_stay(copy: Path, fake: Fake, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    (tmp_path / "own.jsonl").write_text('{"q": "a", "a": 0}\n{"q": "b", "a": 1}\n')
    file.write_text(
        f"task: own\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path}/own.jsonl}}}}\n"
        "test_split: test\noutput_type: multiple_choice\ndoc_to_text: '{{q}}'\ndoc_to_choice: [' a', ' b']\n"
        "doc_to_target: a\nmetric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n"
        "metadata: {version: 1.0}\n"
    )
    before = results(copy, 1)["results"]
    assert main([*command(copy, generations="1"), "--task", str(file)]) == 0
    assert fake.calls == [("gen_1", ("own",))]
    after = results(copy, 1)["results"]
    assert {name: after[name] for name in TASKS} == before
    assert set(after) == {*TASKS, "own"}


def test_an_interrupted_run_keeps_what_was_finished(copy: Path, fake: Fake, capfd: pytest.CaptureFixture[str]) -> None:
    for index in (0, 1):
        for path in (copy / f"seed_0/gen_{index}").glob("lm_eval*"):
            path.unlink()
    fake.interrupt_at = 1
    assert main(command(copy)) == 2
    assert "what was finished is kept" in capfd.readouterr().err
    assert len(bytes_of(copy, 0)) == 1 + len(TASKS)
    assert not bytes_of(copy, 1)
    assert not list((copy / "seed_0").rglob(".lm_eval*"))
    fake.interrupt_at = -1
    assert main(command(copy)) == 0
    assert [model for model, _ in fake.calls] == ["gen_0", "gen_1"]


# What is refused


def test_a_generation_without_its_adapter_is_refused(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (copy / "seed_0/gen_1/adapter/adapter_model.safetensors").unlink()
    assert main(command(copy)) == 4
    assert "generation 1 of seed 0 has no adapter" in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--task", "nowhere.yaml"], "--task nowhere.yaml: no such file"),
        (["--seed", "7"], "has no seed 7; it has 0, 1, 2"),
        (["--generation", "9"], "the lineage has no such generation"),
    ],
)
def test_what_is_not_there_is_named(
    evaluated: Path, more: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*command(evaluated), *more]) == 4
    assert message in " ".join(capfd.readouterr().err.split())


def test_a_task_file_that_lm_eval_cannot_load_is_named(
    evaluated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("task: broken\noutput_type: multiple_choice\n")
    assert main([*command(evaluated), "--task", str(file)]) == 4
    assert "broken.yaml: lm-eval cannot load it" in " ".join(capfd.readouterr().err.split())


def test_a_number_of_documents_is_at_least_one(evaluated: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(command(evaluated, "--limit", "0"))
    assert stopped.value.code == 4
    assert "'0' is not a number of 1 or more" in capfd.readouterr().err


def test_results_of_somebody_else_are_not_overwritten(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = copy / "seed_0/gen_1/lm_eval.json"
    file.write_text('{"results": {}}')
    assert main(command(copy)) == 4
    assert "was not written by collapse-lineage evaluate" in " ".join(capfd.readouterr().err.split())
    assert file.read_text() == '{"results": {}}'


def test_texts_of_one_long_word_are_named_and_not_a_crash(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """exp(-log-likelihood / words) of a word of hundreds of tokens is beyond every float, in lm-eval itself."""
    from lm_eval import evaluator

    from collapse_audit.lineages.evaluation import evaluate

    def overflow(**_: Any) -> None:
        math.exp(710)

    monkeypatch.setattr(evaluate, "load_generation", lambda *_, **__: (None, None))
    monkeypatch.setattr("lm_eval.models.huggingface.HFLM", lambda **_: None)
    monkeypatch.setattr(evaluator, "evaluate", overflow)
    (copy / "seed_0/gen_1/lm_eval.json").unlink()
    assert main(command(copy, generations="1")) == 4
    said = " ".join(capfd.readouterr().err.split())
    assert "texts without spaces are one word each" in said
    assert not list((copy / "seed_0").rglob(".lm_eval*"))


# The tasks for users of lm-eval alone


def test_plain_lm_eval_runs_the_tasks_and_an_audit_reads_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """lm-eval's dummy model draws its likelihoods: two runs are two models, neither of which knows anything."""
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--include-path"])
    assert stopped.value.code == 0
    folder = capsys.readouterr().out.strip()
    rows = [
        {"prompt": f"description {i}", "text": f"EU-TIRADS {1 + i % 5}, {'word ' * (i % 7)}", "id": str(i)}
        for i in range(40)
    ]
    reference = tmp_path / "reference.holdout.jsonl"
    reference.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for index in (0, 1):
        texts = tmp_path / f"lineage/gen_{index}/texts.txt"
        texts.parent.mkdir(parents=True)
        texts.write_text("".join(f"text {i} of {index}\n" for i in range(20)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lm_eval.evaluator import simple_evaluate
        from lm_eval.loggers import EvaluationTracker
        from lm_eval.tasks import TaskManager

        tasks = TaskManager(
            include_path=folder, include_defaults=False, metadata={"reference": str(reference)}
        )  # what the command makes of --include_path and --metadata, without its own 14,000 task files
        for index in (0, 1):
            tracker = EvaluationTracker(output_path=str(tmp_path / f"lineage/gen_{index}/lm_eval"))
            found = simple_evaluate(
                model="dummy",
                tasks=[*TASKS, ANSWERED, "collapse_conclusion"],
                task_manager=tasks,
                evaluation_tracker=tracker,
                random_seed=index,
                bootstrap_iters=0,
            )
            samples = found.pop("samples")
            tracker.save_results_aggregated(results=found, samples=samples)
            for name in samples:
                tracker.save_results_samples(task_name=name, samples=samples[name])
    findings = {f.statistic: f for f in audit(tmp_path / "lineage").findings if f.probe == "task-score"}
    assert {f.outcome.value for f in findings.values()} <= {"pass", "fail", "inconclusive"}
    assert findings["loss"].value is not None
    assert findings["drop"].n_generation == 40
