"""action.yml: its steps, run in a shell with the environment that a runner gives."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from runner import ACTION, ROOT, Job, run

AUDIT = "Audit"
UPLOAD = next(step["uses"] for step in ACTION["runs"]["steps"] if "upload" in step.get("uses", ""))


@pytest.fixture
def job(stored: Path, tmp_path: Path) -> Job:
    """A job in a fresh workspace beside the stored lineages."""
    temporary = tmp_path / "a temporary folder"
    temporary.mkdir()
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    for each in stored.iterdir():
        (workspace / each.name).symlink_to(each)
    return Job(workspace=workspace, temporary=temporary, inputs={"path": "tiny"})


def reports(folder: str) -> list[dict[str, object]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(Path(folder).rglob("report.json"))]


def test_a_healthy_lineage_is_green(job: Job) -> None:
    job.inputs = {"path": "healthy"}
    run(job)
    assert job.code == 0, job.printed
    assert job.outputs["verdict"] == "pass"
    assert job.outputs["exit-code"] == "0"
    (report,) = reports(job.used[UPLOAD]["path"])
    assert report["verdict"] == "pass"
    assert str(report["summary"]) in job.summary.replace("\\", "")
    assert job.summary == (Path(job.outputs["report"]) / "report.md").read_text("utf-8")


def test_a_collapsed_lineage_is_red_and_its_report_is_there(job: Job) -> None:
    job.inputs = {"path": "collapsed", "generation": "last"}
    run(job)
    assert job.code == 1
    assert job.outputs["verdict"] == "collapse"
    assert job.ran[-1] == "Verdict"
    assert "collapse (exit 1)" in job.printed["Verdict"]
    assert "collapse" in job.summary
    assert {path.name for path in Path(job.used[UPLOAD]["path"]).iterdir()} >= {"report.json", "report.md", "junit.xml"}
    assert "token-divergence" in job.printed[AUDIT]


@pytest.mark.parametrize(("args", "code"), [("", 6), ("--allow-inconclusive\n\n-q\n", 0)])
def test_arguments_come_one_a_line(job: Job, args: str, code: int) -> None:
    job.inputs = {"path": "tiny", "args": args}
    run(job)
    assert job.code == code


def test_several_lineages_are_one_verdict(job: Job) -> None:
    job.inputs = {"path": "healthy\ncollapsed\n"}
    run(job)
    assert (job.code, job.outputs["verdict"]) == (1, "collapse")
    assert [report["verdict"] for report in reports(job.used[UPLOAD]["path"])] == ["collapse", "pass"]
    assert job.summary.count("# ") >= 2


def test_what_cannot_be_read_is_said_on_the_summary_and_uploads_nothing(job: Job) -> None:
    job.inputs = {"path": "nowhere"}
    run(job)
    assert job.code == 4
    assert job.outputs["verdict"] == ""
    assert "nothing was judged (exit 4)" in job.summary
    assert "    collapse-audit: error: nowhere: found nothing of that name" in job.summary
    assert UPLOAD not in job.used


def test_an_older_report_is_not_taken_for_the_new_one(job: Job) -> None:
    run(job)
    assert job.outputs["report"]
    (job.temporary / "output").unlink()
    job.outputs.clear()
    job.used.clear()
    job.inputs = {"path": "nowhere"}
    run(job)
    assert "report" not in job.outputs
    assert UPLOAD not in job.used


NASTY = "$(touch pwned) `touch pwned` 'q' \"d\" ; touch pwned #"


def test_a_path_is_never_run(job: Job) -> None:
    (job.workspace / NASTY).symlink_to((job.workspace / "tiny").resolve())
    job.inputs = {"path": NASTY}
    run(job)
    assert job.code == 6, job.printed
    assert not list(job.workspace.glob("pwned")) + list(job.temporary.glob("pwned"))


@pytest.mark.parametrize("name", ["generation", "baseline", "args", "path", "artifact"])
def test_no_input_is_ever_run(job: Job, name: str) -> None:
    job.inputs = {"path": "tiny", "comment": "true"} | {name: NASTY}
    job.pull_request = "7"
    run(job)
    assert job.code == (6 if name == "artifact" else 4)
    assert not list(job.workspace.glob("pwned")) + list(job.temporary.glob("pwned"))


def test_no_script_has_an_expression_in_it() -> None:
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    assert len(scripts) >= 4
    assert not [script for script in scripts if "${{" in script]


def test_the_runner_takes_nothing_that_is_printed_for_a_command(job: Job) -> None:
    (job.workspace / "bad").mkdir()
    for name in ("gen_0.jsonl", "gen_1.jsonl"):
        (job.workspace / "bad" / name).write_text('{"text": 1}\n', "utf-8")
    marks = set()
    for path, said in (("tiny", "Inconclusive:"), ("tiny", "token-divergence  "), ("bad", "gen_0.jsonl:1: found")):
        job.inputs = {"path": path}
        run(job)
        outside, mark, inside = [], "", []
        for line in job.printed[AUDIT].splitlines():
            if line == f"::{mark}::":
                mark = ""
            elif mark:
                inside.append(line)
            elif line.startswith("::stop-commands::"):
                mark = line.removeprefix("::stop-commands::")
                assert re.fullmatch(r"[0-9a-f]{32}", mark)
                assert mark not in marks
                marks.add(mark)
            else:
                outside.append(line)
        assert not mark
        assert any(said in line for line in inside)
        assert all(re.match(r"::(error|warning|notice) title=|inconclusive: |$", line) for line in outside)


def test_what_is_installed_is_the_actions_own_source(job: Job) -> None:
    run(job)
    assert job.file("pip").splitlines()[-1] == str(ROOT)
    assert "--no-cache-dir" in job.file("pip")


def test_what_is_installed_with_it_is_pinned(job: Job) -> None:
    run(job)
    arguments = job.file("pip").splitlines()
    assert arguments[arguments.index("--constraint") + 1] == str(ROOT / "constraints.txt")


def test_bad_input_is_an_annotation_too(job: Job) -> None:
    (job.workspace / "bad").mkdir()
    (job.workspace / "bad" / "gen_0.txt").write_text("a text\n", "utf-8")
    (job.workspace / "bad" / "gen_1.jsonl").write_text('{"text": 1}\n{"text": "100%"\n', "utf-8")
    job.inputs = {"path": "bad"}
    run(job)
    assert job.code == 4
    (line,) = [line for line in job.printed[AUDIT].splitlines() if line.startswith("::error")]
    said = line.removeprefix("::error title=collapse-audit::")
    (message,) = re.findall(r"collapse-audit: error: (.*?)\n::", job.printed[AUDIT], re.DOTALL)
    assert "\n" in message
    # As the runner undoes it: the percent sign last.
    assert said.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%") == message


def whole(text: str) -> bool:
    """Whether everything that is folded is closed again, and no character is half there."""
    return text.count("<details>") == text.count("</details>") and "\N{REPLACEMENT CHARACTER}" not in text


def test_a_long_report_loses_whole_parts_and_says_so(job: Job) -> None:
    # Eight reports of about ten kilobytes each; a comment takes 60,000 bytes of them.
    for index in range(8):
        (job.workspace / f"tiny-{index}").symlink_to((job.workspace / "tiny").resolve())
    names = [f"tiny-{index}" for index in range(8)]
    job.inputs, job.pull_request = {"path": "\n".join(names), "comment": "true"}, "7"
    run(job)
    assert job.code == 6
    posted = job.file("posted")
    assert len(job.summary.encode()) > 60_000
    assert len(posted.encode()) < 65_536
    assert posted.count("## collapse-audit: INCONCLUSIVE") == 8
    assert "Left out here" in posted
    assert "Left out here" not in job.summary
    assert whole(posted)
    assert whole(job.summary)
    assert not list(Path(job.outputs["report"]).rglob("*.short"))


def test_a_long_message_ends_with_a_whole_line(job: Job) -> None:
    (job.workspace / "bad").mkdir()
    (job.workspace / "bad" / "gen_0.txt").write_text("a text\n", "utf-8")
    (job.workspace / "bad" / "gen_1.jsonl").write_text("[]\n", "utf-8")
    chatty = "import sys\n\nfor number in range(3000):\n    sys.stderr.write(f'{number} Обызвествление\\n')\n"
    (job.workspace / "chatty.py").write_text(f"{chatty}raise ValueError\n", "utf-8")
    job.inputs = {"path": "bad", "comment": "true", "args": "--probes=chatty.py"}
    job.pull_request = "7"
    run(job)
    assert job.code == 3
    posted = job.file("posted")
    assert len(posted.encode()) < 65_536
    assert len(job.summary.encode()) > 60_000
    assert posted.endswith("    (more in the log)\n")
    assert set(posted.splitlines()) - set(job.summary.splitlines()) == {
        "<!-- collapse-audit: collapse-audit-report -->",
        "    (more in the log)",
    }


@pytest.mark.parametrize(("comment", "pull_request"), [("false", "7"), ("true", "")])
def test_nobody_is_told_unless_asked(job: Job, comment: str, pull_request: str) -> None:
    job.inputs, job.pull_request = {"path": "tiny", "comment": comment}, pull_request
    run(job)
    assert not job.file("gh")


@pytest.mark.parametrize(
    ("comments", "call"),
    [
        ("", "--method POST repos/someone/models/issues/7/comments"),
        ("31\n32\n", "--method PATCH repos/someone/models/issues/comments/31"),
    ],
)
def test_one_comment_is_made_and_then_replaced(job: Job, comments: str, call: str) -> None:
    job.inputs, job.pull_request = {"path": "tiny", "comment": "true"}, "7"
    job.env = {"GH_COMMENTS": comments}
    run(job)
    assert job.code == 6
    assert call in job.file("gh").splitlines()[-1]
    assert job.file("posted") == f"<!-- collapse-audit: collapse-audit-report -->\n{job.summary}"


def test_a_comment_that_is_not_allowed_changes_no_verdict(job: Job) -> None:
    job.inputs, job.pull_request, job.env = {"path": "tiny", "comment": "true"}, "7", {"GH_BROKEN": "1"}
    run(job)
    assert job.code == 6
    assert "::warning::" in job.printed["Comment on the pull request"]


def test_only_a_bots_own_comment_is_replaced(job: Job) -> None:
    job.inputs, job.pull_request = {"path": "tiny", "comment": "true"}, "7"
    run(job)
    query = job.file("gh").splitlines()[0]
    assert 'select(.user.type == "Bot") | select(.body | startswith(env.MARK))' in query


def test_actions_are_githubs_own_at_a_major_version() -> None:
    used = [step["uses"] for step in ACTION["runs"]["steps"] if "uses" in step]
    assert len(used) == 2
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", name) for name in used)


def test_every_input_is_used_and_explained() -> None:
    text = (ROOT / "action.yml").read_text("utf-8")
    for name, about in ACTION["inputs"].items():
        assert f"inputs.{name}" in text
        assert about["description"]
        assert about.get("required") or "default" in about
