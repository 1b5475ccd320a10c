"""``collapse-lineage``: what it prints, what it exits with, and that it is quick to answer."""

from __future__ import annotations

import argparse
import inspect
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from collapse_audit.lineage_cli import build_parser, main
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.disk.write import write_corpus
from collapse_audit.lineages.simulation.kinds import KINDS, REFERENCES


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(actions[0].choices)


KIND_PARSERS = subparsers(subparsers(build_parser())["simulate"])


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    records = [{"text": f"Text {index} of {'abcdefg'[index % 7]}.", "label": "ab"[index % 2]} for index in range(200)]
    write_corpus(tmp_path / "texts.jsonl", records)
    return tmp_path / "texts.jsonl"


def test_every_kind_has_a_parser() -> None:
    assert set(KIND_PARSERS) == set(KINDS) | set(REFERENCES)


@pytest.mark.parametrize("kind", KINDS)
def test_options_and_defaults_are_those_of_the_function(kind: str) -> None:
    expected = {
        name: parameter.default
        for name, parameter in inspect.signature(KINDS[kind]).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    parser = KIND_PARSERS[kind]
    offered: list[str] = parser.get_default("parameters")
    assert set(offered) == set(expected)
    for name, default in expected.items():
        if default is not inspect.Parameter.empty:
            assert parser.get_default(name) == default, name


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_in_the_help_of_each_kind_is_a_command_that_parses(kind: str) -> None:
    epilog = KIND_PARSERS[kind].epilog or ""
    command = shlex.split(epilog.partition("example:\n")[2])
    assert command[:3] == ["collapse-lineage", "simulate", kind]
    assert build_parser().parse_args(command[1:]).kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_simulate_writes_a_lineage_that_validates(
    kind: str, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    source = [] if kind in ("wright-fisher", "gaussian", "mixture", "discrete", "vae", "clipped") else [str(texts)]
    extra = ["--label", "a"] if kind == "label-loss" else []
    argv = ["simulate", kind, *source, "--out", str(out), "--generations", "1", *extra, "--seed", "7"]
    assert main(argv) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"{out}: written", f"collapse-audit {out}"]
    assert printed.err == ""
    assert load_lineage(out).recipe["command"] == shlex.join(["collapse-lineage", *argv])
    assert main(["validate", str(out)]) == 0
    assert f"{out}: made, " in capsys.readouterr().out


def test_what_the_options_say_stands_in_the_manifest(texts: Path, tmp_path: Path) -> None:
    about = ["--name", "tést", "--license", "CC0-1.0", "--attribution", "nobody", "--description", "a test", "--gzip"]
    assert main(["simulate", "healthy", str(texts), "--out", str(tmp_path / "made"), *about]) == 0
    lineage = load_lineage(tmp_path / "made")
    manifest = (tmp_path / "made/lineage.toml").read_text("utf-8")
    assert lineage.name == "tést"
    assert lineage.reference is not None
    assert lineage.reference.shown == "reference.jsonl.gz"
    for line in ('license = "CC0-1.0"', 'attribution = "nobody"', 'description = "a test"'):
        assert line in manifest


def test_validate_shows_documents_digests_and_what_was_trained_on_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["simulate", "wright-fisher", "--documents", "1500", "--out", str(tmp_path / "wf"), "--generations", "1"])
        == 0
    )
    capsys.readouterr()
    assert main(["validate", str(tmp_path / "wf")]) == 0
    head, titles, *rows = capsys.readouterr().out.splitlines()
    assert head == f"{tmp_path / 'wf'}: wf, 6 corpora"
    assert titles.split() == ["documents", "digest", "trained", "on", "compared"]
    digest = load_lineage(tmp_path / "wf").generations[1].texts.digest
    row = next(row for row in rows if "gen_1/texts.jsonl" in row)
    assert row.split()[:4] == ["gen_1/texts.jsonl", "1,500", digest[7:19], "gen_0/texts.jsonl"]
    assert row.endswith("with held-out text of generation 0")


def test_validate_says_where_a_bare_folder_is_one_sided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("reference", "gen_0", "gen_1"):
        write_corpus(tmp_path / f"{name}.jsonl", [{"text": name}])
    assert main(["validate", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "not said: taken as a chain  one-sided: trained on the reference" in printed
    assert "not said: taken as a chain  one-sided: trained on generation 0" in printed
    assert main(["validate", "--independent", str(tmp_path)]) == 0
    assert "one-sided" not in capsys.readouterr().out


def test_validate_names_every_problem_of_every_lineage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
        write_corpus(tmp_path / name / "reference.jsonl", [{"text": "a"}])
        write_corpus(tmp_path / name / "gen_0.jsonl", [{"text": "a"}])
    (tmp_path / "bad/gen_0.jsonl").write_text('{"text": 1}\n{"text": "a"}\n{\n', "utf-8")
    (tmp_path / "bad/gen_1.jsonl").write_text('{"txt": "a"}\n', "utf-8")
    assert main(["validate", *(str(tmp_path / name) for name in ("bad", "good", "none"))]) == 4
    printed = capsys.readouterr()
    assert "good: good, 2 corpora" in printed.out
    for place in ("bad/gen_0.jsonl:1", "bad/gen_0.jsonl:3", "bad/gen_1.jsonl:1", "none"):
        assert f"{tmp_path}/{place}: found" in printed.err
    assert "Traceback" not in printed.err


def test_names_from_files_cannot_speak_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["simulate", "wright-fisher", "--out", str(tmp_path / "wf"), "--name", "\x1b[2Jgone", "--documents", "9"])
        == 0
    )
    capsys.readouterr()
    assert main(["validate", str(tmp_path / "wf")]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\\x1b[2Jgone" in printed


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["simulate"],
        ["simulate", "nothing"],
        ["simulate", "healthy", "--out", "x"],
        ["simulate", "wright-fisher"],
        ["simulate", "wright-fisher", "--out", "x", "--types", "0"],
        ["simulate", "wright-fisher", "--out", "x", "--seed", "-1"],
        ["simulate", "wright-fisher", "--out", "x", "--exponent", "nan"],
        ["simulate", "wright-fisher", "--out", "x", "--documents", "many"],
        ["simulate", "loop", "t.txt", "--out", "x", "--place", "nowhere"],
        ["simulate", "ngram", "t.txt", "--out", "x", "--trust", "kneser-ney"],
        ["validate"],
    ],
)
def test_bad_usage_exits_with_4_and_writes_nothing(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 4
    assert "error:" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("sharpen", ["--gamma", "0"], "gamma 0; allowed is a number above 0 (1 changes nothing)"),
        ("top-p", ["--mass", "2"], "top-p 2; allowed is a number above 0 and at most 1 (1 changes nothing)"),
        ("loop", ["--share", "2"], "a share of 2; allowed is a number from 0 to 1"),
        ("duplicate", ["--share", "-1"], "a share of -1; allowed is a number from 0 to 1"),
        ("label-loss", ["--label", "c"], 'no document carries the label "c"; there are: a, b'),
        (
            "label-loss",
            ["--label", "a", "--keep", "2"],
            "keep 2; allowed is a number from 0 (all are lost) to 1 (none is)",
        ),
        (
            "label-loss",
            ["--label", "a", "--labels", "none"],
            'labels "none": there is no label to lose; allowed: auto, field, eu-tirads, regex:PATTERN',
        ),
        ("perplexity-shift", ["--scale", "-1"], "scale -1, tail size 2; allowed are numbers of 0 or more"),
        ("ngram", ["--reference-holdout", "1"], "a held-out share of 1; allowed: at least 0 and less than 1"),
    ],
)
def test_senseless_settings_exit_with_4_and_write_nothing(
    kind: str, options: list[str], message: str, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", kind, str(texts), "--out", str(tmp_path / "made"), *options]) == 4
    assert capsys.readouterr().err == f"collapse-lineage: error: {message}\n"
    assert list(tmp_path.iterdir()) == [texts]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from collapse_audit.lineage_cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'scipy', 'pyarrow', 'jsonschema', 'torch'} & set(sys.modules)), file=sys.stderr)"
    )
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "validate" in done.stdout
