"""CA501: is this really a new generation?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import betaincinv

from collapse_audit.probes.models.model_facts import Fact
from collapse_audit.probes.packs import answers
from collapse_audit.probes.pairs.copying import ORDER, recited
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.prompts import compared
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.written import only_markers
from collapse_audit.probes.types import probe

_ALPHA = 0.05
_ENOUGH = 10
"""Distinct texts from which two corpora cannot be identical by chance."""
_NEAR = 0.9
"""Share of texts of another corpus from which a generation is called near-identical to it. Noted, and no gate."""


@probe(
    name="integrity",
    code="CA501",
    needs=("files",),
    gates=(
        Gate(
            statistic="empty",
            unit="share of documents",
            worse="higher",
            margin=0.05,
            because="one text in twenty more holds nothing but white space",
            checks_run=True,
            plain="empty texts",
            says="the share of empty texts {rise} in {generation}",
        ),
        Gate(
            statistic="constant",
            unit="share of documents",
            worse="higher",
            margin=0.95,
            because="a model that answers the same text in 19 of 20 cases has collapsed whatever its baseline does",
            part="bulk",
            checks_run=True,
            plain="one text over and over",
            says="{value} of the texts of {generation} are one and the same",
        ),
        Gate(
            statistic="unchanged",
            unit="share of documents",
            worse="higher",
            margin=0.999,
            because="a new generation does not write another corpus over again, text for text",
            checks_run=True,
            plain="texts of another corpus",
            says="{value} of the texts of {generation} stand word for word in another corpus",
        ),
        Gate(
            statistic="recited",
            unit="share of 8-grams",
            worse="higher",
            margin=0.20,
            because="one span of eight words in five more is recited; a trigram model recites .03 to .08 more than its "
            "baseline, and a copy with every tenth word changed .43",
            plain="spans recited from the training texts",
            says="the share of spans of eight words that stand in its training texts {rise} in {generation}",
        ),
    ),
    source="",
    since="0.1",
    compared=compared.empty,
    packed=answers.readable,
)
def integrity(pair: Pair) -> Iterator[Reading]:
    """Is this really a new generation?

    What it measures
        What the files alone can show: texts with nothing in them, one text over and over, a corpus that is another
        corpus of the lineage, and what they say of the model: its adapter, what it was trained on, how it was decoded.

    Formula and unit
        empty: rise of the share of texts that hold only white space or markers of a text's end. constant: share of the
        most frequent text. recited: rise, over the baseline's, of the share of 8-grams of tokens that stand in the
        texts that the generation was trained on. unchanged: the largest share of texts that stand, one for one, in
        another corpus of the lineage (counted only where there are at least 10 distinct texts); all of them, where a
        fact about the model does not hold: the adapter's numbers are finite; it changes the base; it is no earlier
        generation's, number for number; it fits its configuration and the base; its digest and its base's are those
        recorded; so are the digests of training texts, back to the reference; the declared human share is the one
        counted among the training records. A model that should have an adapter and has none may be any: then nothing
        passes. Another decoding than the earlier generations' is noted, since it alone can change texts as collapse
        does.

    Why it signals collapse
        A model that writes nothing, or one thing, has collapsed, and so has one whose baseline did so already. A
        generation that is a copy of another was never audited: passing it would be a silent false pass. So was one
        whose adapter is not applied, or is the parent's: nothing changed, and every other probe passes.

    When it misleads
        Short answers from a closed set repeat legitimately; that is why only a complete copy counts as unchanged, and
        nine texts in ten are noted as near-identical. Files cannot tell whether an adapter is applied when the model
        runs: ``collapse-lineage validate --models`` can.

    Needs
        The files: texts, and adapters and a manifest where they are at hand.
    """
    yield _empty(pair)
    yield _constant(pair)
    yield _unchanged(pair)
    yield _recited(pair)


def _empty(pair: Pair) -> Reading:
    silent = _unanswered(pair)
    details: dict[str, Any] = {"notes": ("unanswered",) if silent else (), "explanation": silent}
    counted = pair.whole_texts_counted
    if counted is not None:
        counts = np.array([[each.lengths.total - each.empty, each.empty] for each in counted])
        shares = dict(zip(("baseline", "generation"), (counts[:, 1] / counts.sum(axis=1)).tolist(), strict=True))
        return pair.compare_counted(
            np.array([0.0, 1.0]),
            counts,
            scale="linear",
            worse="higher",
            share=True,
            statistic="empty",
            raw=shares,
            **details,
        )
    side = pair.design.side[pair.design.block]
    markers = np.concatenate([only_markers(side.folded) for side in (pair.baseline, pair.generation)])[pair.design.kept]
    blank = np.concatenate((pair.baseline.empty, pair.generation.empty))[pair.design.kept]
    empty = (blank | markers).astype(np.float64)
    raw = {"baseline": float(empty[~side].mean()), "generation": float(empty[side].mean())}
    if markers.any():
        raw |= {"baseline_markers": float(markers[~side].mean()), "generation_markers": float(markers[side].mean())}
    return pair.compare(empty, scale="linear", worse="higher", share=True, statistic="empty", raw=raw, **details)


def _unanswered(pair: Pair) -> str:
    """What to say where prompts that the baseline answered have no text of the generation's, empty ones included.

    Outputs that are too short or too alike are often thrown away before they are counted, and those are the collapsed
    ones. Nothing is said where the two sides were asked different things, or where only a part of them was read.
    """
    before, now = pair.baseline.prompts, pair.generation.prompts
    whole = all(sample.n_read == len(sample) for sample in (pair.baseline, pair.generation))
    if not whole or before is None or now is None:
        return ""
    asked, answered = pc.unique(before.drop_null()), pc.unique(now.drop_null())
    missing = int(pc.sum(pc.invert(pc.is_in(asked, value_set=answered))).as_py() or 0)
    if not missing or missing > len(asked) / 2:
        return ""
    return (
        f"{missing:,} of {len(asked):,} prompts that the baseline answered have no text of the generation's: if they "
        "were filtered away, put them back, the empty ones too"
    )


def _constant(pair: Pair) -> Estimate:
    counts = _text_counts(pair.generation)
    most, n = int(counts.field("counts").to_numpy().max()), len(pair.generation)
    return Estimate(
        statistic="constant",
        value=most / n,
        low=float(betaincinv(most, n - most + 1, _ALPHA)),
        high=float(betaincinv(most + 1, n - most, 1 - _ALPHA)) if most < n else 1.0,
        method="Clopper-Pearson",
        p_value=None,
        n_baseline=len(pair.baseline),
        n_generation=n,
        raw={"distinct_texts": len(counts)},
    )


def _unchanged(pair: Pair) -> Estimate:
    overlaps = [(_overlap(pair.generation, other), other.name) for other in pair.others]
    overlaps += [(1.0, f"{name} (the same file)") for name in pair.same_bytes]
    most, name = max(overlaps, default=(0.0, ""))
    distinct = len(_text_counts(pair.generation))
    counted = most if distinct >= _ENOUGH else 0.0
    broken = [fact for fact in pair.facts if fact.ok is False]
    unknown = [fact for fact in pair.facts if fact.ok is None]
    share = 1.0 if broken else counted
    copied = (f"{most:.1%} of the texts also stand in {name}",) if most else ()
    facts = [fact for fact in pair.facts if fact.ok is not True or fact.noted]
    known = {"facts": len(pair.facts), "facts_broken": len(broken), "facts_unknown": len(unknown)} if pair.facts else {}
    return Estimate(
        statistic="unchanged",
        value=share,
        low=share,
        high=1.0 if unknown else share,
        method="counted",
        p_value=None,
        n_baseline=len(pair.baseline),
        n_generation=len(pair.generation),
        raw={"largest_overlap": most, "distinct_texts": distinct, **known},
        evidence=_exhibits(pair.facts) if pair.evidence != "none" else (),
        notes=(
            *(("near-identical",) if counted >= _NEAR else ()),
            *(("unknown",) if unknown and not broken else ()),
            *(fact.kind for fact in facts if fact.noted),
        ),
        explanation="; ".join((*copied, *(fact.sentence for fact in facts))),
    )


def _recited(pair: Pair) -> Reading:
    """Both sides beside the same training texts, so that they may be exchanged."""
    if pair.training is None:
        reason = "the texts that it was trained on are not known, or are the baseline itself"
        return NotMeasured(statistic="recited", reason=reason)
    recited_grams, grams = recited(pair.tokens, pair.training.tokens)
    side = pair.design.side[pair.design.block]
    if not (grams[side].any() and grams[~side].any()):
        return NotMeasured(statistic="recited", reason=f"a side has no text of {ORDER} tokens")
    shares = (float(recited_grams[on].sum() / grams[on].sum()) for on in (~side, side))
    return pair.compare(
        recited_grams,
        grams,
        scale="linear",
        worse="higher",
        share=True,
        statistic="recited",
        raw=dict(zip(("baseline", "generation"), shares, strict=True)),
    )


def _exhibits(facts: tuple[Fact, ...]) -> tuple[dict[str, Any], ...]:
    """What does not hold first: reports show only the beginning."""
    ordered = sorted(facts, key=lambda fact: ("broken", "unknown", "noted", "holds").index(fact.status))
    return tuple({"kind": each.kind, "status": each.status, "found": each.sentence, **each.details} for each in ordered)


def _overlap(generation: Sample, other: Sample) -> float:
    """Share of texts that can be matched one to one with texts of ``other``."""
    mine, theirs = _text_counts(generation), _text_counts(other)
    shared = np.minimum(*_aligned(mine, theirs)).sum()
    return float(shared / max(len(generation), len(other)))


def _text_counts(sample: Sample) -> pa.StructArray:
    return sample.folded.value_counts()


def _aligned(mine: pa.StructArray, theirs: pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the texts that stand in both."""
    where = pa.compute.index_in(mine.field("values"), theirs.field("values"))
    present = pa.compute.is_valid(where)
    counts = theirs.field("counts").take(where.filter(present))
    return mine.field("counts").filter(present).to_numpy(), counts.to_numpy()
