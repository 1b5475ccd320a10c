"""The stored history: what is written comes back, torn ends are cut off, and anything else that is wrong is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit import audit
from collapse_audit.cli import main
from collapse_audit.errors import InputError, UsageError
from collapse_audit.reports.document import AuditReport, Finding, Interval, Outcome
from collapse_audit.verdicts.history import Entry, History, Look, entries_of, open_history, read_history
from collapse_audit.verdicts.sequential import alpha_at
from tests.audit import small_lineages

LOOK = Look(
    look="sha256:aa", time="2027-01-31T09:30:00Z", tool="0.1.0", lineage="runs ü", digest="sha256:bb", alpha=0.05
)
FINDING = Finding(
    probe="repetition",
    code="CA106",
    statistic="looping",
    seed=None,
    generation=1,
    baseline="generation 0 (held-out)",
    gating=True,
    outcome=Outcome.PASS,
    value=0.012,
    unit="share of documents",
    worse="higher",
    interval=Interval(low=None, high=0.02, level=0.9, method="normal"),
    margin=0.025,
    p_value=0.3,
    p_adjusted=1.0,
    n_baseline=500,
    n_generation=480,
    raw={"words": "secret"},
    evidence=({"term": "secret"},),
    reason="nothing secret",
)
(ENTRY,) = entries_of(LOOK, [FINDING])
LINE: dict[str, Any] = {
    "format": 1,
    "alpha": 0.05,
    "baseline": "generation 0 (held-out)",
    "code": "CA106",
    "digest": "sha256:bb",
    "gating": True,
    "generation": 1,
    "high": 0.02,
    "level": 0.9,
    "lineage": "runs ü",
    "look": "sha256:aa",
    "margin": 0.025,
    "n_baseline": 500,
    "n_generation": 480,
    "outcome": "pass",
    "p_adjusted": 1.0,
    "p_value": 0.3,
    "probe": "repetition",
    "statistic": "looping",
    "time": "2027-01-31T09:30:00Z",
    "tool": "0.1.0",
    "unit": "share of documents",
    "value": 0.012,
    "waived": False,
    "worse": "higher",
}
"""The line of FINDING, written out by hand from the documented format."""

OUTCOMES = "pass, fail, changed, inconclusive, not_measured, error"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.jsonl"


def append(file: Path, *entries: Entry) -> None:
    with open_history(file) as history:
        history.add(entries)


def of(look: str, **changes: Any) -> Entry:
    return replace(ENTRY, look=look, **changes)


def line(**changes: Any) -> bytes:
    """LINE with ``changes``; a key whose change is None is left out."""
    data = {key: value for key, value in (LINE | changes).items() if value is not None}
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def problems(file: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        read_history(file)
    return [f"{one.line}: found {one.found}; expected {one.expected}" for one in error.value.problems]


# -------------------------------------------------------------------------------------------------- writing and reading


def test_a_finding_becomes_the_documented_line(file: Path) -> None:
    append(file, ENTRY)
    data = file.read_bytes()
    assert data == line()
    assert data.isascii()
    assert b"secret" not in data  # evidence, raw values and reasons may quote a corpus


def test_what_is_not_there_yet_is_empty(file: Path) -> None:
    assert read_history(file) == History()
    assert not file.exists()


seeds = st.sampled_from([None, "0", "seed \u2028 two"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
chances = st.one_of(st.none(), st.floats(0, 1))
counts = st.one_of(st.none(), st.integers(0, 10**9))
any_entry = st.builds(
    Entry,
    look=texts,
    time=texts,
    tool=texts,
    lineage=texts,
    digest=texts,
    alpha=st.floats(0, 1),
    probe=texts,
    code=texts,
    statistic=texts,
    seed=seeds,
    generation=st.integers(0, 50),
    baseline=texts,
    gating=st.booleans(),
    outcome=st.sampled_from([outcome.value for outcome in Outcome]),
    waived=st.booleans(),
    value=numbers,
    low=numbers,
    high=numbers,
    level=chances,
    unit=texts,
    worse=st.sampled_from(["higher", "lower"]),
    margin=numbers,
    p_value=chances,
    p_adjusted=chances,
    n_baseline=counts,
    n_generation=counts,
)


@given(st.lists(any_entry, max_size=5, unique_by=lambda entry: entry.place))
def test_what_is_written_comes_back(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> None:
    file = tmp_path_factory.mktemp("history") / "history.jsonl"
    append(file, *entries[:2])
    append(file, *entries[2:])
    assert read_history(file) == History(entries=tuple(entries))


def test_looks_are_listed_once_in_the_order_of_their_first_line(file: Path) -> None:
    append(file, of("b"), of("a"), of("b", generation=2), of("c"))
    assert read_history(file).looks == ("b", "a", "c")


def test_the_same_finding_of_the_same_look_is_written_once(file: Path) -> None:
    append(file, of("a", value=1.0), of("a", value=2.0))
    append(file, of("a", value=3.0), of("a", value=4.0, generation=2))
    assert [(entry.generation, entry.value) for entry in read_history(file).entries] == [(1, 1.0), (2, 4.0)]


def test_what_has_been_added_counts_before_it_is_written(file: Path) -> None:
    with open_history(file) as history:
        history.add([of("a")])
        assert history.history.looks == ("a",)
        history.add([of("a"), of("b")])
        assert not file.exists()
    assert read_history(file).looks == ("a", "b")


def test_nothing_is_written_where_the_audit_breaks_off(file: Path) -> None:
    def breaks_off() -> None:
        with open_history(file) as history:
            history.add([of("b")])
            raise KeyboardInterrupt

    append(file, of("a"))
    with pytest.raises(KeyboardInterrupt):
        breaks_off()
    assert read_history(file).looks == ("a",)


# ---------------------------------------------------------------------------------------------------------------- tears


def test_wherever_a_write_tears_the_rest_is_read_and_the_next_one_mends_it(file: Path) -> None:
    """Enumeration: the file cut after every one of its bytes."""
    first, second = line(look="a"), line(look="b")
    for end in range(len(first) + len(second) + 1):
        file.write_bytes((first + second)[:end])
        whole = [name for name, needed in (("a", len(first) - 1), ("b", len(first) + len(second) - 1)) if end >= needed]
        history = read_history(file)
        assert list(history.looks) == whole
        complete = (0, len(first) - 1, len(first), len(first + second) - 1, len(first + second))
        assert history.torn == (end not in complete)
        append(file, of("c"))
        assert read_history(file).looks == (*whole, "c")
        assert not read_history(file).torn
        assert file.read_bytes().count(b"\n") == len(whole) + 1


def test_a_piece_that_is_longer_than_what_comes_next_goes_too(file: Path) -> None:
    file.write_bytes(line(look="a") + line(lineage="x" * 5000)[:4000])
    append(file, of("c"))
    assert file.read_bytes() == line(look="a") + line(look="c")


def test_reading_alone_changes_nothing(file: Path) -> None:
    file.write_bytes(line() + line()[:30])
    before = file.read_bytes()
    assert read_history(file).torn
    with open_history(file):
        pass
    assert file.read_bytes() == before


@pytest.mark.parametrize("end", [b"hello", b'{"look":', b"\0\0\0", b'{"format":1}', b"[]"])
def test_an_end_that_is_no_piece_of_a_line_is_refused(file: Path, end: bytes) -> None:
    file.write_bytes(line() + end)
    assert problems(file)[0].startswith("2: found ")
    with pytest.raises(InputError), open_history(file):
        pass
    assert file.read_bytes() == line() + end


def test_a_disk_that_is_full_leaves_the_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(file, of("a"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left on device; name a file that you may read and write"):
        append(file, of("b"))
    monkeypatch.undo()
    assert file.read_bytes() == line(look="a")


# -------------------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (b"\n", "found b'' (Expecting value: line 1 column 1 (char 0)); expected one finding as a JSON object"),
        (b"[1]\n", "found [1]; expected one finding as a JSON object"),
        (line(format=2), "found format = 2; expected 1; a newer collapse-audit wrote this line, so upgrade"),
        (line(format=None), "found format = null; expected 1"),
        (line(more=1), "found the key 'more'; expected one of format, look, "),
        (line(look=None, unit=None), "found no look, no unit; expected every key of a finding that was written"),
        (line(alpha="x"), "found alpha = 'x'; expected a number from 0 to 1"),
        (line(alpha=1.5), "found alpha = 1.5; expected a number from 0 to 1"),
        (line(value=True), "found value = true; expected a finite number, or no such key"),
        (line(value=10**400), "found value = 1000"),
        (line().replace(b"0.012", b"NaN"), "found value = nan; expected a finite number, or no such key"),
        (line().replace(b"0.012", b"1e999"), "found value = inf; expected a finite number, or no such key"),
        (line().replace(b"0.012", b"null"), "found value = null; expected a finite number, or no such key"),
        (line(generation=-1), "found generation = -1; expected a whole number from 0"),
        (line(n_baseline=1.5), "found n_baseline = 1.5; expected a whole number from 0, or no such key"),
        (line(gating=1), "found gating = 1; expected true or false"),
        (
            line(outcome="failed"),
            "found outcome = 'failed'; expected pass, fail, changed, inconclusive, not_measured, error",
        ),
        (
            line(outcome=["fail"]),
            "found outcome = ['fail']; expected pass, fail, changed, inconclusive, not_measured, error",
        ),
        (line(worse="up"), "found worse = 'up'; expected higher or lower"),
        (line(seed=3), "found seed = 3; expected text, or no such key"),
        (b'{"alpha":1,"alpha":2}\n', 'found b\'{"alpha":1,"alpha":2}\' (a key stands there twice); expected one'),
        (b"<<<<<<< ours\n", "found b'<<<<<<< ours' (Expecting value: line 1 column 1 (char 0)); expected one"),
        (b"\xff\n", "found b'\\xff' ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte); "),
        (b"[" * 100_000 + b"\n", "found b'[["),
    ],
)
def test_a_line_that_is_not_as_documented_is_refused_with_its_number(file: Path, wrong: bytes, problem: str) -> None:
    file.write_bytes(line(look="a") + wrong + line(look="b"))
    (said,) = problems(file)
    assert said.startswith(f"2: {problem}")


def test_all_wrong_lines_are_said_together(file: Path) -> None:
    file.write_bytes(b"x\n" + line() + b"y\n")
    assert [said[:2] for said in problems(file)] == ["1:", "3:"]


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    assert problems(tmp_path) == ["None: found Is a directory; expected a readable file of JSON lines"]
    (tmp_path / "taken").write_text("a file")
    for path, why in (
        (tmp_path, "is a folder; a file is needed there"),
        (tmp_path / "taken" / "history.jsonl", "its folder cannot be made: "),
        (tmp_path / "taken" / "deeper" / "history.jsonl", "its folder cannot be made: "),
    ):
        with pytest.raises(UsageError) as error, open_history(path):
            pass
        assert str(error.value).startswith(f"--history {path}: {why}")
    assert (tmp_path / "taken").read_text() == "a file"


def test_the_folder_is_made_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "ci" / "histories" / "history.jsonl"
    with open_history(file) as history:
        history.add([of("a")])
    assert read_history(file).looks == ("a",)


# --------------------------------------------------------------------------------------------------------------- locks


def test_another_audit_is_waited_for(file: Path) -> None:
    order: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with open_history(file) as history:
            inside.set()
            history.add([of("a")])
            order.append("first")

    thread = threading.Thread(target=first)
    with open_history(file) as history:
        thread.start()
        assert not inside.wait(0.3)
        history.add([of("b")])
        order.append("second")
    thread.join()
    assert order == ["second", "first"]
    assert read_history(file).looks == ("b", "a")


def test_it_is_not_waited_for_without_end(file: Path) -> None:
    with open_history(file), pytest.raises(UsageError) as error, open_history(file, patience=0.1):
        pass
    assert str(error.value) == (
        f"--history {file}: another audit has had it open for 0.1 seconds; let that one end first"
    )


def test_a_link_leads_to_the_same_lock(file: Path) -> None:
    link = file.with_name("link.jsonl")
    link.symlink_to(file)
    with open_history(file), pytest.raises(UsageError), open_history(link, patience=0.1):
        pass
    append(link, of("a"))
    assert read_history(file).looks == ("a",)
    assert link.is_symlink()


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from collapse_audit.verdicts.history import open_history, read_history
file, name = Path(sys.argv[1]), sys.argv[2]
(entry,) = read_history(file).entries[:1]
for number in range(10):
    with open_history(file) as history:
        history.add([replace(entry, look=f"{name} {number}", statistic=str(len(history.history.looks)))])
"""


@pytest.mark.slow
def test_processes_that_write_at_once_lose_nothing_and_count_on(file: Path) -> None:
    append(file, ENTRY)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), name]) for name in ("a", "b", "c")]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    entries = read_history(file).entries
    assert {entry.look for entry in entries[1:]} == {f"{name} {number}" for name in "abc" for number in range(10)}
    assert [entry.statistic for entry in entries[1:]] == [str(number) for number in range(1, 31)]


# --------------------------------------------------------------------------------------------------------- whole audits


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The lineage of a run: generation 0 is the same in all of them, generation 1 is new."""
    root = tmp_path_factory.mktemp("runs")

    def run(number: int) -> Path:
        folder = root / f"run_{number}"
        if not folder.exists():
            small_lineages.lineage(folder, small_lineages.documents(1, 60), small_lineages.documents(number + 10, 60))
        return folder

    return run


FAST = {"select": "repetition or diversity"}


def note_of(report: AuditReport) -> str:
    (note,) = [note for note in report.notes if "of the history" in note]
    return note


def test_every_finding_of_an_audit_is_a_line(runs: Callable[[int], Path], file: Path) -> None:
    report = audit(runs(0), history=file, **FAST)
    stored = read_history(file).entries
    assert [(e.probe, e.statistic, e.generation, e.outcome) for e in stored] == [
        (f.probe, f.statistic, f.generation, f.outcome) for f in report.findings
    ]
    assert [e.value for e in stored] == [f.value for f in report.findings]
    assert {e.alpha for e in stored} == {0.05}
    assert {e.digest for e in stored} == {report.lineage["digest"]}


def test_the_first_look_has_the_first_share_of_alpha(runs: Callable[[int], Path], file: Path) -> None:
    report = audit(runs(0), history=file, anytime=True, **FAST)
    assert report.config["alpha"] == pytest.approx(0.00025)  # half of .05, by 100
    assert note_of(report) == "look 1 of the history: alpha = 0.00025 in this one, 0.05 in all together"
    assert {entry.alpha for entry in read_history(file).entries} == {report.config["alpha"]}


def test_looks_that_spent_all_of_alpha_are_counted_as_such(runs: Callable[[int], Path], file: Path) -> None:
    """Two ordinary audits spent .05 each; then anytime begins, too late: .05 + 2 (.05 - .00025) = .1495."""
    for number in (1, 2):
        audit(runs(number), history=file)
    report = audit(runs(3), history=file, anytime=True)
    (told,) = [note for note in report.notes if "look 3 of the history" in note]
    assert float(told.split()[-4]) == pytest.approx(0.1495, rel=0.01)
    assert any("start a new history" in note for note in report.notes)


def test_new_inputs_are_a_new_look_and_the_same_ones_are_not(runs: Callable[[int], Path], file: Path) -> None:
    reports = [audit(runs(number), history=file, anytime=True, **FAST) for number in (0, 1, 0, 0, 2)]
    assert [int(note_of(report).split()[1]) for report in reports] == [1, 2, 1, 1, 3]
    assert len(read_history(file).looks) == 3
    assert len(read_history(file).entries) == sum(len(reports[k].findings) for k in (0, 1, 4))
    assert reports[0].findings[0].p_value == reports[2].findings[0].p_value


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"select": "repetition"}, {"permutations": 1500}, {"alpha": 0.1}, {"independent": True}]
)
def test_other_draws_or_other_tests_of_the_same_texts_are_a_new_look(
    runs: Callable[[int], Path], file: Path, change: dict[str, Any]
) -> None:
    """Else one could draw permutations again and again until they please, at the price of one look."""
    audit(runs(0), history=file, anytime=True, **FAST)
    again = audit(runs(0), history=file, anytime=True, **(FAST | change))
    assert note_of(again).startswith("look 2 ")


@pytest.mark.parametrize("change", [{"sets": ["repetition.looping.margin=0.5"]}, {"allow_inconclusive": True}])
def test_what_moves_no_p_value_is_no_new_look(runs: Callable[[int], Path], file: Path, change: dict[str, Any]) -> None:
    audit(runs(0), history=file, anytime=True, **FAST)
    assert note_of(audit(runs(0), history=file, anytime=True, **(FAST | change))).startswith("look 1 ")


def test_behind_the_horizon_shares_fall_and_more_permutations_are_drawn(
    runs: Callable[[int], Path], file: Path
) -> None:
    append(file, *(of(str(number)) for number in range(149)))
    report = audit(runs(0), history=file, anytime=True, select="repetition")
    expected = 0.05 / 2 * 100 / (150 * 149)
    assert report.config["alpha"] == pytest.approx(expected)
    assert report.config["alpha"] == alpha_at(150, 0.05)
    said = "permutations were drawn where the verdict hangs on them, as 2 gating findings need at alpha = 0.000112"
    assert any(said in note for note in report.notes)
    assert {f.permutations for f in report.findings if f.p_value is not None} == {999}  # no verdict hangs on them
    assert all(f.p_value is None or f.p_value >= expected / 2 / 2 for f in report.findings)


def test_a_torn_end_is_told(runs: Callable[[int], Path], file: Path) -> None:
    file.write_bytes(line() + line()[:50])
    report = audit(runs(0), history=file, **FAST)
    assert "the history ended in a piece of a line, which was dropped" in report.notes


def test_anytime_needs_a_history(runs: Callable[[int], Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(runs(0)), "--anytime"]) == 4
    expected = "anytime shares alpha out over the audits of a history; name its file: --history FILE"
    assert expected in capsys.readouterr().err


def test_a_lineage_does_not_decide_how_false_alarms_are_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lineage = small_lineages.tiny(tmp_path / "runs")
    (lineage / "collapse-audit.toml").write_text("anytime = true\n")
    assert main([str(lineage)]) == 4
    assert "anytime: a lineage may describe its data" in capsys.readouterr().err


def test_lineages_of_one_command_take_one_look_each(
    runs: Callable[[int], Path], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(runs(0)), str(runs(1)), "--history", str(file), "--anytime", "-k", "repetition"]
    main(arguments)
    shown = capsys.readouterr().out
    assert "look 1 of the history" in shown
    assert "look 2 of the history" in shown
    assert len(read_history(file).looks) == 2


def test_a_lineage_that_cannot_be_read_leaves_no_line(
    runs: Callable[[int], Path], file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = small_lineages.tiny(tmp_path / "broken")
    (broken / "gen_1" / "holdout.jsonl").write_text("{\n")
    assert main([str(runs(0)), str(broken), "--history", str(file), "-k", "repetition"]) == 4
    assert not file.exists()
    assert "holdout.jsonl" in capsys.readouterr().err


def test_pytest_appends_to_the_history_too(pytester: pytest.Pytester, runs: Callable[[int], Path], file: Path) -> None:
    from tests.audit.running import audited

    for _ in range(2):
        audited(pytester, runs(0), arguments=[f"--collapse-audit-history={file}", "-k", "repetition"])
    stored = read_history(file)
    assert {entry.probe for entry in stored.entries} == {"repetition"}
    assert len(stored.looks) == 1
