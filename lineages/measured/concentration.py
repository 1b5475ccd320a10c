"""How sure a generation's model is of the next word of human text: what ``collapse-lineage score --contexts`` writes.

``gen_<k>/concentration.jsonl``, read without torch. The first line says on which contexts and by which model, each
further one is a context::

    {"format": 1, "contexts": "sha256:…", "model": "sha256:…", "adapter": "sha256:…", "rows": 200}
    {"id": "synthetic-00001", "entropy": 0.73215, "top1": 0.81021, "n_positions": 14}

``entropy`` is the mean entropy of the next-token distribution, nats, and ``top1`` the mean probability of the most
probable token, over the positions of the context whose next token is learned in training. ``rows`` is the number of
contexts; files without it are read too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.errors import InputError
from collapse_audit.lineages.checks.adapters import WEIGHTS
from collapse_audit.lineages.checks.safetensors import is_pointer
from collapse_audit.lineages.corpora.readers.records import is_measurable
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.door import Refused, limits, parse_json, read_bytes, stay_inside
from collapse_audit.lineages.files.problems import ProblemList, problem, shorten
from collapse_audit.lineages.model.lineage import GenerationEntry
from collapse_audit.probes.models.contexts import Contexts

NAME = "concentration.jsonl"
FORMAT = 1
_EXPECTED = '{"id", "entropy": 0 or more, "top1": over 0 and at most 1, "n_positions": 1 or more}'


def lines(contexts: Contexts) -> bytes:
    """The file's bytes; five significant digits."""
    digests = {"contexts": contexts.digest, "model": contexts.model, "adapter": contexts.adapter}
    about: Mapping[str, Any] = {"format": FORMAT, **digests, "rows": len(contexts.ids)}
    rows: list[Mapping[str, Any]] = [
        {"id": name, "entropy": float(f"{entropy:.5g}"), "top1": float(f"{top1:.5g}"), "n_positions": int(count)}
        for name, entropy, top1, count in zip(
            contexts.ids, contexts.entropy, contexts.top1, contexts.n_positions, strict=True
        )
    ]
    return b"".join(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n" for row in (about, *rows))


def read_concentration(path: Path, where: str) -> Contexts:
    """The file ``path``, named ``where`` in messages. Raises InputError with all that is wrong with it."""
    problems = ProblemList(where)
    try:
        text = read_bytes(path, most=limits().json).decode("utf-8").splitlines()
    except (Refused, OSError, UnicodeDecodeError) as error:
        problems.add(f"a file that cannot be read ({type(error).__name__})", "lines of JSON in UTF-8", "bad-contexts")
        raise InputError(problems.as_tuple()) from None
    about = _object(text[0]) if text else None
    keys = ("contexts", "model", "adapter")
    if about is None or about.get("format") != FORMAT or not all(type(about.get(key)) is str for key in keys):
        expected = f'a first line with format {FORMAT}, "contexts", "model" and "adapter"'
        problems.add(shorten(text[0]) if text else "an empty file", expected, "bad-contexts", line=1)
        raise InputError(problems.as_tuple())
    rows = [_object(line) for line in text[1:]]
    for number, (row, line) in enumerate(zip(rows, text[1:], strict=True), start=2):
        if row is None or not _whole(row):
            problems.add(shorten(line), _EXPECTED, "bad-contexts", line=number)
    names = [row["id"] for row in rows if row is not None and "id" in row]
    if len(set(map(str, names))) != len(names):
        problems.add("an id twice", "each context once", "duplicate-id")
    if "rows" in about and about["rows"] != len(rows):
        expected = f"{shorten(about['rows'])}, as its first line says; copy the file again, or score again"
        problems.add(f"{len(rows)} contexts", expected, "bad-contexts")
    if not rows:
        problems.add("no context", "at least one", "bad-contexts")
    if len(problems):
        raise InputError(problems.as_tuple())
    return contexts_of([row for row in rows if row is not None], about)


def asked_of(entry: GenerationEntry, root: Path) -> Contexts | None:
    """What the generation's model expects; None where it was not asked.

    Raises InputError where the file cannot be read, or speaks of another adapter than the manifest's, or where that
    records none, than the one in the generation's folder.
    """
    if entry.concentration is None:
        return None
    where = entry.concentration.relative_to(root).as_posix()
    concentration = read_concentration(entry.concentration, where)
    own = entry.details.get("model", {}).get("adapter_digest") or _digest_on_disk(entry)
    if own is not None and concentration.adapter != own:
        expected = f"of {own}, the generation's own; run collapse-lineage score --contexts again"
        words = f"expectations of the adapter {concentration.adapter}"
        raise InputError([problem(where, words, expected, "contexts-of-another")])
    return concentration


def _digest_on_disk(entry: GenerationEntry) -> str | None:
    """Of the adapter's weights; None where they are not at hand."""
    if entry.adapter is None or not (path := entry.adapter / WEIGHTS).is_file():
        return None
    try:
        stay_inside(path, entry.adapter)
        return None if is_pointer(path) else file_digest(path)
    except (Refused, OSError):  # a link that leads out, or no permission: integrity tells it
        return None


def contexts_of(rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> Contexts:
    """Rows and header as columns."""
    return Contexts(
        ids=tuple(row["id"] for row in rows),
        entropy=np.array([row["entropy"] for row in rows], dtype=np.float64),
        top1=np.array([row["top1"] for row in rows], dtype=np.float64),
        n_positions=np.array([row["n_positions"] for row in rows], dtype=np.int64),
        digest=about["contexts"],
        model=about["model"],
        adapter=about["adapter"],
    )


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = parse_json(line)
    except (Refused, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _whole(row: Mapping[str, Any]) -> bool:
    entropy, top1 = row.get("entropy"), row.get("top1")
    return bool(
        type(row.get("id")) is str
        and is_measurable(entropy)
        and entropy >= 0  # type: ignore[operator]
        and type(top1) in (int, float)
        and 0 < top1 <= 1  # type: ignore[operator]
        and type(row.get("n_positions")) is int
        and row["n_positions"] > 0
    )
