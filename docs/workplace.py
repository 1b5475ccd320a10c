"""A folder such as a reader of the pages might have: some lineages under runs/, a file of texts, this repository's.

The texts are sentences of made-up words, drawn independently from Zipf's law, so what is true of each lineage is known.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
_SYLLABLES = ("ka", "lo", "mi", "ren", "su", "ta", "vo", "zi", "ba", "do")
_WORDS = [a + b + c for a in _SYLLABLES for b in _SYLLABLES for c in ("", "n", "ra")]
_LENGTH = 30
_DOCUMENTS = 250


def make(place: Path) -> Path:
    """Fill the empty folder ``place`` and return it."""
    for name in ("lineages", "docs", "examples", "benchmarks"):
        if (ROOT / name).is_dir():
            (place / name).symlink_to(ROOT / name)
    for seed, name in enumerate(("latest", "recursive", "cross", "new", "clinic")):
        collapses = name in ("latest", "recursive")
        lineage(place / "runs" / name, seed=seed, words=(300, 60) if collapses else (300, 300))
    (place / "texts.txt").write_text("".join(f"{text}\n" for text in texts(99, 1500, 300)), "utf-8")
    exports(place / "exports")
    trained(place / "trained")
    lineage(place / "runs" / "tidy", seed=5, words=(300, 60))
    _write(place / "runs" / "tidy" / "gen_1.control.jsonl", texts(5099, _DOCUMENTS, 120))
    return place


def exports(root: Path) -> None:
    """What five programs write of 200 texts, before and after."""
    root.mkdir()
    ask = "Describe it."
    for side, known in enumerate((300, 250)):
        written = texts(700 + side, 200, known)
        turns = [[{"role": "user", "content": ask}, {"role": "assistant", "content": text}] for text in written]
        _lines(root / f"chat_{side}.jsonl", [{"messages": both} for both in turns])
        bodies = [{"choices": [{"index": 0, "message": both[1]}]} for both in turns]
        answers = [{"custom_id": str(n), "response": {"body": body}} for n, body in enumerate(bodies)]
        _lines(root / f"batch_{side}.jsonl", answers)
        asked = {"gen_args_0": {"arg_0": ask}}
        samples = [{"doc": {}, "target": "gold", "arguments": asked, "resps": [[text]]} for text in written]
        _lines(root / f"samples_{side}.jsonl", samples)
        rows = ["id;report;size", *(f'{n};"{text}";1,5' for n, text in enumerate(written))]
        (root / f"sheet_{side}.csv").write_bytes("\r\n".join([*rows, ""]).encode("utf-8-sig"))
        (root / f"shards_{side}").mkdir()
        for part in range(2):
            half = written[100 * part : 100 * (part + 1)]
            table = pa.table({"prompt": [ask] * 100, "completion": half})
            pq.write_table(table, root / f"shards_{side}" / f"part-{part:05}-of-00002.parquet")


def trained(root: Path) -> None:
    """What trainers and servers leave on disk of 200 texts, before and after."""
    ask, places = "Describe it.", ("trl/completions", "axolotl", "unsloth", "vllm")
    for place in places:
        (root / place).mkdir(parents=True)
    for side, (step, known) in enumerate(((10, 300), (500, 250))):
        written = texts(800 + side, 200, known)
        asked = [f"{ask} {number // 2}" for number in range(200)]
        prompts = [[{"role": "user", "content": prompt}] for prompt in asked]
        answers = [[{"role": "assistant", "content": text}] for text in written]
        table = pa.table({"step": [step] * 200, "prompt": prompts, "completion": answers, "reward": [0.5] * 200})
        pq.write_table(table, root / "trl" / "completions" / f"completions_{step:05}.parquet")
        turns = [[{"from": "human", "value": ask}, {"from": "gpt", "value": text}] for text in written]
        _lines(root / "axolotl" / f"gen_{side}.jsonl", [{"conversations": both} for both in turns])
        rows = [{"instruction": "Describe", "input": "it.", "output": text} for text in written]
        (root / "unsloth" / f"{('before', 'after')[side]}.json").write_text(json.dumps(rows), "utf-8")
        outputs = [{"prompt": ask, "outputs": [{"index": 0, "text": text}], "finished": True} for text in written]
        _lines(root / "vllm" / f"offline_{side}.jsonl", outputs)
        bodies = [{"choices": [{"index": 0, "message": said[0]}]} for said in answers]
        _lines(
            root / "vllm" / f"batch_{side}.jsonl", [{"custom_id": "0", "response": {"body": body}} for body in bodies]
        )


def lineage(root: Path, *, seed: int, words: Sequence[int], count: int = _DOCUMENTS) -> None:
    """A bare folder: a reference, and one generation for each number of words that it knows, ``count`` texts each."""
    _write(root / "reference.jsonl", texts(1000 * seed, count, words[0]))
    for index, known in enumerate(words):
        _write(root / f"gen_{index}.jsonl", texts(1000 * seed + 2 * index + 1, count, known))
        _write(root / f"gen_{index}.holdout.jsonl", texts(1000 * seed + 2 * index + 2, count, known))


def texts(seed: int, count: int, words: int) -> list[str]:
    """``count`` documents of 30 words from the ``words`` most frequent ones, with weights 1/10, 1/11, 1/12, …"""
    rng = random.Random(seed)
    weights = [1 / (rank + 10) for rank in range(words)]
    return [" ".join(rng.choices(_WORDS[:words], weights, k=_LENGTH)) for _ in range(count)]


def _lines(path: Path, records: Sequence[object]) -> None:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), "utf-8")


def _write(path: Path, documents: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps({'text': text})}\n" for text in documents), "utf-8")


def copy(made: Path, place: Path) -> Path:
    """A copy of a folder that :func:`make` has filled."""
    return Path(shutil.copytree(made, place, symlinks=True))
