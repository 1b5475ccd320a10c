"""Patterns of local files: one corpus of all that match, whoever reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from collapse_audit import audit
from collapse_audit.cli import main
from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.named import is_pattern, open_named
from collapse_audit.lineages.files import door


def test_a_pattern_is_the_folder_of_what_it_matches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    corpus = open_named("before/*.jsonl.gz")
    assert corpus.shown == "before/*.jsonl.gz"
    assert corpus.files is not None
    assert corpus.files.names == tuple(f"before/part-{number}.jsonl.gz" for number in range(3))
    ids = [one for batch in corpus.batches() for one in batch["id"].to_pylist()]
    assert ids == [f"{file}-{row}" for file in range(3) for row in range(60)]


def test_files_that_match_are_read_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        (tmp_path / f"part-{number}.jsonl").write_text(f'{{"text": "{number}"}}\n')
    corpus = open_named(str(tmp_path / "part-*.jsonl"))
    assert [text for batch in corpus.batches() for text in batch["text"].to_pylist()] == ["1", "9", "10"]


def test_a_pattern_goes_through_folders_where_it_says_so(folder: Path) -> None:
    corpus = open_named(f"{folder}/**/part-?.jsonl")
    assert corpus.files is not None
    assert len(corpus.files.paths) == 6


def test_one_match_is_that_file(folder: Path) -> None:
    one, other = open_named(f"{folder}/befor[e].jsonl"), open_named(f"{folder}/before.jsonl")
    assert (one.path, one.digest, one.files) == (other.path, other.digest, None)


def test_a_file_that_is_called_so_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].jsonl").write_text('{"text": "itself"}\n')
    assert not is_pattern(str(tmp_path / "a[1].jsonl"))
    assert open_named(str(tmp_path / "a[1].jsonl")).files is None


def test_plain_texts_that_match_are_documents_as_in_a_folder(folder: Path) -> None:
    corpus = open_named(f"{folder}/before/*.txt")
    assert sum(len(batch) for batch in corpus.batches()) == 3


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("none-*.jsonl", "found no file that matches"),
        ("before*", 'found the name "{folder}/before.tar"'),
    ],
)
def test_what_a_pattern_must_not_match_is_named(tmp_path: Path, pattern: str, told: str) -> None:
    for name in ("before.jsonl", "before.tar"):
        (tmp_path / name).write_text('{"text": "a"}\n')
    with pytest.raises(InputError) as refused:
        open_named(f"{tmp_path}/{pattern}")
    assert told.format(folder=tmp_path) in str(refused.value)


def test_more_files_than_are_read_unasked_are_refused(folder: Path, limited: pytest.MonkeyPatch) -> None:
    limited.setenv(door.VARIABLE, "files=2")
    with pytest.raises(InputError, match="more files that match than 2"):
        open_named(f"{folder}/before/*.jsonl")


def test_the_command_takes_patterns(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = [f"{folder}/{name}/*.jsonl" for name in ("before", "after")]
    code = main([*sides, "--independent", "--no-progress"])
    assert code in (0, 6)
    assert f"[exit {code}]" in capsys.readouterr().out
    report = audit(before=sides[0], after=sides[1], independent=True)
    assert report.exit_code == code
    assert main([sides[0]]) == 4
    assert "one corpus and nothing to compare it with" in capsys.readouterr().err
    assert audit(sides[1], baseline=sides[0], independent=True).exit_code == code
