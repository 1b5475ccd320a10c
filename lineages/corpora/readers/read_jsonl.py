"""Reads ``.jsonl``: one JSON object a line, or where the first one is a string, one string a line, which is a text.

Lines of nothing but white space hold no record and are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from collapse_audit.lineages.corpora.readers.blocks import (
    Block,
    decode_lines,
    first_repeated,
    raw_line_blocks,
)
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.failures import Unreadable
from collapse_audit.lineages.files.remote import Place

_WHITE_SPACE = " \t\r"  # what JSON calls white space, and nothing that could be a text
_BLANK = b" \t\r\n"


class DuplicateKeyError(ValueError):
    """The same key twice in one object: the standard library would silently keep the last one."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateKeyError(first_repeated(key for key, _ in pairs))
    return members


DECODER = json.JSONDecoder(object_pairs_hook=_object)


def jsonl_blocks(path: Place, *, packing: str, block_bytes: int) -> Iterator[Block]:
    """Blocks of parsed lines. Raises Unreadable where the file as a whole is something else."""
    line_number = 0
    strings: bool | None = None  # not known before the first record
    decode_prefix = DECODER.raw_decode  # no white space around the value: the fast and the usual case
    for raw in raw_line_blocks(path, packing=packing, block_bytes=block_bytes):
        lines: list[int] = []
        records: list[Any] = []
        if not raw.strip(_BLANK):
            line_number += raw.count(b"\n")
            continue
        for line in decode_lines(raw):
            line_number += 1
            try:
                record, end = decode_prefix(line)  # type: ignore[arg-type] # a Broken raises TypeError
                if end != len(line):  # type: ignore[arg-type]
                    record = _decode(line)
            except (ValueError, TypeError, RecursionError):
                if isinstance(line, str) and not line.strip(_WHITE_SPACE):
                    continue
                record = _decode(line)
                if line_number == 1 and isinstance(record, Broken) and isinstance(line, str):
                    _refuse_an_array(line)
            lines.append(line_number)
            if strings is None:
                strings = isinstance(record, str)
            records.append({"text": record} if strings and isinstance(record, str) else record)
        yield Block(lines=lines, records=records)


def _decode(line: str | Broken) -> Any:
    """The value of one line, or the Broken that says what is wrong with it."""
    if isinstance(line, Broken):
        return line
    expected = "one JSON object a line"
    try:
        return DECODER.decode(line)
    except json.JSONDecodeError as error:
        return Broken(found=f"broken JSON ({error.msg}, column {error.colno})", expected=expected, slug="broken-json")
    except DuplicateKeyError as error:
        return Broken(found=f'the key "{error}" twice in one object', expected="each key once", slug="duplicate-key")
    except RecursionError:
        return Broken(found="JSON nested too deeply", expected=expected, slug="broken-json")
    except ValueError as error:  # a number of thousands of digits
        return Broken(found=f"broken JSON ({error})", expected=expected, slug="broken-json")


def _refuse_an_array(line: str) -> None:
    if line.lstrip(_WHITE_SPACE).startswith("["):
        expected = 'one JSON object a line, or a name that ends in ".json"'
        raise Unreadable("a JSON array over many lines", expected, "json-array", line=1)
