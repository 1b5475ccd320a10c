"""Puts a prepared reference into a folder, all of it or nothing.

::

    reference.jsonl           70%: to train on
    validation.jsonl          15%: to choose a recipe by; neither trained on nor audited
    reference.holdout.jsonl   15%: text of people that nothing is trained on, which the audit compares with
    rejects.jsonl             a line for every row dropped and everything repaired, with its reason
    preparation.json          columns, labels, codes, counts at every step, digests of every file
    lineage.toml              so that `collapse-lineage train` and `collapse-audit` take the folder as it is
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from collapse_audit.atomic import atomic_folder, write_text
from collapse_audit.errors import UsageError
from collapse_audit.lineages.disk.write import write_corpus, write_manifest
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.preparation.prepare import Options, Prepared, label_counts
from collapse_audit.lineages.preparation.sentences import PAPER_SHARE
from collapse_audit.version import __version__

FILES = {"train": "reference.jsonl", "validation": "validation.jsonl", "holdout": "reference.holdout.jsonl"}
REJECTS, FACTS = "rejects.jsonl", "preparation.json"
BASE = "mistralai/Mistral-7B-v0.1"
"""One of the two that Bobrova et al. fine-tune."""


def write_reference(
    out: Path, prepared: Prepared, options: Options, *, command: str | None = None, base: str = BASE
) -> None:
    """Fill ``out``, a folder that is new or empty. ``base``: the model that a training starts from.

    Raises UsageError where it is not, or cannot be written."""
    out = out.absolute()
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise UsageError(f"{out} is there already; name a folder that is new or empty")
    try:
        with atomic_folder(out) as folder:
            _fill(folder, out.name, prepared, options, command, base)
    except OSError as error:
        raise UsageError(f"{out}: a reference cannot be written here ({error.strerror})") from None


def _fill(folder: Path, name: str, prepared: Prepared, options: Options, command: str | None, base: str) -> None:
    digests = {file: write_corpus(folder / file, prepared.parts[part]) for part, file in FILES.items()}
    write_text(folder / REJECTS, _lines(prepared.ledger.lines(prepared.columns.hidden)))
    digests[REJECTS] = file_digest(folder / REJECTS)
    facts = json.dumps(_facts(prepared, options, digests, command), ensure_ascii=False, allow_nan=False, indent=1)
    write_text(folder / FACTS, f"{facts}\n")
    manifest = {
        "format": 1,
        "name": name,
        "labels": prepared.rule,
        "scheme": "recursive",
        "recipe": {
            "task": "blocks" if prepared.columns.prompt is None else "completion",
            "base": {"hub": base},
            "notes": {
                "corpora": command or "",
                "source": f"{prepared.source['name']} {prepared.source['digest']}",
                "preparation": f"{FACTS} {file_digest(folder / FACTS)}",
            },
        },
        "reference": {
            "texts": FILES["train"],
            "digest": digests[FILES["train"]],
            "holdout": FILES["holdout"],
            "holdout_digest": digests[FILES["holdout"]],
        },
    }
    write_manifest(folder, manifest)


def _facts(prepared: Prepared, options: Options, digests: Mapping[str, str], command: str | None) -> dict[str, Any]:
    return {
        "format": 1,
        "tool": f"collapse-audit {__version__}",
        "command": command,
        "seed": options.seed,
        "source": dict(prepared.source),
        "columns": prepared.columns.as_json(),
        "labels": {"rule": prepared.rule, "forms": dict(prepared.forms), "codes": dict(prepared.codes)},
        "features": [feature.as_json() for feature in prepared.features],
        "missing": options.missing,
        "steps": [step.as_json() for step in prepared.ledger.steps],
        "sentences": {"share_added": prepared.sentence_share, "paper": PAPER_SHARE},
        "parts": {
            part: {
                "file": file,
                "digest": digests[file],
                "records": len(prepared.parts[part]),
                "patients": len({record["group"] for record in prepared.parts[part]}),
                "labels": label_counts(prepared.parts[part]),
            }
            for part, file in FILES.items()
        },
        "rejects": {"file": REJECTS, "digest": digests[REJECTS], "lines": len(prepared.ledger.entries)},
        "warnings": prepared.ledger.warnings,
    }


def _lines(records: Iterable[Mapping[str, Any]]) -> str:
    return "".join(f"{json.dumps(record, ensure_ascii=False, allow_nan=False)}\n" for record in records)
