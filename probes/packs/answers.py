"""What the built-in probes answer beside a reference pack, as far as a pack can; each names its answer as ``packed``.

A probe keeps its name, code, gates and margins. What needs types to be recognised on both sides (which of them does one
side no longer have?) takes its value and its interval from the two sketches, and its exact test from runs of
neighbouring blocks, each of which is counted by itself.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from collapse_audit.probes.packs.block_runs import Runs, beyond_length, in_runs, token_pairs
from collapse_audit.probes.packs.pack import COMMON
from collapse_audit.probes.packs.packed_pair import PackedPair
from collapse_audit.probes.packs.sketch import Curve
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.tail import HEAD, head, tail_p, tail_ratio, tail_tokens
from collapse_audit.probes.statistics.design import FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import (
    estimate,
    ratio_of_sums,
    rule_of_three,
)
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading, Worse
from collapse_audit.probes.statistics.tables import COMPARABLE

_SHOWN = 10
_LEAST = 1e-300
"""A p-value is never 0."""


class Asked(Protocol):
    """A probe, which an answer may put to another pair: one of what both sides name."""

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Its gates, one for each reading."""

    def __call__(self, pair: Pair, /) -> Iterable[Reading]:
        """Measure ``pair``."""


def common_words(probe: Asked, pair: PackedPair) -> Iterable[Reading]:
    """On common words only: never more than on all words, so a fail stands."""
    moved, *_ = probe(pair.named)
    yield _moved(pair, moved)
    yield NotMeasured(statistic="vanished", reason="a reference pack does not tell which texts hold a word")


def _moved(pair: PackedPair, reading: Reading) -> Reading:
    if isinstance(reading, NotMeasured):
        return reading
    ids = pair.named.tokens.ids
    share = float(np.mean(ids < len(pair.pack.words)))
    note = f"of the pack's common words, which hold {share:.0%} of the tokens"
    answer = dataclasses.replace(
        reading,
        raw={**reading.raw, "common_words_share": share},
        notes=(*reading.notes, "common-words"),
        explanation="; ".join(filter(None, (note, reading.explanation))),
    )
    return _as_far_as_named(answer, share)


def named_labels(probe: Asked, pair: PackedPair) -> Iterable[Reading]:
    """On named labels only."""
    missing = _without_labels(pair)
    if missing is not None:
        return [dataclasses.replace(missing, statistic=gate.statistic) for gate in probe.gates]
    carried = np.sum([side.counts for side in pair.named.labels_named or ()], axis=0)
    share = float(carried[:-1].sum() / max(carried.sum(), 1))
    return [
        reading if isinstance(reading, NotMeasured) else _as_far_as_named(reading, share, worse=gate.worse)
        for gate, reading in zip(probe.gates, probe(pair.named), strict=True)
    ]


def _as_far_as_named(reading: Estimate, share: float, *, worse: Worse = "higher") -> Estimate:
    """No bound on damage where most has no name in the pack: two sides of nothing but ``<rare>`` would be alike."""
    if share >= COMPARABLE:
        return reading
    note = f"the pack names only {share:.0%} of what the two sides hold; it would have to be made of more documents"
    unbounded: dict[str, Any] = {"high": math.inf} if worse == "higher" else {"low": 0.0}
    return dataclasses.replace(
        reading, **unbounded, n_needed=lambda _margin: math.inf, minimum_detectable=None, explanation=note
    )


def named_categories(probe: Asked, pair: PackedPair) -> Reading:
    """Counted over all documents. A category that is too scarce to be named may be gone: then nothing passes."""
    missing = _without_labels(pair)
    if missing is not None:
        return missing
    assert pair.pack.labels is not None
    scarce, named = pair.pack.labels.scarce, len(pair.pack.labels.totals)
    (reading,) = probe(pair.categories)
    if not scarce:
        return reading
    note = f"{scarce} categories of fewer than {COMMON} documents are not named in the pack, and may be gone"
    if isinstance(reading, NotMeasured):
        return NotMeasured(reason=note, neutral=False)
    return dataclasses.replace(
        reading,
        low=0.0,
        p_value=min(1.0, (reading.p_value or 1.0) * (named + scarce) / named),
        raw={**reading.raw, "categories_not_named": scarce},
        n_needed=lambda _margin: math.inf,
        explanation=f"{reading.explanation}; {note}",
    )


def _without_labels(pair: PackedPair) -> NotMeasured | None:
    if pair.pack.labels is None or pair.label_rule is None:
        return NotMeasured(reason="the pack holds no labels" if pair.pack.labels is None else "no label rule applies")
    if pair.label_rule.extract is None and pair.generation.label_field is None:
        return NotMeasured(reason="the records of the generation carry no labels, and the pack does", neutral=False)
    return None


def tail_mass(_probe: Asked, pair: PackedPair) -> Reading:
    """The documents set aside define the head, as halves of the baseline do in an ordinary audit."""
    pack, named = pair.pack, pair.named
    design, table = named.blocks, named.words
    tokens = table.lengths
    # Words of equal count stand in the order of their spelling, which knows nothing of the texts that are compared.
    frequent = head(pack.aside, None, tokens=pack.aside_tokens)
    # The last word of the vocabulary stands for all that are not named.
    in_head, unseen = np.append(frequent, False)[table.types], table.types == frequent.size
    everything, novel = tail_tokens(table, in_head, unseen)
    if min(tokens[~design.side].sum(), tokens[design.side].sum()) == 0:
        return NotMeasured(reason="no text of one side holds a token")
    held = float(pack.aside[frequent].sum() / max(pack.aside_tokens, 1))
    drawn = design.relabellings(pair.permutations, pair.stream("tail-mass"))
    return tail_ratio(
        everything,
        novel,
        tokens,
        design=design,
        p_value=tail_p(everything, novel, tokens, design=design, drawn=drawn),
        one_sided=named.one_sided,
        raw={"head_types": int(np.count_nonzero(frequent)), "head_share": held},
        notes=("wide-tail",) if held < HEAD else (),
    )


def tail_coverage(_probe: Asked, pair: PackedPair) -> Reading:
    named = pair.named
    counted, side = named.words, named.blocks.side
    baseline = counted.blocks_on(~side)
    gone = np.flatnonzero((baseline >= COMMON) & (baseline == counted.frequency))
    gone = gone[np.argsort(-baseline[gone], kind="stable")]
    terms = tuple(
        {
            "kind": "vanished",
            "term": named.tokens.vocabulary[int(counted.types[row])].as_py(),
            "baseline_blocks": int(baseline[row]),
            "generation_blocks": 0,
        }
        for row in gone[:_SHOWN]
    )
    return _distinct(
        pair,
        *(cut.words for cut in pair.cuts),
        what="tokens",
        raw={"vanished_common_words": int(gone.size)},
        evidence=terms if pair.evidence != "none" else (),
    )


def diversity(_probe: Asked, pair: PackedPair) -> Iterator[Reading]:
    yield _distinct(pair, *(cut.pairs for cut in pair.cuts), what="token pairs", statistic="distinct-2")
    yield _effective_tokens(pair)
    yield _duplicates(pair)
    yield NotMeasured(statistic="near-copies", reason="a reference pack does not tell which texts are of one template")


def _distinct(
    pair: PackedPair,
    before: Curve,
    after: Curve,
    *,
    what: str,
    statistic: str = "",
    raw: Mapping[str, Any] = MappingProxyType({}),
    **details: Any,
) -> Reading:
    """Ratio of distinct types in equally many documents: value and interval as in an ordinary audit."""
    last, n = pair.blocks.count - 1, pair.blocks.units
    distinct = [int(side.distinct[last]) for side in (before, after)]
    if distinct[0] == 0:
        return NotMeasured(statistic=statistic, reason=f"the baseline holds no {what}")
    floored = [max(number, 0.5) for number in distinct]  # a side that lost every type: its logarithm must stay finite
    variances = [(n - 1) / n * c.spread[last] / s**2 for c, s in zip((before, after), floored, strict=True)]
    runs = Runs(pair)
    runs_of_both = runs.both(before.runs[runs.at], after.runs[runs.at])
    tokens = runs.both(*(in_runs(cut.tokens, runs.length) for cut in pair.cuts))
    return estimate(
        floored[1] / floored[0],
        math.sqrt(sum(variances)),
        scale="log",
        worse="lower",
        p_value=runs.p_value(
            beyond_length(runs_of_both, tokens), np.ones_like(runs_of_both), scale="linear", worse="lower"
        ),
        design=pair.blocks,
        method="document jackknife of ln distinct, normal; test on runs of blocks",
        statistic=statistic,
        raw={"distinct_baseline": distinct[0], "distinct_generation": distinct[1], **raw},
        notes=pair.notes,
        **details,
    )


def _effective_tokens(pair: PackedPair) -> Reading:
    last, sides = pair.blocks.count - 1, (pair.before, pair.after)
    same = [int(side.collisions.same[last]) for side in sides]
    if min(same) == 0:
        why = "generation share a token; nothing is concentrated" if same[0] else "baseline share a token"
        return NotMeasured(statistic="effective-tokens", reason=f"no two texts of the {why}")
    pairs = [token_pairs(side, pair.blocks.count)[0] for side in sides]
    number = [float(of) / equal for of, equal in zip(pairs, same, strict=True)]
    runs = Runs(pair)
    return estimate(
        number[1] / number[0],
        math.sqrt(sum(float(side.collisions.variance[last]) for side in sides)),
        scale="log",
        worse="lower",
        p_value=runs.p_value(
            runs.both(*(side.collisions.runs[runs.at] for side in sides)),
            runs.both(*(token_pairs(side, runs.length) for side in sides)),
            scale="log",
            worse="higher",
        ),
        design=pair.blocks,
        method="document jackknife of ln(1/sum p^2), normal; test on runs of blocks",
        statistic="effective-tokens",
        raw={"effective_tokens_baseline": number[0], "effective_tokens_generation": number[1]},
    )


def _duplicates(pair: PackedPair) -> Estimate:
    """Which texts both sides share is not known, so the test is a bound instead of a permutation.

    Another text in place of one changes the share of duplicates of its side by at most 1/n. The difference of two such
    shares, of n independent texts each, then exceeds its expectation by t with probability at most exp(-n t^2)
    (McDiarmid 1989, doi 10.1017/CBO9781107359949.008), and under "no change" its expectation is 0.
    """
    last, n = pair.blocks.count - 1, pair.blocks.units
    sides = (pair.before.texts, pair.after.texts)
    unique = [float(side.distinct[last]) / n for side in sides]
    error = math.sqrt(sum(float(side.spread[last]) for side in sides) / (n * (n - 1)))
    rise = unique[0] - unique[1]
    return estimate(
        rise,
        max(error, rule_of_three(pair.blocks)),
        scale="linear",
        worse="higher",
        p_value=max(math.exp(-n * max(rise, 0.0) ** 2), _LEAST),
        design=pair.blocks,
        method="document jackknife of distinct texts, normal; test by bounded differences",
        statistic="duplicates",
        raw={"unique_share_baseline": unique[0], "unique_share_generation": unique[1]},
    )


def repetition(_probe: Asked, pair: PackedPair) -> Iterator[Reading]:
    before, after = pair.cuts
    long_enough = pair.before.long_enough, pair.after.long_enough
    if not long_enough[0][: pair.blocks.count].any() or not long_enough[1].any():
        yield NotMeasured(statistic="seq-rep-4", reason="no text of one side has 4 tokens")
    else:
        repeated = before.repeated, after.repeated
        yield _rise(pair, repeated, long_enough, statistic="seq-rep-4", notes=pair.notes)
    documents = np.full(pair.before.blocks, pair.before.size)
    yield _rise(pair, (pair.before.looping, pair.after.looping), (documents, documents), statistic="looping")


def _rise(
    pair: PackedPair,
    top: tuple[IntArray, IntArray] | tuple[FloatArray, FloatArray],
    bottom: tuple[IntArray, IntArray],
    **details: Any,
) -> Reading:
    """Rise of sum(top)/sum(bottom) over blocks, the baseline's and the generation's, as a share of documents."""
    count = pair.blocks.count
    tops, bottoms = ([part[:count].astype(np.float64) for part in parts] for parts in (top, bottom))
    shares = [float(t.sum() / b.sum()) for t, b in zip(tops, bottoms, strict=True)]
    return ratio_of_sums(
        np.concatenate(tops),
        np.concatenate(bottoms),
        design=pair.blocks,
        relabellings=pair.drawn,
        scale="linear",
        worse="higher",
        share=True,
        raw=dict(zip(("baseline", "generation"), shares, strict=True)),
        **details,
    )


def length(_probe: Asked, pair: PackedPair) -> Iterator[Reading]:
    """A pack knows how many tokens its blocks hold, and not which texts are long."""
    count = pair.blocks.count
    tokens = [side.at[-1].tokens[:count].astype(np.float64) for side in (pair.before, pair.after)]
    documents = [np.full(count, float(side.size)) for side in (pair.before, pair.after)]
    means = [float(top.sum() / bottom.sum()) for top, bottom in zip(tokens, documents, strict=True)]
    yield ratio_of_sums(
        np.concatenate(tokens),
        np.concatenate(documents),
        design=pair.blocks,
        relabellings=pair.drawn,
        scale="log",
        worse="lower",
        share=True,
        statistic="mean-length",
        raw=dict(zip(("baseline", "generation"), means, strict=True)),
    )
    yield NotMeasured(statistic="long-texts", reason="a reference pack does not hold how long each text is")


def scored(probe: Asked, pair: PackedPair) -> Iterable[Reading]:
    """On log-perplexities as the pack holds them, rounded."""
    return probe(pair.scored)


def readable(probe: Asked, pair: PackedPair) -> Iterator[Reading]:
    """Copies are looked for among the lineage's own texts; the pack's are not here, nor what they recite."""
    why = "a reference pack does not hold texts, and what the generation recites has nothing to stand beside"
    for reading in probe(pair.readable):
        yield dataclasses.replace(reading, reason=why) if isinstance(reading, NotMeasured) else reading
