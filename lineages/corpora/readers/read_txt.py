"""Reads ``.txt``: every line is a document, and an empty line is an empty document (collapsed models do write nothing).

A line end at the end of the file ends the last document; it does not begin another.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from collapse_audit.lineages.corpora.readers.blocks import Block, decode_lines, raw_line_blocks


def txt_blocks(path: Path, *, gzipped: bool, block_bytes: int) -> Iterator[Block]:
    """Blocks of ``{"text": line}``. Raises Unreadable where the file is something else."""
    first = 1
    for raw in raw_line_blocks(path, gzipped=gzipped, block_bytes=block_bytes):
        lines = decode_lines(raw)
        records = [{"text": line} if isinstance(line, str) else line for line in lines]
        yield Block(lines=range(first, first + len(lines)), records=records)
        first += len(lines)
