"""Writing: whole or not at all, the same bytes every time, and nothing that could not be read back."""

from __future__ import annotations

import gzip
import json
import os
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse_audit.atomic import atomic_file
from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.disk.manifest import parse_manifest
from collapse_audit.lineages.disk.write import append_generation, write_corpus, write_manifest
from collapse_audit.lineages.files.digest import file_digest

RECORDS: list[dict[str, Any]] = [{"text": "Узел\n4 мм", "label": "4", "extra": {"a": [1]}}, {"text": "", "nll": 0.1}]
LINES = '{"text": "Узел\\n4 мм", "label": "4", "extra": {"a": [1]}}\n{"text": "", "nll": 0.1}\n'.encode()


def test_jsonl_is_one_object_a_line_in_the_given_order_and_unescaped(tmp_path: Path) -> None:
    digest = write_corpus(tmp_path / "new" / "a.jsonl", iter(RECORDS))
    assert (tmp_path / "new" / "a.jsonl").read_bytes() == LINES
    assert digest == file_digest(tmp_path / "new" / "a.jsonl")


def test_packed_bytes_do_not_depend_on_clock_or_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_corpus(tmp_path / "a.jsonl.gz", RECORDS)
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    assert write_corpus(tmp_path / "b.jsonl.gz", RECORDS) == first == file_digest(tmp_path / "b.jsonl.gz")
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == LINES
    # RFC 1952, 2.3: bytes 4 to 7 are the time, 0 where there is none; flag bit 3 would announce a name.
    head = (tmp_path / "a.jsonl.gz").read_bytes()[:10]
    assert (head[4:8], head[3] & 8) == (b"\0\0\0\0", 0)


def broken(error: BaseException) -> Iterator[dict[str, str]]:
    yield {"text": "a"}
    raise error


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_corpus(path, RECORDS)
    for error in (RuntimeError("model died"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            write_corpus(path, broken(error))
    with pytest.raises(InputError):
        write_corpus(path, [{"text": "a"}, {"text": 5}])
    assert path.read_bytes() == LINES
    assert os.listdir(tmp_path) == ["a.jsonl"]  # noqa: PTH208


def test_files_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_corpus(tmp_path / "a.jsonl", RECORDS)
    assert (tmp_path / "a.jsonl").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "found no record; expected at least one record [no-record]"),
        (
            [{"text": "a"}, {"txt": "b"}],
            ':2: found no "text" (keys: "txt"); expected a "text"',
        ),
        ([{"text": "a", "id": 1}, {"text": "b", "id": "1"}], ":2: found the id '1' again; expected each id once"),
        ([{"text": "\ud800"}], ":1: found half of a surrogate pair in text (character 1)"),
        ([{"text": "a", "nll": float("nan")}], ":1: found nll NaN"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(
    tmp_path: Path, records: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        write_corpus(tmp_path / "a.jsonl", records)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_other_formats_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a corpus is written as \.jsonl or \.jsonl\.gz, not as a\.csv"):
        write_corpus(tmp_path / "a.csv", RECORDS)


def test_an_atomic_file_that_fails_is_not_there(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_file(tmp_path / "a") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert list(tmp_path.iterdir()) == []


ENTRY = {
    "seed": 0,
    "index": 0,
    "texts": "gen_0/texts.jsonl.gz",
    "trained_on": [{"corpus": "reference", "share": 1.0}],
    "decoding": {"beams": 5, "nested": {"a": {"b": [1, 2]}}, "odd key.": "x"},
    "model": {},
    "lm_eval": None,
}


def test_a_manifest_comes_back_as_it_was_given_but_for_nones(tmp_path: Path) -> None:
    manifest = {
        "format": 1,
        "name": 'quo"te\n[[generation]]',
        "recipe": {"a": None, "b": {"c": (1, 2)}},
        "reference": None,
        "generation": [ENTRY, ENTRY | {"index": 1, "seed": "x"}],
    }
    write_manifest(tmp_path, manifest)
    entry = {key: value for key, value in ENTRY.items() if key != "lm_eval"}
    assert tomllib.loads((tmp_path / "lineage.toml").read_text("utf-8")) == {
        "format": 1,
        "name": 'quo"te\n[[generation]]',
        "recipe": {"b": {"c": [1, 2]}},
        "generation": [entry, entry | {"index": 1, "seed": "x"}],
    }


def test_a_wrong_manifest_is_not_written(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"format": 1, "name": "x"})
    before = (tmp_path / "lineage.toml").read_bytes()
    with pytest.raises(InputError) as caught:
        write_manifest(tmp_path, {"format": 1, "nam": "x"})
    assert [problem.slug for problem in caught.value.problems] == ["missing-key", "unknown-key"]
    with pytest.raises(InputError, match="duplicate-generation"):
        write_manifest(tmp_path, {"format": 1, "name": "x", "generation": [ENTRY, ENTRY]})
    assert (tmp_path / "lineage.toml").read_bytes() == before


def test_a_generation_is_added_and_every_byte_before_it_stays(tmp_path: Path) -> None:
    head = '# mine\nformat = 1   # keep\nname = "x"\n\n[audit]\nseed = 3\n'
    head += '\n[[generation]]\nindex = 0\ntexts = "a.txt" # last'
    path = tmp_path / "lineage.toml"
    path.write_text(head, "utf-8")
    append_generation(tmp_path, ENTRY | {"index": 1})
    append_generation(tmp_path, {"index": 2, "texts": "c.txt"})
    text = path.read_text("utf-8")
    assert text.startswith(head + "\n")
    assert [entry["index"] for entry in parse_manifest(text).data["generation"]] == [0, 1, 2]
    assert parse_manifest(text).data["generation"][1]["decoding"] == ENTRY["decoding"]


def test_the_first_generation_is_added_to_a_manifest_that_ends_in_a_table(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"format": 1, "name": "x", "recipe": {"kind": "ngram"}})
    append_generation(tmp_path, ENTRY)
    data = parse_manifest((tmp_path / "lineage.toml").read_text("utf-8")).data
    assert (data["recipe"], len(data["generation"])) == ({"kind": "ngram"}, 1)


@pytest.mark.parametrize(
    ("text", "entry", "slug"),
    [
        ('format = 1\nname = "x"\n', {"index": 0}, "missing-key"),
        (
            'format = 1\nname = "x"\n[[generation]]\nindex = 0\ntexts = "a.txt"\n',
            {"index": 0, "texts": "b.txt"},
            "duplicate-generation",
        ),
        (
            'format = 1\nname = "x"\ngeneration = [{index = 0, texts = "a.txt"}]\n',
            {"index": 1, "texts": "b.txt"},
            "manifest",
        ),
        ("format = \n", {"index": 0, "texts": "b.txt"}, "broken-toml"),
    ],
)
def test_what_cannot_be_added_leaves_the_manifest_alone(
    tmp_path: Path, text: str, entry: dict[str, Any], slug: str
) -> None:
    (tmp_path / "lineage.toml").write_text(text, "utf-8")
    with pytest.raises(InputError) as caught:
        append_generation(tmp_path, entry)
    assert caught.value.problems[0].slug == slug
    assert (tmp_path / "lineage.toml").read_text("utf-8") == text


KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), KEYS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=3), st.dictionaries(KEYS, VALUES, max_size=3))
def test_free_tables_survive_writing_and_adding(recipe: dict[str, Any], decoding: dict[str, Any]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_manifest(Path(folder), {"format": 1, "name": "x", "recipe": recipe})
        append_generation(Path(folder), {"index": 0, "texts": "a.txt", "decoding": decoding})
        append_generation(Path(folder), {"index": 1, "texts": "b.txt", "model": decoding})
        data = parse_manifest((Path(folder) / "lineage.toml").read_text("utf-8")).data
    first, second = data["generation"]
    assert (data["recipe"], first["decoding"], second["model"]) == (recipe, decoding, decoding)


def test_a_lineage_that_was_written_is_loaded(tmp_path: Path) -> None:
    reference = write_corpus(tmp_path / "reference.jsonl", RECORDS)
    texts = write_corpus(tmp_path / "gen_0/texts.jsonl.gz", RECORDS[:1])
    write_manifest(tmp_path, {"format": 1, "name": "x", "reference": {"texts": "reference.jsonl", "digest": reference}})
    append_generation(tmp_path, ENTRY | {"texts_digest": texts})
    (entry,) = load_lineage(tmp_path).generations
    assert [json.loads(line) for line in LINES.splitlines()] == RECORDS
    assert [batch.column("text").to_pylist() for batch in entry.texts.batches()] == [["Узел\n4 мм"]]
    assert sum(batch.num_rows for batch in open_corpus(tmp_path / "reference.jsonl").batches()) == 2


def test_an_entry_whose_sources_fill_more_than_a_line_is_appended(tmp_path: Path) -> None:
    """TOML gives a long list of tables headers of its own, which must stand under the generation."""
    write_manifest(tmp_path, {"format": 1, "name": "ours"})
    source = {
        "lineage": "theirs",
        "corpus": "seed_0/gen_1/texts.jsonl.gz",
        "share": 1.0,
        "digest": "sha256:" + "0" * 64,
        "descends_from": ["reference", "seed_0/gen_0/texts.jsonl.gz"],
    }
    for index in range(2):
        entry = {"index": index, "texts": f"gen_{index}.jsonl", "trained_on": [source], "model": {"base": "tiny"}}
        append_generation(tmp_path, entry)
    written = tomllib.loads((tmp_path / "lineage.toml").read_text("utf-8"))
    assert [entry["trained_on"] for entry in written["generation"]] == [[source], [source]]
    assert [entry["model"] for entry in written["generation"]] == [{"base": "tiny"}] * 2
