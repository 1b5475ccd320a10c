"""A new probe is one file: written by the command into a copy of the package, it is everywhere at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from collapse_audit.cli import main
from tests.audit import small_lineages

ROOT = Path(__file__).parents[2]
_PARTS = ("audit", "probes", "lineages", "reports", "docs", "tests")
_DATA = ("*.jsonl*", "*.parquet", "*.safetensors", "__pycache__", "gold", "_build")

SHOWN_EVERYWHERE = """
import contextlib, io, json, sys
from pathlib import Path
from collapse_audit.cli import main
from docs.generate import pages

name, out = "mean-word-length", Path(sys.argv[3])

def said(*argv):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        code = main(list(argv))
    assert code in (0, 1, 6), (argv, code)
    return text.getvalue()

assert name in said("list")
assert "Has the mean word length changed?" in said("explain", name)
said(sys.argv[1], "--report", str(out))
report = json.loads((out / "report.json").read_text())
assert name in {finding["probe"] for finding in report["findings"]}
assert name in {trend["statistic"] for trend in report["trends"]}
assert name in (out / "report.html").read_text()
assert name in (out / "report.md").read_text()
found = said("compare", sys.argv[1], sys.argv[2])
assert f"{name} / {name}" in found, found
written = pages()
assert f"probes/{name}.md" in written
assert name in written["probes/index.md"]
print("everywhere")
"""


def prompted(root: Path, seed: int) -> Path:
    """A baseline and three generations of the same 60 prompts."""
    for index in range(4):
        texts = small_lineages.documents(seed * 100 + index if index else 7, 60)
        held_out = [{"text": text, "prompt": f"prompt {number}"} for number, text in enumerate(texts)]
        small_lineages.write(root / f"gen_{index}" / "holdout.jsonl", held_out)
        small_lineages.write(root / f"gen_{index}" / "texts.jsonl", [f"training text {seed} {index}"])
    return root


@pytest.fixture
def copy(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A checkout to write into, and the environment in which its package is the one that is imported."""
    checkout, site = tmp_path / "checkout", tmp_path / "site" / "collapse_audit"
    for part in _PARTS:
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns(*_DATA))
    for file in ("pyproject.toml", ".importlinter", "README.md"):
        shutil.copyfile(ROOT / file, checkout / file)
    site.mkdir(parents=True)
    for child in (checkout / "audit").iterdir():
        (site / child.name).symlink_to(child)
    for part in ("probes", "lineages", "reports"):
        (site / part).symlink_to(checkout / part)
    return checkout, {**os.environ, "PYTHONPATH": f"{site.parent}{os.pathsep}{checkout}"}


def run(*command: str, cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, *command], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(folder: Path) -> dict[Path, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder): path.read_bytes() for path in found}


def test_a_built_in_probe_touches_three_files_and_is_in_every_report(
    copy: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    checkout, env = copy
    before = files(checkout)
    start = "from collapse_audit.cli import main; raise SystemExit(main(['new-probe', 'mean-word-length']))"
    run("-c", start, cwd=checkout, env=env)
    after = files(checkout)
    assert {path.as_posix() for path in after if after[path] != before.get(path)} == {
        "probes/mean_word_length.py",
        "probes/registry.py",
        "tests/probes/test_mean_word_length.py",
    }
    lineages = [str(prompted(tmp_path / name, seed)) for seed, name in enumerate("ab", start=1)]
    shown = run("-c", SHOWN_EVERYWHERE, *lineages, str(tmp_path / "report"), cwd=checkout, env=env)
    assert shown.strip().endswith("everywhere")
    tests = (
        "tests/probes/test_mean_word_length.py",
        "tests/laws/test_registry_laws.py",
        "tests/probes/test_registry.py",
    )
    options = ("-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-k", "mean_word_length or mean-word-length")
    assert "passed" in run("-m", "pytest", *options, *tests, cwd=checkout, env=env)


def test_outside_a_checkout_it_writes_a_file_for_the_probes_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new-probe", "mean-word-length"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mean_word_length.py"]
    assert "--probes mean_word_length.py -k mean-word-length" in capsys.readouterr().out
    assert main(["explain", "mean-word-length", "--probes", "mean_word_length.py"]) == 0
    assert "Has the mean word length changed?" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Shouting", "NAME 'Shouting': expected lower-case words with hyphens"),
        ("tail-mass", "NAME 'tail-mass': there is a probe of that name (CA201)"),
        ("questions", "questions.py is there already; nothing was written"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_written(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "questions.py").write_text("mine = 1\n")
    assert main(["new-probe", name]) == 4
    assert said in capsys.readouterr().err
    assert (tmp_path / "questions.py").read_text() == "mine = 1\n"
    assert len(list(tmp_path.iterdir())) == 1
