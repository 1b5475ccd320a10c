"""What the command says of input that cannot be read, and that degenerate text is judged."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from running import command
from small_lineages import documents, lineage, write

from collapse_audit.lineages.disk.write import write_manifest

pytestmark = pytest.mark.usefixtures("elsewhere")


def empty_folder(root: Path) -> None:
    root.mkdir()


def one_generation(root: Path) -> None:
    write(root / "gen_0.jsonl", ["a"])


def only_a_reference(root: Path) -> None:
    write(root / "reference.jsonl", ["a"])


def no_record(root: Path) -> None:
    lineage(root, ["a"], [])


def nul_bytes(root: Path) -> None:
    lineage(root, ["a"], ["b", "c\0d"])


def a_number_as_text(root: Path) -> None:
    lineage(root, ["a"], ["b", {"text": 0.9}])


def duplicate_ids(root: Path) -> None:
    lineage(root, ["a"], [{"text": "b", "id": "x"}, {"text": "c", "id": "y"}, {"text": "d", "id": "x"}])


def nan_nll(root: Path) -> None:
    lineage(root, ["a"], [{"text": "b", "nll": float("nan")}])


def broken_json(root: Path) -> None:
    lineage(root, ["a"], ["b"])
    with (root / "gen_1" / "holdout.jsonl").open("a") as file:
        file.write('{"text": "c"\n')


def bad_utf_8(root: Path) -> None:
    lineage(root, ["a"], ["b"])
    with (root / "gen_1" / "holdout.jsonl").open("ab") as file:
        file.write(b'{"text": "\xff"}\n')


def labels_outside_the_set(root: Path) -> None:
    lineage(root, [{"text": "a", "label": "2"}], [{"text": "b", "label": "2"}, {"text": "c", "label": "7"}])
    entries = [{"index": k, "texts": f"gen_{k}/texts.jsonl", "holdout": f"gen_{k}/holdout.jsonl"} for k in (0, 1)]
    labels = {"rule": "field", "classes": ["2", "3"]}
    write_manifest(root, {"format": 1, "name": "n", "labels": labels, "generation": entries})


def manifest_pointing(target: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        write(root / "gen_0.jsonl", ["a"])
        write(root.parent / "outside.jsonl", ["secret"])
        (root / "linked.jsonl").symlink_to(root.parent / "outside.jsonl")
        text = (
            'format = 1\nname = "n"\n[[generation]]\nindex = 0\ntexts = "gen_0.jsonl"\n'
            f'[[generation]]\nindex = 1\ntexts = "{target}"\n'
        )
        (root / "lineage.toml").write_text(text)

    return make


def unknown_key(root: Path) -> None:
    lineage(root, ["a"], ["b"])
    (root / "lineage.toml").write_text('format = 1\nname = "n"\ncolour = "red"\n')


@pytest.mark.parametrize(
    ("make", "place", "found", "slug"),
    [
        (empty_folder, "", "found no corpus; expected lineage.toml, or reference.*", "no-corpus"),
        (one_generation, "", "found generation 0 and nothing to compare it with", "nothing-to-compare"),
        (only_a_reference, "", "found a reference and no generation", "no-generation"),
        (no_record, "/gen_1/holdout.jsonl", "found no record; expected at least one record", "no-record"),
        (nul_bytes, "/gen_1/holdout.jsonl:2", "found a NUL character in text (character 2)", "nul"),
        (a_number_as_text, "/gen_1/holdout.jsonl:2", "found text 0.9 (number); expected a string", "bad-text"),
        (duplicate_ids, "/gen_1/holdout.jsonl:3", "found the id 'x' again (first on line 1)", "duplicate-id"),
        (nan_nll, "/gen_1/holdout.jsonl:1", "found nll NaN; expected a finite number", "bad-nll"),
        (broken_json, "/gen_1/holdout.jsonl:2", "found broken JSON", "broken-json"),
        (bad_utf_8, "/gen_1/holdout.jsonl:2", "found", "bad-utf8"),
        (
            labels_outside_the_set,
            "/gen_1/holdout.jsonl:2",
            "found the label '7'; expected one of 2, 3",
            "unknown-label",
        ),
        (
            manifest_pointing("../outside.jsonl"),
            "/lineage.toml:8",
            'found "../outside.jsonl", a path that leaves the folder',
            "path-outside",
        ),
        (manifest_pointing("/etc/passwd"), "/lineage.toml:8", 'found the absolute path "/etc/passwd"', "absolute-path"),
        (
            manifest_pointing("linked.jsonl"),
            "/lineage.toml:8",
            'found "linked.jsonl", a link to a place outside',
            "link-outside",
        ),
        (unknown_key, "/lineage.toml:3", 'found the unknown key "colour"', "unknown-key"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_input_that_cannot_be_read_has_its_own_message_and_exit_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], None],
    place: str,
    found: str,
    slug: str,
) -> None:
    root = tmp_path / "bad"
    make(root)
    before = sorted(tmp_path.rglob("*"))
    assert command(root, "--report", "out", "--junitxml", "junit.xml") == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"collapse-audit: error: {root}{place}: {found}")
    assert shown.err.endswith(f"[{slug}]\n")
    assert len(shown.err.splitlines()) == 1
    assert "Traceback" not in shown.err
    assert sorted(tmp_path.rglob("*")) == before


def test_all_problems_of_a_file_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = lineage(tmp_path / "bad", ["a"], ["b", {"text": 1}, {"txt": "c"}, {"text": "d", "nll": -3}])
    assert command(root) == 4
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("holdout.jsonl:")[2][0] for line in lines] == ["2", "3", "4"]


# ---------------------------------------------------------------------------- degenerate, but readable: judged


def judged(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = command(root, "-q")
    shown = capsys.readouterr()
    assert shown.err == ""
    return code, shown.out


def test_a_generation_of_one_document_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = judged(lineage(tmp_path / "one", documents(1, 200), ["a single document"]), capsys)
    assert code in (1, 6)  # never a pass: nobody can tell from one


def test_two_single_documents_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judged(lineage(tmp_path / "one", ["some text"], ["other words"]), capsys)[0] == 6


@pytest.mark.parametrize("text", ["the same text every time", "", " \t ", "\u2003\u00a0", "x"])
def test_all_documents_the_same_is_collapse(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    code, shown = judged(lineage(tmp_path / "same", documents(1, 200), [text] * 200), capsys)
    assert code == 1
    assert "x F  diversity / duplicates" in shown or "x F  integrity" in shown


def test_only_white_space_is_collapse_and_integrity_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = [" " * (1 + k % 7) for k in range(200)]
    code, shown = judged(lineage(tmp_path / "white", documents(1, 200), blank), capsys)
    assert code == 1
    assert "x F  integrity / empty" in shown


def test_empty_texts_on_both_sides_are_never_a_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = judged(lineage(tmp_path / "empty", [""] * 200, [""] * 200), capsys)
    assert code in (1, 6)


def test_a_line_of_ten_megabytes_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 10_000_000
    code, _ = judged(lineage(tmp_path / "long", documents(1, 100), [*documents(2, 99), long]), capsys)
    assert code in (0, 6)


def test_unpaired_scripts_and_controls_are_judged_and_shown_inert(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = ["\x1b[31mred", "\u202eleft", "<script>", "щитовидная", "甲状腺", "ﷺ", "🙂🙂", "\u0301"]
    rng = random.Random(1)
    texts = [" ".join(rng.choices(nasty[:3], k=20)) for _ in range(200)]
    code, shown = judged(lineage(tmp_path / "nasty", [*documents(1, 192), *nasty], texts), capsys)
    assert code == 1
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize(("typed", "meant"), [("lst", "list"), ("explian", "explain")])
def test_a_command_that_is_misspelt_is_answered_with_the_one_that_was_meant(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(typed, "tail-mass") == 4
    assert f"{typed}: no such file, folder or command; did you mean {meant}?" in capsys.readouterr().err


def test_bad_usage_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--no-such-flag") == 4
    assert len(capsys.readouterr().err.splitlines()) == 2
