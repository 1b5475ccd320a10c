"""What tables are like: refused with a message that says what to do, or repaired by a rule that is told."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineage_cli import main
from collapse_audit.lineages.files.door import limits, under
from collapse_audit.lineages.preparation.columns import Choice
from tests.preparation.tables import csv_text, prepared, records, report, write

ROWS = [report(number) for number in range(1, 61)]


def told(made: Any, reason: str) -> list[tuple[str, int | None]]:
    return [(entry.action, entry.row) for entry in made.ledger.entries if entry.reason == reason]


def workbook(path: Path, rows: Sequence[dict[str, Any]], change: Callable[[Any], None] = id) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append([cell or None for cell in row.values()])
    change(sheet)
    book.save(path)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251"])
def test_a_table_in_any_of_the_encodings_is_the_same_table(encoding: str, tmp_path: Path) -> None:
    made = prepared(write(tmp_path / "table.csv", ROWS, encoding))
    assert records(made) == records(prepared(write(tmp_path / "plain.csv", ROWS)))
    assert len(told(made, "encoding")) == (0 if encoding.startswith("utf-8") else 1)


@pytest.mark.parametrize("encoding", ["koi8-r", "cp866"])
def test_another_russian_encoding_is_refused_and_read_where_it_is_named(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path / "table.csv", ROWS, encoding)
    with pytest.raises(InputError, match=r"neither UTF-8 nor Russian in cp1251.*--encoding.*\[unknown-encoding\]"):
        prepared(path)
    assert records(prepared(path, encoding=encoding)) == records(prepared(write(tmp_path / "plain.csv", ROWS)))


def test_lines_of_two_encodings_in_one_file_are_each_read_in_theirs(tmp_path: Path) -> None:
    lines = csv_text(ROWS).splitlines(keepends=True)
    path = tmp_path / "table.csv"
    path.write_bytes(b"".join(line.encode("cp1251" if at in (3, 7) else "utf-8") for at, line in enumerate(lines)))
    made = prepared(path)
    assert told(made, "encoding") == [("repaired", 4), ("repaired", 8)]
    assert records(made) == records(prepared(write(tmp_path / "plain.csv", ROWS)))


@pytest.mark.parametrize("row", [2, 30, 61])
def test_a_quote_that_is_never_closed_costs_its_own_row_only(row: int, tmp_path: Path) -> None:
    lines = csv_text(ROWS).splitlines(keepends=True)
    lines[row - 1] = lines[row - 1][: lines[row - 1].rindex('"')] + "\n"
    path = tmp_path / "table.csv"
    path.write_text("".join(lines), "utf-8")
    made = prepared(path)
    assert told(made, "broken-row") == [("dropped", row)]
    assert len(records(made)) == 59


def test_a_quote_that_was_never_opened_is_left_out_and_told(tmp_path: Path) -> None:
    lines = csv_text(ROWS).splitlines(keepends=True)
    cut = lines[4].index('"Узел')
    lines[4] = lines[4][:cut] + lines[4][cut + 1 :]
    path = tmp_path / "table.csv"
    path.write_text("".join(lines), "utf-8")
    made = prepared(path)
    assert told(made, "lost-quote") == [("repaired", 5)]
    assert records(made) == records(prepared(write(tmp_path / "plain.csv", ROWS)))


@pytest.mark.parametrize("conclusion", ['Узел 12"', 'Клиника "Роза"', '"Узел"', 'Он сказал: "да".'])
def test_quotes_that_mean_something_stay(conclusion: str, tmp_path: Path) -> None:
    doubled = conclusion.replace('"', '""')
    row = report(61, conclusion=f"EU-TIRADS 3 {doubled}", **{"EU-TIRADS": "3"})
    made = prepared(write(tmp_path / "table.csv", [*ROWS, row]))
    assert not made.ledger.entries
    assert any(record["text"].endswith(conclusion) for record in records(made))


def test_a_line_break_within_a_quoted_cell_is_no_broken_row(tmp_path: Path) -> None:
    rows = [*ROWS, report(61, description="Первая строка.\nВторая; строка.")]
    made = prepared(write(tmp_path / "table.csv", rows))
    assert records(made)[-1]["prompt"] == "Первая строка.\nВторая; строка."
    assert not made.ledger.entries


def test_a_row_with_a_cell_too_many_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(csv_text(ROWS) + '"61";"P61";"a";"b";"1";"40";"лишнее"\n', "utf-8")
    assert told(prepared(path), "broken-row") == [("dropped", 62)]


def test_a_first_line_that_names_the_separator_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("sep=|\r\n" + csv_text(ROWS, delimiter="|"), "utf-8")
    plain = records(prepared(write(tmp_path / "plain.csv", ROWS)))
    assert [one["text"] for one in records(prepared(tmp_path / "table.csv"))] == [one["text"] for one in plain]


def test_the_same_reports_are_the_same_reference_in_every_format(tmp_path: Path) -> None:
    plain = records(prepared(write(tmp_path / "table.csv", ROWS)))
    (tmp_path / "table.tsv").write_text(csv_text(ROWS, delimiter="\t"), "utf-8")
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "table.parquet")
    workbook(tmp_path / "table.xlsx", ROWS)
    for suffix in ("tsv", "xlsx"):
        assert records(prepared(tmp_path / f"table.{suffix}")) == plain
    without_header = [{**one, "id": f"row-{int(one['id'].split('-')[1]) - 1:05d}"} for one in plain]
    assert records(prepared(tmp_path / "table.parquet")) == without_header


def test_a_cell_merged_down_a_column_is_filled_in_and_told(tmp_path: Path) -> None:
    def merge(sheet: Any) -> None:
        sheet.merge_cells("B3:B4")  # two visits of one patient

    made = prepared(workbook(tmp_path / "table.xlsx", ROWS, merge))
    assert told(made, "merged-cell") == [("repaired", 4)]
    groups = {record["id"]: record["group"] for record in records(made)}
    assert groups["row-00003"] == groups["row-00004"] != groups["row-00005"]


def test_a_row_merged_across_columns_is_rejected(tmp_path: Path) -> None:
    def merge(sheet: Any) -> None:
        sheet.insert_rows(10)
        sheet["A10"] = "Март"
        sheet.merge_cells("A10:F10")

    made = prepared(workbook(tmp_path / "table.xlsx", ROWS, merge))
    assert told(made, "merged-row") == [("dropped", 10)]
    assert len(records(made)) == 60


def test_merged_cells_in_the_header_are_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "table.xlsx", ROWS, lambda sheet: sheet.merge_cells("C1:D1"))
    with pytest.raises(InputError, match=r"merged cells in the header \(C1:D1\).*\[merged-header\]"):
        prepared(path)


def test_an_empty_sheet_and_a_header_alone_are_refused(tmp_path: Path) -> None:
    openpyxl.Workbook().save(tmp_path / "empty.xlsx")
    with pytest.raises(InputError, match=r"an empty sheet.*\[no-record\]"):
        prepared(tmp_path / "empty.xlsx")
    for name, text in (("header.csv", "text;label\n"), ("nothing.csv", "\n\n")):
        (tmp_path / name).write_text(text, "utf-8")
        with pytest.raises(InputError, match=r"\[no-record\]"):
            prepared(tmp_path / name)


def test_of_several_sheets_one_has_to_be_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "table.xlsx", ROWS)
    book = openpyxl.load_workbook(path)
    book.create_sheet("Прочее").append(["что-то"])
    book.save(path)
    with pytest.raises(UsageError, match=r"choose one with --sheet \(Sheet, Прочее\)"):
        prepared(path)
    assert len(records(prepared(path, sheet="Sheet"))) == 60
    with pytest.raises(UsageError, match="--sheet Нет"):
        prepared(path, sheet="Нет")


def test_days_kept_as_numbers_are_days_again(tmp_path: Path) -> None:
    """44197 is 1 January 2021 in a spreadsheet; days since 1970: 18628."""
    days = ["44197", "01.01.2021", "2021-01-01"]
    rows = [report(number, visit=days[number % 3]) for number in range(1, 61)]
    made = prepared(write(tmp_path / "table.csv", rows))
    assert told(made, "date-as-number") == [("repaired", None)]
    assert {record["features"]["visit"] for record in records(made)} == {18628}


def test_a_column_of_five_digit_numbers_is_no_column_of_days(tmp_path: Path) -> None:
    rows = [report(number, price=str(44000 + number)) for number in range(1, 61)]
    made = prepared(write(tmp_path / "table.csv", rows))
    assert not made.ledger.entries
    assert records(made)[0]["features"]["price"] == 44001.0


def test_two_label_columns_that_disagree_are_dropped_or_the_text_is_believed(tmp_path: Path) -> None:
    rows = [report(number, category=str(number % 5 + 1)) for number in range(1, 61)]
    rows[9]["category"] = "5"  # report 10: EU-TIRADS 1
    path = write(tmp_path / "table.csv", rows)
    assert told(prepared(path), "contradictory-labels") == [("dropped", 11)]
    believed = prepared(path, contradictory="text")
    assert told(believed, "contradictory-labels") == [("repaired", 11)]
    assert records(believed)[9]["labels"] == ["EU-TIRADS 1"]
    assert told(prepared(path, contradictory="column"), "contradictory-labels") == [("dropped", 11)]  # which of them?


def test_columns_that_look_personal_are_left_out_and_named(tmp_path: Path) -> None:
    names = ["Примеров Тестин Образцович", "Примерова Тестина Образцовна"]
    rows = [report(number, doctor=names[number % 2], СНИЛС="112-233-445 95") for number in range(1, 61)]
    path = write(tmp_path / "table.csv", rows)
    made = prepared(path)
    assert [feature.name for feature in made.features] == ["age"]
    assert '"doctor" looks like personal data (60 of 60 values look like a name)' in made.ledger.warnings[0]
    assert '"СНИЛС" looks like personal data (its name says so)' in made.ledger.warnings[1]
    dropped = prepared(path, columns=Choice(drop=["doctor", "СНИЛС", "age"]))
    assert dropped.ledger.warnings == []
    assert list(dropped.features) == []


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("тел. +7 900 000-00-00", "phone"),
        ("someone@example.org", "e-mail"),
        ("СНИЛС 112-233-445 95", "insurance number"),
        ("полис 1234 5678 9012 3456", "policy or card"),
        ("паспорт 45 00 123456", "passport"),
        ("01.02.1960 г.р.", "date of birth"),
        ("Примерова Тестина Образцовна", "name"),
        ("Врач Примеров Т.О.", "name"),
    ],
)
def test_personal_data_in_a_text_are_dropped_masked_or_kept(words: str, kind: str, tmp_path: Path) -> None:
    rows = [*ROWS, report(61, conclusion=f"Узел 61 (EU-TIRADS 2). {words}")]
    path = write(tmp_path / "table.csv", rows)
    assert told(prepared(path), "personal-data") == [("dropped", 62)]
    masked = prepared(path, personal="mask")
    assert told(masked, "personal-data") == [("repaired", 62)]
    assert f"[{kind}]" in records(masked)[-1]["text"]
    kept = prepared(path, personal="keep")
    assert words in records(kept)[-1]["text"]
    assert "1 texts hold what looks like personal data" in kept.ledger.warnings[-1]


def test_a_plain_report_holds_nothing_personal(tmp_path: Path) -> None:
    text = "Узел 0,9*0,5*0,9 см от 12.03.2021, EU-TIRADS 3. Сравнить с УЗИ 2019 г. Автор метода Russ G. et al."
    assert not told(prepared(write(tmp_path / "t.csv", [*ROWS, report(61, conclusion=text)])), "personal-data")


@pytest.mark.parametrize(
    ("header", "slug"),
    [("id;;text\n", "unnamed-column"), ("text;text\n", "duplicate-column"), ('"text;label\n', "no-record")],
)
def test_a_header_that_cannot_be_read_is_refused(header: str, slug: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(f"{header}1;2;3\n", "utf-8")
    with pytest.raises(InputError, match=rf"\[{slug}\]"):
        prepared(tmp_path / "table.csv")


def test_every_refusal_ends_with_exit_code_4_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "good.csv", ROWS)
    few = write(tmp_path / "few.csv", ROWS[:10])
    out = tmp_path / "out"
    for argv, said in (
        ([str(tmp_path / "none.csv")], "no such file"),
        ([str(tmp_path)], "no such file"),
        ([str(good), "--text", "body"], 'no column "body"; the table has "id", "patient"'),
        ([str(good), "--drop-columns", "conclusion"], "it holds the text"),
        ([str(good), "--label", "conclusion"], "cannot be both a label and something else"),
        ([str(good), "--text", "age", "--prompt", "none", "--label", "none"], "no column holds a label"),
        ([str(few)], "10 reports of 10 patients are left, too few"),
    ):
        assert main(["prepare", *argv, "--out", str(out)]) == 4, argv
        assert said in capsys.readouterr().err
        assert not out.exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert main(["prepare", str(good), "--out", str(tmp_path / "full")]) == 4
    assert "is there already" in capsys.readouterr().err


def test_a_workbook_made_to_take_the_memory_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "table.xlsx", ROWS)
    for setting, said in (
        ("whole=1000", "bytes unpacked"),
        ("cells=300", "366 cells and more"),
        ("line=9", "a cell of more"),
    ):
        with under(limits(setting)), pytest.raises(InputError, match=rf"{said}.*\[limit-exceeded\]"):
            prepared(path)
    assert len(records(prepared(path))) == 60


def test_what_is_no_workbook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.xlsx").write_bytes(io.BytesIO(b"PK not").read())
    with pytest.raises(InputError, match=r"no workbook.*\[unreadable\]"):
        prepared(tmp_path / "table.xlsx")


def test_a_table_of_open_quotes_is_none(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(csv_text(ROWS) + '"a\n' * 10_001, "utf-8")
    with pytest.raises(InputError, match="quotes that do not match in more than 10,000 lines"):
        prepared(path)


@pytest.mark.parametrize("value", ["1e308", "9" * 400])
def test_a_measure_whose_variance_no_number_holds_is_no_measure(value: str, tmp_path: Path) -> None:
    rows = [{**row, "size": "12"} for row in ROWS[:-1]] + [{**ROWS[-1], "size": value}]
    made = prepared(write(tmp_path / "table.csv", rows))
    assert [feature.kind for feature in made.features if feature.name == "size"] in ([], ["category"])
    assert len(records(made)) == 60
