"""Simulated lineages as folders: complete, loadable, repeatable, and what their manifests claim."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.disk.write import write_corpus
from collapse_audit.lineages.model.ancestry import trained_on
from collapse_audit.lineages.simulation.kinds import KINDS, Output, read_source
from collapse_audit.lineages.simulation.source import Source, split_at_random
from collapse_audit.lineages.simulation.wright_fisher import type_names

TEXTS = [f"Text number {index} about {'abcdefgh'[index % 8]} and {'xyz'[index % 3]}." for index in range(240)]
PARAMETERS: dict[str, dict[str, Any]] = {
    "healthy": {"generations": 2},
    "label-loss": {"label": "rare", "generations": 2, "keep": 0.5},
    "duplicate": {"share": 0.5, "generations": 2},
    "loop": {"share": 0.5},
    "perplexity-shift": {"shift": -0.1, "tail": 0.1},
    "sharpen": {"gamma": 1.5, "generations": 2},
    "top-p": {"mass": 0.7, "order": 2},
    "wright-fisher": {"types": 50, "documents": 60, "generations": 2, "seeds": 2},
    "ngram": {"generations": 2},
    "gaussian": {"generations": 2, "refits": 3},
    "mixture": {"generations": 2, "refits": 3},
    "discrete": {"generations": 2},
    "vae": {"generations": 1},
    "clipped": {"generations": 2},
}
WITHOUT_SOURCE = ("wright-fisher", "gaussian", "mixture", "discrete", "vae", "clipped")


def a_source(**fields: Any) -> Source:
    return Source(records=[{"text": text, **fields} for text in TEXTS], facts={"name": "texts"})


def labelled() -> Source:
    records = [{"text": text, "labels": ["rare" if index < 48 else "common"]} for index, text in enumerate(TEXTS)]
    return Source(records=records, facts={})


def make(kind: str, out: Path, seed: int = 0, **changes: Any) -> Path:
    source = () if kind in WITHOUT_SOURCE else (labelled() if kind == "label-loss" else a_source(),)
    return KINDS[kind](*source, Output(out=out, seed=seed), **{**PARAMETERS[kind], **changes})


def texts_of(corpus: Any) -> list[str]:
    return [text for batch in corpus.batches() for text in batch.column("text").to_pylist()]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_writes_a_lineage_with_held_out_texts_for_every_generation(kind: str, tmp_path: Path) -> None:
    lineage = load_lineage(make(kind, tmp_path / "made"))
    assert lineage.reference is not None
    assert texts_of(lineage.reference)
    generations = PARAMETERS[kind].get("generations", 1) + 1
    for seed in lineage.seeds:
        assert [entry.index for entry in lineage.of_seed(seed)] == list(range(generations))
    for entry in lineage.generations:
        assert entry.holdout is not None
        assert len(texts_of(entry.texts)) > 0
        assert len(texts_of(entry.holdout)) > 0
        for other in lineage.generations:
            assert other.holdout is not None
            assert not trained_on(lineage, entry, other.holdout)
    assert lineage.recipe["kind"] == kind
    assert lineage.recipe["seed"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_files_and_another_seed_others(kind: str, tmp_path: Path) -> None:
    first, second, other = (
        files_of(make(kind, tmp_path / name / "made", seed)) for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert first == second
    assert first["lineage.toml"] != other["lineage.toml"]
    last = max(name for name in first if name.endswith("texts.jsonl"))
    assert first[last] != other[last]


def test_more_generations_leave_the_earlier_ones_as_they_were(tmp_path: Path) -> None:
    short = files_of(make("ngram", tmp_path / "short", generations=1))
    long = files_of(make("ngram", tmp_path / "long", generations=3))
    assert {name: long[name] for name in short if name != "lineage.toml"} == {
        name: data for name, data in short.items() if name != "lineage.toml"
    }


def test_healthy_generations_are_the_source_cut_into_pieces(tmp_path: Path) -> None:
    lineage = load_lineage(make("healthy", tmp_path / "made"))
    assert lineage.reference is not None
    corpora = [lineage.reference, *(c for entry in lineage.generations for c in (entry.texts, entry.holdout) if c)]
    everything = [text for corpus in corpora for text in texts_of(corpus)]
    assert sorted(everything) == sorted(TEXTS)
    assert {len(texts_of(corpus)) for corpus in corpora} <= {34, 35}  # 240 / 7
    assert not any(trained_on(lineage, entry, corpus) for entry in lineage.generations for corpus in corpora)


def test_duplicates_compound_over_generations(tmp_path: Path) -> None:
    lineage = load_lineage(make("duplicate", tmp_path / "made"))
    unique = [len(set(texts_of(entry.texts))) / len(texts_of(entry.texts)) for entry in lineage.generations]
    assert unique == pytest.approx([1, 0.5, 0.25], abs=0.02)  # half, and half of that again
    assert lineage.recipe["truth"]["share_of_copies"] == [0, 0.5, 0.75]


def test_a_label_falls_by_the_factor_and_no_text_stands_twice(tmp_path: Path) -> None:
    records = [{"text": f"text {index}", "labels": ["rare" if index % 5 == 0 else "common"]} for index in range(3000)]
    out = KINDS["label-loss"](
        Source(records=records, facts={}), Output(out=tmp_path / "made"), label="rare", keep=0.5, generations=2
    )
    lineage = load_lineage(out)
    corpora = [texts_of(entry.texts) + texts_of(entry.holdout) for entry in lineage.generations]
    assert set(Counter(text for corpus in corpora for text in corpus).values()) == {1}
    shares = [sum(int(text.split()[1]) % 5 == 0 for text in corpus) / len(corpus) for corpus in corpora]
    # One in five, then half of that, then a quarter; some 650 texts each, so .06 is four standard errors or more.
    assert shares == pytest.approx([0.2, 0.1, 0.05], abs=0.06)
    assert shares == sorted(shares, reverse=True)
    assert lineage.label_rule == "field"


def test_label_loss_reads_eu_tirads_and_regular_expressions(tmp_path: Path) -> None:
    records = [{"text": f"Узел {index}: EU-TIRADS {2 + index % 4}"} for index in range(200)]
    source = Source(records=records, facts={})
    for name, options in (("auto", {}), ("regex", {"labels": r"regex:TIRADS (\d)"})):
        label = "EU-TIRADS 5" if name == "auto" else "5"
        out = KINDS["label-loss"](source, Output(out=tmp_path / name), label=label, **options)
        lineage = load_lineage(out)
        counts = [sum("TIRADS 5" in text for text in texts_of(entry.texts)) for entry in lineage.generations]
        assert counts[0] > 0
        assert counts[1] == 0
        assert lineage.label_rule == options.get("labels", "eu-tirads")


def test_a_label_that_nobody_carries_is_refused_with_those_that_are_carried(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        make("label-loss", tmp_path / "made", label="lost")
    assert str(caught.value) == 'no document carries the label "lost"; there are: common, rare'


def test_loops_drop_what_was_measured_on_the_text_before(tmp_path: Path) -> None:
    source = a_source(nll=3.0, n_tokens=9, group="g")
    grouped = Source(records=[{**r, "group": str(i)} for i, r in enumerate(source.records)], facts={})
    lineage = load_lineage(KINDS["loop"](grouped, Output(out=tmp_path / "made"), share=1.0))
    batch = next(lineage.generations[1].texts.batches())
    assert batch.column("nll").null_count == batch.num_rows
    assert batch.column("group").null_count == 0
    assert next(lineage.generations[0].texts.batches()).column("nll").null_count == 0


def test_perplexities_are_the_source_s_own_where_it_has_them(tmp_path: Path) -> None:
    source = Source(records=[{"text": text, "nll": 5.0} for text in TEXTS], facts={})
    out = KINDS["perplexity-shift"](source, Output(out=tmp_path / "made"), shift=0.5, generations=2)
    lineage = load_lineage(out)
    values = [set(next(entry.texts.batches()).column("nll").to_pylist()) for entry in lineage.generations]
    assert values == [{5.0}, {5.5}, {6.0}]
    assert lineage.recipe["parameters"]["nll_of_source"] is True


def test_perplexities_are_drawn_where_the_source_has_none(tmp_path: Path) -> None:
    source = Source(records=[{"text": f"text {index}"} for index in range(5000)], facts={})
    out = KINDS["perplexity-shift"](source, Output(out=tmp_path / "made"), shift=-0.3, scale=2.0)
    lineage = load_lineage(out)
    values = [np.array(next(entry.holdout.batches()).column("nll")) for entry in lineage.generations if entry.holdout]
    # N(3.4, .45), then N(3.1, .9), 1,000 each: .12 is four standard errors of the second mean.
    assert [part.mean() for part in values] == pytest.approx([3.4, 3.1], abs=0.12)
    assert [part.std() for part in values] == pytest.approx([0.45, 0.9], rel=0.1)
    assert lineage.recipe["parameters"]["nll_of_source"] is False


def test_sharpened_generations_state_their_divergence_from_generation_0(tmp_path: Path) -> None:
    truth = load_lineage(make("sharpen", tmp_path / "made")).recipe["truth"]
    assert truth["gamma"] == pytest.approx([1, 1.5, 2.25])
    assert truth["kl_of_generation_0"][0] == pytest.approx(0, abs=1e-12)
    assert truth["kl_of_generation_0"] == sorted(truth["kl_of_generation_0"])


def test_top_p_states_the_mass_that_it_kept(tmp_path: Path) -> None:
    truth = load_lineage(make("top-p", tmp_path / "made", order=1)).recipe["truth"]
    assert truth["kept_mass"][0] == pytest.approx(1)
    assert 0.7 <= truth["kept_mass"][1] < 1
    assert truth["kl_to_generation_0"] == pytest.approx([-np.log(mass) for mass in truth["kept_mass"]])


def test_wright_fisher_generations_are_samples_of_the_exported_shares(tmp_path: Path) -> None:
    lineage = load_lineage(make("wright-fisher", tmp_path / "made"))
    truth = json.loads((lineage.root / "truth.json").read_text("utf-8"))
    assert truth["types"] == type_names(50)
    law = np.array(truth["probabilities"])
    assert law == pytest.approx(1 / np.arange(1, 51) / (1 / np.arange(1, 51)).sum())
    for seed, models in zip(lineage.seeds, truth["models"], strict=True):
        first, *others = lineage.of_seed(seed)
        assert models[0] == law.tolist()  # model 0 is the law itself
        read = first.texts
        for entry, shares in zip(others, models[1:], strict=True):
            # Model k is exactly the shares of the corpus before it, and writes no type that is not in there.
            counts = Counter(texts_of(read))
            assert [counts[name] / 60 for name in truth["types"]] == shares
            assert set(texts_of(entry.texts)) | set(texts_of(entry.holdout)) <= set(counts)
            read = entry.texts


def test_ngram_texts_carry_their_score_under_generation_0(tmp_path: Path) -> None:
    lineage = load_lineage(make("ngram", tmp_path / "made"))
    for entry in lineage.generations:
        for corpus in (entry.texts, entry.holdout):
            assert corpus is not None
            for batch in corpus.batches():
                assert batch.column("nll").null_count == 0
                assert min(batch.column("n_tokens").to_pylist()) >= 1
    assert lineage.reference_holdout is not None
    assert not set(texts_of(lineage.reference)) & set(texts_of(lineage.reference_holdout))


THIRDS = {"reference": 1 / 3, "gen_0": 1 / 3, "gen_1": 1 / 3}


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("recursive", [{"reference": 1}, {"gen_0": 1}, {"gen_1": 1}]),
        ("preserve", [{"reference": 1}, {"reference": 0.25, "gen_0": 0.75}, {"reference": 0.25, "gen_1": 0.75}]),
        ("accumulate", [{"reference": 1}, {"reference": 1 / 2, "gen_0": 1 / 2}, THIRDS]),
    ],
)
def test_schemes_say_what_each_generation_was_trained_on(
    scheme: str, expected: list[dict[str, float]], tmp_path: Path
) -> None:
    lineage = load_lineage(make("ngram", tmp_path / "made", scheme=scheme, human=0.25, seeds=2))
    assert lineage.scheme == scheme
    for seed in lineage.seeds:
        for entry, shares in zip(lineage.of_seed(seed), expected, strict=True):
            stated = {
                source["corpus"].removeprefix(f"seed_{seed}/").removesuffix("/texts.jsonl"): source["share"]
                for source in entry.details["trained_on"]
            }
            assert stated == pytest.approx(shares)


def test_one_paragraph_is_enough_for_an_ngram_lineage(tmp_path: Path) -> None:
    source = Source(records=[{"text": "Жили-были дед да баба. И была у них курочка ряба."}], facts={})
    lineage = load_lineage(KINDS["ngram"](source, Output(out=tmp_path / "made"), documents=20, generations=1))
    assert lineage.reference_holdout is None
    assert len(texts_of(lineage.generations[1].texts)) == 20


# Folders and sources


@pytest.mark.parametrize(
    "occupy", [lambda out: out.write_text("x"), lambda out: (out.mkdir(), (out / "x").write_text("x"))]
)
def test_nothing_that_is_there_is_overwritten(occupy: Callable[[Path], object], tmp_path: Path) -> None:
    out = tmp_path / "made"
    occupy(out)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="is there already; name a folder that is new or empty"):
        make("healthy", out)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    assert load_lineage(make("healthy", tmp_path / "made")).name == "made"


def test_a_failure_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2000 documents of reference are needed"):
        make("ngram", tmp_path / "made", scheme="preserve", human=1.0, documents=2000)
    assert list(tmp_path.iterdir()) == []


def test_compressed_lineages_hold_the_same_texts(tmp_path: Path) -> None:
    plain, packed = (
        KINDS["healthy"](a_source(), Output(out=tmp_path / name, compress=name == "packed"))
        for name in ("plain", "packed")
    )
    assert (packed / "gen_1/texts.jsonl.gz").is_file()
    first, second = load_lineage(plain), load_lineage(packed)
    assert [texts_of(entry.texts) for entry in first.generations] == [
        texts_of(entry.texts) for entry in second.generations
    ]


def test_a_source_is_a_file_a_folder_or_prose(tmp_path: Path) -> None:
    write_corpus(tmp_path / "part_10.jsonl", [{"id": "1", "text": "last one", "label": "x"}])
    write_corpus(tmp_path / "part_2.jsonl.gz", [{"id": "1", "text": "first one"}, {"text": " "}])
    (tmp_path / "notes.md").write_text("One\ntwo.\r\n\r\n  \nThree.\n\n", "utf-8")
    folder = read_source(tmp_path)
    assert folder.records == [{"text": "first one"}, {"text": "last one", "labels": ["x"]}]
    assert folder.facts["left_out"] == 1
    assert read_source(tmp_path / "part_10.jsonl").texts == ["last one"]
    assert read_source(tmp_path / "notes.md", paragraphs=True).texts == ["One two.", "Three."]
    assert read_source(tmp_path / "notes.md", paragraphs=True, min_words=2).texts == ["One two."]


def test_sources_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("Größe".encode("latin-1"))
    (tmp_path / "empty").mkdir()
    for path, paragraphs, slug in (
        (tmp_path / "none.txt", False, "missing-file"),
        (tmp_path / "none.txt", True, "unreadable"),
        (tmp_path / "latin.txt", True, "bad-utf8"),
        (tmp_path / "latin.txt", False, "bad-utf8"),
        (tmp_path / "empty", False, "no-corpus"),
    ):
        with pytest.raises(InputError) as caught:
            read_source(path, paragraphs=paragraphs)
        assert caught.value.slug == slug
    (tmp_path / "short.txt").write_text("one\ntwo words\n", "utf-8")
    with pytest.raises(UsageError, match="none of 2 documents has 3 words or more"):
        read_source(tmp_path / "short.txt", min_words=3)


def test_a_group_is_never_split() -> None:
    records = [{"text": text, "group": str(index // 6)} for index, text in enumerate(TEXTS)]
    parts = split_at_random(records, (1, 1, 2), np.random.default_rng(0))
    groups = [{record["group"] for record in part} for part in parts]
    assert sum(map(len, groups)) == 40 == len(set.union(*groups))
    assert [len(part) for part in parts] == [60, 60, 120]


def test_parts_follow_their_shares() -> None:
    parts = split_at_random(labelled().records, (0.7, 0.3), np.random.default_rng(0))
    assert [len(part) for part in parts] == [168, 72]


def test_too_few_documents_are_refused(tmp_path: Path) -> None:
    few = Source(records=[{"text": "a"}, {"text": "b"}], facts={})
    with pytest.raises(UsageError, match=r"2 documents \(2 groups\) cannot be cut into 5 parts"):
        KINDS["duplicate"](few, Output(out=tmp_path / "made"))
    with pytest.raises(UsageError, match="100 documents a corpus; the source has 48 for each of 5"):
        make("loop", tmp_path / "made", documents=100)
