"""What a runner of GitHub's actions does with a composite action, as far as ours needs it: conditions, env, shells."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ACTION: Mapping[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")

_PYTHON = """#!/usr/bin/env bash
# Stands for the runner's Python: an environment has this project's, and what pip should install is written down. It
# must be called isolated (-I): else a venv.py, pip/ or secrets.py in the checkout would be imported.
[ "$1" = "-I" ] || {{ echo "python was not called with -I" >&2; exit 97; }}
if [ "$2 $3" = "-m venv" ]; then
  mkdir -p "$4/bin" && ln -sf "{scripts}/collapse-audit" "$4/bin/collapse-audit" && cp "$0" "$4/bin/python"
elif [ "$2 $3" = "-m pip" ]; then
  printf '%s\\n' "$@" > "$RUNNER_TEMP/pip"
else
  exec "{python}" "$@"
fi
"""
_GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$RUNNER_TEMP/gh"
[ -z "$GH_BROKEN" ] || exit 1
case "$*" in
  *--paginate*) printf '%s' "$GH_COMMENTS" ;;
  *) cp "${!#/#body=@/}" "$RUNNER_TEMP/posted" ;;
esac
"""


@dataclass
class Job:
    """One job that uses the action: what it was given, and what came of it."""

    workspace: Path
    temporary: Path
    inputs: Mapping[str, str]
    pull_request: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    used: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Actions that were used -> what they were given."""
    ran: list[str] = field(default_factory=list)
    printed: dict[str, str] = field(default_factory=dict)
    code: int = 0

    @property
    def summary(self) -> str:
        """What stands on the summary page."""
        return _text(self.temporary / "summary-page")

    def file(self, name: str) -> str:
        """What one of the stand-ins wrote down."""
        return _text(self.temporary / name)


def run(job: Job) -> Job:
    """Run every step of the action that its condition lets run."""
    scripts = Path(sys.executable).parent
    tools = job.temporary / "tools"
    _script(tools / "python", _PYTHON.format(scripts=scripts, python=sys.executable))
    _script(tools / "gh", _GH)
    given = {name: about.get("default", "") for name, about in ACTION["inputs"].items()} | dict(job.inputs)
    failed = False
    for step in ACTION["runs"]["steps"]:
        values = {
            **{f"inputs.{name}": str(value) for name, value in given.items()},
            **{f"steps.audit.outputs.{name}": value for name, value in job.outputs.items()},
            "github.token": "a-token",
            "github.action_path": str(ROOT),
            "github.event.pull_request.number": job.pull_request,
        }
        values["inputs.token"] = _filled(values["inputs.token"], values)
        condition = step.get("if", "success()")
        if not _holds(condition, values) or (failed and "always()" not in condition):
            continue
        job.ran.append(step["name"])
        if "uses" in step:
            job.used[step["uses"]] = {key: _filled(str(value), values) for key, value in step["with"].items()}
            continue
        assert step["shell"] == "bash"
        env = {key: _filled(str(value), values) for key, value in step.get("env", {}).items()}
        code = _shell(job, step["name"], step["run"], env, tools)
        if code:
            failed, job.code = True, job.code or code
        if step.get("id") == "audit":
            job.outputs |= outputs_of(_text(job.temporary / "output"))
    return job


def _shell(job: Job, name: str, script: str, env: Mapping[str, str], tools: Path) -> int:
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR", "MPLCONFIGDIR") if key in os.environ}
    runner = {
        "PATH": f"{tools}:{kept['PATH']}",
        "HOME": str(job.temporary),
        "RUNNER_TEMP": str(job.temporary),
        "GITHUB_WORKSPACE": str(job.workspace),
        "GITHUB_STEP_SUMMARY": str(job.temporary / "summary-page"),
        "GITHUB_OUTPUT": str(job.temporary / "output"),
        "GITHUB_REPOSITORY": "someone/models",
        "GITHUB_ACTIONS": "true",
        "OMP_NUM_THREADS": "1",
    }
    file = job.temporary / "step.sh"
    file.write_text(script, "utf-8")
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(file)]
    done = subprocess.run(
        command, cwd=job.workspace, env=kept | runner | dict(job.env) | dict(env), capture_output=True, text=True
    )
    job.printed[name] = done.stdout + done.stderr
    return done.returncode


def outputs_of(text: str) -> dict[str, str]:
    """What a step wrote to GITHUB_OUTPUT: ``name=value`` and ``name<<MARK … MARK``."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, mark, rest = re.split(r"(=|<<)", line, maxsplit=1)
        found[name] = rest if mark == "=" else "\n".join(iter(lambda: next(lines), rest))
    return found


def _holds(condition: str, values: Mapping[str, str]) -> bool:
    """The few forms of condition that the action has: && between names, == and != to a string, always()."""
    for part in _EXPRESSION.sub(r"\1", condition).split("&&"):
        name, sign, wanted = re.fullmatch(r"\s*([\w.()-]+)\s*(?:(==|!=)\s*'(.*)')?\s*", part).groups()  # type: ignore[union-attr]
        if name in ("always()", "success()"):
            continue
        value = values.get(name, "")
        if not (value if sign is None else (value == wanted) is (sign == "==")):
            return False
    return True


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _EXPRESSION.sub(lambda match: values.get(match[1], ""), text)


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""
