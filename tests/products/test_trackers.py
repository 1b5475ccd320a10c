"""--log-to: what reaches a tracker, seen by stand-ins that take what the real ones take."""

from __future__ import annotations

import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from collapse_audit.cli import main
from collapse_audit.commands.trackers import TRACKERS
from collapse_audit.reports.from_json import read
from docs import workplace

LOGGED = ("report.json", "report.md", "junit.xml")


class Mlflow(ModuleType):
    """The calls of mlflow that are used; names of metrics and tags are held to its rules."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.__spec__ = ModuleSpec("mlflow", None)
        self.runs: list[SimpleNamespace] = []
        self.active: SimpleNamespace | None = None

    def start_run(self, *, run_name: str) -> Mlflow:
        assert self.active is None
        self.active = SimpleNamespace(name=run_name, tags={}, metrics={}, files={})
        self.runs.append(self.active)
        return self

    def __enter__(self) -> Mlflow:
        return self

    def __exit__(self, *_: object) -> None:
        self.active = None

    def set_tags(self, tags: dict[str, str]) -> None:
        assert self.active is not None
        assert all(isinstance(value, str) for value in tags.values())
        self.active.tags |= tags

    def log_metrics(self, metrics: dict[str, float], *, step: int) -> None:
        assert self.active is not None
        assert all(re.fullmatch(r"[\w./ :-]+", name) for name in metrics)
        assert all(isinstance(value, float | int) for value in metrics.values())
        self.active.metrics |= {(name, step): value for name, value in metrics.items()}

    def log_artifact(self, local_path: str, *, artifact_path: str) -> None:
        assert self.active is not None
        self.active.files[f"{artifact_path}/{Path(local_path).name}"] = Path(local_path).read_text("utf-8")


class Wandb(ModuleType):
    """The calls of wandb that are used; steps may only grow, as there."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)
        self.runs: list[SimpleNamespace] = []

    def Settings(self, **settings: object) -> dict[str, object]:  # noqa: N802 - its name there
        return settings

    def Artifact(self, name: str, type: str) -> SimpleNamespace:  # noqa: A002, N802
        assert re.fullmatch(r"[\w.-]+", name)
        files: dict[str, str] = {}
        add = lambda path: files.__setitem__(Path(path).name, Path(path).read_text("utf-8"))  # noqa: E731
        return SimpleNamespace(name=name, type=type, files=files, add_file=add)

    def init(self, **given: Any) -> SimpleNamespace:
        run = SimpleNamespace(**given, history=[], summary={}, artifacts=[], finished=False, defined=[])
        run.define_metric = lambda name, step_metric=None: run.defined.append((name, step_metric))
        run.log = run.history.append
        run.log_artifact = run.artifacts.append
        run.finish = lambda: setattr(run, "finished", True)
        self.runs.append(run)
        return run


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    stand_in = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", stand_in)
    return stand_in


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Wandb:
    stand_in = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    return stand_in


def values(report: Path) -> dict[tuple[str, int], float]:
    """What should be logged of a stored report."""
    return {
        (f"{finding.probe}/{finding.statistic}", finding.generation): finding.value
        for finding in read(report).findings
        if finding.gating and finding.value is not None
    }


def test_mlflow_gets_verdict_values_and_files(mlflow: Mlflow, stored: Path, tmp_path: Path) -> None:
    assert main([str(stored / "tiny"), "-q", "--report", str(tmp_path / "out"), "--log-to", "mlflow"]) == 6
    (run,) = mlflow.runs
    assert run.name == "collapse-audit tiny"
    assert run.tags["collapse_audit.verdict"] == "inconclusive"
    assert run.tags["collapse_audit.exit_code"] == "6"
    assert run.metrics == values(tmp_path / "out" / "report.json")
    assert ("diversity/distinct-2", 1) in run.metrics
    for name in LOGGED:
        assert run.files[f"collapse-audit/{name}"] == (tmp_path / "out" / name).read_text("utf-8")


def test_wandb_gets_the_same(wandb: Wandb, stored: Path, tmp_path: Path) -> None:
    assert main([str(stored / "tiny"), "-q", "--report", str(tmp_path / "out"), "--log-to", "wandb"]) == 6
    (run,) = wandb.runs
    assert run.finished
    assert run.config["verdict"] == run.summary["verdict"] == "inconclusive"
    assert run.summary["exit_code"] == 6
    logged = {(name, row["generation"]): value for row in run.history for name, value in row.items()}
    wanted = values(tmp_path / "out" / "report.json")
    assert {key: value for key, value in logged.items() if key[0] != "generation"} == wanted
    assert [row["generation"] for row in run.history] == [1]
    (artifact,) = run.artifacts
    assert {name: artifact.files[name] for name in LOGGED} == {
        name: (tmp_path / "out" / name).read_text("utf-8") for name in LOGGED
    }
    assert run.settings == {"silent": True, "console": "off", "disable_git": True, "save_code": False}


def test_several_lineages_and_seeds_do_not_mix(mlflow: Mlflow, tmp_path: Path) -> None:
    for seed in (0, 1):
        for index in (0, 1, 2):
            folder = tmp_path / "seeds" / f"seed_{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            texts = workplace.texts(10 * seed + index, 8, 300)
            (folder / f"gen_{index}.txt").write_text("".join(f"{text}\n" for text in texts), "utf-8")
    out = tmp_path / "out"
    assert (
        main([str(tmp_path / "seeds"), str(tmp_path / "seeds"), "-q", "--report", str(out), "--log-to", "mlflow"]) == 6
    )
    first, second = mlflow.runs
    assert first.metrics == second.metrics
    seeds = {(name.split("/")[0], step) for name, step in first.metrics}
    assert seeds == {(f"seed-{seed}", step) for seed in (0, 1) for step in (1, 2)}
    assert first.files["collapse-audit/report.json"] == (out / "seeds" / "report.json").read_text("utf-8")


def test_without_a_report_folder_the_files_are_logged_all_the_same(
    mlflow: Mlflow, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main([str(stored / "tiny"), "-q", "--log-to", "mlflow"])
    assert {f"collapse-audit/{name}" for name in LOGGED} <= set(mlflow.runs[0].files)
    assert not list(tmp_path.iterdir())


def test_names_that_no_tracker_takes_are_made_harmless(mlflow: Mlflow, stored: Path, tmp_path: Path) -> None:
    probes = tmp_path / "mine.py"
    probes.write_text(
        "from collapse_audit import probe\n\n"
        '@probe(name="100%/é?", unit="characters", worse="higher", margin=1)\n'
        'def mine(pair):\n    """How long?"""\n    return pair.mean_rise(len)\n'
    )
    main([str(stored / "tiny"), "-q", "--probes", str(probes), "--log-to", "mlflow"])
    assert ("100__é_/100__é_", 1) in mlflow.runs[0].metrics


@pytest.mark.parametrize("name", list(TRACKERS))
def test_what_is_not_installed_is_said_before_the_audit(
    name: str, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("collapse_audit.commands.trackers.find_spec", lambda _: None)
    assert main([str(stored / "tiny"), "--report", str(tmp_path / "out"), "--log-to", name]) == 4
    shown = capsys.readouterr()
    assert not shown.out
    assert f"{name} is not installed; pip install 'collapse-audit[{name}]'" in shown.err
    assert not (tmp_path / "out").exists()


def test_a_tracker_that_fails_changes_no_verdict(
    mlflow: Mlflow, stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(mlflow, "start_run", refuse)
    assert main([str(stored / "tiny"), "-q", "--log-to", "mlflow"]) == 6
    shown = capsys.readouterr()
    assert shown.out.rstrip().endswith("[exit 6]")
    assert "the report was not logged (ConnectionError: no route to host); the verdict was: inconclusive" in shown.err


def test_nothing_is_logged_unless_asked_for(mlflow: Mlflow, wandb: Wandb, stored: Path) -> None:
    main([str(stored / "tiny"), "-q"])
    assert not mlflow.runs + wandb.runs
