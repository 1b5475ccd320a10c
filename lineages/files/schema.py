"""Holding a table against a JSON Schema, with complaints for people: what was found, what is allowed, did you mean."""

from __future__ import annotations

import copy
import difflib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from importlib.resources import files
from typing import Any, Literal

from collapse_audit.lineages.files.problems import shorten

Path = tuple[str | int, ...]
Complaint = tuple[Path, str, str, str]
"""Where in the document, what was found, what was expected, slug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """One thing in a document that its schema does not allow."""

    kind: Literal["value", "unknown", "missing"]
    path: Path
    """Of the value, of the unknown key, or of the table that lacks a key."""
    value: Any = None
    """What stands there; of a missing key its name."""
    allowed: str
    """The ``description`` of the part of the schema that it does not fit; of an unknown key empty."""
    known: tuple[str, ...] = ()
    """The keys that may stand beside an unknown one."""

    @property
    def near(self) -> str | None:
        """The known key that an unknown one was perhaps meant to be."""
        return closest(str(self.path[-1]), self.known)

    def of_setting(self, place: str, below: int = 0) -> str:
        """As messages about settings put it: ``our.toml: fields.text = 3; allowed: …``.

        ``place`` is what the message begins with, and stands for the first ``below`` parts of the path.
        """
        path = self.path[below:]
        if self.kind == "value":
            return f"{place}{': ' if path else ''}{dotted(path)} = {shorten(self.value)}; allowed: {self.allowed}"
        holder = dotted(path if self.kind == "missing" else path[:-1])
        place = f"{place}: {holder}" if holder else place
        if self.kind == "missing":
            return f"{place}: has no {self.value}; allowed: {self.allowed}"
        return f"{place}: unknown setting {self.path[-1]!r}{near(str(self.path[-1]), self.known)}"


class Schema:
    """A JSON Schema. Each of its parts has a ``description`` that completes "expected …".

    Documents are what TOML, JSON and Python give: a tuple is an array, a number is finite, 1.0 is no integer, nor is
    what 64 bits do not hold, and the format ``date`` is a date without a time (of TOML: one without quotes), not a
    string.
    """

    def __init__(self, schema: Callable[[], Mapping[str, Any]], *, whole: str) -> None:
        """``schema`` is called once, when it is needed; ``whole`` is what messages call the document itself."""
        self._load, self._whole = schema, whole

    @classmethod
    def file(cls, package: str, file: str, *, whole: str) -> Schema:
        """The schema in a file of this package."""
        return cls(lambda: read_schema(package, file), whole=whole)

    @property
    def document(self) -> dict[str, Any]:
        """The schema itself, as plain tables that the caller may change."""
        return copy.deepcopy(dict(self._load()))

    @cached_property
    def _validator(self) -> Any:
        import jsonschema  # takes a tenth of a second, and not every command needs it

        base = jsonschema.Draft202012Validator
        types = base.TYPE_CHECKER.redefine_many(
            {
                "array": lambda _, value: isinstance(value, list | tuple),
                # What is no number has no maximum either, so that one of 400 digits would pass.
                "integer": lambda _, value: type(value) is int and -(2**63) <= value < 2**63,
                "number": lambda _, value: _finite(value),
                "object": lambda _, value: isinstance(value, Mapping),
            }
        )
        formats = jsonschema.FormatChecker(formats=())
        formats.checks("date")(lambda value: type(value) is date)
        return jsonschema.validators.extend(base, type_checker=types)(self._load(), format_checker=formats)

    def misfits(self, document: Any) -> Iterator[Misfit]:
        """Everything that does not fit, in no particular order."""
        for error in self._validator.iter_errors(document):
            path = tuple(error.absolute_path)
            if error.validator == "additionalProperties":
                known = tuple(error.schema["properties"])
                for key, value in error.instance.items():
                    if key not in known:
                        yield Misfit(kind="unknown", path=(*path, key), value=value, allowed="", known=known)
            elif error.validator in ("required", "dependentRequired"):
                for name in _missing(error):
                    allowed = self._description(error.schema["properties"][name])
                    yield Misfit(kind="missing", path=path, value=name, allowed=allowed)
            else:
                allowed = error.schema.get("description", error.message)
                yield Misfit(kind="value", path=path, value=error.instance, allowed=allowed)

    def complaints(self, document: Mapping[str, Any], *, under: tuple[str, ...] = ()) -> Iterator[Complaint]:
        """The misfits in words; ``under``: the keys that lead to the document in the file it stands in."""
        for misfit in self.misfits(document):
            path = (*under, *misfit.path)
            if misfit.kind == "unknown":
                near = misfit.near
                hint = f'"{near}" (did you mean that?)' if near else "one of " + ", ".join(misfit.known)
                yield path, f'the unknown key "{path[-1]}" in {self.name(path[:-1])}', hint, "unknown-key"
            elif misfit.kind == "missing":
                found = f'no "{misfit.value}" in {self.name(path)}'
                yield path, found, f"{misfit.value}: {misfit.allowed}", "missing-key"
            else:
                yield path, f"{self.name(path)} = {shorten(misfit.value)}", misfit.allowed, "manifest"

    def _description(self, schema: Mapping[str, Any]) -> str:
        if "$ref" in schema:
            schema = self._validator.schema["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        return str(schema["description"])

    def name(self, path: Path) -> str:
        """``generation (entry 2), decoding`` for people; entries are counted from 1."""
        if not path:
            return self._whole
        words = ""
        for part in path:
            words += f" (entry {part + 1})" if isinstance(part, int) else (", " if words else "") + part
        return words


def dotted(path: Path) -> str:
    """``fields.text (entry 2)``, as settings are written; entries are counted from 1."""
    words = ""
    for part in path:
        words += f" (entry {part + 1})" if isinstance(part, int) else ("." if words else "") + part
    return words


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that this one was perhaps meant to be."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def near(word: str, known: Iterable[str]) -> str:
    """The end of a message about a word that is not known: the one that was perhaps meant, or all that there are."""
    known = list(known)
    close = closest(word, known)
    return f"; did you mean {close}?" if close else f"; allowed: {', '.join(known)}"


def read_schema(package: str, file: str) -> dict[str, Any]:
    """The schema in a file of this package, as plain tables."""
    schema: dict[str, Any] = json.loads(files(package).joinpath(file).read_text("utf-8"))
    return schema


def _finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max  # False for NaN and for what no float can hold


def _missing(error: Any) -> list[str]:
    """The keys of which this error says that they are not there: jsonschema makes an error of each."""
    if error.validator == "required":
        needed: Sequence[str] = error.validator_value
    else:
        needed = [name for key, names in error.validator_value.items() if key in error.instance for name in names]
    return [name for name in needed if name not in error.instance and f"'{name}'" in error.message]
