"""What is imported when: help is quick, a text audit needs no deep-learning library, pytest is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = ("numpy", "pyarrow", "scipy", "jsonschema", "jinja2", "matplotlib")
FORBIDDEN = (
    "pandas",
    "torch",
    "transformers",
    "datasets",
    "accelerate",
    "peft",
    "lm_eval",
    "pickle5",
    "requests",
    "urllib3",
    "httpx",
    "socketserver",
)


def imported_by(code: str, *, cwd: Path) -> set[str]:
    """Top-level names, and scipy.stats, in ``sys.modules`` of a fresh interpreter after ``code``."""
    names = "{name.partition('.')[0] for name in sys.modules} | ({'scipy.stats'} & {*sys.modules})"
    report = f"import json, sys; sys.stderr.write(json.dumps(sorted({names})))"
    script = f"try:\n    {code}\nexcept SystemExit:\n    pass\n{report}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=cwd)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["list", "--help"], []])
def test_help_imports_nothing_that_is_slow(arguments: list[str], tmp_path: Path) -> None:
    names = imported_by(f"from collapse_audit.cli import main; main({arguments!r})", cwd=tmp_path)
    assert "collapse_audit" in names
    assert not names & {*SLOW, *FORBIDDEN}


def test_importing_the_package_imports_nothing_of_it(tmp_path: Path) -> None:
    names = imported_by("import collapse_audit", cwd=tmp_path)
    assert not names & {*SLOW, *FORBIDDEN, "rich", "argparse"}


def test_a_whole_audit_of_text_imports_no_deep_learning_and_no_network(shelf: Path, tmp_path: Path) -> None:
    arguments = [str(shelf / "collapsed"), "--report", "out", "--evidence", "texts", "-v"]
    names = imported_by(f"from collapse_audit.cli import main; main({arguments!r})", cwd=tmp_path)
    assert (tmp_path / "out" / "report.json").exists()
    assert "numpy" in names
    # Half of what an audit imports was scipy.stats, for three small functions.
    assert not names & {*FORBIDDEN, "tokenizers", "pytest", "scipy.stats"}


def test_pandas_is_there_for_whoever_imports_it_after_an_audit(shelf: Path, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    code = f"from collapse_audit.cli import main; main([{str(shelf / 'collapsed')!r}]); import pandas"
    assert "pandas" in imported_by(code, cwd=tmp_path)


def test_a_probe_of_the_users_own_may_hold_a_frame(shelf: Path, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    mine = (
        "import pathlib\nimport pandas as pd\nimport pyarrow as pa\n"
        "array = pa.array(pd.Series(['x', float('nan')]))\n"  # without pandas a number among strings is an error
        "pathlib.Path('nulls').write_text(str(array.null_count))\n"
    )
    (tmp_path / "mine.py").write_text(mine)
    imported_by(
        f"from collapse_audit.cli import main; main([{str(shelf / 'collapsed')!r}, '--probes', 'mine.py'])",
        cwd=tmp_path,
    )
    assert (tmp_path / "nulls").read_text() == "1"


def test_an_audit_that_writes_no_page_loads_nothing_to_draw_one(shelf: Path, tmp_path: Path) -> None:
    arguments = [str(shelf / "collapsed"), "--junitxml", "junit.xml", "-v"]
    names = imported_by(f"from collapse_audit.cli import main; main({arguments!r})", cwd=tmp_path)
    assert (tmp_path / "junit.xml").exists()
    assert not names & {*FORBIDDEN, "matplotlib", "jinja2", "PIL"}


PROBE_OF_PYTEST = """
import sys

def pytest_sessionfinish(session):
    ours = sorted(name for name in sys.modules if name.startswith("collapse_audit"))
    slow = sorted({"numpy", "pyarrow", "scipy", "rich"} & set(sys.modules))
    print("\\nIMPORTED", *ours, *slow)
"""


def test_the_pytest_plugin_imports_nothing_but_itself_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(PROBE_OF_PYTEST)
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n")
    only_ours = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-s"),
            *("-p", "collapse_audit.pytest_plugin", "-p", "no:cacheprovider"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=only_ours,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("IMPORTED"))
    assert line.split()[1:] == ["collapse_audit", "collapse_audit.pytest_plugin", "collapse_audit.version"]
