"""What somebody left in a folder for a command to trip over: locks, journals and scores that are links."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from collapse_audit.errors import UsageError
from collapse_audit.lineage_cli import main
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.files.locks import locked
from collapse_audit.lineages.scoring import corpora
from collapse_audit.probes.text.tokens import tokenizer

links = pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for index in range(2):
        lines = (json.dumps({"text": f"word {index} and {k}"}) + "\n" for k in range(20))
        (tmp_path / "runs").mkdir(exist_ok=True)
        (tmp_path / "runs" / f"gen_{index}.jsonl").write_text("".join(lines), "utf-8")
    return tmp_path / "runs"


@links
def test_a_lock_that_is_a_link_is_neither_followed_nor_a_traceback(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "precious").write_text("kept")
    (runs / ".score.lock").symlink_to(tmp_path / "precious")
    assert main(["score", str(runs)]) == 4
    assert ".score.lock: cannot be locked" in capsys.readouterr().err
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_lock_is_had_by_one_at_a_time_and_falls_with_its_block(tmp_path: Path) -> None:
    busy, refused = "another one", pytest.raises(UsageError, match="another one")
    with locked(tmp_path / "lock", busy=busy), refused, locked(tmp_path / "lock", busy=busy):
        pass
    with locked(tmp_path / "lock"):
        pass


@links
def test_scores_are_not_written_through_a_link_that_leads_out(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (runs / "scores").symlink_to(tmp_path / "elsewhere")
    lineage = load_lineage(runs)
    with pytest.raises(UsageError, match=r"scores.*leads outside of the lineage"):
        corpora.inside(runs / "scores" / "generation-0" / "gen_1.jsonl", lineage)
    own = runs / "own" / "gen_1.jsonl"
    assert corpora.inside(own, lineage) == own


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "[]",
        '{"gen_0.jsonl": "gen_1.jsonl"}',
        '{"../.scored.x": "../x"}',
        '{".scored.gen_1.jsonl": 5}',
        '{"\\ud800": "\\ud800"}',
    ],
)
def test_a_journal_that_score_did_not_write_moves_nothing(runs: Path, content: str) -> None:
    (runs / ".score.json").write_text(content)
    before = {path.name: path.read_bytes() for path in runs.iterdir()}
    with pytest.raises(UsageError, match=r"\.score\.json is no journal of score"):
        corpora.finish_in_place(runs)
    assert {path.name: path.read_bytes() for path in runs.iterdir()} == before


def test_a_journal_of_score_is_finished(runs: Path) -> None:
    (runs / ".scored.gen_1.jsonl").write_text("new")
    (runs / ".score.json").write_text('{".scored.gen_1.jsonl": "gen_1.jsonl"}')
    corpora.finish_in_place(runs)
    assert (runs / "gen_1.jsonl").read_text() == "new"
    assert not (runs / ".score.json").exists()


def test_a_tokenizer_file_that_is_a_device_is_not_read() -> None:
    with pytest.raises(UsageError, match="a device or a pipe"):
        tokenizer("hf:/dev/zero")
