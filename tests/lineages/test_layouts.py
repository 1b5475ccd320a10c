"""The layouts that people's folders have: each is a lineage as it stands, and what was taken as what is said."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from collapse_audit.cli import main
from collapse_audit.errors import InputError
from collapse_audit.lineages.disk.listed import is_corpus
from collapse_audit.lineages.disk.load import load_lineage

Outline = list[tuple[str | None, int, str]]


def fill(root: Path, names: Iterable[str]) -> Path:
    """A chat log a file, with its own name as the answer."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": name}]
        path.write_text(json.dumps({"messages": turns}) + "\n", "utf-8")
    return root


def outline(root: Path) -> Outline:
    return [(entry.seed, entry.index, entry.texts.shown) for entry in load_lineage(root).generations]


def refusal(root: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_lineage(root)
    return [str(problem).replace(str(root), "L") for problem in caught.value.problems]


def ranked(*names: str) -> Outline:
    return [(None, index, name) for index, name in enumerate(names)]


LAYOUTS = [
    pytest.param(["gen0.jsonl", "gen1.jsonl"], ranked("gen0.jsonl", "gen1.jsonl"), id="gen0"),
    pytest.param(["gen-0.jsonl", "gen-1.jsonl"], ranked("gen-0.jsonl", "gen-1.jsonl"), id="gen-0"),
    pytest.param(
        ["generation_0/out.jsonl", "generation_1/out.jsonl"],
        ranked("generation_0/out.jsonl", "generation_1/out.jsonl"),
        id="generation_0",
    ),
    pytest.param(["iter_3.jsonl", "iter_10.jsonl"], ranked("iter_3.jsonl", "iter_10.jsonl"), id="iter_3"),
    pytest.param(["epoch_2.jsonl", "epoch_1.jsonl"], ranked("epoch_1.jsonl", "epoch_2.jsonl"), id="epoch_2"),
    pytest.param(["step_1000.jsonl", "step_500.jsonl"], ranked("step_500.jsonl", "step_1000.jsonl"), id="step_1000"),
    pytest.param(
        ["checkpoint-500/samples.jsonl", "checkpoint-1000/samples.jsonl", "checkpoint-500/config.json"],
        ranked("checkpoint-500/samples.jsonl", "checkpoint-1000/samples.jsonl"),
        id="checkpoint-500",
    ),
    pytest.param(
        ["completions_00100.jsonl", "completions_00020.jsonl"],
        ranked("completions_00020.jsonl", "completions_00100.jsonl"),
        id="TRL's completions",
    ),
    pytest.param(["run0/a.jsonl", "run1/b.jsonl"], ranked("run0/a.jsonl", "run1/b.jsonl"), id="run0"),
    pytest.param(
        ["2026-01-30/out.jsonl", "2026-02-01/out.jsonl"],
        ranked("2026-01-30/out.jsonl", "2026-02-01/out.jsonl"),
        id="dates",
    ),
    pytest.param(
        ["gen_0/outputs.jsonl", "gen_1/outputs.jsonl", "gen_0/train.jsonl"],
        ranked("gen_0/outputs.jsonl", "gen_1/outputs.jsonl"),
        id="gen_k/outputs",
    ),
    pytest.param(
        [f"gen_{k}/seed_{s}/out.jsonl" for k in (0, 1) for s in (0, 1)],
        [(str(s), k, f"gen_{k}/seed_{s}/out.jsonl") for s in (0, 1) for k in (0, 1)],
        id="gen_k/seed_s",
    ),
    pytest.param(
        [f"seed{s}/gen{k}.jsonl" for k in (0, 1) for s in (0, 1)],
        [(str(s), k, f"seed{s}/gen{k}.jsonl") for s in (0, 1) for k in (0, 1)],
        id="seed_s/gen_k",
    ),
    pytest.param(
        [f"gen_{k}/part-{n:05}.jsonl" for k in (0, 1) for n in (0, 1, 2)], ranked("gen_0", "gen_1"), id="shards inside"
    ),
    pytest.param(
        [f"gen_{k}-{n:05}-of-00002.jsonl" for k in (0, 1) for n in (0, 1)],
        ranked("gen_0-00000-of-00002.jsonl", "gen_1-00000-of-00002.jsonl"),
        id="shards beside",
    ),
    pytest.param(
        ["gen_0.jsonl/part-0.jsonl", "gen_1.jsonl/part-0.jsonl", "gen_1.jsonl/part-1.jsonl"],
        ranked("gen_0.jsonl", "gen_1.jsonl"),
        id="a folder with a file's name",
    ),
]


@pytest.mark.parametrize(("names", "expected"), LAYOUTS)
def test_a_layout_is_a_lineage_as_it_stands(tmp_path: Path, names: list[str], expected: Outline) -> None:
    assert outline(fill(tmp_path, names)) == expected


@pytest.mark.parametrize("option", [[], ["--generations"]])
def test_two_files_are_a_lineage_in_their_order(
    tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path, ["after.jsonl", "before.jsonl"])
    paths = [str(tmp_path / name) for name in ("before.jsonl", "after.jsonl")]
    assert main([*option, *paths, "-k", "diversity"]) == 6
    head = "".join(capsys.readouterr().out.split())  # a long path is broken where the line ends
    assert f"{paths[0]}to{paths[1]}:generations0-1" in head


@pytest.mark.parametrize(("names", "expected"), LAYOUTS)
def test_one_command_audits_it(
    tmp_path: Path, names: list[str], expected: Outline, capsys: pytest.CaptureFixture[str]
) -> None:
    """One text a file can tell nothing: a verdict it is all the same, and the head says what was taken as the text."""
    assert main([str(fill(tmp_path, names)), "--collect-only"]) == 0
    assert f"{expected[-1][1]}::repetition" in capsys.readouterr().out
    assert main([str(tmp_path), "-k", "diversity"]) == 6
    said = capsys.readouterr().out
    assert "text = messages[-1].content of the assistant" in said
    assert said.splitlines()[-1].startswith("inconclusive: ")


def test_which_name_became_which_generation_is_said(tmp_path: Path) -> None:
    lineage = load_lineage(fill(tmp_path, ["checkpoint-500.jsonl", "checkpoint-60.jsonl"]))
    assert lineage.notes == ("generations by the order of their names: 0 = checkpoint-60, 1 = checkpoint-500",)


def test_every_record_of_every_shard_is_read_in_order(tmp_path: Path) -> None:
    names = [f"gen_{k}/part-{n}.jsonl" for k in (0, 1) for n in (0, 2, 10)]
    first, _ = load_lineage(fill(tmp_path, names)).generations
    assert [text for batch in first.texts.batches() for text in batch.column("text").to_pylist()] == names[:3]


def test_a_fault_in_a_shard_names_the_shard_and_its_line(tmp_path: Path) -> None:
    fill(tmp_path, [f"gen_{k}/part-{n}.jsonl" for k in (0, 1) for n in (0, 1)])
    (tmp_path / "gen_1" / "part-1.jsonl").write_text('{"messages": []}\n{"x"\n', "utf-8")
    with pytest.raises(InputError) as caught:
        list(load_lineage(tmp_path).generations[1].texts.batches())
    assert [(problem.where.replace(str(tmp_path), "L"), problem.line) for problem in caught.value.problems] == [
        ("L/gen_1/part-1.jsonl", 1),
        ("L/gen_1/part-1.jsonl", 2),
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(
            ["iter_0.jsonl", "epoch_1.jsonl"],
            "L: found files whose order cannot be told (epoch_1.jsonl, iter_0.jsonl); expected names that count one"
            " thing; or their order: collapse-audit --generations L/epoch_1.jsonl L/iter_0.jsonl [no-order]",
            id="two things are counted",
        ),
        pytest.param(
            ["base.jsonl", "iter_1.jsonl", "iter_2.jsonl"],
            "L: found files whose order cannot be told (base.jsonl, iter_1.jsonl, iter_2.jsonl); expected names that"
            " count one thing; or their order: collapse-audit --generations L/base.jsonl L/iter_1.jsonl L/iter_2.jsonl"
            " [no-order]",
            id="a file beside them that counts nothing",
        ),
        pytest.param(
            ["gen_0.jsonl", "gen_1/a.jsonl", "gen_1/other.jsonl"],
            "L/gen_1: found a folder of several corpora (a.jsonl, other.jsonl); expected one of them:"
            " L/gen_1/a.jsonl [several-corpora]",
            id="two corpora in a generation's folder",
        ),
        pytest.param(
            ["gen_0.jsonl", "gen_1-00000-of-00003.jsonl", "gen_1-00002-of-00003.jsonl"],
            "L/gen_1-00000-of-00003.jsonl: found 2 shards of 3 (missing: 1); expected all shards of one set"
            " [shards-missing]",
            id="a shard that is not there",
        ),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_files_and_a_command(
    tmp_path: Path, names: list[str], expected: str
) -> None:
    assert refusal(fill(tmp_path, names)) == [expected]


def test_the_command_that_a_refusal_names_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path, ["model1.jsonl", "model2.jsonl"])
    assert main([str(tmp_path)]) == 4
    command = capsys.readouterr().err.partition("collapse-audit --generations ")[2].partition(" [")[0]
    assert main(["--generations", *command.split(), "--collect-only"]) == 0


def test_one_mistake_is_one_message(tmp_path: Path) -> None:
    for k in range(21):
        (tmp_path / f"gen_{k}").mkdir()
    (said,) = refusal(tmp_path)
    assert "found generation 0 without texts, and 20 more such (gen_1, gen_2, gen_3, …)" in said


def test_a_lineage_is_no_corpus_and_a_folder_of_texts_is_no_lineage(tmp_path: Path) -> None:
    fill(tmp_path, ["lineage/gen_0.jsonl", "lineage/gen_1.jsonl", "file.jsonl", "shards/a-0.jsonl", "shards/a-1.jsonl"])
    found = {name: is_corpus(tmp_path / name) for name in ("lineage", "file.jsonl", "shards", "none")}
    assert found == {"lineage": False, "file.jsonl": True, "shards": True, "none": False}


def test_lineages_and_corpora_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path, ["lineage/gen_0.jsonl", "lineage/gen_1.jsonl", "file.jsonl"])
    assert main([str(tmp_path / "lineage"), str(tmp_path / "file.jsonl")]) == 4
    assert "audit each lineage by itself" in capsys.readouterr().err


def test_one_corpus_alone_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(fill(tmp_path, ["file.jsonl"]) / "file.jsonl")
    assert main([path]) == 4
    assert "name a second one, or --baseline FILE" in capsys.readouterr().err


def test_the_splits_of_a_data_set_are_no_generations(tmp_path: Path) -> None:
    fill(tmp_path, ["test/a.jsonl", "train/a.jsonl"])
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert refusal(tmp_path) == [
        "L: found a DatasetDict (splits: test, train); expected one of its splits: L/train [several-corpora]"
    ]


def test_a_folder_that_holds_no_texts_is_called_by_its_name(tmp_path: Path) -> None:
    fill(tmp_path, ["round_1/train/a.jsonl", "round_2/train/a.jsonl"])
    assert [said.partition(":")[0] for said in refusal(tmp_path)] == ["L/round_1", "L/round_2"]


def test_files_called_samples_are_named(tmp_path: Path) -> None:
    (said,) = refusal(fill(tmp_path, ["samples_1.jsonl", "samples_2.jsonl"]))
    assert "collapse-audit --generations L/samples_1.jsonl L/samples_2.jsonl" in said


def test_a_file_that_is_named_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(fill(tmp_path, ["file.jsonl"]) / "file.jsonl")
    assert main([path, path]) == 4
    assert f"{path} is named twice" in capsys.readouterr().err


def test_the_head_says_reference_where_there_is_no_generation_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(fill(tmp_path, ["reference.jsonl", "gen_1.jsonl"])), "-k", "diversity"]) == 6
    assert "generation 1, against reference" in " ".join(capsys.readouterr().out.split())
