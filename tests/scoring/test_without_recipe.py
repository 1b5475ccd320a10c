"""Lineages that another trainer made: a base and adapters are enough to score and to evaluate them."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.training.without_recipe import implied_recipe

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bare(trained: Path, tmp_path: Path) -> Path:
    """Two generations as plain folders, without a manifest; the base lies elsewhere."""
    root = tmp_path / "bare"
    for index in (0, 1):
        shutil.copytree(trained / f"seed_0/gen_{index}/adapter", root / f"gen_{index}/adapter")
        (texts,) = (trained / f"seed_0/gen_{index}").glob("texts.jsonl*")
        shutil.copy(texts, root / f"gen_{index}/{texts.name}")
    return root


def by_hand(base: Path, adapter: Path, text: str) -> float:
    """Mean of -ln p of the text's tokens after the token that texts begin with."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries about each other
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(adapter)).eval()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([[tokenizer.bos_token_id, *ids]])).logits[0].float()
    return float(-torch.log_softmax(logits, -1)[torch.arange(len(ids)), torch.tensor(ids)].mean())


def test_likelihoods_are_those_of_base_and_adapter(bare: Path, trained: Path, collapse_lineage: Command) -> None:
    code, _, err = collapse_lineage("score", bare, "--base", trained / "base", "--out", bare.parent / "scored", "-q")
    assert code == 0, err
    (scored,) = (bare.parent / "scored/gen_1").glob("texts.jsonl*")
    rows = [row for batch in open_corpus(scored).batches() for row in batch.to_pylist()]
    short = [row for row in rows if row["text"].strip()][:3]
    expected = [by_hand(trained / "base", bare / "gen_0/adapter", row["text"]) for row in short]
    assert np.array([row["nll"] for row in short]) == pytest.approx(expected, rel=1e-3)


def test_the_base_is_named_found_or_asked_for(bare: Path, trained: Path) -> None:
    lineage = load_lineage(bare)
    named = implied_recipe(lineage, "bare", str(trained / "base"))
    assert (named.base.folder, named.quantization) == (str(trained / "base"), "none")
    assert implied_recipe(lineage, "bare", "someone/model").base.hub == "someone/model"
    for index, said in enumerate(("a/one", "another/one")):
        file = bare / f"gen_{index}/adapter/adapter_config.json"
        file.write_text(json.dumps({"base_model_name_or_path": said}), "utf-8")
    with pytest.raises(UsageError, match="its adapters name a/one, another/one; name it: --base FOLDER"):
        implied_recipe(lineage, "bare", None)
    shutil.copytree(trained / "base", bare / "base")
    assert implied_recipe(lineage, "bare", None).base.folder == str(bare / "base")


def test_a_base_beside_a_recipe_is_refused(trained: Path, collapse_lineage: Command) -> None:
    for command in ("score", "evaluate"):
        code, _, err = collapse_lineage(command, trained, "--base", "x")
        assert code == 4
        assert "has a recipe, and that names the base; leave --base out" in err


QUESTIONS = {"a": [1, 0, 1, 0, 1, 1], "b": [0, 1, 0]}


def group_file(folder: Path) -> Path:
    """A group of two tasks of six and three questions, pooled by their documents."""
    tasks = []
    for name, answers in QUESTIONS.items():
        data = folder / f"{name}.jsonl"
        data.write_text(
            "".join(json.dumps({"q": f"{n} thyroid", "a": a}) + "\n" for n, a in enumerate(answers)), "utf-8"
        )
        task = {
            "task": f"toy_{name}",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "{{q}}",
            "doc_to_choice": ["no", "yes"],
            "doc_to_target": "{{a}}",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        }
        (folder / f"toy_{name}.yaml").write_text(json.dumps(task), "utf-8")  # JSON is YAML
        tasks.append(task["task"])
    pooled = [{"metric": "acc", "aggregation": "mean", "weight_by_size": True}]
    file = folder / "toy_group.yaml"
    lines = ["group: toy_group", f"task: {json.dumps(tasks)}", f"aggregate_metric_list: {json.dumps(pooled)}"]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def test_a_group_is_evaluated_kept_and_read_as_one(
    bare: Path, trained: Path, tmp_path: Path, collapse_lineage: Command
) -> None:
    pytest.importorskip("lm_eval")
    from collapse_audit.lineages.measured.lm_eval_results import read_results

    argv: tuple[Any, ...] = ("evaluate", bare, "--base", trained / "base", "--task", group_file(tmp_path), "-q")
    code, out, err = collapse_lineage(*argv)
    assert code == 0, err
    assert out.splitlines() == ["generation 0: toy_a, toy_b", "generation 1: toy_a, toy_b"]
    results = json.loads((bare / "gen_1/lm_eval.json").read_text("utf-8"))
    scores = {name: results["results"][f"toy_{name}"]["acc,none"] for name in QUESTIONS}
    assert results["results"]["toy_group"]["acc,none"] == pytest.approx((6 * scores["a"] + 3 * scores["b"]) / 9)
    read = read_results(load_lineage(bare).generations[1])
    assert read is not None
    assert [(group.name, group.tasks, group.by_size) for group in read.groups] == [
        ("toy_group", ("toy_a", "toy_b"), True)
    ]
    before = (bare / "gen_1/lm_eval.json").read_bytes()
    assert collapse_lineage(*argv)[1].splitlines() == ["generation 0: current", "generation 1: current"]
    (bare / "gen_1/lm_eval_samples_toy_b.jsonl.gz").unlink()  # one task of the group is gone: all are made again
    assert collapse_lineage(*argv)[1].splitlines() == ["generation 0: current", "generation 1: toy_a, toy_b"]
    assert (bare / "gen_1/lm_eval.json").read_bytes() == before
