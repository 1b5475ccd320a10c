"""Holding a table against a JSON Schema, with complaints for people: what was found, what is allowed, did you mean."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.resources import files
from typing import Any

from collapse_audit.lineages.files.problems import shorten

Complaint = tuple[tuple[str | int, ...], str, str, str]
"""Where in the document, what was found, what was expected, slug."""


class Schema:
    """A schema file of this package. Each of its parts has a ``description`` that completes "expected …"."""

    def __init__(self, package: str, file: str, *, whole: str) -> None:
        """``whole``: what messages call the document itself."""
        self._package, self._file, self._whole = package, file, whole

    @cached_property
    def _validator(self) -> Any:
        import jsonschema  # takes a tenth of a second, and not every command needs it

        schema = json.loads(files(self._package).joinpath(self._file).read_text("utf-8"))
        # JSON Schema takes 1.0 for a whole number; what expects an int then stores a float that nobody reads back.
        whole = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
        return jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=whole)(schema)

    def complaints(self, document: Mapping[str, Any], *, under: tuple[str, ...] = ()) -> Iterator[Complaint]:
        """Everything that does not fit; ``under``: the keys that lead to the document in the file it stands in."""
        for error in self._validator.iter_errors(document):
            path = (*under, *error.absolute_path)
            if error.validator == "additionalProperties":
                yield from self._unknown_keys(path, error.instance, error.schema["properties"])
            elif error.validator in ("required", "dependentRequired"):
                yield from self._missing_keys(path, error)
            else:
                expected = error.schema.get("description", error.message)
                yield path, f"{self.name(path)} = {shorten(error.instance)}", expected, "manifest"

    def _unknown_keys(
        self, path: tuple[str | int, ...], table: Mapping[str, Any], known: Mapping[str, Any]
    ) -> Iterator[Complaint]:
        for key in table:
            if key in known:
                continue
            close = difflib.get_close_matches(key, known, n=1)
            hint = f'"{close[0]}" (did you mean that?)' if close else "one of " + ", ".join(known)
            yield (*path, key), f'the unknown key "{key}" in {self.name(path)}', hint, "unknown-key"

    def _missing_keys(self, path: tuple[str | int, ...], error: Any) -> Iterator[Complaint]:
        if error.validator == "required":
            needed = error.validator_value
        else:
            needed = [name for key, names in error.validator_value.items() if key in error.instance for name in names]
        for name in needed:
            if name not in error.instance and f"'{name}'" in error.message:
                expected = f"{name}: {self._description(error.schema['properties'][name])}"
                yield path, f'no "{name}" in {self.name(path)}', expected, "missing-key"

    def _description(self, schema: Mapping[str, Any]) -> str:
        if "$ref" in schema:
            schema = self._validator.schema["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        return str(schema["description"])

    def name(self, path: tuple[str | int, ...]) -> str:
        """``generation (entry 2), decoding`` for people; entries are counted from 1."""
        if not path:
            return self._whole
        words = ""
        for part in path:
            words += f" (entry {part + 1})" if isinstance(part, int) else (", " if words else "") + part
        return words
