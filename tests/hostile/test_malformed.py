"""A sample of what ``python -m benchmarks.malformed`` makes, and everything that it once found."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from benchmarks.malformed.__main__ import all_cases
from benchmarks.malformed.case import Case, Ended, Grounds, broken, run
from collapse_audit.errors import UsageError
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.probes.text.labels import label_rule

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
CASES = {case.name: case for case in all_cases()}
FOUND = (
    "gen_1/adapter/adapter_model.safetensors is a pipe",
    "gen_1/adapter/adapter_model.safetensors is a link to /dev/zero",
    "gen_1/adapter/adapter_config.json is a link to nothing",
    "gen_1/lm_eval/results_2024-01-01T00-00-00.json is a link to nothing",
    "a pattern for labels that is nothing but groups",
    "settings.toml: permutations are 10^9",
    "report.json is a pipe",
    "report.json is a link to /dev/zero",
    "history.jsonl is a pipe",
    "history.jsonl: generation is 400 digits",
    "tokenizer.json is a pipe",
    "a report folder's note is 100,000 deep",
    "a report folder's note is half a pair",
    "a report folder's note is a name of 300 letters",
    "a report folder's note is a folder's name",
    "a report folder's note is 3 GB of zeros",
    "table.xlsx: a cell in the last corner",
    "table.xlsx: the same in a sheet called like a picture",
    "table.xlsx: a row of 11 digits",
    "table.xlsx: all of it merged",
    "table.xlsx: another byte at 55%",
    "table.jsonl: a key a line",
    "table.jsonl: half of a pair",
    "table.parquet: dates beyond any calendar",
    "table.parquet: 18 GB of one text",
    "numbers: all records of generation 1 hold 1e200",
    "a journal of score is 100,000 deep",
    "a journal of score is of files that are not its own",
    "gen_2/a-00001-of-00002.jsonl, of several, is a link out",
    "gen_2-00001-of-00002.txt, of several, is a link out",
    "gen_2/d.arrow, of several, is a link out",
    "state.json names a file 100,000 times",
    "gen_1.jsonl.gz: ten million lines of b'\\n'",
)
"""Once a hang, a crash, or a message that names another file."""
SAMPLE = tuple(name for name, case in CASES.items() if case.codes == frozenset({4}))[::60]
SECONDS = 120.0  # of a machine that does much else; the command allows 20


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Grounds:
    return Grounds(tmp_path_factory.mktemp("grounds"))


def test_there_are_many_kinds_of_malformed_inputs() -> None:
    assert len(CASES) == sum(1 for _ in all_cases()) >= 300  # and no two have one name


@pytest.mark.parametrize("name", [*FOUND, *SAMPLE])
def test_a_malformed_input_is_one_message_that_names_it(grounds: Grounds, tmp_path: Path, name: str) -> None:
    ended = run(CASES[name], grounds, tmp_path / "case")
    assert broken(CASES[name], ended, seconds=SECONDS) == "", ended.said


def test_a_case_is_broken_where_any_promise_is() -> None:
    case = Case(name="x", damage=lambda _: None, says=("a.toml", "b.toml"))
    kept = Ended(4, "b.toml: found", 1.0, 0.1, ())
    assert broken(case, kept) == ""
    assert "exit code 3" in broken(case, Ended(3, "b.toml", 1.0, 0.1, ()))
    assert "traceback" in broken(case, Ended(4, "b.toml\nTraceback", 1.0, 0.1, ()))
    assert "does not name a.toml" in broken(case, Ended(4, "something", 1.0, 0.1, ()))
    assert "runs/x was written to" in broken(case, Ended(4, "a.toml", 1.0, 0.1, ("runs/x",)))
    assert "21 CPU seconds" in broken(case, Ended(4, "a.toml", 21.0, 0.1, ()))
    assert "2.5 GB" in broken(case, Ended(4, "a.toml", 1.0, 2.5, ()))


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_the_digest_of_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="a device or a pipe") as refused:
        file_digest(path)
    assert refused.value.errno == errno.EINVAL


def test_a_pattern_may_have_a_hundred_groups_and_no_more() -> None:
    assert label_rule("regex:" + "(a)" * 100) is not None
    with pytest.raises(UsageError, match=r"a pattern of 101 groups; allowed are 100, the first is the label"):
        label_rule("regex:" + "(a)" * 101)
