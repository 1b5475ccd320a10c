"""The lineages of a pretrained language model: healthy at generation 0, and what they lose after it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from collapse_audit import audit, load_lineage
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.disk.manifest import read_manifest
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.measured.lm_eval_results import read_results
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.lineages.training.health import Health, examine
from collapse_audit.lineages.training.recipe import Base, Training, read_recipe
from collapse_audit.lineages.training.run import open_run
from collapse_audit.probes.text.sample import read_sample
from collapse_audit.probes.text.tokens import WORDS
from collapse_audit.reports.document import AuditReport, Outcome

LINEAGES = Path(__file__).resolve().parents[2] / "lineages"
NAMES = ("smollm2_replace", "smollm2_preserve", "smollm2_accumulate")
BEAMS = "smollm2_repetition_penalty"
"""Written with five beams, as the paper's: narrow from generation 0 on."""
PAIR = NAMES[:2]
"""Those that go on from one generation 0."""
PERPLEXITY = "collapse_reference_perplexity"


@cache
def lineage(name: str) -> Lineage:
    return load_lineage(LINEAGES / name)


@cache
def report(name: str) -> AuditReport:
    return audit(LINEAGES / name)


def texts(corpus: Corpus) -> list[str]:
    about = {"name": corpus.shown, "digest": corpus.digest}
    return list(read_sample(corpus.batches(), **about, tokenizer=WORDS, max_documents=0, seed=0).texts.to_pylist())


def human_text(name: str) -> list[Mapping[str, float]]:
    """Of every generation: how well it predicts people's held-out text."""
    found = [read_results(entry) for entry in lineage(name).generations]
    return [results.tasks[PERPLEXITY].values for results in found if results is not None]


def held_out(entry: GenerationEntry) -> Corpus:
    assert entry.holdout is not None
    return entry.holdout


@pytest.mark.parametrize("name", [*NAMES, BEAMS])
def test_every_generation_was_made_by_the_manifests_recipe(name: str) -> None:
    run = open_run(LINEAGES / name)
    assert [entry.index for entry in lineage(name).generations] == list(range(run.recipe.generations))
    assert {entry.details["model"]["recipe"] for entry in lineage(name).generations} == {run.recipe.digest}


@pytest.mark.parametrize(
    ("name", "amount"),
    [
        ("smollm2_replace", Training(epochs=5)),
        ("smollm2_preserve", Training(epochs=10)),
        ("smollm2_accumulate", Training(examples=5 * 268)),  # five times the human text's blocks
        (BEAMS, Training(epochs=5)),
    ],
)
def test_the_profile_paper_is_the_recipe_of_the_paper(name: str, amount: Training) -> None:
    recipe = read_recipe(read_manifest(LINEAGES / name / "lineage.toml"), profile="paper")
    assert (recipe.base, recipe.quantization) == (Base(hub="facebook/opt-125m"), "none")
    assert (recipe.training.epochs, recipe.training.examples) == (amount.epochs, amount.examples)
    assert recipe.text.block == recipe.decoding.min_new_tokens == recipe.decoding.max_new_tokens == 64
    assert (recipe.decoding.do_sample, recipe.decoding.num_beams) == (False, 5)
    assert recipe.decoding.repetition_penalty == (2.0 if name == BEAMS else 1.0)


def test_both_go_on_from_one_generation_0_whose_adapter_is_kept() -> None:
    first, other = (lineage(name).generations[0] for name in PAIR)
    assert (first.texts.digest, held_out(first).digest) == (other.texts.digest, held_out(other).digest)
    assert first.adapter is not None
    digest = file_digest(first.adapter / "adapter_model.safetensors")
    assert digest == first.details["model"]["adapter_digest"] == other.details["model"]["adapter_digest"]


def health_of_generation_0(name: str) -> Health:
    first = lineage(name).generations[0]
    about = {"name": "held out", "digest": held_out(first).digest}
    sample = read_sample(held_out(first).batches(), **about, tokenizer=WORDS, max_documents=0, seed=0)
    assert sample.prompts is not None
    return examine(sample.texts.to_pylist(), sample.prompts.to_pylist())  # under blocks, people's text is continued


def test_five_beams_are_narrow_from_generation_0_on_and_the_manifest_says_so() -> None:
    """A third of people's word pairs is missing before anything was trained on what a model wrote."""
    health = health_of_generation_0(BEAMS)
    assert health.distinct_2 < 0.8
    marked = lineage(BEAMS).generations[0].details["model"]["health"]["degenerate"]
    assert marked == list(health.complaints())
    assert len(marked) == 1


@pytest.mark.parametrize("name", NAMES)
def test_generation_0_is_healthy(name: str) -> None:
    """Word pairs at least .8 times as varied as people's, and at most 5 points more of its texts loop."""
    health = health_of_generation_0(name)
    assert health.distinct_2 >= 0.8
    assert health.looping <= health.looping_people + 0.05
    assert not health.complaints()


@pytest.mark.parametrize("name", NAMES)
def test_later_generations_predict_peoples_text_worse(name: str) -> None:
    """Nature's own quantity rises from generation to generation, and less where human text is kept."""
    bits = [values["bits_per_byte"] for values in human_text(name)]
    assert len(bits) == len(lineage(name).generations)
    assert bits == sorted(bits)


def test_with_five_beams_more_is_lost_at_once_and_copies_of_prompts_bring_some_of_it_back() -> None:
    sampled, beams = ([values["bits_per_byte"] for values in human_text(name)] for name in (NAMES[0], BEAMS))
    assert beams[0] == pytest.approx(sampled[0], abs=0.001)
    assert beams[1] - beams[0] > 3 * (sampled[1] - sampled[0])
    assert beams[0] < beams[4] < beams[3] < beams[2]
    copied = [in_its_own_prompt(entry.texts) for entry in lineage(BEAMS).generations]
    assert copied == sorted(copied)
    assert copied[0] < 0.01
    assert copied[4] > 0.4


def in_its_own_prompt(corpus: Corpus, run: int = 8) -> float:
    """Share of the runs of eight words of the texts that stand in the text's own prompt."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+|[^\w\s]", text)
        return {tuple(words[at : at + run]) for at in range(len(words) - run + 1)}

    rows = [row for batch in corpus.batches() for row in batch.to_pylist()]
    written = [(runs(row["text"]), runs(row["prompt"])) for row in rows]
    return sum(len(text & prompt) for text, prompt in written) / sum(len(text) for text, _ in written)


def test_human_text_in_every_training_keeps_more() -> None:
    replace, preserve, accumulate = (human_text(name)[-1]["bits_per_byte"] for name in NAMES)
    assert accumulate < preserve < replace


def test_the_audit_finds_the_loss_and_no_degenerate_baseline() -> None:
    found = report("smollm2_replace")
    failed = {(f.probe, f.statistic) for f in found.findings if f.gating and f.outcome is Outcome.FAIL}
    assert ("tail-coverage", "distinct-types") in failed
    assert not [row for row in found.baselines if row.get("degenerate")]
