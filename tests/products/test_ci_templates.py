"""The GitLab template and the pre-commit hooks: valid, and their commands run in a shell."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from runner import ACTION, ROOT

from docs.blocks import blocks

GITLAB = ROOT / "ci" / "gitlab" / "collapse-audit.gitlab-ci.yml"
TEMPLATE: Mapping[str, Any] = yaml.safe_load(GITLAB.read_text("utf-8"))[".collapse-audit"]
HOOKS: list[Mapping[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
SCRIPTS = Path(sys.executable).parent


@pytest.mark.parametrize(("schema", "file"), [("github-actions", ROOT / "action.yml"), ("gitlab-ci", GITLAB)])
def test_files_fit_their_public_schema(schema: str, file: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "page", "name"),
    [
        ("github-workflows", "github-action", ".github/workflows/collapse.yml"),
        ("gitlab-ci", "gitlab", ".gitlab-ci.yml"),
    ],
)
def test_what_a_page_tells_to_write_fits_its_public_schema(schema: str, page: str, name: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "how-to" / f"{page}.md").read_text("utf-8")
    (block,) = [block for block in blocks(text) if block.marks.get("file") == name]
    file = tmp_path / "ci.yml"
    file.write_text(block.text, "utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("page", "names"),
    [("github-action", ACTION["inputs"]), ("gitlab", TEMPLATE["variables"])],
    ids=["github", "gitlab"],
)
def test_pages_name_every_setting_and_no_other(page: str, names: Mapping[str, Any]) -> None:
    text = (ROOT / "docs" / "how-to" / f"{page}.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == set(names)


def test_the_workflow_on_the_page_gives_the_action_what_it_takes() -> None:
    (block,) = [
        each for each in blocks((ROOT / "docs/how-to/github-action.md").read_text("utf-8")) if "file" in each.marks
    ]
    (step,) = [each for each in yaml.safe_load(block.text)["jobs"]["audit"]["steps"] if "with" in each]
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert "path" in step["with"]


def test_the_hooks_on_the_page_exist() -> None:
    (block,) = [
        each for each in blocks((ROOT / "docs/how-to/pre-commit.md").read_text("utf-8")) if "file" in each.marks
    ]
    (repo,) = yaml.safe_load(block.text)["repos"]
    assert {hook["id"] for hook in repo["hooks"]} == {hook["id"] for hook in HOOKS}


def gitlab(place: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The job's script in one shell, as GitLab's runner joins it; installing is left out, what it makes is there."""
    _, make, install, audit = TEMPLATE["script"]
    assert make == "python -I -m venv .collapse-audit-venv"
    assert install.startswith(".collapse-audit-venv/bin/python -I -m pip install ")
    assert install.endswith(' "$COLLAPSE_AUDIT_PACKAGE"')
    if not (place / ".collapse-audit-venv").exists():
        (place / ".collapse-audit-venv").symlink_to(SCRIPTS.parent)
    env = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "CI": "true"} | dict(TEMPLATE["variables"]) | variables
    return subprocess.run(["sh", "-e", "-c", audit], cwd=place, env=env, capture_output=True, text=True)


@pytest.fixture
def place(stored: Path, tmp_path: Path) -> Path:
    """A checkout with the stored lineages."""
    for each in stored.iterdir():
        (tmp_path / each.name).symlink_to(each)
    return tmp_path


@pytest.mark.parametrize(("lineage", "more", "code"), [("healthy", "", 0), ("collapsed", "", 1), ("tiny", "", 6)])
def test_gitlabs_job_ends_as_the_audit_does(place: Path, lineage: str, more: str, code: int) -> None:
    done = gitlab(place, COLLAPSE_AUDIT_PATH=lineage, COLLAPSE_AUDIT_ARGS=more)
    assert done.returncode == code, done.stderr
    report = place / TEMPLATE["variables"]["COLLAPSE_AUDIT_REPORT"]
    assert {path.name for path in report.iterdir()} >= {"report.json", "report.md", "junit.xml"}


def test_gitlabs_variables_are_arguments(place: Path) -> None:
    done = gitlab(
        place,
        COLLAPSE_AUDIT_PATH="tiny\nhealthy",
        COLLAPSE_AUDIT_GENERATION="last",
        COLLAPSE_AUDIT_BASELINE="generation-0",
        COLLAPSE_AUDIT_ARGS="--allow-inconclusive\n-q\n",
        COLLAPSE_AUDIT_REPORT="out",
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (place / "out").iterdir()} == {"tiny", "healthy"}


@pytest.mark.parametrize("name", ["PATH", "GENERATION", "BASELINE", "ARGS"])
def test_gitlabs_variables_are_never_run(place: Path, name: str) -> None:
    nasty = "$(touch pwned) `touch pwned` 'q' \"d\" ; touch pwned #\nEOF\ntouch pwned"
    done = gitlab(place, **{"COLLAPSE_AUDIT_PATH": "tiny", f"COLLAPSE_AUDIT_{name}": nasty})
    assert done.returncode == 4
    assert not (place / "pwned").exists()


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("", 4),
        ("collapse-audit", 4),
        ("collapse-audit==0.1.0", 4),
        ("collapse-audit[hf]>=0.1", 4),
        (".", 0),
        ("./tools/collapse-audit", 0),
        ("https://example.org/collapse-audit-v0.1.0.tar.gz", 0),
        ("git+https://example.org/collapse-audit@v0.1.0", 0),
        ("$(touch pwned)", 4),
    ],
)
def test_gitlabs_job_takes_no_bare_name_from_an_index(tmp_path: Path, package: str, code: int) -> None:
    guard = TEMPLATE["script"][0]
    env = {"PATH": "/usr/bin:/bin", "COLLAPSE_AUDIT_PACKAGE": package}
    done = subprocess.run(["sh", "-e", "-c", guard], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == code
    assert ("set it to where collapse-audit is" in done.stderr) is (code == 4)
    assert not list(tmp_path.iterdir())
    assert TEMPLATE["variables"]["COLLAPSE_AUDIT_PACKAGE"] == ""


def test_nothing_tells_to_install_a_bare_name() -> None:
    # On no index there is such a package: whoever takes the name would be installed.
    pages = [
        *(ROOT / "README.md", ROOT / "action.yml", GITLAB, ROOT / "docs/tutorial.md", ROOT / "docs/reference/score.md"),
        *(ROOT / "docs" / "how-to").glob("*.md"),
    ]
    for page in pages:
        text = page.read_text("utf-8")
        assert not re.search(r"pip install[^\n&#]*[ '\"]collapse-audit\b|collapse-audit(\[|==)", text), page


def test_gitlab_keeps_the_report_whatever_it_says() -> None:
    assert TEMPLATE["artifacts"]["when"] == "always"
    assert TEMPLATE["artifacts"]["paths"] == ["$COLLAPSE_AUDIT_REPORT"]
    assert "cache" not in TEMPLATE


@pytest.mark.parametrize(
    ("hook", "lineage", "code"),
    [(0, "healthy", 0), (0, "collapsed", 1), (1, "healthy", 0), (1, "nowhere", 4)],
)
def test_a_hook_ends_as_its_command_does(place: Path, hook: int, lineage: str, code: int) -> None:
    command = [*shlex.split(HOOKS[hook]["entry"]), lineage]  # as pre-commit makes it: entry, args, no file names
    done = subprocess.run([SCRIPTS / command[0], *command[1:]], cwd=place, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert HOOKS[hook]["pass_filenames"] is False


@pytest.mark.parametrize(
    ("file", "meant"),
    [
        ("runs/latest/gen_1.jsonl", True),
        ("runs/latest/gen_1/texts.jsonl.gz", True),
        ("runs/latest/seed_a/gen_0.holdout.txt", True),
        ("gen_0.csv", True),
        ("reference.jsonl", True),
        ("lineages/x/lineage.toml", True),
        ("src/generate.py", False),
        ("docs/reference-guide.md", False),
        ("my_lineage.toml", False),
        ("gen_x.txt", False),
    ],
)
def test_a_hook_looks_where_generations_change(file: str, meant: bool) -> None:
    for hook in HOOKS:
        assert bool(re.search(hook["files"], file)) is meant


def test_hooks_name_commands_that_are_installed() -> None:
    assert len({hook["id"] for hook in HOOKS}) == len(HOOKS) == 2
    for hook in HOOKS:
        assert (SCRIPTS / shlex.split(hook["entry"])[0]).exists()
        assert hook["language"] == "python"


def test_python_is_always_called_isolated() -> None:
    """A venv.py, pip/ or secrets.py in the root of a checkout is never imported."""
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step] + TEMPLATE["script"]
    calls = [call for script in scripts for call in re.findall(r"(?m)\bpython\"? +(-\S+|\S+)", script)]
    assert len(calls) >= 6
    assert set(calls) == {"-I"}
