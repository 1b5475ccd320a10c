"""Writes lineages: corpora, the manifest, and one more generation. Every file appears whole or not at all.

The same records give the same bytes, packed or not, whatever the clock says.
"""

from __future__ import annotations

import gzip
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from collapse_audit.atomic import atomic_file, write_text
from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.readers.records import check_record
from collapse_audit.lineages.disk.manifest import MANIFEST, check_manifest, read_manifest
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.problems import ProblemList, shorten
from collapse_audit.lineages.files.toml_lines import line_of

_COMPRESSION = 9


def write_corpus(path: Path, records: Iterable[Mapping[str, Any]]) -> str:
    """Write records to ``path`` (``.jsonl`` or ``.jsonl.gz``) in the order given; returns the file's digest.

    Raises InputError for a record that could not be read back, and where there is no record; ValueError for another
    kind of file. Nothing is left behind then.
    """
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise ValueError(f"a corpus is written as .jsonl or .jsonl.gz, not as {path.name}")
    with atomic_file(path) as file:
        if path.name.endswith(".gz"):
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=_COMPRESSION) as packed:
                _write_records(packed, records, where=str(path))
        else:
            _write_records(file, records, where=str(path))
    return file_digest(path)


def _write_records(file: Any, records: Iterable[Mapping[str, Any]], *, where: str) -> None:
    problems = ProblemList(where)
    ids: set[str] = set()
    count = 0
    for count, record in enumerate(records, start=1):
        for found, expected, slug in check_record(dict(record)):
            problems.add(found, expected, slug, line=count)
        name = record.get("id")
        if name is not None and str(name) in ids:
            problems.add(f"the id {shorten(str(name))} again", "each id once", "duplicate-id", line=count)
        ids.add(str(name))
        if len(problems):
            raise InputError(problems.as_tuple())
        line = json.dumps(dict(record), ensure_ascii=False, allow_nan=False)
        file.write(line.encode("utf-8") + b"\n")
    if count == 0:
        problems.add("no record", "at least one record", "no-record")
        raise InputError(problems.as_tuple())


def write_manifest(root: Path, manifest: Mapping[str, Any]) -> None:
    """Write ``lineage.toml`` into the folder, checked first; keys whose value is None are left out.

    Raises InputError with everything that is wrong. An existing manifest is replaced, comments and all.
    """
    data = without_none(manifest)
    check_manifest(data, where=str(root / MANIFEST))
    head = {key: value for key, value in data.items() if key != "generation"}
    parts = [tomli_w.dumps(head), *(_generation_toml(entry) for entry in data.get("generation", []))]
    _replace(root, "\n".join(parts), expected=data)


def append_generation(root: Path, entry: Mapping[str, Any]) -> None:
    """Add one ``[[generation]]`` at the end of ``lineage.toml``; everything that was there stays, comments too.

    Raises InputError where the manifest or the entry is wrong. One writer at a time: the caller sees to that.
    """
    before = read_manifest(root / MANIFEST)
    text, generations = before.text, before.data.get("generation", [])
    data = {**before.data, "generation": [*generations, without_none(entry)]}
    check_manifest(data, where=before.where)
    gap = "" if not text else ("\n" if text.endswith("\n") else "\n\n")
    _replace(root, text + gap + _generation_toml(data["generation"][-1]), expected=data)


def set_in_generation(root: Path, number: int, values: Mapping[str, str]) -> None:
    """Set keys of the ``number``-th ``[[generation]]`` of ``lineage.toml``; every other line stays as it is.

    Raises InputError where the manifest, or what it would become, is wrong. One writer at a time, as above.
    """
    before = read_manifest(root / MANIFEST)
    lines = before.text.split("\n")
    generations = [dict(entry) for entry in before.data["generation"]]
    for key, value in values.items():
        line = tomli_w.dumps({key: value}).rstrip("\n")
        at = line_of("\n".join(lines), ("generation", number, key if key in generations[number] else "texts"))
        assert at is not None  # every generation has texts
        lines[at - 1 : at] = [line] if key in generations[number] else [lines[at - 1], line]
        generations[number][key] = value
    data = {**before.data, "generation": generations}
    check_manifest(data, where=before.where)
    _replace(root, "\n".join(lines), expected=data)


def without_none(value: Any) -> Any:
    """A key that has no value is not there: TOML has no null, and a record needs none."""
    if isinstance(value, Mapping):
        return {str(key): without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_none(item) for item in value]
    return value


def _generation_toml(entry: Mapping[str, Any]) -> str:
    """One ``[[generation]]`` with its tables under it, so that it can stand at the end of any manifest."""
    tables = {key: value for key, value in entry.items() if _is_a_table({key: value})}
    values = {key: value for key, value in entry.items() if key not in tables}
    text = "[[generation]]\n" + tomli_w.dumps(values)
    for key, table in tables.items():
        text += "\n" + tomli_w.dumps({"generation": {key: table}})
    return text


def _is_a_table(item: Mapping[str, Any]) -> bool:
    """Whether TOML gives it a header of its own: a table, or a list of tables that is too long for one line."""
    return any(isinstance(value, Mapping) for value in item.values()) or tomli_w.dumps(item).startswith("[[")


def _replace(root: Path, text: str, *, expected: Mapping[str, Any]) -> None:
    """Write the manifest after making sure that it says what it is meant to say."""
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        written = None
    if written != expected:
        problems = ProblemList(str(root / MANIFEST))
        problems.add("generation = [...] on one line", "[[generation]] tables, to which one can be added", "manifest")
        raise InputError(problems.as_tuple())
    write_text(root / MANIFEST, text)
