"""Small tables in every form that a clinic keeps them in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collapse_audit.lineages.preparation.columns import Choice
from collapse_audit.lineages.preparation.prepare import Options, Prepared, prepare

HEADER = ("id", "patient", "description", "conclusion", "EU-TIRADS", "age")


def report(number: int, *, patient: int | None = None, **cells: str) -> dict[str, str]:
    """A report that nothing is wrong with."""
    category = number % 5 + 1
    plain = {
        "id": str(number),
        "patient": f"P{number if patient is None else patient}",
        "description": f"Образование номер {number}, размерами {number} мм.",
        "conclusion": f"Узел {number} (EU-TIRADS {category}).",
        "EU-TIRADS": str(category),
        "age": str(20 + number % 60),
    }
    return plain | cells


def csv_text(rows: Sequence[dict[str, str]], *, delimiter: str = ";") -> str:
    """The rows under their header, every cell quoted."""
    names = list(rows[0])
    lines = [delimiter.join(f'"{cell}"' for cell in cells) for cells in (names, *(row.values() for row in rows))]
    return "".join(f"{line}\n" for line in lines)


def write(path: Path, rows: Sequence[dict[str, str]], encoding: str = "utf-8") -> Path:
    path.write_bytes(csv_text(rows).encode(encoding))
    return path


def prepared(path: Path, *, columns: Choice | None = None, **options: Any) -> Prepared:
    return prepare(path, Options(columns=columns or Choice(), **options))


def records(made: Prepared) -> list[dict[str, Any]]:
    """Of all three parts, in the order of the table."""
    return sorted((record for part in made.parts.values() for record in part), key=lambda record: str(record["id"]))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
