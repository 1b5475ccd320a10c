"""Results and samples in the form in which lm-eval 0.4.13 writes them, with numbers of the test's own choice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

STAMP = "2026-01-02T03-04-05.678901"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def answers(task: str, right: Sequence[float], *, filters: Sequence[str] = ("none",)) -> list[dict[str, Any]]:
    """Samples of a multiple-choice task: a document each, answered right (1) or wrong (0)."""
    return [
        {
            "doc_id": number,
            "doc": {"question": f"question {number}"},
            "target": "0",
            "arguments": {"gen_args_0": {"arg_0": f"question {number}", "arg_1": " a"}},
            "resps": [[[str(-0.5 - score), "False"]]],
            "filtered_resps": [[str(-0.5 - score), "False"]],
            "filter": chosen,
            "metrics": ["acc"],
            "doc_hash": sha(f"{task} doc {number}"),
            "prompt_hash": sha(f"{task} prompt {number}"),
            "target_hash": sha(f"{task} target {number}"),
            "acc": float(score),
        }
        for chosen in filters
        for number, score in enumerate(right)
    ]


def losses(task: str, likelihoods: Sequence[float], words: Sequence[int]) -> list[dict[str, Any]]:
    """Samples of a rolling task: log-likelihood in nats and number of words of each document."""
    rows = answers(task, likelihoods)
    for row, likelihood, count in zip(rows, likelihoods, words, strict=True):
        del row["acc"]
        row |= {"metrics": ["word_perplexity"], "word_perplexity": [likelihood, count], "resps": [[str(likelihood)]]}
    return rows


def results(tasks: Mapping[str, list[dict[str, Any]]], **changes: Any) -> dict[str, Any]:
    """The results file of these samples."""
    return {
        "results": {name: {"alias": name, **_aggregated(rows)} for name, rows in tasks.items()},
        "group_subtasks": {name: [] for name in tasks},
        "configs": {
            name: {
                "task": name,
                "output_type": "loglikelihood_rolling" if "word_perplexity" in rows[0] else "multiple_choice",
                "metric_list": [{"metric": rows[0]["metrics"][0], "aggregation": _how(rows)}],
            }
            for name, rows in tasks.items()
        },
        "versions": dict.fromkeys(tasks, 1.0),
        "n-shot": dict.fromkeys(tasks, 0),
        "higher_is_better": {
            name: {rows[0]["metrics"][0]: "word_perplexity" not in rows[0]} for name, rows in tasks.items()
        },
        "n-samples": {
            name: {"original": 1000, "effective": len({row["doc_id"] for row in rows})} for name, rows in tasks.items()
        },
        "config": {"model": "hf", "model_args": "pretrained=base", "batch_size": "8", "limit": None},
        "git_hash": "abc",
        "date": 1767319445.0,
        "lm_eval_version": "0.4.13",
        "task_hashes": {
            name: sha("".join(row["doc_hash"] + row["prompt_hash"] + row["target_hash"] for row in rows))
            for name, rows in tasks.items()
        },
        **changes,
    }


def _how(rows: Sequence[Mapping[str, Any]]) -> str:
    return "weighted_perplexity" if "word_perplexity" in rows[0] else "mean"


def _aggregated(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if "word_perplexity" in rows[0]:
        likelihood, words = np.array([row["word_perplexity"] for row in rows], dtype=float).T
        return {"word_perplexity,none": float(np.exp(-likelihood.sum() / words.sum()))}
    by_filter = {row["filter"]: [each["acc"] for each in rows if each["filter"] == row["filter"]] for row in rows}
    mean = {f"acc,{chosen}": float(np.mean(values)) for chosen, values in by_filter.items()}
    return mean | {f"acc_stderr,{chosen}": "N/A" for chosen in by_filter}


def write(folder: Path, tasks: Mapping[str, list[dict[str, Any]]], *, stamp: str = STAMP, **changes: Any) -> Path:
    """As ``lm_eval --output_path FOLDER --log_samples`` leaves them; the results file."""
    inside = folder / "a__model"
    inside.mkdir(parents=True, exist_ok=True)
    for name, rows in tasks.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (inside / f"samples_{name}_{stamp}.jsonl").write_text(text)
    file = inside / f"results_{stamp}.json"
    file.write_text(json.dumps(results(tasks, **changes)))
    return file


def lineage(root: Path, evaluated: Sequence[Mapping[str, list[dict[str, Any]]] | None]) -> Path:
    """A folder of generations with these results, and texts that differ a little."""
    for number, tasks in enumerate(evaluated):
        folder = root / f"gen_{number}"
        folder.mkdir(parents=True)
        words = np.random.default_rng(number).choice(["one", "two", "three", "four"], size=(30, 8))
        (folder / "texts.txt").write_text("".join(" ".join(line) + "\n" for line in words))
        if tasks is not None:
            write(folder / "lm_eval", tasks)
    return root
