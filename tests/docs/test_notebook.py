"""The notebook runs from its first cell to its last, and shows what its text says."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook" / "two_files.ipynb"


def run(cells: list[str]) -> list[Any]:
    """The cells in one namespace, as a kernel runs them; the value of each cell's last expression, or None."""
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for cell in cells:
        tree = ast.parse(cell)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(NOTEBOOK), "exec"), names)
        value = last.value if isinstance(last, ast.Expr) else None
        shown.append(None if value is None else eval(compile(ast.Expression(value), str(NOTEBOOK), "eval"), names))
    return shown


def test_the_notebook_runs_and_shows_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    _, report, _, healthy = run(cells)
    assert "<strong" in report._repr_html_()
    assert report.summary in report._repr_html_()
    assert capsys.readouterr().out.startswith("collapse 1\n- ")
    assert healthy.startswith(("pass: ", "inconclusive: "))


def test_no_output_is_stored_that_could_be_out_of_date() -> None:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
