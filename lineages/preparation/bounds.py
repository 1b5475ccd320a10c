"""How large a table may be: all of it is held at once, and a small file may hold very many cells."""

from __future__ import annotations

from collapse_audit.errors import InputError
from collapse_audit.lineages.files.door import limits, raised
from collapse_audit.lineages.files.problems import problem


def check_size(where: str, columns: int, rows: int) -> None:
    """Raises InputError where a table has more columns, or more cells, than is read."""
    for what, found, most in (
        ("columns", columns, limits().columns),
        ("cells", max(columns, 1) * rows, limits().cells),
    ):
        if found > most:
            said = f"{found:,} {what}" if what == "columns" else f"{rows:,} rows of {columns:,} columns"
            expected = f"at most {most:,} {what}; {raised(what)}"
            raise InputError([problem(where, said, expected, "limit-exceeded")])
