"""``lineage.toml``: read, checked against its JSON Schema and for sense, every problem of it at once.

Files that it names are not opened here (lineage.py does), so that a manifest can be checked before they exist.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse_audit.errors import InputError, Problem
from collapse_audit.lineages.files.door import Refused, limits, parse_toml, raised, read_bytes
from collapse_audit.lineages.files.problems import ProblemList, problem
from collapse_audit.lineages.files.schema import Complaint, Schema
from collapse_audit.lineages.files.toml_lines import line_of

MANIFEST = "lineage.toml"
SHARE_TOLERANCE = 1e-6
_SCHEMA = Schema.file("collapse_audit.lineages.disk", "manifest.schema.json", whole="the manifest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest that fits its schema and makes sense by itself."""

    data: Mapping[str, Any]
    """Plain dicts and lists, as the schema describes them."""
    text: str = ""
    """The file, for finding lines; empty where there is none."""
    where: str = MANIFEST
    """The file as messages name it."""
    notes: tuple[str, ...] = ()
    """What was told from names, where there is no file."""

    def problem(self, path: tuple[str | int, ...], found: str, expected: str, slug: str) -> Problem:
        """A problem at one key of the manifest."""
        return problem(self.where, found, expected, slug, line=line_of(self.text, path))


def read_manifest(path: Path, *, where: str | None = None) -> Manifest:
    """The checked manifest. ``where``: the file as messages name it.

    Raises InputError with every problem of the file.
    """
    problems = ProblemList(where or str(path))
    try:
        text = read_bytes(path, most=limits().settings).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        line = error.object[: error.start].count(b"\n") + 1
        problems.add(f"bad UTF-8 (byte 0x{byte:02x})", "UTF-8 text", "bad-utf8", line=line)
        raise InputError(problems.as_tuple()) from None
    except Refused as error:
        problems.add(str(error), f"a manifest; {raised('settings')}", "unreadable")
        raise InputError(problems.as_tuple()) from None
    except OSError as error:
        problems.add(f"a file that cannot be read ({error.strerror})", "a readable file", "unreadable")
        raise InputError(problems.as_tuple()) from None
    return parse_manifest(text, where=problems.where)


def parse_manifest(text: str, *, where: str = MANIFEST) -> Manifest:
    """As :func:`read_manifest`, from text."""
    problems = ProblemList(where)
    try:
        data = parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        message, line = _split_position(str(error))
        problems.add(f"broken TOML ({message})", "TOML", "broken-toml", line=line)
        raise InputError(problems.as_tuple()) from None
    except Refused as error:
        problems.add(f"TOML with {error}", "TOML", "broken-toml")
        raise InputError(problems.as_tuple()) from None
    check_manifest(data, where=where, text=text)
    return Manifest(data=data, text=text, where=where)


def too_many(entries: object, where: str) -> tuple[Problem, ...]:
    """What is wrong with more generations than the limit."""
    if not isinstance(entries, list) or len(entries) <= limits().generations:
        return ()
    expected = f"at most {limits().generations:,}; {raised('generations')}"
    return (problem(where, f"{len(entries):,} generations", expected, "too-many-generations"),)


def check_manifest(manifest: Mapping[str, Any], *, where: str = MANIFEST, text: str = "") -> None:
    """Raises InputError with everything that is wrong; ``text``, where it is given, supplies the lines."""
    problems = ProblemList(where)
    if isinstance(manifest.get("format"), int) and manifest["format"] > 1:
        found = f"format {manifest['format']}"
        line = line_of(text, ("format",))
        problems.add(found, "format 1; a newer collapse-audit wrote this file", "manifest-format", line=line)
        raise InputError(problems.as_tuple())
    if more := too_many(manifest.get("generation"), where):
        raise InputError(more)
    complaints = list(_SCHEMA.complaints(manifest)) or list(_sense_complaints(manifest))
    complaints.sort(key=lambda complaint: line_of(text, complaint[0]) or 0)
    for path, found, expected, slug in complaints:
        problems.add(found, expected, slug, line=line_of(text, path))
    if len(problems):
        raise InputError(problems.as_tuple())


def _sense_complaints(manifest: Mapping[str, Any]) -> Iterator[Complaint]:
    """What a schema cannot say. Only asked of a manifest that fits the schema."""
    scheme = manifest.get("scheme")
    if isinstance(scheme, Mapping):
        yield from _sum_to_one(("scheme",), list(scheme.values()))
    seen: set[tuple[str | None, int]] = set()
    for number, entry in enumerate(manifest.get("generation", [])):
        path = ("generation", number)
        key = (seed_name(entry.get("seed")), entry["index"])
        if key in seen:
            of_seed = "" if key[0] is None else f" of seed {key[0]}"
            yield path, f"generation {key[1]}{of_seed} a second time", "each (seed, index) once", "duplicate-generation"
        seen.add(key)
        sources = entry.get("trained_on")
        if sources:
            yield from _sum_to_one((*path, "trained_on"), [source["share"] for source in sources])


def _sum_to_one(path: tuple[str | int, ...], shares: list[float]) -> Iterator[Complaint]:
    if not math.isclose(math.fsum(shares), 1, abs_tol=SHARE_TOLERANCE):
        found = f"shares in {_SCHEMA.name(path)} that sum to {math.fsum(shares):g}"
        yield path, found, "shares that sum to 1", "shares"


def seed_name(seed: int | str | None) -> str | None:
    """A seed as it is named everywhere but in the manifest, where an integer is welcome too."""
    return None if seed is None else str(seed)


def _split_position(message: str) -> tuple[str, int | None]:
    """Python writes ``Invalid value (at line 3, column 5)``."""
    head, _, position = message.partition(" (at line ")
    line = position.partition(",")[0]
    return head, int(line) if line.isdigit() else None
