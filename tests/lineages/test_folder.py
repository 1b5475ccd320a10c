"""Folders without a manifest: what their names say, and what is said of names that say nothing clear."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from collapse_audit.errors import InputError
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.model.lineage import Lineage


def fill(root: Path, names: Iterable[str]) -> Path:
    """Each file holds one record in its format; every file another text, so that digests differ."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        elif name.endswith(".jsonl"):
            path.write_text(f'{{"text": "{name}"}}\n', "utf-8")
        else:
            path.write_text(f"text\n{name}\n", "utf-8", "backslashreplace")
    return root


def outline(lineage: Lineage) -> list[tuple[str | None, int, str, str | None]]:
    return [
        (e.seed, e.index, e.texts.shown, None if e.holdout is None else e.holdout.shown) for e in lineage.generations
    ]


def refusal(root: Path, **options: bool) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_lineage(root, **options)
    return [str(problem).replace(str(root), "L") for problem in caught.value.problems]


def test_files_and_folders_of_any_format_make_generations(tmp_path: Path) -> None:
    names = ["reference.txt", "gen_0.jsonl", "gen_1/texts.csv", "gen_2/texts.txt", "gen_10.txt", "notes.md"]
    lineage = load_lineage(fill(tmp_path, names))
    assert outline(lineage) == [
        (None, 0, "gen_0.jsonl", None),
        (None, 1, "gen_1/texts.csv", None),
        (None, 2, "gen_2/texts.txt", None),
        (None, 10, "gen_10.txt", None),
    ]
    assert lineage.reference is not None
    assert (lineage.reference.shown, lineage.reference_holdout) == ("reference.txt", None)
    assert (lineage.name, lineage.seeds, lineage.scheme, lineage.has_manifest) == (tmp_path.name, (None,), None, False)


def test_held_out_files_are_found_beside_and_inside(tmp_path: Path) -> None:
    names = ["reference.txt", "reference.holdout.jsonl", "gen_0.txt", "gen_0.holdout.txt"]
    names += ["gen_1/texts.txt", "gen_1/holdout.txt", "gen_2.txt", "gen_2/holdout.txt"]
    lineage = load_lineage(fill(tmp_path, names))
    assert outline(lineage) == [
        (None, 0, "gen_0.txt", "gen_0.holdout.txt"),
        (None, 1, "gen_1/texts.txt", "gen_1/holdout.txt"),
        (None, 2, "gen_2.txt", "gen_2/holdout.txt"),
    ]
    assert lineage.reference_holdout is not None
    assert lineage.reference_holdout.shown == "reference.holdout.jsonl"


def test_seeds_are_counted_as_people_count(tmp_path: Path) -> None:
    names = [f"seed_{seed}/gen_{k}.txt" for seed in ("10", "2", "a") for k in (1, 0)]
    lineage = load_lineage(fill(tmp_path, ["reference.txt", *names]))
    assert lineage.seeds == ("2", "10", "a")
    assert [entry.index for entry in lineage.of_seed("10")] == [0, 1]
    assert [(entry.seed, entry.index) for entry in lineage.generations] == [
        (seed, k) for seed in ("2", "10", "a") for k in (0, 1)
    ]


def test_adapter_loss_log_and_results_are_found_beside_the_texts(tmp_path: Path) -> None:
    names = ["gen_0/texts.txt", "gen_0/adapter/", "gen_0/train.jsonl", "gen_0/lm_eval.json", "gen_1/texts.txt"]
    names += ["gen_2.txt", "gen_2/adapter/"]
    first, second, third = load_lineage(fill(tmp_path, names)).generations
    folder = tmp_path / "gen_0"
    assert (first.adapter, first.train_log, first.lm_eval) == (
        folder / "adapter",
        folder / "train.jsonl",
        folder / "lm_eval.json",
    )
    assert (second.adapter, second.train_log, second.lm_eval) == (None, None, None)
    assert (third.adapter, third.train_log, third.lm_eval) == (tmp_path / "gen_2" / "adapter", None, None)


def test_indices_may_skip_and_may_have_leading_zeros(tmp_path: Path) -> None:
    lineage = load_lineage(fill(tmp_path, ["gen_00.txt", "gen_02.txt"]))
    assert [entry.index for entry in lineage.generations] == [0, 2]


def test_a_reference_with_splits_gives_both_parts(tmp_path: Path) -> None:
    fill(tmp_path, ["gen_0.txt"])
    records = ['{"text": "a", "split": "train"}', '{"text": "b", "split": "holdout"}']
    (tmp_path / "reference.jsonl").write_text("\n".join(records), "utf-8")
    lineage = load_lineage(tmp_path)
    assert lineage.reference is not None
    assert lineage.reference_holdout is not None
    parts = [lineage.reference, lineage.reference_holdout]
    assert [(part.shown, part.split) for part in parts] == [
        ("reference.jsonl", "train"),
        ("reference.jsonl", "holdout"),
    ]
    assert [[b.column("text").to_pylist() for b in part.batches()] for part in parts] == [[["a"]], [["b"]]]


def test_a_split_file_without_held_out_records_has_no_held_out_part(tmp_path: Path) -> None:
    fill(tmp_path, ["gen_0.txt"])
    (tmp_path / "reference.jsonl").write_text('{"text": "a", "split": "train"}', "utf-8")
    lineage = load_lineage(tmp_path)
    assert lineage.reference is not None
    assert (lineage.reference.split, lineage.reference_holdout) == ("train", None)


def test_split_files_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, ["gen_0.txt", "reference.holdout.txt"])
    (tmp_path / "reference.jsonl").write_text('{"text": "a", "split": "holdout"}', "utf-8")
    assert refusal(tmp_path) == [
        'L/reference.jsonl: found both "reference.holdout.txt" and records with a split;'
        " expected held-out text in one of the two ways [split-and-holdout]",
        "L/reference.jsonl: found no record of the split train (only holdout);"
        ' expected records of the split "train" [no-train-split]',
    ]


def twice(first: str, second: str) -> str:
    return f"L: found two files for one corpus: {first} and {second}; expected one of them [ambiguous-corpus]"


ENDINGS = ".jsonl, .json, .parquet, .arrow, .csv, .tsv or .txt, each also with .gz, .zst or .xz"
FILES = f"reference.*, gen_<k>.* or gen_<k>/texts.* (also inside seed_<s>/), ending in {ENDINGS}"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(
            ["gen_0.txt", "gen_1.jsonl", "gen_1.txt"],
            [twice("gen_1.jsonl", "gen_1.txt")],
            id="two formats",
        ),
        pytest.param(
            ["gen_0.txt", "gen_1/texts.jsonl", "gen_1.txt"],
            [twice("gen_1/texts.jsonl", "gen_1.txt")],
            id="a file and a folder",
        ),
        pytest.param(
            ["gen_0.txt", "gen_1/texts.csv", "gen_1/texts.csv.gz", "gen_1.txt", "gen_01.txt"],
            [
                twice("gen_01.txt", "gen_1/texts.csv"),
                twice("gen_01.txt", "gen_1/texts.csv.gz"),
                twice("gen_01.txt", "gen_1.txt"),
            ],
            id="many",
        ),
        pytest.param(
            ["gen_0.txt", "reference.txt", "reference.csv"],
            [twice("reference.csv", "reference.txt")],
            id="two references",
        ),
        pytest.param(
            [
                "gen_0.txt",
                "gen_one.txt",
                "gen_4.txt.zip",
                "reference.xlsx",
            ],
            [
                f'L/{name}: found a file named "{name}"; expected {FILES} [unknown-name]'
                for name in ("gen_4.txt.zip", "gen_one.txt", "reference.xlsx")
            ],
            id="names gone wrong",
        ),
        pytest.param(
            ["gen_0.txt", "gen_one/texts.txt", "seed_!/gen_0.txt"],
            [
                'L/gen_one: found a folder named "gen_one"; expected gen_<k>, with a number [unknown-name]',
                'L/seed_!: found a folder named "seed_!"; expected seed_<s>, where s is made of letters, digits'
                " and any of . _ = @ + - [unknown-name]",
            ],
            id="folders gone wrong",
        ),
        pytest.param(
            ["gen_0.txt", "gen_1/Texts.txt", "gen_2/holdout.txt", "gen_3/"],
            [
                'L/gen_1/Texts.txt: found a file named "Texts.txt"; expected texts.*, holdout.* or control.*, '
                f"ending in {ENDINGS} [unknown-name]",
                f"L/gen_1: found generation 1 without texts; expected gen_1/texts.* or gen_1.*, ending in {ENDINGS}"
                " [no-texts]",
                "L/gen_2: found generation 2 without texts (only gen_2/holdout.txt); expected gen_2/texts.* or gen_2.*,"
                f" ending in {ENDINGS} [no-texts]",
                f"L/gen_3: found generation 3 without texts; expected gen_3/texts.* or gen_3.*, ending in {ENDINGS}"
                " [no-texts]",
            ],
            id="generations without texts",
        ),
        pytest.param(
            ["seed_0/gen_0.txt", "gen_0.txt"],
            ["L: found generations both beside and inside seed_<s>/ folders; expected either [seeds-mixed]"],
            id="seeds and none",
        ),
        pytest.param(
            ["seed_0/gen_0.txt", "seed_0/reference.txt", "seed_1/gen_0.txt"],
            [
                "L/seed_0/reference.txt: found a reference inside a seed's folder;"
                " expected one reference for all seeds, beside the seed_<s> folders [seeds-mixed]"
            ],
            id="a reference of one seed",
        ),
        pytest.param(
            ["seed_0/gen_0.txt", "seed_0/gen_1.txt", "seed_1/notes.md"],
            ["L/seed_1: found no generation; expected gen_<k>.* or gen_<k>/texts.* [no-generation]"],
            id="a seed without generations",
        ),
        pytest.param(
            ["reference.holdout.txt", "gen_0.txt"],
            ["L: found reference.holdout.txt and no reference.*; expected both, or no reference [holdout-alone]"],
            id="held-out text of no reference",
        ),
        pytest.param(
            [],
            [f"L: found no corpus; expected lineage.toml, or {FILES} [no-corpus]"],
            id="an empty folder",
        ),
        pytest.param(
            ["model1.txt", "model2.txt", "README.md"],
            [
                "L: found no corpus by name (only model1.txt, model2.txt);"
                f" expected lineage.toml, or {FILES}; or name them in their order:"
                " collapse-audit --generations L/model1.txt L/model2.txt [no-corpus]"
            ],
            id="corpora under other names",
        ),
        pytest.param(
            ["reference.txt"],
            [
                "L: found a reference and no generation; expected generations: gen_<k>.* or gen_<k>/texts.*"
                " (also inside seed_<s>/) [no-generation]"
            ],
            id="only a reference",
        ),
        pytest.param(
            ["gen_3.txt"],
            [
                "L: found generation 3 and nothing to compare it with; expected another generation or a reference"
                " [nothing-to-compare]"
            ],
            id="one generation",
        ),
        pytest.param(
            ["seed_0/gen_0.txt", "seed_1/gen_0.txt"],
            [
                "L: found generation 0 and nothing to compare it with; expected another generation or a reference"
                " [nothing-to-compare]"
            ],
            id="one generation of each seed",
        ),
    ],
)
def test_names_that_do_not_make_a_lineage(tmp_path: Path, names: list[str], expected: list[str]) -> None:
    assert refusal(fill(tmp_path, names)) == expected


def test_one_generation_is_enough_where_the_baseline_comes_from_elsewhere(tmp_path: Path) -> None:
    assert len(load_lineage(fill(tmp_path, ["gen_3.txt"]), needs_comparison=False).generations) == 1


def test_files_that_mean_something_else_are_left_alone(tmp_path: Path) -> None:
    names = ["gen_0.txt", "gen_1.txt", "generation_config.json", "general.txt", "genome.csv", "refs.bib", "notes.txt"]
    names += [
        "gen_0/train.jsonl",
        "gen_0/adapter/",
        "seedlings/a.txt",
        "references/a.txt",
        ".gen_2.jsonl.77.tmp",
        "gen_1.txt~",
        "report/index.html",
        "lm_eval.json",
    ]
    assert len(load_lineage(fill(tmp_path, names)).generations) == 2


def test_an_empty_path_is_not_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fill(tmp_path, ["gen_0.txt", "gen_1.txt"]))
    with pytest.raises(InputError) as caught:
        load_lineage("")
    assert str(caught.value) == '"": found an empty path; expected a folder that holds a lineage [no-lineage]'
    assert len(load_lineage(".").generations) == 2


def test_names_that_are_not_utf8_or_hold_escapes_are_refused_in_words_that_print(tmp_path: Path) -> None:
    fill(tmp_path, ["gen_0.txt"])
    for name in (b"seed_\xff", b"seed_\x1b[31m", b"gen_\xff.txt"):
        (tmp_path / os.fsdecode(name)).mkdir() if name.startswith(b"seed") else fill(tmp_path, [os.fsdecode(name)])
    said = refusal(tmp_path)
    assert [line.partition(":")[0] for line in said] == ["L/gen_\\udcff.txt", "L/seed_\\x1b[31m", "L/seed_\\udcff"]
    assert all(line.isprintable() for line in said)


def test_no_such_folder_and_a_file_in_its_place(tmp_path: Path) -> None:
    fill(tmp_path, ["lineage.toml"])
    assert refusal(tmp_path / "none") == [
        "L: found nothing of that name; expected a folder that holds a lineage, or files of texts [no-lineage]"
    ]
    assert refusal(tmp_path / "lineage.toml") == [
        "L: found a file; expected a folder that holds a lineage; give the folder that lineage.toml is in [no-lineage]"
    ]


@pytest.mark.parametrize("name", ["gen_1.jsonl", "reference.jsonl", "gen_1/texts.jsonl", "gen_0.holdout.jsonl"])
def test_a_link_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    root = fill(tmp_path / "L", ["gen_0.jsonl", "gen_2.jsonl"])
    fill(tmp_path, ["secret.jsonl"])
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).symlink_to(tmp_path / "secret.jsonl")
    assert refusal(root) == [
        f'L/{name}: found "{name}", a link to a place outside; expected a path inside the lineage folder [link-outside]'
    ]


@pytest.mark.parametrize("name", ["gen_1", "seed_0"])
def test_a_linked_folder_that_leads_outside_is_refused_and_not_looked_into(tmp_path: Path, name: str) -> None:
    root = fill(tmp_path / "L", ["gen_0.jsonl", "gen_2.jsonl"])
    fill(tmp_path, ["elsewhere/Texts.jsonl", "elsewhere/gen_0.jsonl"])
    (root / name).symlink_to(tmp_path / "elsewhere")
    assert refusal(root) == [
        f'L/{name}: found "{name}", a link to a place outside; expected a path inside the lineage folder [link-outside]'
    ]


def test_an_adapter_that_leads_outside_is_refused(tmp_path: Path) -> None:
    root = fill(tmp_path / "L", ["gen_0/texts.jsonl", "gen_1/texts.jsonl"])
    (root / "gen_1" / "adapter").symlink_to("/etc")
    assert refusal(root) == [
        'L/gen_1/adapter: found "gen_1/adapter", a link to a place outside;'
        " expected a path inside the lineage folder [link-outside]"
    ]


def test_links_that_stay_inside_and_a_linked_lineage_folder_are_fine(tmp_path: Path) -> None:
    root = fill(tmp_path / "L", ["store/abc", "gen_0.jsonl", "gen_1.txt"])
    (root / "gen_2.txt").symlink_to("store/abc")
    (tmp_path / "latest").symlink_to(root)
    lineage = load_lineage(tmp_path / "latest")
    last = lineage.generations[-1]
    assert (last.texts.shown, last.texts.path) == ("gen_2.txt", root / "store" / "abc")
    assert [b.column("text").to_pylist() for b in last.texts.batches()] == [["text", "store/abc"]]


def test_dead_links_loops_and_pipes_are_named_and_never_waited_for(tmp_path: Path) -> None:
    root = fill(tmp_path, ["gen_0.txt"])
    (root / "gen_1.txt").symlink_to("nowhere.txt")
    (root / "gen_2.txt").symlink_to("gen_2.txt")
    os.mkfifo(root / "gen_3.txt")
    assert [line.partition("; expected")[0] for line in refusal(root)] == [
        'L/gen_1.txt: found no file "gen_1.txt"',
        'L/gen_2.txt: found "gen_2.txt", which cannot be followed (a loop of links)',
        'L/gen_3.txt: found "gen_3.txt", neither a file nor a folder',
    ]


def test_the_digest_is_that_of_the_contents_wherever_the_folder_lies(tmp_path: Path) -> None:
    names = ["reference.txt", "gen_0.txt", "gen_1.txt"]
    here, there = (load_lineage(fill(tmp_path / place, names)) for place in ("a/one", "b/c/two"))
    assert here.digest == there.digest
    assert here.digest.startswith("sha256:")
    (tmp_path / "a/one/gen_1.txt").write_text("other", "utf-8")
    assert load_lineage(tmp_path / "a/one").digest != there.digest
    (tmp_path / "b/c/two/gen_1.txt").rename(tmp_path / "b/c/two/gen_2.txt")
    assert load_lineage(tmp_path / "b/c/two").digest != there.digest
