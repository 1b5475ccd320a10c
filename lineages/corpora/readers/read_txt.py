"""Reads ``.txt``: every line is a document, and an empty line is an empty document (collapsed models do write nothing).

A line end at the end of the file ends the last document; it does not begin another. Asked to, paragraphs (between blank
lines, their lines joined) or whole files are documents instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from collapse_audit.lineages.corpora.readers.blocks import (
    BOM,
    Block,
    bad_utf8,
    decode_lines,
    raw_line_blocks,
    refuse_other_formats,
)
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.opening import open_bytes, read_some
from collapse_audit.lineages.files.remote import Place

_PROSE = 20
"""So many lines are looked at before they are called no documents."""


def txt_blocks(path: Place, *, packing: str, block_bytes: int, documents: str = "") -> Iterator[Block]:
    """Blocks of ``{"text": …}``. Raises Unreadable where the file is something else.

    ``documents``: ``lines`` (as is the empty string), ``paragraphs`` or ``files``.
    """
    if documents == "files":
        yield Block(lines=[None], records=[whole_file(path, packing=packing)])
        return
    blocks = _lines(path, packing=packing, block_bytes=block_bytes)
    yield from _paragraphs(blocks) if documents == "paragraphs" else blocks


def _lines(path: Place, *, packing: str, block_bytes: int) -> Iterator[Block]:
    first = 1
    for raw in raw_line_blocks(path, packing=packing, block_bytes=block_bytes):
        lines = decode_lines(raw)
        records = [{"text": line} if isinstance(line, str) else line for line in lines]
        yield Block(lines=range(first, first + len(lines)), records=records)
        first += len(lines)


def _paragraphs(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same lines, those between blank ones joined by single spaces, each with the line that it begins on."""
    begun: int | None = None
    held: list[str] = []
    for block in blocks:
        lines: list[int | None] = []
        records: list[Any] = []
        for _, line, record in block.places():
            text = "" if isinstance(record, Broken) else record["text"].strip()
            if text:
                begun = begun if held else line
                held.append(text)
            elif held:
                lines.append(begun)
                records.append({"text": " ".join(held)})
                held = []
            if isinstance(record, Broken):
                lines.append(line)
                records.append(record)
        yield Block(lines=lines, records=records)
    if held:
        yield Block(lines=[begun], records=[{"text": " ".join(held)}])


def whole_file(path: Place, *, packing: str) -> Any:
    """The file as one document, without the line ends at its end; a Broken where it is not UTF-8."""
    with open_bytes(path, packing=packing) as stream:
        data = read_some(stream, -1, packing=packing)
    refuse_other_formats(data)
    try:
        return {"text": data.removeprefix(BOM).decode("utf-8").replace("\r\n", "\n").rstrip("\n")}
    except UnicodeDecodeError as error:
        return bad_utf8(error)


def prose(lines: list[str]) -> str:
    """What in the first lines of a file speaks against a document a line; empty where nothing does."""
    written = [line for line in lines if line.strip()]
    if len(lines) < _PROSE:
        return ""
    if sum(bool(re.match(r"#{1,6} \S", line)) for line in written) >= 2:
        return "headings"
    blank = sum(not line.strip() for line in lines[1:-1])
    alternate = sum(bool(a.strip()) and not b.strip() for a, b in pairwise(lines))
    if blank >= len(lines) // 10 and alternate >= 0.9 * blank:
        return "blank lines between paragraphs"
    longest = max(map(len, written), default=0)
    full = sum(len(line) >= 0.8 * longest for line in written)
    open_ended = sum(line.rstrip()[-1:] not in '.!?…:;"»”' for line in written)
    if 40 <= longest <= 100 and full >= 0.7 * len(written) and open_ended >= 0.6 * len(written):
        return "lines that are wrapped at one width"
    return ""
