"""``collapse-audit --data``: what is judged, what is refused, and that every report says the same."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from running import command

from collapse_audit import audit
from collapse_audit.errors import UsageError
from collapse_audit.reports.document import Outcome
from collapse_audit.reports.from_json import read

pytestmark = pytest.mark.usefixtures("elsewhere")


def drawn(count: int, seed: int) -> list[str]:
    """Texts of two sentences, each about 30 words of its own, which come back."""
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 1500, size=(count, 1)) + rng.integers(0, 30, size=(count, 24))
    cuts = rng.integers(4, 20, size=count)
    return [
        f"{' '.join(f'w{n}' for n in row[:cut])}. {' '.join(f'w{n}' for n in row[cut:])}."
        for row, cut in zip(words, cuts, strict=True)
    ]


PEOPLE, MACHINE = drawn(120, 1), drawn(120, 2)


def written(name: str, texts: Sequence[str]) -> Path:
    path = Path(name)
    path.write_text("".join(f"{json.dumps({'text': text})}\n" for text in texts), "utf-8")
    return path


@pytest.fixture
def files() -> dict[str, Path]:
    return {
        "people": written("people.jsonl", PEOPLE),
        "none": written("none.jsonl", MACHINE),
        "half": written("half.jsonl", PEOPLE[:60] + MACHINE[:60]),
        "test": written("test.jsonl", drawn(40, 3)),
    }


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_no_human_text_is_red_and_half_is_green(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--data", files["none"], "--reference", files["people"]) == 1
    told = shown(capsys)
    assert "Something speaks against training on these data" in told
    assert "the reference shows 0% of the training texts to be people's; 10% is the least allowed" in told
    assert told.endswith("fail: 1 of 6 findings failed, first human-share [exit 1]")
    assert command("--data", files["half"], "--reference", files["people"], "--evaluation", files["test"]) == 0
    assert shown(capsys).endswith("pass: 7 of 7 findings passed [exit 0]")


def test_a_stricter_margin_is_a_setting(files: dict[str, Path]) -> None:
    fifth = written("fifth.jsonl", PEOPLE[:24] + MACHINE[:96])
    arguments = ("--data", fifth, "--reference", files["people"], "-k", "human-share")
    assert command(*arguments) == 0
    assert command(*arguments, "--set", "human-share.margin=0.3") == 1


def test_evaluation_texts_in_the_data_are_red(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    leaked = written("leaked.jsonl", PEOPLE[:60] + MACHINE[:60] + drawn(40, 3)[:10])
    assert command("--data", leaked, "--reference", files["people"], "--evaluation", files["test"]) == 1
    assert "25% of the evaluation texts stand in the training data; 1% is the most allowed" in shown(capsys)


def test_a_reference_of_three_records_is_inconclusive(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--data", files["none"], "--reference", written("three.jsonl", PEOPLE[:3])) == 6
    assert "nobody can tell, because the reference holds 3 texts" in shown(capsys)


def test_an_unrelated_reference_is_inconclusive(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = written("elsewhere.jsonl", [text.replace("w", "слово") for text in PEOPLE])
    assert command("--data", files["none"], "--reference", elsewhere) == 6
    assert "of another subject or language" in shown(capsys)


def test_without_a_reference_the_rest_is_judged(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--data", files["none"]) == 0
    told = shown(capsys)
    assert "against no reference" in told
    assert "not measured: human-share" in told
    assert command("--data", files["none"], "-k", "human-share") == 3  # asked for by name
    assert "--reference FILE" in shown(capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "people.jsonl", "--reference", "same.jsonl"), "hold the same bytes"),
        (("--data", "empty.jsonl"), "empty.jsonl: found no record; expected at least one record [no-record]"),
        (("--data", "other.jsonl"), 'other.jsonl:1: found no "text"'),
        (("--data", "nowhere.jsonl"), "nowhere.jsonl: found no such file"),
        (("--data", "people.jsonl", "--baseline", "none.jsonl"), "--data and --baseline"),
        (("--data", "people.jsonl", "runs"), "--data and a lineage"),
        (("--reference", "people.jsonl"), "--reference without --data FILE"),
        (("--data", "people.jsonl", "--phrases", "nowhere.txt"), "phrases = 'nowhere.txt': cannot be read"),
        (("--data", "people.jsonl", "--phrases", "comments.txt"), "holds no phrase"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert files
    written("same.jsonl", PEOPLE)
    Path("empty.jsonl").write_text("")
    Path("other.jsonl").write_text('{"score": 1}\n')
    Path("comments.txt").write_text("# nothing yet\n")
    assert command(*arguments, "--report", "out") == 4
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_labelled_sample_tells_the_share_of_machine_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the texts, and then all, hold words that only models write in the labelled sample."""
    models = [f"delve into it: {text.replace('w', 'm')}" for text in drawn(130, 4)]
    taught = [{"text": text, "label": "human"} for text in PEOPLE[:40]]
    taught += [{"text": text, "label": "machine"} for text in models[:40]]
    Path("taught.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in taught), "utf-8")
    mixed = written("mixed.jsonl", PEOPLE[40:90] + models[40:90])
    assert command("--data", mixed, "--labelled", "taught.jsonl", "-k", "machine-text") == 0
    assert "an estimated 50% of the training texts are machines'" in shown(capsys)
    mostly = written("mostly.jsonl", models[40:])
    assert command("--data", mostly, "--labelled", "taught.jsonl", "-k", "machine-text") == 1
    assert "90% is the most allowed" in shown(capsys)


def test_empty_texts_are_judged_and_red(files: dict[str, Path]) -> None:
    assert command("--data", written("blank.jsonl", [""] * 50), "--reference", files["people"]) == 1


def test_every_report_says_the_same_and_reads_back(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--data", files["none"], "--reference", files["people"], "--report", "out") == 1
    last = capsys.readouterr().out.splitlines()[-1]
    report = read(Path("out", "report.json"))
    assert report.summary == last
    assert report.of_data
    assert {finding.judged for finding in report.findings} == {"the data"}
    assert last in Path("out", "report.md").read_text("utf-8")
    page = Path("out", "report.html").read_text("utf-8")
    assert "Something speaks against training on these data" in page
    assert "generation 0" not in page + Path("out", "report.md").read_text("utf-8")
    suite = ET.parse(Path("out", "junit.xml")).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("6", "1", "2")
    assert {case.get("classname") for case in suite.iter("testcase")} == {"the data"}
    assert command("render", "out/report.json") == 0
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_the_same_data_and_seed_give_the_same_bytes(files: dict[str, Path]) -> None:
    made = []
    for folder in ("one", "two"):
        command("--data", files["half"], "--reference", files["people"], "--report", folder, "-q")
        report = json.loads(Path(folder, "report.json").read_text("utf-8"))
        del report["environment"]
        made.append([report | {"findings": [one | {"seconds": 0} for one in report["findings"]]}])
    assert made[0] == made[1]


def test_a_probe_of_ones_own_sees_the_reference_as_its_baseline(files: dict[str, Path]) -> None:
    mine = '''from collapse_audit import text_probe
@text_probe(name="sevens", unit="digits", worse="lower", margin=-5)
def sevens(text):
    """How many sevens?"""
    return text.count("7")
'''
    Path("mine.py").write_text(mine)
    arguments = ("--data", files["half"], "--probes", "mine.py", "-k", "sevens", "--report", "out")
    assert command(*arguments, "--reference", files["people"]) == 0
    report = read(Path("out", "report.json"))
    assert [finding.baseline for finding in report.findings] == ["reference"]


def test_a_failure_may_be_waived(files: dict[str, Path]) -> None:
    Path("ours.toml").write_text(
        '[[waivers]]\nprobe = "human-share"\nowner = "us"\nreason = "a test"\nexpires = 2999-01-01\n'
    )
    assert command("--data", files["none"], "--reference", files["people"], "--config", "ours.toml") == 0


def test_in_python_data_may_be_lists_of_texts() -> None:
    report = audit(data=PEOPLE[:60] + MACHINE[:60], reference=PEOPLE)
    (share,) = (finding for finding in report.findings if finding.probe == "human-share")
    assert (share.outcome, share.value) == (Outcome.PASS, pytest.approx(0.5))
    with pytest.raises(UsageError, match="reference without data"):
        audit(reference=PEOPLE)
    with pytest.raises(UsageError, match="data and path"):
        audit("runs", data=PEOPLE)
