"""CA303: did texts get shorter, or did the long ones vanish?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from collapse_audit.probes.packs import answers
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import FloatArray, IntArray
from collapse_audit.probes.statistics.lengths import MEASURABLE
from collapse_audit.probes.statistics.ranks import weights_of_counted, weights_of_highest
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading
from collapse_audit.probes.text.census import TextCounts
from collapse_audit.probes.types import probe

_LONG = 0.2
"""Share of both sides' texts together that are long."""
_PILE = 0.05
"""Share of a generation's texts that end at one length, from which it looks like a limit, and …"""
_TIMES = 3
"""… how many times the baseline's share it must be."""


@probe(
    name="length",
    code="CA303",
    needs=("text",),
    gates=(
        Gate(
            statistic="mean-length",
            unit="ratio",
            worse="lower",
            margin=0.75,
            because="a quarter of the tokens a text gone; halves of real corpora, 500 texts each, stay above .84",
            kind="move",
            plain="length of texts",
            says="the texts of {generation} have {value} of the length of those of {baseline}",
        ),
        Gate(
            statistic="long-texts",
            unit="ratio",
            worse="lower",
            margin=0.70,
            pass_margin=0.50,
            because="three in ten of the long texts gone, weighted by how long they are; where the longest fifth is "
            "cut to the length of the next, .20 to .40 are left",
            kind="move",
            plain="long texts",
            says="{generation} holds {value} of the long texts of {baseline}",
        ),
    ),
    source="Chung & Romano 2013, doi 10.1214/13-AOS1090 (the test of a ratio)",
    since="0.2",
    packed=answers.length,
)
def length(pair: Pair) -> Iterator[Reading]:
    """Did texts get shorter, or did the long ones vanish?

    What it measures
        How many tokens a text holds on average, and how many texts are long.

    Formula and unit
        mean-length: ratio of the mean numbers of tokens, generation to baseline. long-texts: ratio of the
        mean weights max(0, ln(.2/u)), where u is the share of both sides' texts that are longer: a text counts for more
        the longer it is, and the four fifths below count for nothing. Prompts are not counted.

    Why it signals collapse
        Models that were trained on what models wrote stop early, or always at the same place, and what only a long
        text can say is said no more.

    When it misleads
        ``max_new_tokens``, a template or a prompt that asks for brevity make texts shorter and nothing is lost: so a
        change beyond the margin is ``changed`` and no collapse by itself. Only where nothing is left, on average fewer
        than 4 tokens of at least 16, it is a loss. Texts that grew longer do not gate.

    Needs
        Text.
    """
    if pair.whole_texts_counted is not None:
        yield from _counted(pair, *pair.whole_texts_counted)
        return
    tokens = pair.tokens.lengths.astype(np.float64)
    side = pair.design.side[pair.design.block]
    before, after = tokens[~side], tokens[side]
    raw = {
        "baseline": float(before.mean()),
        "generation": float(after.mean()),
        "median_baseline": float(np.median(before)),
        "median_generation": float(np.median(after)),
    }
    yield _or_nothing(_ratio(pair, tokens, "mean-length", raw), raw)
    weights = weights_of_highest(tokens, _LONG)
    shares = {"baseline": float(weights[~side].mean()), "generation": float(weights[side].mean())}
    yield _ratio(pair, weights, "long-texts", shares)


def _counted(pair: Pair, *sides: TextCounts) -> Iterator[Reading]:
    """The same of all documents, by how many of them are of each length."""
    both = sides[0].lengths + sides[1].lengths
    counts = np.zeros((2, both.values.size), dtype=np.int64)
    for row, each in zip(counts, sides, strict=True):
        row[np.searchsorted(both.values, each.lengths.values)] = each.lengths.counts
    tokens = both.values.astype(np.float64)
    for statistic, of_length in (("mean-length", tokens), ("long-texts", weights_of_counted(both.counts, _LONG))):
        means = (counts @ of_length / counts.sum(axis=1)).tolist()
        raw = dict(zip(("baseline", "generation"), means, strict=True))
        if not means[0]:
            yield NotMeasured(statistic=statistic, reason="no text of the baseline is that long")
            continue
        if statistic == "mean-length":
            medians = [_median(tokens, row) for row in counts]
            raw |= dict(zip(("median_baseline", "median_generation"), medians, strict=True))
        reading = pair.compare_counted(
            of_length,
            counts,
            scale="log",
            worse="lower",
            share=True,
            statistic=statistic,
            raw=raw,
            explanation=_explained(pair),
        )
        yield _or_nothing(reading, raw) if statistic == "mean-length" else reading


def _median(values: FloatArray, counts: IntArray) -> float:
    """Of ``values`` that occur so often; shapes (L,)."""
    places = np.cumsum(counts)
    middle = (places[-1] - 1) // 2, places[-1] // 2
    return float(values[np.searchsorted(places, middle, side="right")].mean())


def _or_nothing(mean: Reading, raw: dict[str, float]) -> Reading:
    """The mean length, which is a loss where nothing is left."""
    if isinstance(mean, Estimate) and raw["generation"] < MEASURABLE and raw["baseline"] >= 4 * MEASURABLE:
        return dataclasses.replace(mean, kind="loss", explanation="next to nothing is left of the texts")
    return mean


def _ratio(pair: Pair, of_texts: FloatArray, statistic: str, raw: dict[str, float]) -> Reading:
    if not of_texts[~pair.design.side[pair.design.block]].any():
        return NotMeasured(statistic=statistic, reason="no text of the baseline is that long")
    # ``share``: where all texts are equally long their spread is 0, and what n texts may hide is 3/n all the same.
    return pair.compare(
        of_texts, scale="log", worse="lower", share=True, statistic=statistic, raw=raw, explanation=_explained(pair)
    )


def _explained(pair: Pair) -> str:
    """What may have made texts shorter without any loss."""
    facts = (fact.sentence for fact in pair.facts if fact.kind == "decoding" and fact.noted)
    return "; ".join(filter(None, (_limit(pair), *facts)))


def _limit(pair: Pair) -> str:
    """What to say where texts of the generation end at one length, in the model's own tokens if they are known."""
    before, after = (sample.tokens.lengths.astype(np.float64) for sample in (pair.baseline, pair.generation))
    if pair.baseline.n_tokens is not None and pair.generation.n_tokens is not None:
        before, after = pair.baseline.n_tokens, pair.generation.n_tokens
    ends, times = np.unique(after[after > 0], return_counts=True)
    if not ends.size:
        return ""
    end, share = ends[np.argmax(times)], float(times.max()) / after.size
    if share < _PILE or share < _TIMES * float(np.mean(before == end)) or end < np.quantile(after, 1 - _LONG):
        return ""
    return f"{share:.0%} of the texts end at {int(end):,} tokens, as at a limit (max_new_tokens)"
