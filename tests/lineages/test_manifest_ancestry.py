"""What was trained on what: the answers are read off small family trees drawn by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.model.ancestry import trained_on
from collapse_audit.lineages.model.lineage import Lineage


def make(root: Path, generations: dict[str, str], *, reference: bool = True, manifest: bool = True) -> Lineage:
    """Texts of ``gen_<k>`` for every key ``k`` or ``seed/k``; the value is more TOML for that entry."""
    root.mkdir(parents=True, exist_ok=True)
    toml = 'format = 1\nname = "x"\n'
    if reference:
        (root / "reference.txt").write_text("reference", "utf-8")
        (root / "reference.holdout.txt").write_text("reference held out", "utf-8")
        toml += '[reference]\ntexts = "reference.txt"\nholdout = "reference.holdout.txt"\n'
    for key, more in generations.items():
        seed, _, index = key.rpartition("/")
        folder = root / (f"seed_{seed}" if seed else "") / f"gen_{index}"
        folder.mkdir(parents=True)
        (folder / "texts.txt").write_text(key, "utf-8")
        (folder / "holdout.txt").write_text(key + " held out", "utf-8")
        name = (folder / "texts.txt").relative_to(root).as_posix()
        held = (folder / "holdout.txt").relative_to(root).as_posix()
        toml += "[[generation]]\n" + (f'seed = "{seed}"\n' if seed else "")
        toml += f'index = {index}\ntexts = "{name}"\nholdout = "{held}"\n{more}\n'
    if manifest:
        (root / "lineage.toml").write_text(toml, "utf-8")
    return load_lineage(root)


def on(*corpora: str) -> str:
    share = 1 / len(corpora) if corpora else 0
    return "trained_on = [" + ", ".join(f'{{corpus = "{name}", share = {share!r}}}' for name in corpora) + "]"


def seen(lineage: Lineage) -> dict[str, str]:
    """For each generation the corpora that it or an ancestor was trained on; also: never a held-out one."""
    texts = {
        entry.texts.shown.removesuffix("/texts.txt").replace("gen_", ""): entry.texts for entry in lineage.generations
    }
    if lineage.reference is not None:
        texts = {"ref": lineage.reference} | texts
    held_out = [entry.holdout for entry in lineage.generations] + [lineage.reference_holdout]
    for entry in lineage.generations:
        assert not any(trained_on(lineage, entry, corpus) for corpus in held_out if corpus is not None)
    return {
        entry.texts.shown.removesuffix("/texts.txt").replace("gen_", ""): " ".join(
            name for name, corpus in texts.items() if trained_on(lineage, entry, corpus)
        )
        for entry in lineage.generations
    }


@pytest.mark.parametrize("manifest", [True, False])
def test_without_a_word_about_it_a_chain_is_assumed(tmp_path: Path, manifest: bool) -> None:
    lineage = make(tmp_path, {"0": "", "1": "", "3": ""}, manifest=manifest)
    assert seen(lineage) == {"0": "ref", "1": "ref 0", "3": "ref 0 1"}


def test_a_chain_without_a_reference_or_a_generation_zero(tmp_path: Path) -> None:
    assert seen(make(tmp_path, {"1": "", "2": ""}, reference=False)) == {"1": "", "2": "1"}


def test_chains_of_different_seeds_do_not_mix(tmp_path: Path) -> None:
    lineage = make(tmp_path, {"a/0": "", "a/1": "", "b/0": "", "b/1": ""}, manifest=False)
    assert seen(lineage) == {
        "seed_a/0": "ref",
        "seed_a/1": "ref seed_a/0",
        "seed_b/0": "ref",
        "seed_b/1": "ref seed_b/0",
    }


def test_the_user_can_say_that_nothing_was_trained_on_another(tmp_path: Path) -> None:
    make(tmp_path, {"0": "", "1": on("gen_0/texts.txt")})
    assert seen(load_lineage(tmp_path, independent=True)) == {"0": "", "1": ""}


def test_the_manifest_is_believed_and_followed_to_the_ancestors(tmp_path: Path) -> None:
    tree = {
        "0": on("reference"),
        "1": on("reference"),  # not on generation 0
        "2": on("gen_1/texts.txt"),
        "3": on("reference.txt", "./gen_2/texts.txt"),
        "4": on(),  # a base model that saw none of it
    }
    assert seen(make(tmp_path, tree)) == {"0": "ref", "1": "ref", "2": "ref 1", "3": "ref 1 2", "4": ""}


def test_cross_seed_training_is_followed(tmp_path: Path) -> None:
    tree = {
        "a/0": on("reference"),
        "b/0": on("reference"),
        "a/1": on("seed_b/gen_0/texts.txt"),
        "b/1": on("seed_a/gen_0/texts.txt"),
        "a/2": on("seed_b/gen_1/texts.txt"),
    }
    assert seen(make(tmp_path, tree)) == {
        "seed_a/0": "ref",
        "seed_b/0": "ref",
        "seed_a/1": "ref seed_b/0",
        "seed_b/1": "ref seed_a/0",
        "seed_a/2": "ref seed_a/0 seed_b/1",
    }


def test_a_generation_that_goes_on_from_its_parents_weights_carries_what_the_parent_has_read(tmp_path: Path) -> None:
    tree = {
        "0": on("reference"),
        "1": on("gen_0/texts.txt"),
        "2": on() + '\ninit_from = "parent"',
        "3": on() + '\ninit_from = "base"',
    }
    assert seen(make(tmp_path, tree)) == {"0": "ref", "1": "ref 0", "2": "ref 0", "3": ""}


def test_a_corpus_of_another_lineage_counts_everything_older_unless_it_says_what_it_descends_from(
    tmp_path: Path,
) -> None:
    foreign = 'trained_on = [{lineage = "llama", corpus = "gen_%d/texts.txt", share = 1%s}]'
    tree = {"0": on("reference"), "1": foreign % (0, ""), "2": foreign % (1, ', descends_from = ["gen_0/texts.txt"]')}
    lineage = make(tmp_path / "said", tree)
    assert seen(lineage) == {"0": "ref", "1": "ref 0", "2": "ref 0"}
    assert lineage.generations[1].trained_on == ("llama:gen_0/texts.txt",)
    silent = make(tmp_path / "silent", {**tree, "2": foreign % (1, "")})
    assert seen(silent) == {"0": "ref", "1": "ref 0", "2": "ref 0 1"}


def test_generations_trained_on_each_other_are_followed_once(tmp_path: Path) -> None:
    lineage = make(tmp_path, {"0": on("gen_1/texts.txt"), "1": on("gen_0/texts.txt")})
    assert seen(lineage) == {"0": "0 1", "1": "0 1"}


def test_a_corpus_from_elsewhere_with_the_same_bytes_is_the_same_corpus(tmp_path: Path) -> None:
    lineage = make(tmp_path / "L", {"0": "", "1": ""})
    (tmp_path / "copy.txt").write_text("0", "utf-8")
    (tmp_path / "other.txt").write_text("something else", "utf-8")
    last = lineage.generations[1]
    assert trained_on(lineage, last, open_corpus(tmp_path / "copy.txt"))
    assert not trained_on(lineage, last, open_corpus(tmp_path / "other.txt"))


def test_the_held_out_part_of_a_split_file_is_nobodys_training_data(tmp_path: Path) -> None:
    records = '{"text": "a", "split": "train"}\n{"text": "b", "split": "holdout"}\n'
    (tmp_path / "reference.jsonl").write_text(records, "utf-8")
    (tmp_path / "gen_0.txt").write_text("x", "utf-8")
    lineage = load_lineage(tmp_path)
    assert lineage.reference is not None
    assert lineage.reference_holdout is not None
    (entry,) = lineage.generations
    assert trained_on(lineage, entry, lineage.reference)
    assert not trained_on(lineage, entry, lineage.reference_holdout)
