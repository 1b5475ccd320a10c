"""What the schemes train on, and lineages that exchange texts."""

from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_training import (
    QUICK,
    REFERENCE,
    Copy,
    edit,
    generations_of,
    read_toml,
    records_of,
    texts_made_up,
    texts_of,
    train,
    write_jsonl,
    write_toy,
)

from collapse_audit.lineages.checks.provenance import Provenance
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.model.ancestry import trained_on
from collapse_audit.lineages.training import loop

for _name in ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "filelock"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")


def training_sets(root: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: Any) -> list[list[tuple[str, str]]]:
    """For each generation what it was trained on, as (prompt, text); what generation k wrote is "<k> <position>"."""
    seen: list[list[tuple[str, str]]] = []
    inner = loop.finetune

    def watched(work: Any, examples: Any, *rest: Any) -> Any:
        pairs = [tokenizer.decode(example.ids.tolist(), skip_special_tokens=True) for example in examples]
        seen.append([(pair.partition("\n")[0], pair.partition("\n")[2]) for pair in pairs])
        return inner(work, examples, *rest)

    monkeypatch.setattr(loop, "finetune", watched)
    with texts_made_up(monkeypatch):
        assert train(root) == 0
    return seen


HUMAN = [(one["prompt"], one["text"]) for one in REFERENCE]


def written(generation: int) -> list[tuple[str, str]]:
    return [(one["prompt"], f"{generation} {position}") for position, one in enumerate(REFERENCE)]


@pytest.mark.parametrize(
    ("scheme", "shares", "counts"),
    [
        # of 24: by hand 2.4 and 21.6, so 2 and 22
        ("preserve", {"reference": 0.1, 1: 0.9}, {"reference": 2, 1: 22}),
        (
            {"reference": 0.25, "earlier": 0.25, "previous": 0.5},
            {"reference": 0.25, 0: 0.25, 1: 0.5},
            {"reference": 6, 0: 6, 1: 12},
        ),
    ],
)
def test_a_mixture_answers_each_prompt_once_in_the_shares_of_its_scheme(
    untrained: Path,
    copy_of: Copy,
    monkeypatch: pytest.MonkeyPatch,
    tokenizer: Any,
    scheme: Any,
    shares: dict[Any, float],
    counts: dict[Any, int],
) -> None:
    root = copy_of(untrained)
    write_toy(root, scheme=scheme, **QUICK)
    sets = training_sets(root, monkeypatch, tokenizer)
    assert sets[0] == HUMAN
    assert [prompt for prompt, _ in sets[2]] == [prompt for prompt, _ in HUMAN]
    sources = {"reference": HUMAN, 0: written(0), 1: written(1)}
    found = Counter(name for at, pair in enumerate(sets[2]) for name, source in sources.items() if source[at] == pair)
    assert found == counts
    named = read_toml(root)["generation"][2]["trained_on"]
    names = [one if one == "reference" else f"seed_0/gen_{one}/texts.jsonl.gz" for one in shares]
    assert [(one["corpus"], one["share"]) for one in named] == list(zip(names, shares.values(), strict=True))
    # The same again from the files: the records of the mixture, whence each comes, and the share that is measured.
    records = records_of(root / "seed_0/gen_2/training.jsonl.gz")
    assert [(one["prompt"], one["text"]) for one in records] == sets[2]
    kept = map(json.loads, gzip.decompress((root / "seed_0/gen_2/training.jsonl.gz").read_bytes()).splitlines())
    assert Counter(one["source"] for one in kept) == dict(zip(names, counts.values(), strict=True))
    assert "training" not in read_toml(root)["generation"][0]  # one source: its file and digest say it
    lineage = load_lineage(root)
    (fact,) = (one for one in Provenance(lineage).facts(lineage.generations[2]) if one.kind == "human-share")
    assert (fact.status, fact.details["least"]) == ("holds", counts["reference"])


def test_a_mixture_of_blocks_is_measured_too(tmp_path: Path) -> None:
    """Blocks of 8 tokens are cut across records: a quarter of them are people's, and are found letter by letter."""
    root = write_toy(
        tmp_path / "toy",
        scheme={"reference": 0.25, "previous": 0.75},
        task="blocks",
        seeds=[0],
        generations=2,
        base__architecture="opt",
        text={"block": 8, "context": 32},
        decoding={"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False, "num_beams": 2, "batch_size": 8},
    )
    assert train(root) == 0
    lineage = load_lineage(root)
    (fact,) = (one for one in Provenance(lineage).facts(lineage.generations[1]) if one.kind == "human-share")
    blocks = fact.details["records"]
    assert blocks == len(records_of(root / "seed_0/gen_0/texts.jsonl.gz"))
    assert fact.status == "holds"
    assert abs(fact.details["least"] - blocks / 4) < 1


FRESH = [(f"north {number} mm", f"people {number}") for number in range(12)]


def with_fresh(root: Path, **changes: Any) -> Path:
    """A quarter of every later generation's training is human text that none read before: 6 of 24, twice."""
    write_jsonl(root / "people.jsonl", [{"prompt": prompt, "text": text} for prompt, text in FRESH])
    scheme = {"fresh": 0.25, "previous": 0.75}
    return write_toy(root, scheme=scheme, fresh="people.jsonl", **QUICK, generations=3, **changes)


def test_fresh_human_text_is_another_in_every_generation_and_the_manifest_says_so(
    untrained: Path, copy_of: Copy, monkeypatch: pytest.MonkeyPatch, tokenizer: Any
) -> None:
    root = with_fresh(copy_of(untrained))
    first, *later = training_sets(root, monkeypatch, tokenizer)
    assert first == HUMAN
    for index, pairs in enumerate(later, start=1):
        people = [pair for pair in pairs if pair in FRESH]
        assert people == FRESH[6 * (index - 1) : 6 * index]
        assert len(pairs) == 24
        assert set(pairs) - set(people) <= set(written(index - 1))
    digest = file_digest(root / "people.jsonl")
    assert [entry["trained_on"][0] for entry in read_toml(root)["generation"][1:]] == [
        {"corpus": "fresh", "digest": digest, "share": 0.25}
    ] * 2
    lineage = load_lineage(root)
    assert not trained_on(lineage, lineage.generations[1], lineage.reference_holdout)  # type: ignore[arg-type]
    assert trained_on(lineage, lineage.generations[2], lineage.generations[1].texts)


def test_fresh_text_that_was_edited_or_is_not_there_is_refused(
    untrained: Path, copy_of: Copy, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    root = with_fresh(copy_of(untrained))
    with texts_made_up(monkeypatch):
        assert train(root) == 0
    write_jsonl(root / "people.jsonl", [{"prompt": prompt, "text": text} for prompt, text in FRESH[::-1]])
    assert "generation 1 of seed 0 was made by another fresh text than is there now" in refusal(root)
    (root / "people.jsonl").unlink()
    assert "recipe.fresh is" in refusal(root)


def test_only_what_is_selected_is_trained_on_and_as_often_as_the_compute_says(
    untrained: Path, copy_of: Copy, monkeypatch: pytest.MonkeyPatch, tokenizer: Any
) -> None:
    root = copy_of(untrained)
    table = {"training": {"examples": 16, "learning_rate": 0.01, "batch_size": 8}, "seeds": [0], "generations": 2}
    write_toy(root, selection__drop_duplicates=True, **table)
    monkeypatch.setattr(loop, "selected", lambda texts, _nll, _rule: np.array([text.endswith("3") for text in texts]))
    first, second = training_sets(root, monkeypatch, tokenizer)
    assert first == HUMAN  # human text is never selected
    assert [text for _, text in second] == ["0 3", "0 13", "0 23"]
    for index in (0, 1):  # 16 examples in batches of 8, of 24 and of 3 examples alike
        assert len((root / f"seed_0/gen_{index}/train.jsonl").read_text().splitlines()) == 2


def test_accumulation_trains_on_all_there_is(
    untrained: Path, copy_of: Copy, monkeypatch: pytest.MonkeyPatch, tokenizer: Any
) -> None:
    root = copy_of(untrained)
    write_toy(root, scheme="accumulate", **QUICK)
    sets = training_sets(root, monkeypatch, tokenizer)
    assert Counter(sets[1]) == Counter(HUMAN + written(0))
    assert Counter(sets[2]) == Counter(HUMAN + written(0) + written(1))
    assert [one["share"] for one in read_toml(root)["generation"][2]["trained_on"]] == [1 / 3] * 3


@pytest.fixture
def pair(untrained: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two lineages of one base, each trained on what the other wrote; four generations."""
    roots = (tmp_path / "east", tmp_path / "west")
    for root, other in (roots, roots[::-1]):
        shutil.copytree(untrained, root)
        write_toy(root, scheme="cross", name=root.name, partner=f"../{other.name}", **QUICK, generations=4)
    return roots


def test_two_lineages_train_each_other_and_say_what_descends_from_what(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand: west 0 <- people; west 1 <- east 0 <- people; west 2 <- east 1 <- west 0 <- people."""
    descends = [["reference"], ["reference", texts_of(0)], ["reference", texts_of(1)]]
    with texts_made_up(monkeypatch):
        assert train(*pair) == 0
    for root, other in (pair, pair[::-1]):
        entries, theirs = read_toml(root)["generation"], read_toml(other)["generation"]
        digest = file_digest(root / "reference.jsonl")
        assert entries[0]["trained_on"] == [{"corpus": "reference", "digest": digest, "share": 1.0}]
        for index in (1, 2, 3):
            assert entries[index]["trained_on"] == [
                {
                    "lineage": other.name,
                    "corpus": texts_of(index - 1),
                    "digest": theirs[index - 1]["texts_digest"],
                    "descends_from": descends[index - 1],
                    "share": 1.0,
                }
            ]
        lineage = load_lineage(root)
        corpora = {entry.index: entry.texts for entry in lineage.generations}
        seen = {
            entry.index: {index for index, corpus in corpora.items() if trained_on(lineage, entry, corpus)}
            for entry in lineage.generations
        }
        # At one remove no generation reads itself; at two it reads the one before the one before.
        assert seen == {0: set(), 1: set(), 2: {0}, 3: {1}}


def test_a_partner_that_is_behind_is_waited_for_in_vain_and_goes_on_with_both(
    pair: tuple[Path, Path], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    east, west = pair
    with texts_made_up(monkeypatch):
        message = refusal(east)
        assert message.startswith(f"{east} needs generation ")
        assert message.endswith(
            " of seed 0 of its partner ../west, which is not there; train both together: "
            "collapse-lineage train LINEAGE PARTNER"
        )
        assert generations_of(east) == [(0, 0)]
        assert train(east, west) == 0
    assert generations_of(east) == generations_of(west) == [(0, index) for index in range(4)]


@pytest.mark.parametrize("scheme", ["cross", {"previous": 0.5, "partner": 0.5}])
def test_the_first_corpus_that_is_missing_is_named(
    pair: tuple[Path, Path], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch, scheme: Any
) -> None:
    east, _ = pair
    write_toy(east, scheme=scheme, name="east", partner="../west", **QUICK, generations=4)
    with texts_made_up(monkeypatch):
        assert refusal(east).startswith(f"{east} needs generation 0 of seed 0 of its partner ../west")


def test_a_partner_that_is_not_there_or_has_another_reference_is_refused(
    pair: tuple[Path, Path], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    east, west = pair
    with texts_made_up(monkeypatch):
        write_jsonl(west / "reference.jsonl", REFERENCE[:-1])
        different = "and its partner ../west have different references; give them one"
        assert refusal(east) == f"{east} {different}"
        shutil.rmtree(west)
        assert refusal(east) == (f"{east}: its partner ../west is not there (no {east.resolve()}/../west/lineage.toml)")


def test_what_a_partner_descends_from_includes_what_its_parents_weights_have_read(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """West starts from its parent: west 2 <- west 1's weights <- east 0. So east 3 descends from east 0 too."""
    east, west = pair
    edit(west, 'task = "completion"', 'task = "completion"\ninit_from = "parent"')
    with texts_made_up(monkeypatch):
        assert train(east, west) == 0
    assert read_toml(east)["generation"][3]["trained_on"][0]["descends_from"] == [
        "reference",
        texts_of(0),
        texts_of(1),
    ]
