"""A table of made-up thyroid reports as a clinic might keep it, in which everything is wrong that can be, and known.

SYNTHETIC, as thyroid.py says. Each fault stands in rows of its own, so that for every row it is known what
``collapse-lineage prepare`` has to do with it; values that are missing, days written as numbers, and lines in another
encoding lie across all rows.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.atomic import write_bytes
from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation.output import Output, new_lineage
from collapse_audit.lineages.simulation.thyroid import NOTICE, write_conclusion, write_description
from collapse_audit.lineages.simulation.thyroid_cases import Case, draw_case

COLUMNS = (
    "№", "Пациент", "ФИО", "Дата рождения", "Полис", "Дата исследования", "Пол", "Возраст", "Аппарат", "Объем, мл",
    "Описание", "Заключение", "EU-TIRADS", "Категория",
)  # fmt: skip
FAULTS: Mapping[str, float] = {
    "duplicate": 0.03,
    "no-text": 0.015,
    "uninformative": 0.01,
    "no-label": 0.02,
    "label-from-text": 0.02,
    "contradictory-labels": 0.02,
    "columns-disagree": 0.015,
    "unknown-label": 0.01,
    "personal-data": 0.01,
    "broken-quote": 0.01,
    "extra-cell": 0.005,
}
"""Fault -> share of the rows."""
FOREIGN, MISSING, NUMBERS = 0.1, 0.08, 0.2
"""Shares: of lines in cp1251, of cells without a value in the columns that may lack one, of days kept as numbers."""
_FORMS = ("EU-TIRADS {n}", "EU-TIRADS {n}", "{n}", "TIRADS-{n}", "EU TI-RADS {n}", "ТИРАДС {n}", "категория {n}", "{r}")
_ROMAN = {"1": "I", "2": "II", "3": "III", "4": "IV", "5": "V"}
_DEVICES = ("Линейный А", "Линейный Б", "Конвексный")
_DAY_0 = date(1899, 12, 30)
_MAY_LACK = ("Пол", "Возраст", "Аппарат", "Объем, мл")
Cells = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessyTable:
    """The bytes of the file, and what is wrong with it."""

    data: bytes
    truth: Mapping[str, Any]


def simulate_thyroid_table(output: Output, *, records: int = 2000) -> Path:
    """Write ``table.csv`` with so many rows, and ``truth.json``: what is wrong in which row."""
    if records < 100:
        raise UsageError(f"{records} records; allowed are 100 or more, so that every fault has a row")
    with new_lineage(output) as draft:
        table = messy_table(records, output.rng(0))
        write_bytes(draft.root / "table.csv", table.data)
        draft.add_json("truth.json", {"notice": NOTICE, "command": output.command, **table.truth})
    return output.out


def messy_table(records: int, rng: np.random.Generator) -> MessyTable:
    """So many rows in a semicolon-separated file whose lines are UTF-8, or cp1251."""
    patients = [_patient(number, rng) for number in range(max(1, round(records / 1.6)))]
    rows: list[Cells] = []
    faults = _faults(records, rng)
    for number, fault in enumerate(faults, start=1):
        patient = patients[int(rng.integers(len(patients)))]
        if fault == "duplicate":
            row = dict(rows[_clean_row(faults, number, rng)])
        else:
            row = {**patient, **_report(fault, rng)}
            for name in _MAY_LACK:
                if rng.random() < MISSING:
                    row[name] = ("", "-", "н/д")[int(rng.integers(3))]
        rows.append({**row, "№": str(number)})
    lines = [_line(row, fault) for row, fault in zip(rows, faults, strict=True)]
    foreign = [number for number in range(records) if rng.random() < FOREIGN and _fits(lines[number])]
    coded = [line.encode("cp1251" if at in set(foreign) else "utf-8") for at, line in enumerate(lines)]
    counts = Counter(fault for fault in faults if fault)
    truth = {
        "records": records,
        "faults": dict(sorted(counts.items())),
        "rows": {name: [at + 2 for at, fault in enumerate(faults) if fault == name] for name in sorted(counts)},
        "cp1251_lines": [at + 2 for at in foreign],
        "missing": {name: sum(row[name] in ("", "-", "н/д") for row in rows) for name in _MAY_LACK},
    }
    return MessyTable(data=_line({name: name for name in COLUMNS}, "").encode() + b"".join(coded), truth=truth)


def _faults(records: int, rng: np.random.Generator) -> list[str]:
    """The fault of each row, "" for none; a copy has a row above it to copy."""
    planted = [fault for fault, share in FAULTS.items() for _ in range(max(1, round(share * records)))]
    mixed = [*planted, *[""] * (records - len(planted) - 1)]
    return ["", *(mixed[at] for at in rng.permutation(len(mixed)))]


def _clean_row(faults: Sequence[str], number: int, rng: np.random.Generator) -> int:
    clean = [at for at, fault in enumerate(faults[: number - 1]) if not fault]
    return clean[int(rng.integers(len(clean)))]


def _patient(number: int, rng: np.random.Generator) -> Cells:
    female = rng.random() < 0.8
    born = date(1940, 1, 1) + timedelta(days=int(rng.integers(0, 24000)))
    return {
        "Пациент": f"П-{number + 1:05d}",
        "ФИО": "Примерова Тестина Образцовна" if female else "Примеров Тестин Образцович",
        "Дата рождения": born.strftime("%d.%m.%Y"),
        "Полис": "".join(str(digit) for digit in rng.integers(0, 10, 16)),
        "Пол": "ж" if female else "м",
        "Возраст": str(2024 - born.year),
    }


def _report(fault: str, rng: np.random.Generator) -> Cells:
    """One report with the fault in it, and cells of its own."""
    named = {"no-label": False, "unknown-label": False, "label-from-text": True, "contradictory-labels": True}
    case = _case(named.get(fault), rng)
    described = fault not in named and bool(rng.random() < 0.3)
    text = write_conclusion(case, rng)
    highest = case.labels[-1]
    other = next(n for n in rng.permutation(list("12345")).tolist() if n not in case.labels)
    column = {"no-label": "", "label-from-text": "-", "contradictory-labels": other, "unknown-label": "6"}
    second = {"columns-disagree": other, **dict.fromkeys(named, "")}.get(fault, highest if rng.random() < 0.5 else "")
    texts = {
        "no-text": ("", "-", "нет данных")[int(rng.integers(3))],
        "uninformative": ("См. выше.", "Без заключения", "Заключение в работе")[int(rng.integers(3))],
        "personal-data": f"{text} Пациент Примеров Т.О., тел. +7 900 000-00-00.",
    }
    day = date(2017, 1, 1) + timedelta(days=int(rng.integers(0, 2500)))
    number = rng.random() < NUMBERS
    return {
        "Дата исследования": str((day - _DAY_0).days) if number else day.strftime("%d.%m.%Y"),
        "Аппарат": _DEVICES[int(rng.integers(len(_DEVICES)))],
        "Объем, мл": f"{rng.lognormal(2.7, 0.4):.1f}".replace(".", ","),
        "Описание": write_description(case, rng, described=described, additional=bool(rng.random() < 0.3)),
        "Заключение": texts.get(fault, text),
        "EU-TIRADS": column.get(fault, highest) if fault == "unknown-label" else _form(column.get(fault, highest), rng),
        "Категория": second,
    }


def _case(named: bool | None, rng: np.random.Generator) -> Case:
    """A case whose conclusion names its categories, or does not, or either."""
    while True:
        case = draw_case(rng)
        if named is None or case.labelled == named:
            return case


def _form(number: str, rng: np.random.Generator) -> str:
    """One of the forms in which people write a category."""
    if number not in _ROMAN:
        return number
    return _FORMS[int(rng.integers(len(_FORMS)))].format(n=number, r=_ROMAN[number])


def _line(row: Cells, fault: str) -> str:
    file = io.StringIO()
    cells = [row[name] for name in COLUMNS] + (["лишнее"] if fault == "extra-cell" else [])
    csv.writer(file, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(cells)
    line = file.getvalue()
    return line.replace('";', ";", 1) if fault == "broken-quote" else line


def _fits(line: str) -> bool:
    try:
        line.encode("cp1251")
    except UnicodeEncodeError:
        return False
    return True
