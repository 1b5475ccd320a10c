"""``collapse-audit calibrate``: processes, kept trials, and the command itself."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from calibrate_texts import pool, words

from collapse_audit.calibration.bench import NULL, Strengths, gates_in_force
from collapse_audit.calibration.settled import Trial, tallies
from collapse_audit.calibration.trials import NULLS, Kept, Setup, run_trials, schedule
from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.commands import calibrate as calibrate_cli
from collapse_audit.commands.console import exit_with
from collapse_audit.errors import ProbeError, UsageError
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.text.sample import Sample
from collapse_audit.reports.document import Outcome
from collapse_audit.settings.config import AuditConfig, load_config


def setup_of(baseline: Sample | None = None, **changes: Any) -> Setup:
    settings: dict[str, Any] = {
        "baseline": pool(80) if baseline is None else baseline,
        "n": 40,
        "config": AuditConfig(permutations=40),
        "rule": None,
        "classes": None,
        "probe_files": (),
        "probe_names": ("diversity",),
        "trained_on_baseline": False,
        "strengths": Strengths(),
    }
    return Setup(**{**settings, **changes})


FOREVER = math.inf


def test_rounds_give_every_scenario_its_share() -> None:
    places = schedule([NULL, "loop"], 2)
    assert NULLS == 4
    assert places == [*((NULL, i) for i in range(4)), ("loop", 0), *((NULL, i) for i in range(4, 8)), ("loop", 1)]


def test_several_processes_find_what_one_finds() -> None:
    places = schedule([NULL, "duplicate"], 1)
    found = [run_trials(setup_of(), places, kept=Kept(None, ""), processes=count, deadline=FOREVER) for count in (1, 2)]
    assert len(found[0]) == 5
    assert found[0] == found[1]


def test_an_interrupted_calibration_goes_on_and_ends_with_the_same_numbers(tmp_path: Path) -> None:
    setup, places = setup_of(), schedule([NULL, "duplicate"], 2)
    whole = run_trials(setup, places, kept=Kept(None, ""), processes=1, deadline=FOREVER)

    def stop(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    file = tmp_path / "trials.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run_trials(setup, places, kept=Kept(file, setup.key()), processes=1, deadline=FOREVER, progress=stop)
    with file.open("a") as torn:
        torn.write('{"scenario": "null", "ind')  # killed in the middle of a line
    kept = Kept(file, setup.key())
    assert len(kept.trials) == 3
    started: list[int] = []
    again = run_trials(setup, places, kept=kept, processes=1, deadline=FOREVER, progress=started.append)
    assert again == whole
    assert started == list(range(4, 11))
    assert len(file.read_text().splitlines()) == 11
    assert Kept(file, setup.key()).trials == [*kept.trials[:3], *whole[3:]]


def test_after_the_deadline_each_scenario_is_tried_once_and_no_more() -> None:
    places = schedule([NULL, "duplicate", "loop"], 3)
    found = run_trials(setup_of(), places, kept=Kept(None, ""), processes=1, deadline=time.monotonic())
    assert [(trial.scenario, trial.index) for trial in found] == [(NULL, 0), ("duplicate", 0), ("loop", 0)]


def test_a_trial_that_cannot_be_made_says_which() -> None:
    with pytest.raises(ProbeError, match="trial 0 of broken: KeyError"):
        run_trials(setup_of(), [("broken", 0)], kept=Kept(None, ""), processes=1, deadline=FOREVER)


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 39},
        {"config": AuditConfig(permutations=40, seed=1)},
        {"baseline": sample_of(words(80, seed=2), name="other")},
        {"probe_names": ("integrity",)},
        {"strengths": Strengths(loops=0.2)},
        {"trained_on_baseline": True},
    ],
)
def test_trials_of_another_calibration_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "trials.jsonl"
    Kept(file, setup_of().key())
    before = file.read_bytes()
    with pytest.raises(UsageError, match="trials of another calibration"):
        Kept(file, setup_of(**changes).key())
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", ["some notes\n", "no end of line", '{"text": "a corpus"}\n'])
def test_a_file_of_something_else_is_left_alone(content: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(content)
    with pytest.raises(UsageError, match="no trials"):
        Kept(file, "key")
    assert file.read_text() == content


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "trials.jsonl"
    Kept(file, "key")
    with file.open("a") as more:
        more.write('{"scenario": "null"}\n')
    with pytest.raises(UsageError, match=r"trials\.jsonl:2: found no trial"):
        Kept(file, "key")


# ---------------------------------------------------------------------------------------------------------- the command


def lineage(root: Path, *, count: int = 120, generations: int = 1) -> Path:
    """Generations of the same source, labelled and scored."""
    root.mkdir()
    rng = random.Random(7)
    for index in range(generations):
        records = [
            {"text": text, "labels": [rng.choice("abc")], "nll": round(rng.gauss(3, 0.4), 3)}
            for text in words(count, seed=index + 1)
        ]
        (root / f"gen_{index}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return root


QUICK = ("--processes", "1", "--minutes", "60", "--trials", "1")


def run(*arguments: object) -> int:
    try:
        return exit_with(calibrate_cli.calibrate, [str(argument) for argument in arguments], prog="collapse-audit")
    except SystemExit as left:
        return int(left.code or 0)


def test_the_margins_it_writes_are_in_force_in_an_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = lineage(tmp_path / "run", generations=2)
    file, told = tmp_path / "settings.toml", tmp_path / "numbers.json"
    assert run(root, *QUICK, "--write", file, "--json", told) == 0
    assert f"{file}: written" in capsys.readouterr().out
    data = json.loads(told.read_text())
    config = load_config(load_lineage(root), BUILTIN, config_file=file, directory=tmp_path)
    proposed = {(f["probe"], f["statistic"]): f["proposed"]["margin"] for f in data["findings"] if "proposed" in f}
    assert len(proposed) >= 8
    assert {key: gate.margin for key, gate in config.gates.items()} == proposed
    assert all(gate.reason.startswith("calibrated: ") for gate in config.gates.values())
    # Half of 120 documents a side is measured; generation 1 has 120, so margins are for 120.
    assert (data["n"], data["n_audited"]) == (60, 120)


def test_rates_in_the_numbers_are_those_of_the_kept_trials(tmp_path: Path) -> None:
    """Counted anew from the file of trials, at the default margins."""
    root, told = lineage(tmp_path / "run"), tmp_path / "n.json"
    assert run(root, *QUICK, "--json", told) == 0
    data = json.loads(told.read_text())
    kept = [
        Trial.from_json(json.loads(line)) for line in (tmp_path / "n.json.trials.jsonl").read_text().splitlines()[1:]
    ]
    counted = tallies(kept, gates_in_force(BUILTIN, AuditConfig()), alpha=0.05)
    for finding in data["findings"]:
        for scenario, rates in finding["rates"]["in_force"].items():
            tally = counted[scenario, (finding["probe"], finding["statistic"])]
            for name in ("fail", "inconclusive", "pass"):
                rate = tally.rate(Outcome(name))
                assert (rates[name]["count"], rates[name]["trials"]) == (rate.count, rate.trials)
    assert sum(entry["trials"] for entry in data["scenarios"].values()) == len(kept)
    assert data["scenarios"]["null"]["trials"] == NULLS


def test_a_file_of_settings_is_never_overwritten_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, file = lineage(tmp_path / "run"), tmp_path / "mine.toml"
    file.write_text('labels = "none"\n')
    assert run(root, *QUICK, "--write", file) == 4
    assert "--force" in capsys.readouterr().err
    assert file.read_text() == 'labels = "none"\n'
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mine.toml"]
    assert run(root, *QUICK, "--write", file, "--force") == 0
    assert "[probes." in file.read_text()


def test_a_reference_alone_can_be_calibrated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "run"
    root.mkdir()
    (root / "reference.txt").write_text("".join(f"{text}\n" for text in words(80)))
    assert run(root, *QUICK) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "80 documents of reference, split at random into 40 a side" in out
    assert "False alarms: of 4 pairs" in out


def test_its_own_words_for_what_makes_no_sense(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = lineage(tmp_path / "run", count=1)
    assert run(root, *QUICK) == 4
    assert "cannot be split" in capsys.readouterr().err
    for arguments, words_ in (
        (("--false-alarms", "0"), "between 0 and 1"),
        (("--trials", "0"), "1 or more"),
        (("--json", tmp_path / "no" / "x.json"), "existing folder"),
        (("--minutes", "-1"), "above 0"),
        (("--json", tmp_path / "x", "--state", tmp_path / "x"), "the same file"),
    ):
        assert run(root, *arguments) == 4
        assert words_ in capsys.readouterr().err


def test_trials_of_an_earlier_run_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, told = lineage(tmp_path / "run", count=80), tmp_path / "a.json"
    assert run(root, *QUICK, "--json", told) == 0
    assert "finished earlier" not in capsys.readouterr().out
    trials = (tmp_path / "a.json.trials.jsonl").read_text().count("\n") - 1
    assert run(root, *QUICK, "--json", told) == 0
    assert f"a.json.trials.jsonl: {trials} trials were finished earlier" in capsys.readouterr().out


def test_defaults_on_the_command_line_are_those_of_the_computation() -> None:
    assert Strengths(**calibrate_cli._DEFAULTS) == Strengths()


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys\nfrom collapse_audit.commands.calibrate import calibrate_parser\ncalibrate_parser().format_help()\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'numpy', 'pyarrow', 'scipy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


START = (
    "import sys\nfrom collapse_audit.commands.calibrate import calibrate\n"
    "if __name__ == '__main__':\n    sys.exit(calibrate(sys.argv[1:]))\n"
)


@pytest.mark.slow
def test_killed_and_run_again_it_ends_with_the_same_numbers_and_leaves_no_process(tmp_path: Path) -> None:
    """Two processes, killed outright once three trials are kept. What it had started ends by itself."""
    root, script = lineage(tmp_path / "run", count=80), tmp_path / "start.py"
    script.write_text(START)
    state, told, straight = (tmp_path / name for name in ("state.jsonl", "a.json", "b.json"))
    command = [sys.executable, str(script), str(root), "--minutes", "60", "--trials", "1", "--state", str(state)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not (state.exists() and len(state.read_bytes().splitlines()) > 3) and time.monotonic() < until:
        time.sleep(0.05)
    children = _children(first.pid)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = state.read_bytes()
    assert kept.count(b"\n") > 3
    assert children
    while any(_alive(child) for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(_alive(child) for child in children)
    assert run(root, *QUICK, "--state", state, "--json", told) == 0
    assert state.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert run(root, *QUICK, "--json", straight) == 0
    assert json.loads(told.read_text()) == json.loads(straight.read_text())


def _children(pid: int) -> list[int]:
    folder = Path(f"/proc/{pid}/task/{pid}/children")
    if not folder.exists():
        pytest.skip("needs /proc to see processes")
    return [int(child) for child in folder.read_text().split()]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        "(Z)" not in Path(f"/proc/{pid}/status").read_text() and "zombie" not in Path(f"/proc/{pid}/status").read_text()
    )
