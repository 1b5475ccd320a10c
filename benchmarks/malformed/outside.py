"""What a user names beside a lineage, or has written to: tables to be prepared, records of numbers, report folders with
notes of strangers, and pipes and devices where a pack, a history, a report, settings or a tokenizer's file should lie;
and corpora of several files, of which one is somebody else's.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import math
import os
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.fuzz_beside import COMMANDS
from benchmarks.malformed.case import Case, Damage, put

_ANY = frozenset({0, 1, 4, 6})
"""Numbers that are all one are a collapse."""
Pack = Callable[[bytes], bytes]
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def cases() -> Iterator[Case]:
    """Every case of this file."""
    yield from _places()
    yield from _notes()
    yield from _workbooks()
    yield from _tables()
    yield from _numbers()
    yield from _journals()
    yield from _several_files()
    yield from _packed_lines()


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


_WHAT: dict[str, Damage] = {
    "a pipe": os.mkfifo,
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "3 GB of zeros": _large,
}


def _places() -> Iterator[Case]:
    for file, command in COMMANDS.items():
        for what, make in _WHAT.items():

            def damage(home: Path, *, file: str = file, make: Damage = make) -> None:
                (home / file).unlink()
                make(home / file)

            yield Case(name=f"{file} is {what}", damage=damage, says=(file,), ground="beside", command=command)
    for what, make in {"a pipe": os.mkfifo, "3 GB of zeros": _large}.items():

        def of_lineage(home: Path, *, make: Damage = make) -> None:
            make(home / "runs" / "tokenizer.json")
            put("runs/collapse-audit.toml", 'tokens = "hf:tokenizer.json"\n')(home)

        name = f"a lineage's tokenizer.json is {what}"
        command = ("runs", "--independent", "-k", "length or divergence")
        yield Case(name=name, damage=of_lineage, says=("tokenizer.json",), ground="beside", command=command)


_REPORTS = ("report.json", "report.html", "report.md", "junit.xml", ".unfinished.json")


def _notes() -> Iterator[Case]:
    """A note of a command that died, by somebody who was none."""
    for what, content in {
        "100,000 deep": "[" * 100_000,
        "half a pair": '{"\\ud800": null}',
        "half a pair twice": '{"\\ud800": ".\\ud800.00000000.tmp"}',
        "a name of 300 letters": json.dumps({"a" * 300: None}),
        "a folder's name": '{"kept": null}',
        "a folder's name for a file's": '{"kept": ".kept.00000000.tmp"}',
        "a name that leads out": '{"../lineage.toml": null}',
        "5,000 digits": f'{{"a": {"9" * 5000}}}',
        "a list": "[]",
        "no UTF-8": b"\xff",
        "a NUL": '{"a\\u0000": null}',
    }.items():
        yield _note(what, put("reports/.unfinished.json", content))
    yield _note("3 GB of zeros", lambda home: _large(home / "reports" / ".unfinished.json"))
    yield _note("a pipe", lambda home: os.mkfifo(home / "reports" / ".unfinished.json"))


def _note(what: str, damage: Damage) -> Case:
    def with_folder(home: Path) -> None:
        put("reports/kept/file", "a file of somebody")(home)
        put("reports/.kept.00000000.tmp", "another")(home)
        damage(home)

    return Case(
        name=f"a report folder's note is {what}",
        damage=with_folder,
        says=(".unfinished.json",),
        codes=frozenset({0, 6}),
        ground="beside",
        command=("runs", "--independent", "-k", "length or divergence", "--report", "reports"),
        writes=frozenset(f"reports/{name}" for name in _REPORTS),
    )


def _prepared(name: str, file: str, damage: Damage) -> Case:
    columns = ("--text", "conclusion", "--prompt", "description", "--label", "label")
    return Case(
        name=name,
        damage=damage,
        says=(file,),
        ground="bare",
        command=("prepare", file, "--out", "made", *columns),
        program="lineage",
    )


def _cell(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


_HEADER = "<row>" + "".join(map(_cell, ("A1", "B1", "C1"), ("conclusion", "description", "label"))) + "</row>"
_ROWS = _HEADER + "".join(
    f"<row>{_cell(f'A{k}', f'text {k}')}{_cell(f'B{k}', f'said {k}')}{_cell(f'C{k}', str(k % 3))}</row>"
    for k in range(2, 40)
)


def _workbook(rows: str, *, before: str = "", behind: str = "", sheet: str = "sheet1.xml") -> bytes:
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/{sheet}" ContentType="{_TYPE}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/{sheet}"/></Relationships>',
        f"xl/worksheets/{sheet}": f'{before}<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData>'
        f"{behind}</worksheet>",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


def _flipped(content: bytes, at: float) -> bytes:
    place = int(at * len(content))
    return content[:place] + bytes([content[place] ^ 0x5A]) + content[place + 1 :]


def _workbooks() -> Iterator[Case]:
    laughs = "".join(f'<!ENTITY {chr(98 + k)} "{f"&{chr(97 + k)};" * 10}">' for k in range(9))
    last = f"<row>{_cell('XFD1048576', 'x')}</row>"

    def said(text: str) -> str:
        return f"<row>{_cell('A50', text)}</row>"

    for what, make in {
        "a thousand million laughs": lambda: _workbook(said("&j;"), before=f'<!DOCTYPE x [<!ENTITY a "l">{laughs}]>'),
        "an entity of a file": lambda: _workbook(
            said("&a;"), before='<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
        ),
        "a cell in the last corner": lambda: _workbook(_ROWS + last),
        "the same in a sheet called like a picture": lambda: _workbook(_ROWS + last, sheet="sheet1.png"),
        "a row of 11 digits": lambda: _workbook(f"{_ROWS}<row r='99999999999'>{_cell('A99999999999', 'x')}</row>"),
        "a row of 5,000 digits": lambda: _workbook(f"{_ROWS}<row r='{'9' * 5000}'>{_cell('A', 'x')}</row>"),
        "a column that is none": lambda: _workbook(f"{_ROWS}<row>{_cell('ZZZZ9', 'x')}</row>"),
        "all of it merged": lambda: _workbook(
            _ROWS, behind='<mergeCells><mergeCell ref="A2:XFD1048576"/></mergeCells>'
        ),
        "an area that ends before it begins": lambda: _workbook(
            _ROWS, behind='<mergeCells><mergeCell ref="B9:A2"/></mergeCells>'
        ),
        "numbers that overflow": lambda: _workbook(f"{_ROWS}<row><c><v>{'9' * 5000}</v></c><c><v>1e999</v></c></row>"),
        "3,000 columns": lambda: _workbook("<row>" + "<c><v>1</v></c>" * 3000 + "</row>" + _ROWS),
        "100,000 elements deep": lambda: _workbook(_ROWS, behind="<a>" * 100_000 + "</a>" * 100_000),
        "a string of 20 MB": lambda: _workbook(_ROWS + said("a" * 20_000_000)),
        "600 MB of white space": lambda: _workbook(_ROWS + " " * 600_000_000),
        "strings that are not there": lambda: _workbook(f"{_ROWS}<row><c t='s'><v>99</v></c></row>"),
        "a sheet that is cut off": lambda: _workbook(_ROWS)[:-100],
        "no archive": lambda: b"PK not",
        "nothing": lambda: b"",
    }.items():
        yield _prepared(f"table.xlsx: {what}", "table.xlsx", lambda home, make=make: put("table.xlsx", make())(home))
    whole = _workbook(_ROWS)
    for at in (0.0, 0.17, 0.55, 0.93):
        yield _prepared(f"table.xlsx: another byte at {at:.0%}", "table.xlsx", put("table.xlsx", _flipped(whole, at)))
    for what, make_there in _WHAT.items():
        yield _prepared(f"table.xlsx is {what}", "table.xlsx", lambda home, make=make_there: make(home / "table.xlsx"))


def _bomb(home: Path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 60_000, pa.int32()), pa.array(["x" * 100_000]))
    pq.write_table(pa.table({"conclusion": text, "description": text, "label": text}), home / "table.parquet")


def _dates(home: Path) -> None:
    column = pa.array([2**31 - 1] * 30, pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"conclusion": column, "description": column, "label": column}), home / "table.parquet")


def _tables() -> Iterator[Case]:
    header = "conclusion,description,label\n"
    for file, contents in {
        "table.csv": {
            "three million lines of nothing": header + "\n" * 3_000_000,
            "100,000 columns": ",".join(f"c{k}" for k in range(100_000)) + "\n",
            "100,000 open quotes": header + '"a\n' * 100_000,
            "a cell of 30 MB": f"{header}{'a' * 30_000_000},b,1\n",
            "half of UTF-16": b"\xff\xfe" + b"a" * 100_001,
            "NUL": header + "\0\0\0\n",
        },
        "table.jsonl": {
            "a key a line": "".join(f'{{"k{k}": 1}}\n' for k in range(20_000)),
            "100,000 keys": json.dumps({f"k{k}": k for k in range(100_000)}) + "\n",
            "lines 100,000 deep": "[" * 100_000 + "\n",
            "half of a pair": '{"conclusion": "\\ud800", "description": "a", "label": "1"}\n' * 40,
        },
        "table.parquet": {"nothing": b"", "no Parquet": b"PAR1" * 9},
    }.items():
        for what, content in contents.items():
            yield _prepared(f"{file}: {what}", file, put(file, content))
    yield _prepared("table.parquet: 18 GB of one text", "table.parquet", _bomb)
    yield _prepared("table.parquet: dates beyond any calendar", "table.parquet", _dates)


def _numbers() -> Iterator[Case]:
    for what, value in {
        "1e200": "1e200",
        "1e308": "1e308",
        "400 digits": "9" * 400,
        "5,000 digits": "9" * 5000,
        "1e999": "1e999",
        "NaN": "NaN",
        "true": "true",
        "a list in a list": "[[1]]",
        "2,000 numbers": json.dumps([1] * 2000),
        "1e70": "1e70",
        "-1e70": "-1e70",
        "1e-308": "1e-308",
    }.items():
        codes = _ANY if "e70" in what or what == "1e-308" else frozenset({4})
        for which, every in (("a record", 7), ("all records", 1)):
            damage = partial(_write_numbers, value=value, every=every)
            name = f"numbers: {which} of generation 1 hold{'s' if every > 1 else ''} {what}"
            yield Case(name=name, damage=damage, says=("gen_1.jsonl",), codes=codes, ground="bare")


def _write_numbers(home: Path, *, value: str, every: int) -> None:
    for index in range(2):
        numbers = [f"{math.sin(k * k + index):.6f}" for k in range(200)]
        if index:
            numbers[::every] = [value] * len(numbers[::every])
        put(f"runs/gen_{index}.jsonl", "".join(f'{{"numeric": {number}}}\n' for number in numbers))(home)


def _journals() -> Iterator[Case]:
    """What score left when it died, by somebody who was not score."""
    for what, content in {
        "100,000 deep": "[" * 100_000,
        "a list": "[]",
        "of numbers": '{"1": 2}',
        "of files that are not its own": '{"gen_0.jsonl": "gen_1.jsonl"}',
        "of a place outside": '{"../.scored.x": "../x"}',
    }.items():
        yield Case(
            name=f"a journal of score is {what}",
            damage=put("runs/.score.json", content),
            says=(".score.json",),
            ground="bare",
            command=("score", "runs"),
            program="lineage",
        )


def _link_out(path: Path) -> None:
    """To a whole corpus, which is read as soon as it is opened."""
    outside = next(folder for folder in path.parents if folder.name == "runs").with_name(f"outside{path.suffix}")
    if path.suffix == ".arrow":
        _arrow(outside)
    else:
        outside.write_text(_RECORDS, "utf-8")
    path.symlink_to(outside)


def _arrow(path: Path) -> None:
    texts = pa.table({"text": [f"one {k} two" for k in range(40)]})
    with pa.ipc.new_stream(path, texts.schema) as stream:
        stream.write_table(texts)


_RECORDS = "".join(f'{{"text": "one {k} two"}}\n' for k in range(40))


def _several_files() -> Iterator[Case]:
    """Corpora of several files of which one is none of the lineage's."""
    wholes = {"gen_2/a-00000-of-00002.jsonl": "gen_2/a-00001-of-00002.jsonl", "gen_2/state.json": "gen_2/d.arrow"}
    for first, other in (*wholes.items(), ("gen_2-00000-of-00002.txt", "gen_2-00001-of-00002.txt")):
        for what, make in {"a link out": _link_out, "a pipe": os.mkfifo}.items():

            def damage(home: Path, *, first: str = first, other: str = other, make: Damage = make) -> None:
                saved = json.dumps({"_data_files": [{"filename": "d.arrow"}, {"filename": "e.arrow"}]})
                put(f"runs/{first}", saved if first.endswith("state.json") else _RECORDS)(home)
                if first.endswith("state.json"):
                    _arrow(home / "runs" / "gen_2" / "e.arrow")
                make(home / "runs" / other)

            yield Case(name=f"{other}, of several, is {what}", damage=damage, says=("gen_2",), ground="bare")

    def twice(home: Path) -> None:
        put("runs/gen_2/state.json", json.dumps({"_data_files": [{"filename": "d.arrow"}] * 100_000}))(home)
        put("runs/gen_2/d.arrow", "x")(home)

    yield Case(name="state.json names a file 100,000 times", damage=twice, says=("gen_2",), ground="bare")


def _packed_lines() -> Iterator[Case]:
    """Some 50 kilobytes that are ten million lines."""
    for name, line in {"gen_1.jsonl.gz": b"\n", "gen_1.jsonl.xz": b"1\n", "gen_1.txt.gz": b"\n"}.items():
        pack = gzip.compress if name.endswith(".gz") else partial(lzma.compress, preset=1)

        def damage(home: Path, *, name: str = name, line: bytes = line, pack: Pack = pack) -> None:
            (home / "runs" / "gen_1.jsonl").unlink()
            put(f"runs/{name}", pack(line * 10_000_000))(home)

        yield Case(name=f"{name}: ten million lines of {line!r}", damage=damage, says=(name,), ground="bare")
