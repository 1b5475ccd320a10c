"""Reads ``.json``: an array of records (or of strings), or an object that holds one such array.

The file is parsed element by element, so an array of any length needs the memory of its longest element. A file of one
object a line under this name (several programs write it so) is read as JSON lines. An object of columns, each an object
of the same row names, is what pandas writes where nothing else is said; it is one line, and parsed whole.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from collapse_audit.lineages.corpora.readers.blocks import BOM, Block, bad_utf8, refuse_other_formats
from collapse_audit.lineages.corpora.readers.read_jsonl import DECODER, DuplicateKeyError, jsonl_blocks
from collapse_audit.lineages.files.door import limits
from collapse_audit.lineages.files.failures import Unreadable, too_much
from collapse_audit.lineages.files.opening import open_bytes, read_some
from collapse_audit.lineages.files.remote import Place

_SPACE = " \t\r\n"
_EXPECTED = "a JSON array of records, or an object that holds one"


def json_blocks(path: Place, *, packing: str, block_bytes: int) -> Iterator[Block]:
    """Blocks of the elements of the array, each with the line that it begins on."""
    with open_bytes(path, packing=packing) as stream:
        text = _Text(stream, packing, block_bytes)
        start = text.peek()
        if start == "":
            return
        first = _first_line(text) if start == "{" else None
        columns = _columns(first)
        if columns and _is_one_line(text):
            yield from _blocks(((text.line, row) for row in columns), block_bytes)
            return
        lines = start == "{" and _is_lines(text, first)
        if start not in "[{":
            raise Unreadable("JSON that is neither an array nor an object", _EXPECTED, "not-an-object", line=text.line)
        if not lines:
            yield from _blocks(_array(text) if start == "[" else _members(text), block_bytes)
            if text.peek() != "":
                raise Unreadable("more text after the end of the JSON", _EXPECTED, "broken-json", line=text.line)
            return
    yield from jsonl_blocks(path, packing=packing, block_bytes=block_bytes)


def _blocks(elements: Iterator[tuple[int, Any]], block_bytes: int) -> Iterator[Block]:
    lines: list[int] = []
    records: list[Any] = []
    size = 0
    try:
        for line, value in elements:
            lists = isinstance(value, list) and bool(value) and all(isinstance(record, dict) for record in value)
            for record in value if lists else [value]:  # one list for every prompt, as pipelines give
                lines.append(line)
                records.append({"text": record} if isinstance(record, str) else record)
            size += 1
            if size * 1024 >= block_bytes:
                yield Block(lines=lines, records=records)
                lines, records, size = [], [], 0
    except Unreadable:
        yield Block(lines=lines, records=records)
        raise
    yield Block(lines=lines, records=records)


class _Text:
    """The file's text, of which only what is not parsed yet is held."""

    def __init__(self, stream: BinaryIO, packing: str, block_bytes: int) -> None:
        self._stream, self._packing, self._size = stream, packing, block_bytes
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._first = True
        self.buffer = ""
        self.at = 0
        self.line = 1
        self.ended = False

    def more(self) -> bool:
        """Read on; False at the end of the file."""
        if self.ended:
            return False
        data = read_some(self._stream, max(self._size, len(self.buffer) - self.at), packing=self._packing)
        if self._first:
            refuse_other_formats(data)
            data = data.removeprefix(BOM)
            self._first = False
        self.ended = not data
        try:
            text = self._decode(data, final=not data)
        except UnicodeDecodeError as error:
            line = self.line + self.buffer.count("\n", self.at) + error.object[: error.start].count(b"\n")
            broken = bad_utf8(error)
            found = f"bad UTF-8 (byte 0x{error.object[error.start]:02x})"
            raise Unreadable(found, broken.expected, broken.slug, line=line) from None
        self.buffer = self.buffer[self.at :] + text
        self.at = 0
        return True

    def _move(self, to: int) -> None:
        self.line += self.buffer.count("\n", self.at, to)
        self.at = to

    def peek(self) -> str:
        """The next character that is no white space, which stays; empty at the end of the file."""
        while True:
            at = self.at
            while at < len(self.buffer) and self.buffer[at] in _SPACE:
                at += 1
            self._move(at)
            if at < len(self.buffer):
                return self.buffer[at]
            if not self.more():
                return ""

    def take(self, wanted: str) -> str:
        """The next character, which has to be one of ``wanted``."""
        character = self.peek()
        if character == "" or character not in wanted:
            said = "an end of the file" if character == "" else f"{character!r}"
            options = " or ".join(f'"{option}"' for option in wanted)
            raise Unreadable(
                f"broken JSON ({said} where {options} should stand)", _EXPECTED, "broken-json", line=self.line
            )
        self._move(self.at + 1)
        return character

    def value(self) -> Any:
        """The value that comes next, whole."""
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.buffer, self.at)
            except json.JSONDecodeError as error:
                cut_off = error.pos >= len(self.buffer) - 16 or error.msg.startswith("Unterminated string")
                if cut_off and len(self.buffer) - self.at > limits().line:  # a quote that is never closed
                    raise too_much("an element of more characters", "line", line=self.line) from None
                if cut_off and self.more():
                    continue
                line = self.line + self.buffer.count("\n", self.at, error.pos)
                raise Unreadable(f"broken JSON ({error.msg})", _EXPECTED, "broken-json", line=line) from None
            except DuplicateKeyError as error:
                found = f'the key "{error}" twice in one object'
                raise Unreadable(found, "each key once", "duplicate-key", line=self.line) from None
            except RecursionError:
                raise Unreadable("JSON nested too deeply", _EXPECTED, "broken-json", line=self.line) from None
            except ValueError as error:  # a number of thousands of digits
                raise Unreadable(f"broken JSON ({error})", _EXPECTED, "broken-json", line=self.line) from None
            if end == len(self.buffer) and self.more():  # a number may go on
                continue
            self._move(end)
            return value


def _array(text: _Text) -> Iterator[tuple[int, Any]]:
    """Line and value of every element."""
    text.take("[")
    if text.peek() == "]":
        text.take("]")
        return
    while True:
        text.peek()
        line = text.line
        yield line, text.value()
        if text.take(",]") == "]":
            return


def _members(text: _Text) -> Iterator[tuple[int, Any]]:
    """The elements of the one array of records that an object holds; its other members are passed over."""
    taken: str | None = None
    _enter(text)
    while True:
        text.peek()
        line = text.line
        name = text.value()
        text.take(":")
        if text.peek() != "[":
            text.value()
        else:
            for number, (place, value) in enumerate(_array(text)):
                if not isinstance(value, dict | str) and number == 0:
                    value = None  # an array of numbers or of lists is no corpus
                elif taken not in (None, name):
                    found = f'an object with several arrays ("{taken}", "{name}")'
                    raise Unreadable(found, "one of them in a file of its own", "several-arrays", line=line)
                elif number == 0:
                    taken = name
                if taken == name:
                    yield place, value
        if text.take(",}") == "}":
            break
    if taken is None:
        raise Unreadable("an object without an array of records", _EXPECTED, "no-array", line=line)


def _enter(text: _Text) -> None:
    """Go past the brace of an object; Unreadable where there is nothing in it."""
    text.take("{")
    if text.peek() == "}":
        text.take("}")
        raise Unreadable("an empty JSON object", _EXPECTED, "no-array", line=text.line)


def _first_line(text: _Text) -> Any:
    """The value of the first line; None where it is longer than a line may be, or no JSON by itself."""
    while "\n" not in text.buffer and text.more():
        if len(text.buffer) > limits().line:
            return None
    try:
        return json.loads(text.buffer[text.at :].partition("\n")[0])
    except (ValueError, RecursionError):
        return None


def _is_one_line(text: _Text) -> bool:
    return not _after_first_line(text).strip(_SPACE)


def _is_lines(text: _Text, first: Any) -> bool:
    """Whether the file holds one object a line: a second one follows the ``first``, or that is a record itself."""
    if first is None:
        return False
    return _after_first_line(text).lstrip(_SPACE).startswith("{") or (isinstance(first, dict) and "text" in first)


def _after_first_line(text: _Text) -> str:
    """What follows the first line, up to where something stands in it."""
    rest = text.buffer[text.at :].partition("\n")[2]
    while not rest.strip(_SPACE) and text.more():
        rest = text.buffer[text.at :].partition("\n")[2]
    return rest


def _columns(value: Any) -> list[dict[str, Any]]:
    """The rows of an object of columns, each an object of the same row names; none where it is something else."""
    if not isinstance(value, dict) or not all(isinstance(column, dict) and column for column in value.values()):
        return []
    names = [list(column) for column in value.values()]
    if not names or any(each != names[0] for each in names):
        return []
    return [{key: column[row] for key, column in value.items()} for row in names[0]]
