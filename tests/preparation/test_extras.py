"""Where an extra is not installed, the command says so and how to get it."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from collapse_audit.commands import describe, prepare
from collapse_audit.lineage_cli import main
from collapse_audit.lineages.simulation import numbered


@pytest.mark.parametrize(
    ("argv", "extra"),
    [
        (
            ["prepare", "table.csv", "--out", "out"],
            "preparing needs scikit-learn: pip install 'collapse-audit[prepare]'",
        ),
        (["describe", "table.csv"], "describing needs scikit-learn: pip install 'collapse-audit[describe]'"),
        (["simulate", "mixture", "--out", "out"], "needs scikit-learn: pip install 'collapse-audit[prepare]'"),
    ],
)
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    argv: list[str], extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_sklearn(name: str) -> ModuleSpec | None:
        return None if name == "sklearn" else importlib.util.find_spec(name)

    for module in (prepare, describe, numbered):
        monkeypatch.setattr(module, "find_spec", without_sklearn)
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 4
    assert extra in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
