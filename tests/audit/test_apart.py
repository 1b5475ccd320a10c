"""Native libraries on what strangers wrote: whatever they do, one message and the right exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from collapse_audit.apart import Died, run_apart
from collapse_audit.commands.console import exit_with
from collapse_audit.errors import UsageError
from collapse_audit.probes.text.tokens import tokenizer

LIMITED = """\
import json, resource, sys
limit = json.loads(sys.argv[1])["memory"]
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
"""


def script(folder: Path, code: str) -> Path:
    file = folder / "script.py"
    file.write_text(LIMITED + code)
    return file


def apart(file: Path, data: bytes = b"", *, seconds: float = 60) -> bytes:
    return run_apart(file, [], data, memory=2**30, seconds=seconds)


def test_bytes_go_in_and_bytes_come_back(tmp_path: Path) -> None:
    assert apart(script(tmp_path, "sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"), b"abc\xff") == b"\xffcba"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("sys.exit(1)", "it ended with code 1"),
        ("import os; os.abort()", "it was ended by SIGABRT"),
        ("x = bytearray(2**31)", "it needed more than 1.0 GiB of memory"),
    ],
)
def test_however_it_dies_is_said_in_a_few_words(tmp_path: Path, code: str, told: str) -> None:
    with pytest.raises(Died) as died:
        apart(script(tmp_path, code))
    assert told in str(died.value)


def test_what_never_ends_is_ended(tmp_path: Path) -> None:
    with pytest.raises(Died, match="it had not ended after 2 seconds"):
        apart(script(tmp_path, "while True: pass"), seconds=2)


def test_nothing_of_the_working_directory_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    code = "sys.path[:] = json.loads(sys.argv[1])['path']\nimport secrets\nprint(secrets.token_hex is not None)"
    assert apart(script(tmp_path, code)) == b"True\n"


def tokenizer_file(folder: Path, **parts: object) -> Path:
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {"a": 0, "?": 1}, "unk_token": "?"},
    }
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(whole | parts))
    return file


@pytest.mark.parametrize(
    "parts",
    [
        {"pre_tokenizer": {"type": "FixedLength", "length": 0}},  # the library panics: no Exception in Python
        {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "[NOPE]"}},
    ],
)
def test_a_tokenizer_file_that_makes_its_library_panic_is_bad_input(tmp_path: Path, parts: dict[str, object]) -> None:
    pytest.importorskip("tokenizers")
    cut = tokenizer(f"hf:{tokenizer_file(tmp_path, **parts)}")
    with pytest.raises(UsageError, match="not one that can be used"):
        cut(pa.array(["a b", "b"]))


def test_a_panic_is_an_internal_error_and_never_a_collapse(capsys: pytest.CaptureFixture[str]) -> None:
    class PanicException(BaseException):
        """As native libraries raise it."""

    def main(_: object) -> int:
        raise PanicException("called `Option::unwrap()` on a `None` value")

    assert exit_with(main, [], prog="collapse-audit") == 3
    assert "internal error" in capsys.readouterr().err
