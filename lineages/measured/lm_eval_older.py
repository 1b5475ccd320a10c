"""Results of lm-eval 0.4.2 to 0.4.8, completed to what later versions write.

They leave out their version; the oldest also how many samples there are, which way is better, and hashes of documents.
Samples say neither their filter nor their metrics: a document stands once for each filter, all documents of the first
filter before those of the second. 0.4.2 writes samples as one JSON array, into ``<model args>_<task>.jsonl``. Earlier
versions name neither tasks' configurations nor groups as these do, and are refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from collapse_audit.lineages.corpora.readers.blocks import Block
from collapse_audit.lineages.corpora.readers.read_json import json_blocks
from collapse_audit.lineages.corpora.readers.read_jsonl import jsonl_blocks
from collapse_audit.lineages.files.opening import open_bytes, read_some

_BLOCK = 1 << 22
_UNSAFE = re.compile(r"[\"<>:/|\\?*\[\]]+")
"""What lm-eval 0.4.2 replaces in a file's name."""


def completed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Results with the tables that an older version leaves out; those that are there stay as they are."""
    if "lm_eval_version" in data or not isinstance(data.get("configs"), dict):
        return dict(data)
    better = {
        name: {
            str(task["metric"]): task["higher_is_better"]
            for task in _listed(config)
            if isinstance(task, dict) and "metric" in task and isinstance(task.get("higher_is_better"), bool)
        }
        for name, config in data["configs"].items()
    }
    return {"higher_is_better": better, "n-samples": {}, **data}


def _listed(config: Any) -> Iterable[Any]:
    listed = config.get("metric_list") if isinstance(config, dict) else None
    return listed if isinstance(listed, list) else ()


def filters_of(config: Mapping[str, Any]) -> list[str]:
    """The names of a task's filters, in their order."""
    listed = config.get("filter_list")
    names = (
        [listed_filter.get("name") for listed_filter in listed if isinstance(listed_filter, dict)]
        if isinstance(listed, list)
        else []
    )
    return [str(name) for name in names if name] or ["none"]


def completed_rows(rows: Iterable[Any], name: str, data: Mapping[str, Any]) -> Iterator[Any]:
    """Samples of the task ``name`` with filter, metrics and hashes, where they lack them; what is no sample stays."""
    filters, seen = filters_of(data["configs"][name]), Counter[int]()
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("doc_id"), int):
            yield row
            continue
        chosen = row.get("filter")
        if chosen is None:
            # A third time under two filters is the document twice: the last name again, and so refused.
            chosen = filters[min(seen[row["doc_id"]], len(filters) - 1)]
            seen[row["doc_id"]] += 1
        printed = {key.split(",", 1)[0] for key in data["results"][name] if key.endswith(f",{chosen}")}
        metrics = [key for key in row if key in printed]
        yield {"filter": chosen, "metrics": metrics, **_hashes(row), **row}


def _hashes(row: Mapping[str, Any]) -> dict[str, str]:
    """As later versions make them, so that results of two versions can be compared."""
    if "doc_hash" in row:
        return {}
    parts = {
        "doc_hash": json.dumps(row.get("doc"), indent=2, ensure_ascii=False),
        "prompt_hash": _first(row.get("arguments")),
        "target_hash": str(row.get("target")),
    }
    return {key: hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for key, text in parts.items()}


def _first(arguments: Any) -> str:
    """The first argument of the first request: the prompt."""
    while isinstance(arguments, list | dict) and arguments:
        arguments = next(iter(arguments.values() if isinstance(arguments, dict) else arguments))
    return str(arguments)


def sample_blocks(path: Path) -> Iterator[Block]:
    """Blocks of samples, a line each or, as 0.4.2 writes them, elements of one array. Raises Unreadable, OSError."""
    packing = path.suffix if path.suffix == ".gz" else ""
    with open_bytes(path, packing=packing) as file:
        array = read_some(file, 64, packing=packing).lstrip().startswith(b"[")
    return (json_blocks if array else jsonl_blocks)(path, packing=packing, block_bytes=_BLOCK)


def samples_beside(results: Path, name: str, data: Mapping[str, Any]) -> Path | None:
    """Where 0.4.2 put the samples of a task: beside ``results.json``, under the model's arguments and the task."""
    arguments = data.get("config", {}).get("model_args")
    exact = results.parent / f"{_UNSAFE.sub('__', str(arguments))}_{name}.jsonl"
    if exact.is_file():
        return exact
    beside = [file for file in results.parent.glob("*.jsonl") if file.name.endswith(f"_{name}.jsonl")]
    return beside[0] if len(beside) == 1 else None
