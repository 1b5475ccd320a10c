"""What a record must look like: the exact check, one record at a time, that words what is wrong.

The corpus reader runs it only where the fast check of a whole block (columns.py) has a doubt.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from collapse_audit.lineages.corpora.readers.shapes import LIKELY, is_gold
from collapse_audit.lineages.files.door import limits, raised
from collapse_audit.lineages.files.problems import shorten

SPLITS = ("train", "holdout")

# A mean negative log-likelihood cannot be below zero; rounding of a certain text may put it a hair below.
LOWEST_NLL = -1e-6
MOST_TOKENS = 2**63 - 1
MOST_NUMERIC = 1e70
MOST_DIMENSIONS = 65_536
MOST_EMBEDDING = 1e30  # a number of 4 bytes
_MEASURABLE = f"a number from -{MOST_NUMERIC:g} to {MOST_NUMERIC:g}, or a list of such; give it in another unit"
_MOST_KEYS = 100  # as many are looked through for a near miss
_LONGEST_NAME = 40
_NO_TEXT = re.compile(r"(^|[_ -])(id|uuid|url|uri|hash|model|source|score|split|date|time|timestamp)$")
Complaint = tuple[str, str, str]
"""What was found, what was expected, slug."""


def check_record(record: Any, *, classes: frozenset[str] | None = None) -> Iterator[Complaint]:
    """Everything that is wrong with one parsed record. ``classes``: the only labels allowed; None allows any."""
    if not isinstance(record, dict):
        yield f"a JSON {_json_type(record)} ({shorten(record)})", "a JSON object with a text", "not-an-object"
        return
    yield from _check_numeric(record["numeric"]) if is_numeric(record) else _check_text(record)
    for name in ("id", "group"):
        value = record.get(name)
        if value is not None and not _is_integer(value):
            yield from _check_string(name, value, "a string or an integer")
    if record.get("prompt") is not None:
        yield from _check_string("prompt", record["prompt"], "a string")
    yield from _check_labels(record, classes)
    yield from _check_nll(record.get("nll"))
    yield from _check_n_tokens(record.get("n_tokens"))
    yield from _check_embedding(record.get("embedding"))
    split = record.get("split")
    if split is not None and split not in SPLITS:
        yield (
            f"split {shorten(split)}",
            '"train" or "holdout"; rename the field if it means something else',
            "bad-split",
        )


def is_numeric(record: Mapping[str, Any]) -> bool:
    """Whether a record holds numbers in place of a text. Beside a ``text`` a field of that name is none of ours."""
    return "text" not in record and "numeric" in record


def _check_numeric(value: Any) -> Iterator[Complaint]:
    expected = "a finite number, or a list of them"
    numbers = value if isinstance(value, list) else [value]
    if value is None or not numbers:
        yield _said("numeric", value), expected, "bad-numeric"
    elif len(numbers) > limits().columns:
        most = f"at most {limits().columns:,}; {raised('columns')}"
        yield f"a numeric of {len(numbers):,} numbers", most, "limit-exceeded"
    for number in numbers[: limits().columns]:
        if value is not None and not is_measurable(number):
            finite = _is_number(number) and math.isfinite(_as_float(number))
            yield _said("numeric", number), _MEASURABLE if finite else expected, "bad-numeric"
            return


def is_measurable(value: Any) -> bool:
    """Whether it is a number whose fourth power is one, too, over any number of records: variances have variances."""
    return _is_number(value) and abs(value) <= MOST_NUMERIC


def as_score(value: Any) -> float | None:
    """A score of an answer: a truth value or a number. What else a field of that name holds is none of ours."""
    return float(value) if isinstance(value, bool) or is_measurable(value) else None


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _check_text(record: Mapping[str, Any]) -> Iterator[Complaint]:
    if "text" not in record:
        found, expected = no_text(record, what="keys", strings=_strings(record))
        yield found, expected, "missing-text"
    else:
        yield from _check_string("text", record["text"], "a string")


def near_miss(keys: Iterable[str]) -> str | None:
    """The key that probably holds the text; never one that is called like the right answer."""
    keys = [key for key in list(keys)[:_MOST_KEYS] if not is_gold(key)]
    for key in keys:
        if key.strip().casefold() in ("text", "texts", *LIKELY):
            return key
    close = difflib.get_close_matches("text", [key.casefold() for key in keys], n=1)
    return next((key for key in keys if key.casefold() in close), None)


def no_text(keys: Iterable[str], *, what: str, strings: Sequence[str] = ()) -> tuple[str, str]:
    """What was found and what was expected where there is no ``text`` among the keys or columns.

    ``strings``: those of the keys that hold one, the longest first; a hint may name them where no name tells.
    """
    keys = list(keys)
    shown = ", ".join(f'"{key[:_LONGEST_NAME]}"' for key in keys[:10]) or "none"
    near = near_miss(keys)
    options = " or ".join(f"--text {name[:_LONGEST_NAME]}" for name in ([near] if near is not None else strings[:3]))
    hint = f", or the name of what is one: {options}" if options else ""
    if any(len(key) > _LONGEST_NAME for key in keys):  # a table without names: a text stands where they should
        hint = ", and in a table the names of its columns in the first row"
    return f'no "text" ({what}: {shown})', f'a "text"{hint}'


def _strings(record: Mapping[str, Any]) -> list[str]:
    """Fields that hold words and are not called like the right answer or a name of the record, the longest first."""
    found = [(key, value) for key, value in list(record.items())[:_MOST_KEYS] if isinstance(value, str) and value]
    kept = [(key, len(value)) for key, value in found if not is_gold(key) and not _NO_TEXT.search(key.casefold())]
    return [key for key, _ in sorted(kept, key=lambda each: -each[1])]


def _check_string(name: str, value: Any, expected: str) -> Iterator[Complaint]:
    if not isinstance(value, str):
        yield _said(name, value), expected, f"bad-{name}"
    elif "\0" in value:
        yield f"a NUL character in {name} (character {value.index(chr(0)) + 1})", "text without NUL", "nul"
    elif _lone_surrogate(value) is not None:
        at = _lone_surrogate(value)
        yield f"half of a surrogate pair in {name} (character {at})", "text that UTF-8 can hold", "lone-surrogate"


def _lone_surrogate(value: str) -> int | None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start + 1
    return None


def _check_labels(record: Mapping[str, Any], classes: frozenset[str] | None) -> Iterator[Complaint]:
    label, labels = record.get("label"), record.get("labels")
    if label is not None and labels is not None:
        yield 'both "label" and "labels"', "one of them", "label-and-labels"
        return
    if labels is not None and not isinstance(labels, list):
        yield (
            _said("labels", labels),
            'a list of strings; one label goes in "label"',
            "bad-labels",
        )
        return
    for item in [label] if label is not None else labels or []:
        name = "label" if label is not None else "labels"
        if item == "":
            yield f"an empty string in {name}", "the name of a class; labels [] says that there is none", "empty-label"
        elif not isinstance(item, str):
            yield from _check_string(name, item, "a string" if name == "label" else "a list of strings")
        else:
            yield from _check_string(name, item, "a string")
            if classes is not None and item not in classes:
                allowed = ", ".join(sorted(classes))
                yield (
                    f"the label {shorten(item)}",
                    f"one of {shorten_list(allowed)} (the manifest's classes)",
                    "unknown-label",
                )


def shorten_list(text: str, limit: int = 200) -> str:
    """A list in words, cut where it gets too long to read."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _check_nll(value: Any) -> Iterator[Complaint]:
    expected = "a finite number, 0 or more (mean negative log-likelihood, nats per token)"
    if value is None:
        return
    if not _is_number(value):
        yield _said("nll", value), expected, "bad-nll"
    elif isinstance(value, int) and abs(value) >= 2**1023:
        yield f"an nll of {len(str(abs(value)))} digits", expected, "bad-nll"
    elif not math.isfinite(value):
        yield f"nll {_float_name(value)}", expected, "bad-nll"
    elif value > MOST_NUMERIC:
        yield f"nll {value!r}", f"{expected}, and at most {MOST_NUMERIC:g}", "bad-nll"
    elif value < LOWEST_NLL:
        yield f"nll {value!r}", f"{expected}; a log-likelihood has the other sign", "bad-nll"


def _check_n_tokens(value: Any) -> Iterator[Complaint]:
    if value is None:
        return
    whole = _is_integer(value) or (isinstance(value, float) and value.is_integer())
    if not whole or not 0 <= value <= MOST_TOKENS:
        yield _said("n_tokens", value), "a whole number, 0 or more", "bad-n_tokens"


def _check_embedding(value: Any) -> Iterator[Complaint]:
    expected = f"a list of finite numbers, up to {MOST_EMBEDDING:g}; rename the field if it means something else"
    if value is None:
        return
    if not isinstance(value, list) or not value:
        yield _said("embedding", value), expected, "bad-embedding"
    elif len(value) > MOST_DIMENSIONS:
        yield f"an embedding of {len(value):,} numbers", f"at most {MOST_DIMENSIONS:,}", "bad-embedding"
    else:
        for place, number in enumerate(value, 1):
            if not _is_number(number) or not abs(_as_float(number)) <= MOST_EMBEDDING:
                found = f"{shorten(number)} ({_json_type(number)}) at place {place} of an embedding"
                yield found, expected, "bad-embedding"
                return


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, float)


def _float_name(value: float) -> str:
    return "NaN" if math.isnan(value) else ("infinity" if value > 0 else "-infinity")


def _said(name: str, value: Any) -> str:
    """``text 4 (number)``."""
    return f"{name} null" if value is None else f"{name} {shorten(value)} ({_json_type(value)})"


def _json_type(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
