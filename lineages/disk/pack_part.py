"""A part of a reference pack on disk: what a private key draws of one shard, sealed by that key until it is merged.

A part holds texts. It is sealed (Fernet: AES in CBC mode under an HMAC) because nothing less would do: the words of a
text under keyed hashes, in their order, are a substitution cipher.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from collapse_audit.atomic import atomic_file
from collapse_audit.errors import InputError, Problem, UsageError
from collapse_audit.lineages.corpora.by_key import KeyedDraw
from collapse_audit.lineages.files.door import Refused, parse_json, read_bytes, reading
from collapse_audit.lineages.files.problems import problem
from collapse_audit.probes.packs.keyed import RECORDS, Key
from collapse_audit.probes.text.draw import RANK

SUFFIX = ".part"
_MAGIC = b"collapse-audit part of a pack 1\n"
_MOST_BYTES = 1 << 32
_LARGEST_KEY = 1 << 16
_HEADER = b"collapse-audit"
_WRITTEN = "a part, made by collapse-lineage pack --part"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What all parts of a pack must agree on."""

    of: str
    """Whose texts: ``generation-0`` or ``reference``."""
    held_out: bool
    """Whether nothing is trained on them."""
    label_rule: str | None
    """As the lineage says it; None where it does not."""
    label_classes: tuple[str, ...] | None
    most: int
    """Documents that are packed at most."""


def read_key(path: Path) -> Key:
    """The private key in a file. Raises UsageError where there is none."""
    try:
        return Key(read_bytes(path, most=_LARGEST_KEY))
    except Refused as refused:
        raise UsageError(f"--key {path}: {refused}; expected a file of 32 random bytes", slug="pack-key") from None
    except OSError as error:
        raise UsageError(f"--key {path}: cannot be read ({error.strerror})", slug="pack-key") from None


def write_part(path: Path, drawn: KeyedDraw, about: About, key: Key) -> None:
    """Write a part, sealed. Raises UsageError where the name is none of a part's, OSError."""
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: a part is written to a file whose name ends in {SUFFIX}", slug="pack-name")
    facts = json.dumps({**asdict(about), "n_read": drawn.n_read}, sort_keys=True).encode()
    table = drawn.table.replace_schema_metadata({_HEADER: facts})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    sealed = _seal(key).encrypt(pa.compress(sink.getvalue(), "zstd", asbytes=True))
    with atomic_file(path) as file:
        file.write(_MAGIC + sealed)


def read_parts(paths: Sequence[Path], key: Key) -> tuple[KeyedDraw, About]:
    """All parts, merged: the same whatever their order.

    Raises InputError with all that is wrong with them: another key, a part twice, parts of different kinds.
    """
    drawn: list[KeyedDraw] = []
    abouts: list[About] = []
    problems: list[Problem] = []
    seen: dict[str, Path] = {}
    for path in paths:
        try:
            part, about = _read(path, key)
        except InputError as error:
            problems += error.problems
            continue
        ranks = hashlib.sha256(part.table[RANK].to_numpy().tobytes()).hexdigest()
        if ranks in seen and len(part.table):
            found = f"the documents of {seen[ranks]} again"
            problems.append(problem(str(path), found, "each part once", "pack-parts"))
        elif abouts and about != abouts[0]:
            expected = f"a part made as {paths[0]} was: {_differs(about, abouts[0])}"
            problems.append(problem(str(path), "a part of another kind", expected, "pack-parts"))
        seen.setdefault(ranks, path)
        drawn.append(part)
        abouts.append(about)
    if problems:
        raise InputError(problems)
    merged = drawn[0]
    for other in drawn[1:]:
        merged = merged.join(other)
    return merged, abouts[0]


def _differs(one: About, other: About) -> str:
    there = asdict(other)
    return "; ".join(
        f"{name} {there[name]!r}, not {value!r}" for name, value in asdict(one).items() if there[name] != value
    )


def _read(path: Path, key: Key) -> tuple[KeyedDraw, About]:
    where = str(path)
    with reading(where, _WRITTEN, "pack-foreign"):
        content = read_bytes(path, most=_MOST_BYTES)
    if not content.startswith(_MAGIC):
        raise InputError([problem(where, "a file that is no part of a pack", _WRITTEN, "pack-foreign")])
    from cryptography.fernet import InvalidToken

    try:
        opened = _seal(key).decrypt(content[len(_MAGIC) :])
    except InvalidToken:
        found, expected = "a part that this key does not open", "the key that it was made with, and all of the file"
        raise InputError([problem(where, found, expected, "pack-sealed")]) from None
    with reading(where, _WRITTEN, "pack-foreign"):
        stream = pa.CompressedInputStream(pa.BufferReader(opened), "zstd").read(_MOST_BYTES)
        table = pa.ipc.open_stream(stream).read_all()
        table.validate(full=True)
        facts: dict[str, Any] = parse_json(table.schema.metadata[_HEADER])
        table = table.replace_schema_metadata(None)
        if table.schema != RECORDS.append(pa.field(RANK, pa.uint64())):
            raise Refused("other columns than a part has")
        n_read = facts.pop("n_read")
        classes = facts["label_classes"]
        about = About(**{**facts, "label_classes": None if classes is None else tuple(classes)})
        return KeyedDraw(table=table, n_read=n_read, most=about.most), about


def _seal(key: Key) -> Any:
    try:
        from cryptography.fernet import Fernet
    except ImportError:
        raise UsageError(
            'parts are sealed by cryptography: pip install "collapse-audit[parts]"', slug="no-parts"
        ) from None
    return Fernet(base64.urlsafe_b64encode(key.derived(b"seal")))
