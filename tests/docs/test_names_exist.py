"""What pages, decisions and docstrings name is there: files by their paths, modules and what they define by name."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = {"audit": "", "probes": "probes", "lineages": "lineages", "reports": "reports"}
READ = (
    "audit",
    "probes",
    "lineages",
    "reports",
    "docs",
    "benchmarks",
    "examples",
    "README.md",
    "CONTRIBUTING.md",
)
FOLDERS = "audit|probes|lineages|reports|docs|tests|benchmarks|examples|ci"
PATH = re.compile(rf"(?<![\w/.\"'-])(?:{FOLDERS})/[\w./-]*\w\.(?:py|md|toml|json|html|yml)\b")
DOTTED = re.compile(r"(?<![\w.])collapse_audit(?:\.[a-zA-Z_]\w+)+")


@cache
def kept() -> frozenset[str]:
    """Every file of the repository, as a path from its root."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return frozenset(listed.split("\n"))


@cache
def modules() -> dict[str, str]:
    """Module -> its file."""
    named = {}
    for file in kept():
        part, _, rest = file.partition("/")
        if part in PARTS and rest.endswith(".py"):
            steps = [
                step for step in (PARTS[part], *rest.removesuffix(".py").split("/")) if step not in ("", "__init__")
            ]
            named[".".join(("collapse_audit", *steps))] = file
    return named


def prose(file: str) -> str:
    """A page as it stands; of a module its comments and docstrings, and what else stands in triple quotes."""
    text = (ROOT / file).read_text("utf-8")
    if file.endswith(".md"):
        return text
    return "\n".join([*re.findall(r'"""(.*?)"""', text, re.DOTALL), *re.findall(r"#.*", text)])


@cache
def defined(file: str) -> frozenset[str]:
    """Every name that a module defines or imports; what it hands out by ``__getattr__`` it names in strings."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            names.add(node.value)
    return frozenset(names)


def missing(text: str, folder: str = "") -> Iterator[str]:
    """What a text in ``folder`` names that is not there."""
    for path in PATH.findall(text):
        if not {path, f"{folder}/{path}"} & kept():
            yield path
    for name in DOTTED.findall(text):
        module = name
        while module not in modules():
            module = module.rpartition(".")[0]
        inner = name.removeprefix(module).lstrip(".").partition(".")[0]
        if inner and inner not in defined(modules()[module]):
            yield name


def test_pages_and_docstrings_name_only_what_is_there() -> None:
    files = [file for file in sorted(kept()) if file.startswith(READ) and file.endswith((".py", ".md"))]
    assert len(files) > 300
    assert [f"{file}: {name}" for file in files for name in missing(prose(file), file.rpartition("/")[0])] == []


@pytest.mark.parametrize(
    "text",
    [
        "tests/test_pack_calibration.py says so",
        "see `audit/run/nothing.py`",
        "``collapse_audit.probes.nothing.words``",
        "collapse_audit.verdicts.rule.nothing",
    ],
)
def test_a_name_of_nothing_is_found(text: str) -> None:
    assert len(list(missing(text))) == 1


def test_names_of_what_is_there_are_not() -> None:
    text = "audit/run/plan.py, `collapse_audit.run.plan`, collapse_audit.probes.text.tokens.WORDS, a collapse_audit.x"
    assert list(missing(text)) == []
