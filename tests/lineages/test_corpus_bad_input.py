"""Every way a corpus can be unreadable: the whole message, because a message nobody tested is a wrong one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import Corpus, open_corpus
from collapse_audit.lineages.corpora.readers.formats import ALLOWED

Complaint = tuple[int | None, str, str, str]
"""Line, what was found, what was expected, slug."""

NATS = "a finite number, 0 or more (mean negative log-likelihood, nats per token)"
SPLIT = '"train" or "holdout"; rename the field if it means something else'
NAMED = 'a "text", or the name of what is one: --text '
UTF_16 = "UTF-8; convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW"
LINES = 'one JSON object a line, or a name that ends in ".json"'
LATIN = "UTF-8 text; if it is windows-1252: iconv -f windows-1252 -t UTF-8 OLD > NEW"
CYRILLIC = LATIN.replace("1252", "1251")
ALL_SPLIT = "a split in every record of the file, or in none"


def complaints(path: Path) -> list[Complaint]:
    """What reading the file to its end says."""
    with pytest.raises(InputError) as caught:
        list(open_corpus(path).batches())
    assert {problem.where for problem in caught.value.problems} == {str(path)}
    return [(problem.line, problem.found, problem.expected, problem.slug) for problem in caught.value.problems]


def found(path: Path) -> list[tuple[int | None, str]]:
    return [(line, what) for line, what, _, _ in complaints(path)]


def test_a_problem_is_one_line_with_file_line_found_expected_and_slug(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{"text": 4}\n')
    with pytest.raises(InputError) as caught:
        next(open_corpus(tmp_path / "a.jsonl").batches())
    assert str(caught.value) == f"{tmp_path}/a.jsonl:2: found text 4 (number); expected a string [bad-text]"


JSONL = [
    pytest.param(
        b'{"text": "a"\n',
        [(1, "broken JSON (Expecting ',' delimiter, column 13)", "one JSON object a line", "broken-json")],
        id="broken JSON",
    ),
    pytest.param(
        b'{"text": "a"} {"text": "b"}\n',
        [(1, "broken JSON (Extra data, column 15)", "one JSON object a line", "broken-json")],
        id="two objects on a line",
    ),
    pytest.param(
        b'[{"text": "a"},\n{"text": "b"}]\n',
        [(1, "a JSON array over many lines", LINES, "json-array")],
        id="a JSON array",
    ),
    pytest.param(
        b'["a"]\n4\nnull\n"b"\ntrue\n',
        [
            (1, "a JSON array (['a'])", "a JSON object with a text", "not-an-object"),
            (2, "a JSON number (4)", "a JSON object with a text", "not-an-object"),
            (3, "a JSON null (null)", "a JSON object with a text", "not-an-object"),
            (4, "a JSON string ('b')", "a JSON object with a text", "not-an-object"),
            (5, "a JSON boolean (true)", "a JSON object with a text", "not-an-object"),
        ],
        id="lines that are not objects",
    ),
    pytest.param(
        b'{"id": "1"}\n{}\n',
        [
            (1, 'no "text" (keys: "id")', 'a "text"', "missing-text"),
            (2, 'no "text" (keys: none)', 'a "text"', "missing-text"),
        ],
        id="no text",
    ),
    pytest.param(
        b'{"Text": "a"}\n{"content": "a", "x": 1}\n{"txt": "a"}\n',
        [
            (1, 'no "text" (keys: "Text")', NAMED + "Text", "missing-text"),
            (
                2,
                'no "text" (keys: "content", "x")',
                NAMED + "content",
                "missing-text",
            ),
            (3, 'no "text" (keys: "txt")', NAMED + "txt", "missing-text"),
        ],
        id="text under another name",
    ),
    pytest.param(
        b'{"text": 4}\n{"text": null}\n{"text": ["a"]}\n{"text": false}\n',
        [
            (1, "text 4 (number)", "a string", "bad-text"),
            (2, "text null", "a string", "bad-text"),
            (3, "text ['a'] (array)", "a string", "bad-text"),
            (4, "text false (boolean)", "a string", "bad-text"),
        ],
        id="text of another type",
    ),
    pytest.param(
        b'{"text": "a\\u0000b"}\n',
        [(1, "a NUL character in text (character 2)", "text without NUL", "nul")],
        id="an escaped NUL",
    ),
    pytest.param(
        b'{"text": "a\0b"}\n',
        [(1, "broken JSON (Invalid control character at, column 12)", "one JSON object a line", "broken-json")],
        id="a raw NUL byte",
    ),
    pytest.param(
        b'{"text": "a\\ud800"}\n',
        [(1, "half of a surrogate pair in text (character 2)", "text that UTF-8 can hold", "lone-surrogate")],
        id="half of a surrogate pair",
    ),
    pytest.param(
        b'{"text": "a"}\n{"text": "\xff"}\n{"text": 1}\n',
        [
            (2, "bad UTF-8 (byte 0xff at byte 11 of the line)", LATIN, "bad-utf8"),
            (3, "text 1 (number)", "a string", "bad-text"),
        ],
        id="bad UTF-8 hides nothing after it",
    ),
    pytest.param(
        b'{"text": "a", "text": "b"}\n{"text": "a", "meta": {"x": 1, "x": 1}}\n',
        [
            (1, 'the key "text" twice in one object', "each key once", "duplicate-key"),
            (2, 'the key "x" twice in one object', "each key once", "duplicate-key"),
        ],
        id="duplicate keys",
    ),
    pytest.param(
        b'{"text": "a", "id": "x"}\n{"text": "b", "id": "y"}\n{"text": "c", "id": "x"}\n{"text": "d", "id": "x"}\n',
        [
            (3, "the id 'x' again (first on line 1), and 1 more like it (line 4)", "each id once", "duplicate-id"),
        ],
        id="duplicate ids",
    ),
    pytest.param(
        b'{"text": "a", "id": 1}\n{"text": 5, "id": "1"}\n',
        [
            (2, "text 5 (number)", "a string", "bad-text"),
            (2, "the id '1' again (first on line 1)", "each id once", "duplicate-id"),
        ],
        id="a number and its decimal are one id; a record with another fault still has an id",
    ),
    pytest.param(
        b'{"text": "a", "nll": NaN}\n{"text": "a", "nll": Infinity}\n{"text": "a", "nll": -1e999}\n'
        b'{"text": "a", "nll": -2.5}\n{"text": "a", "nll": "2"}\n{"text": "a", "nll": true}\n',
        [
            (line, f"nll {found}", NATS + more, "bad-nll")
            for line, found, more in [
                (1, "NaN", ""),
                (2, "infinity", ""),
                (3, "-infinity", ""),
                (4, "-2.5", "; a log-likelihood has the other sign"),
                (5, "'2' (string)", ""),
                (6, "true (boolean)", ""),
            ]
        ],
        id="nll that is no likelihood",
    ),
    pytest.param(
        b'{"text": "a", "n_tokens": -1}\n'
        b'{"text": "a", "n_tokens": 1.5}\n{"text": "a", "n_tokens": 99999999999999999999}\n'
        b'{"text": "a", "n_tokens": NaN}\n{"text": "a", "n_tokens": true}\n',
        [
            (line, f"n_tokens {found}", "a whole number, 0 or more", "bad-n_tokens")
            for line, found in enumerate(
                ["-1 (number)", "1.5 (number)", "99999999999999999999 (number)", "nan (number)", "true (boolean)"],
                start=1,
            )
        ],
        id="n_tokens that is no count",
    ),
    pytest.param(
        b'{"text": "a", "label": 4}\n{"text": "a", "labels": "4"}\n{"text": "a", "labels": ["3", 4]}\n'
        b'{"text": "a", "label": "3", "labels": ["4"]}\n{"text": "a", "label": ""}\n{"text": "a", "label": ["3"]}\n',
        [
            (1, "label 4 (number)", "a string", "bad-label"),
            (2, "labels '4' (string)", 'a list of strings; one label goes in "label"', "bad-labels"),
            (3, "labels 4 (number)", "a list of strings", "bad-labels"),
            (4, 'both "label" and "labels"', "one of them", "label-and-labels"),
            (5, "an empty string in label", "the name of a class; labels [] says that there is none", "empty-label"),
            (6, "label ['3'] (array)", "a string", "bad-label"),
        ],
        id="labels of another type",
    ),
    pytest.param(
        b'{"text": "a", "id": 1.5}\n{"text": "a", "id": true}\n{"text": "a", "group": []}\n'
        b'{"text": "a", "prompt": 1}\n',
        [
            (1, "id 1.5 (number)", "a string or an integer", "bad-id"),
            (2, "id true (boolean)", "a string or an integer", "bad-id"),
            (3, "group [] (array)", "a string or an integer", "bad-group"),
            (4, "prompt 1 (number)", "a string", "bad-prompt"),
        ],
        id="other fields of another type",
    ),
    pytest.param(
        b'{"text": "a"}\n{"text": "a", "split": "holdout"}\n{"text": "a", "split": "test"}\n'
        b'{"text": "a", "split": []}\n',
        [
            (3, "split 'test'", SPLIT, "bad-split"),
            (4, "split []", SPLIT, "bad-split"),
            (2, "split 'holdout'", ALL_SPLIT, "split-incomplete"),
            (3, "split 'test'", ALL_SPLIT, "split-incomplete"),
            (4, "split []", ALL_SPLIT, "split-incomplete"),
        ],
        id="splits",
    ),
    pytest.param(b"", [(None, "no record", "at least one record", "no-record")], id="an empty file"),
    pytest.param(b"\n \n", [(None, "no record", "at least one record", "no-record")], id="nothing but blank lines"),
    pytest.param(
        b"\xff\xfe{\0",
        [(None, "UTF-16 text", UTF_16, "not-text")],
        id="UTF-16",
    ),
    pytest.param(
        gzip.compress(b'{"text": "a"}'),
        [(None, "gzip-compressed bytes", 'plain text, or a name that ends in ".gz"', "not-text")],
        id="gzip under another name",
    ),
    pytest.param(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
        [(None, "a Git LFS pointer in place of the file", 'the file itself; run "git lfs pull"', "not-text")],
        id="a Git LFS pointer",
    ),
    pytest.param(
        b"[" * 100_000 + b"\n" + b'{"text": "a", "x": ' + b"[" * 100_000 + b"\n",
        [
            (1, "a JSON array over many lines", LINES, "json-array"),
        ],
        id="a bottomless array",
    ),
    pytest.param(
        b'{"text": "a", "x": ' + b"[" * 100_000 + b"\n",
        [(1, "JSON nested too deeply", "one JSON object a line", "broken-json")],
        id="a bottomless field",
    ),
]


@pytest.mark.parametrize(("data", "expected"), JSONL)
def test_jsonl_that_cannot_be_read(tmp_path: Path, data: bytes, expected: list[Complaint]) -> None:
    (tmp_path / "a.jsonl").write_bytes(data)
    assert complaints(tmp_path / "a.jsonl") == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", [(None, "no record", "at least one record", "no-record")], id="an empty file"),
        pytest.param(
            b"a\nb\0c\n",
            [(2, "a NUL character in text (character 2)", "text without NUL", "nul")],
            id="a NUL byte",
        ),
        pytest.param(
            "ok\nУзел".encode("cp1251") + b"\n\x80\n",
            [
                (2, "bad UTF-8 (byte 0xd3 at byte 1 of the line)", CYRILLIC, "bad-utf8"),
                (3, "bad UTF-8 (byte 0x80 at byte 1 of the line)", LATIN, "bad-utf8"),
            ],
            id="another encoding",
        ),
    ],
)
def test_txt_that_cannot_be_read(tmp_path: Path, data: bytes, expected: list[Complaint]) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    assert complaints(tmp_path / "a.txt") == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", [(None, "no record", "at least one record", "no-record")], id="an empty file"),
        pytest.param(b"text\n", [(None, "no record", "at least one record", "no-record")], id="only a header"),
        pytest.param(
            b"id,Text\n1,a\n",
            [
                (
                    2,
                    'no "text" (keys: "id", "Text")',
                    NAMED + "Text",
                    "missing-text",
                )
            ],
            id="text under another name",
        ),
        pytest.param(
            b"id;nll\n1;2,5\n2;1.5\n",
            [
                (2, 'no "text" (keys: "id", "nll"), and 1 more like it (line 3)', 'a "text"', "missing-text"),
            ],
            id="semicolons",
        ),
        pytest.param(
            b"text,text\na,b\n",
            [(1, 'two columns named "text"', "each column once", "duplicate-column")],
            id="a column twice",
        ),
        pytest.param(
            b'text,id\n"a\nb",1\nc\nd,2,3\n',
            [
                (4, "1 cell", "2, as in the header", "cell-count"),
                (5, "3 cells", "2, as in the header", "cell-count"),
            ],
            id="rows of another width, on the lines that an editor shows",
        ),
        pytest.param(
            b'text\na\n\n"b\n',
            [
                (3, "a blank line in a file with one column", 'a text; an empty one is written ""', "blank-row"),
                (4, "broken CSV (unexpected end of data)", "rows of comma-separated cells", "broken-csv"),
            ],
            id="a blank line and a quote that is never closed",
        ),
    ],
)
def test_csv_that_cannot_be_read(tmp_path: Path, data: bytes, expected: list[Complaint]) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    assert complaints(tmp_path / "a.csv") == expected


def test_csv_cells_that_are_no_numbers_and_no_lists_are_judged_as_the_strings_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,nll,n_tokens,labels\na,x,1_000,3\na,nan,2.0,\n\xff,,,\na,,,[\n")
    assert found(tmp_path / "a.csv") == [
        (2, "labels 3 (number)"),
        (2, "nll 'x' (string)"),
        (2, "n_tokens '1_000' (string)"),
        (3, "nll NaN"),
        (3, "n_tokens '2.0' (string)"),
        (4, "bad UTF-8 (byte 0xff at byte 1 of the line)"),
        (5, "labels '[' (string)"),
    ]


def test_numbers_too_long_for_anything_are_named_by_their_length(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a", "nll": 1%s}\n' % (b"0" * 399))
    assert found(tmp_path / "a.jsonl") == [(1, "an nll of 400 digits")]
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a", "other": 1%s}\n' % (b"0" * 5000))
    ((line, what, expected, slug),) = complaints(tmp_path / "a.jsonl")
    assert what.startswith("broken JSON (Exceeds the limit")
    assert (line, expected, slug) == (1, "one JSON object a line", "broken-json")


@pytest.mark.parametrize(("count", "more"), [(20, None), (21, "1 more problem"), (1000, "980 more problems")])
def test_twenty_problems_are_listed_and_the_rest_counted(tmp_path: Path, count: int, more: str | None) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(b'{"text": %d}\n' % i for i in range(count)))
    said = complaints(path)
    assert said[:20] == [(i + 1, f"text {i} (number)", "a string", "bad-text") for i in range(20)]
    assert said[20:] == ([] if more is None else [(None, more, "none; the first 20 are listed", "more-problems")])


def test_a_fault_in_the_last_block_is_found_though_earlier_batches_were_given_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": "x" * 1000}) for _ in range(5000)]
    path.write_text("\n".join([*lines, '{"text": 1}', *lines]), "utf-8")
    seen: list[int] = []
    batches = open_corpus(path).batches()
    with pytest.raises(InputError, match=r"a\.jsonl:5001: found text 1"):
        seen.extend(batch.num_rows for batch in batches)
    assert 0 < sum(seen) <= 5000


def test_labels_outside_the_declared_classes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    records: list[dict[str, Any]] = [{"label": "6"}, {"labels": ["3", "x"]}, {"labels": []}, {}]
    path.write_text("".join(json.dumps({"text": "a"} | record) + "\n" for record in records), "utf-8")
    plain = open_corpus(path)
    assert sum(batch.num_rows for batch in plain.batches()) == 4
    declared = Corpus(path=path, shown="a.jsonl", digest=plain.digest, classes=("5", "4", "3"))
    with pytest.raises(InputError) as caught:
        next(declared.batches())
    assert [str(problem) for problem in caught.value.problems] == [
        "a.jsonl:1: found the label '6'; expected one of 3, 4, 5 (the manifest's classes) [unknown-label]",
        "a.jsonl:2: found the label 'x'; expected one of 3, 4, 5 (the manifest's classes) [unknown-label]",
    ]


def test_what_stood_in_the_file_reaches_the_message_without_its_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    nasty = "\x1b[31m\u202e\x07\n\u2028"
    path.write_text(
        json.dumps({nasty: 1}) + "\n" + 2 * (json.dumps({"text": "a", "id": nasty, "nll": nasty}) + "\n"), "utf-8"
    )
    said = found(path)
    assert len(said) == 3
    assert said[1][1].endswith(", and 1 more like it (line 3)")
    assert all(what.isprintable() for _, what in said)


def test_a_missing_file_a_folder_and_another_format_are_refused_when_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    refusals = {}
    for name in ("none.txt", "folder.txt", "a.docx"):
        with pytest.raises(InputError) as caught:
            open_corpus(tmp_path / name)
        refusals[name] = str(caught.value).replace(str(tmp_path), "…")
    assert refusals == {
        "none.txt": "…/none.txt: found no such file; expected a corpus file [missing-file]",
        "folder.txt": f"…/folder.txt: found an empty folder; expected files that end in {ALLOWED}, or .md [no-corpus]",
        "a.docx": f'…/a.docx: found the name "a.docx"; expected a corpus file ({ALLOWED}) [unknown-format]',
    }
