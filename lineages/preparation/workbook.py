"""How large a workbook is, before anything is made of it: its cells, and how far those that hold something reach.

A spreadsheet library makes every cell that a file names, and every one between two that stand far apart: a few bytes
(one cell in the last corner, one merged area) are 17 thousand million cells. Here the parts of the file are only run
through, element by element. An entity, which no spreadsheet writes, is refused: by entities a little XML says much.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers import expat

from collapse_audit.lineages.files.door import Refused, limits, raised

_BLOCK = 1 << 20
_PLACE = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,10})")
_NESTED = 256
"""Levels of elements; a worksheet has seven."""


@dataclass(slots=True)
class Extent:
    """How far the cells that hold something reach, over all sheets."""

    rows: int = 0
    columns: int = 0


def extent(path: Path) -> Extent:
    """Of a workbook. Raises Refused where it is larger than is read, and what zipfile and expat raise."""
    reached = Extent()
    named = 0
    with zipfile.ZipFile(path) as packed:
        size = sum(info.file_size for info in packed.infolist())
        if size > limits().whole:
            raise Refused(f"a workbook of {size:,} bytes unpacked; at most {limits().whole:,} are; {raised('whole')}")
        for info in packed.infolist():
            part = _Part(reached)
            with packed.open(info) as stream, _whole_if_xml(info.filename):
                while block := stream.read(_BLOCK):
                    part.parser.Parse(block, False)
                    if named + part.named > limits().cells:
                        raise _too_many(named + part.named)
                part.parser.Parse(b"", True)
            named += part.named
    if reached.rows * reached.columns > limits().cells:
        raise _too_many(reached.rows * reached.columns)
    return reached


def _whole_if_xml(name: str) -> AbstractContextManager[None]:
    """A picture is no XML. It is looked into all the same, for a sheet may be called like one."""
    return nullcontext() if name.lower().endswith((".xml", ".rels")) else suppress(expat.ExpatError)


def _too_many(cells: int) -> Refused:
    return Refused(f"a workbook of {cells:,} cells and more; at most {limits().cells:,} are; {raised('cells')}")


class _Part:
    """One part of the workbook, as it is run through."""

    def __init__(self, reached: Extent) -> None:
        self.named = 0
        """Cells, merged ones and strings that it makes a library make."""
        self._reached = reached
        self._row = self._column = 0
        self._depth = self._said = 0
        self._in_cell = False
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._entity

    def _entity(self, *_: Any) -> None:
        raise ValueError("XML that declares an entity")

    def _begin(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > _NESTED:
            raise ValueError("XML nested too deep")
        self._said = 0
        kind = name.rpartition(" ")[2]
        if kind == "row":
            self._row, self._column = _number(attributes.get("r"), self._row + 1), 0
        elif kind == "c":
            self.named += 1
            self._in_cell = True
            place = _PLACE.fullmatch(attributes.get("r", ""))
            self._column = self._column + 1 if place is None else _letters(place[1])
            if place is not None:
                self._row = int(place[2])
        elif kind in ("v", "is", "f") and self._in_cell:
            self._reached.rows = max(self._reached.rows, self._row)
            self._reached.columns = max(self._reached.columns, self._column)
        elif kind == "si":
            self.named += 1
        elif kind == "mergeCell":
            self.named += _area(attributes.get("ref", ""))

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._said = 0
        if name.rpartition(" ")[2] == "c":
            self._in_cell = False

    def _text(self, text: str) -> None:
        self._said += len(text)
        if self._said > limits().line:
            raise Refused(f"a cell of more characters than {limits().line:,}; {raised('line')}")


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 12 else otherwise


def _letters(text: str) -> int:
    column = 0
    for letter in text.upper():
        column = 26 * column + ord(letter) - 64
    return column


def _area(ref: str) -> int:
    """Cells of an area, such as ``A1:C2``."""
    ends = [_PLACE.fullmatch(end) for end in ref.split(":")]
    found = [(_letters(end[1]), int(end[2])) for end in ends if end is not None]
    if len(found) != 2:
        return 1
    (left, top), (right, bottom) = found
    return (abs(right - left) + 1) * (abs(bottom - top) + 1)
