"""Bytes of a table to its lines: UTF-8, UTF-16, or cp1251, and a file in which programs have mixed them.

What is not UTF-8 and carries no mark is cp1251 only where that gives Russian as people write it: nearly all letters
Cyrillic, most of them small. KOI8-R and cp866 read as cp1251 give capitals and signs instead, and are refused.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from collapse_audit.errors import InputError
from collapse_audit.lineages.files.problems import problem
from collapse_audit.lineages.preparation.ledger import Ledger

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_LEAST_CYRILLIC = 0.9
_ALLOWED = "UTF-8, UTF-16 or cp1251; name another with --encoding"


def decode_lines(data: bytes, ledger: Ledger, *, where: str, encoding: str | None = None) -> list[str]:
    """The lines of a file, with their ends. Another encoding than UTF-8 stands in the ledger, once or a line each.

    Raises InputError where the encoding cannot be told, or is not the one that ``encoding`` says.
    """
    if encoding is not None:
        return _lines(_whole(data, encoding, where))
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _noted_lines(_whole(data[len(mark) :], name, where), name, ledger)
    if b"\0" in data:
        return _noted_lines(_whole(data, _utf16(data), where), _utf16(data), ledger)
    lines = data.split(b"\n")
    decoded: list[str | None] = [_utf8(line) for line in lines]
    foreign = [at for at, text in enumerate(decoded) if text is None]
    if foreign:
        _decode_cp1251(lines, decoded, foreign, ledger, where)
    return _lines("\n".join(text for text in decoded if text is not None))


def _decode_cp1251(
    lines: Sequence[bytes], decoded: list[str | None], foreign: Sequence[int], ledger: Ledger, where: str
) -> None:
    """Fill in the lines that are no UTF-8; where no other line needs UTF-8, the file is cp1251 as a whole."""
    first = foreign[0] + 1
    try:
        texts = [lines[at].decode("cp1251") for at in foreign]
    except UnicodeDecodeError:
        texts = []
    if not _is_russian("".join(texts)):
        found = "bytes that are neither UTF-8 nor Russian in cp1251"
        raise InputError([problem(where, found, _ALLOWED, "unknown-encoding", line=first)])
    for at, text in zip(foreign, texts, strict=True):
        decoded[at] = text
    mixed = any(not lines[at].isascii() for at in set(range(len(lines))) - set(foreign))
    if not mixed:
        ledger.repair(None, "encoding", "the file is no UTF-8: read as cp1251", {})
        return
    for at in foreign:
        ledger.repair(at + 1, "encoding", "this line is no UTF-8 as others are: read as cp1251", {})


def _is_russian(text: str) -> bool:
    """Whether the letters beyond ASCII are Cyrillic, and more of them small than capital."""
    beyond = [character for character in text if not character.isascii() and not character.isspace()]
    cyrillic = [character for character in beyond if "А" <= character <= "я" or character in "Ёё№«»—–"]
    small = sum(character.islower() for character in cyrillic)
    return len(cyrillic) >= _LEAST_CYRILLIC * len(beyond) and 2 * small > len(cyrillic)


def _utf16(data: bytes) -> str:
    """Which half of the pairs of bytes is zero in plain letters, digits and separators."""
    return "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"


def _noted_lines(text: str, name: str, ledger: Ledger) -> list[str]:
    if name != "utf-8":
        ledger.repair(None, "encoding", f"the file is {name.upper()}: read as such", {})
    return _lines(text)


def _lines(text: str) -> list[str]:
    """At line feeds and nowhere else: a cell may hold any other character that ends a line."""
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _utf8(line: bytes) -> str | None:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _whole(data: bytes, encoding: str, where: str) -> str:
    try:
        text = data.decode(encoding)
    except LookupError:
        raise InputError([problem(where, f"--encoding {encoding}", _ALLOWED, "unknown-encoding")]) from None
    except UnicodeDecodeError as error:
        found = f"bytes that are no {encoding.upper()} (byte {error.start + 1})"
        raise InputError([problem(where, found, _ALLOWED, "unknown-encoding")]) from None
    if "\0" in text:
        raise InputError([problem(where, "a NUL character", "a table of text", "nul")])
    return text
