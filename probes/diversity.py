"""CA302: do texts repeat one another?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from collapse_audit.probes.packs import answers
from collapse_audit.probes.pairs.near_copies import template
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.richness import Richness, distinct_ratio, lengths_of, richness
from collapse_audit.probes.prompts import compared
from collapse_audit.probes.statistics.all_documents import compare_copies
from collapse_audit.probes.statistics.design import MIN_UNITS, BoolArray, FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import estimate, jackknife, permutation_p, rule_of_three
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, RawPanel, Reading
from collapse_audit.probes.statistics.tables import CountTable, count_table, side_sums, sweep
from collapse_audit.probes.text.ngrams import recoded
from collapse_audit.probes.trends import followed
from collapse_audit.probes.types import probe

_SHOWN = 5
_LATE = 0.20
"""Ratio of effective tokens under which the bulk has lost its variance: p^1.2 on single words, which is early, still
keeps .39 to .41 of it on real text (docs/decisions/0005-margins.md)."""
_OTHER_SUBJECT = 0.10
"""JS-excess of the texts that repeat no other, nats, from which these are of another subject: stories beside
encyclopedia abstracts or science questions .18 to .25; 40% of texts out of one template leave the others at 0."""
_COMPARED = 20
"""Relabellings whose mean is taken off that."""
_PORTION = 1 << 19
"""Tokens whose pairs are counted at a time."""


@probe(
    name="diversity",
    code="CA302",
    needs=("text",),
    gates=(
        Gate(
            statistic="distinct-2",
            unit="ratio",
            worse="lower",
            margin=0.90,
            because="one distinct pair in ten gone at equal n; where a trigram model wrote 30% of the texts, .73 to "
            ".86 are left, and halves of real corpora, 500 texts each, stay above .96",
            part="tail",
            depends_on_n=True,
            held="distinct word pairs",
            plain="distinct word pairs",
            says="{generation} uses {value} of the distinct word pairs of {baseline}",
        ),
        Gate(
            statistic="effective-tokens",
            unit="ratio",
            worse="lower",
            margin=0.80,
            because="a fifth of the effective vocabulary gone; word probabilities sharpened to p^1.05 keep .75 to .77",
            trend="effective-tokens",
            part="tail",
            late=_LATE,
            held="effective vocabulary",
            plain="vocabulary in real use",
            says="the vocabulary in real use in {generation} is {value} of that in {baseline}",
        ),
        Gate(
            statistic="duplicates",
            unit="share of documents",
            worse="higher",
            margin=0.05,
            because="one text in twenty more is a copy of another at equal n",
            depends_on_n=True,
            panels=(
                RawPanel(
                    picture="unique",
                    title="Unique texts",
                    unit="share of texts",
                    baseline="unique_share_baseline",
                    generation="unique_share_generation",
                ),
            ),
            plain="copies of one text",
            says="the share of texts that are copies of another {rise} in {generation}",
        ),
        Gate(
            statistic="near-copies",
            unit="share of documents",
            worse="higher",
            margin=0.02,
            pass_margin=0.05,
            because="one text in fifty more is another's copy up to slots; one in twenty would be seen, as of copies",
            depends_on_n=True,
            plain="texts out of one template",
            says="the share of texts that are another's copy but for names and the like {rise} in {generation}",
        ),
    ),
    source="Li et al. 2016, arXiv:1510.03055 (distinct-n); Simpson 1949, doi 10.1038/163688a0; "
    "Hill 1973, doi 10.2307/1934352; Cochran 1977, Sampling Techniques, ch. 7 (regression estimator)",
    since="0.1",
    followed=followed.diversity,
    compared=compared.duplicates,
    packed=answers.diversity,
)
def diversity(pair: Pair) -> Iterator[Reading]:
    """Do texts repeat one another?

    What it measures
        Distinct word pairs, the effective number of tokens, and texts that are copies of other texts, all in equally
        many documents.

    Formula and unit
        distinct-2: ratio of distinct token pairs, less what mean lengths explain that chance left unequal.
        effective-tokens: ratio of 1/sum p^2 (Hill number of order 2), where sum p^2 is the probability that two tokens
        of two different texts are the same: unbiased whatever n. duplicates: rise of 1 - distinct texts/texts, white
        space folded. near-copies: rise of 1 - distinct templates/texts, where texts of one template hold at least 12
        words, and 6 of 10, in word pairs of each other and differ by no more than 6 words in a row.

    Why it signals collapse
        Texts of later generations resemble each other: the thyroid study sees the share of unique reports fall from
        generation to generation, and sharpening concentrates tokens long before words vanish.

    When it misleads
        Plain distinct-n and unique shares fall with n alone; these are compared at equal n only. Some kinds of text are
        more of a formula than others: where the texts that are no near-copies have moved by more than .10 nats, another
        subject may have brought its own, and more near-copies are ``changed`` and no collapse by themselves.

    Needs
        Text.
    """
    yield _distinct_2(pair)
    yield _effective_tokens(pair)
    yield _duplicates(pair)
    yield _near_copies(pair)


def _distinct_2(pair: Pair) -> Reading:
    types = richness(_pair_tables(pair), pair)
    tokens = pair.matched
    side = pair.design.side[pair.design.block]
    pairs = [max(int(np.maximum(tokens.lengths[which] - 1, 0).sum()), 1) for which in (~side, side)]
    return distinct_ratio(
        pair,
        types,
        what="token pairs",
        statistic="distinct-2",
        lengths=lengths_of(tokens, pair.design, gram=2),
        raw={
            "distinct_2_baseline": float(types.distinct[0, 0]) / pairs[0],
            "distinct_2_generation": float(types.distinct[1, 0]) / pairs[1],
        },
        notes=("length-matched",) if pair.matched_length is not None else (),
    )


def _pair_tables(pair: Pair) -> Iterator[CountTable]:
    """Counts of token pairs, one table for each share of the first tokens, so that memory does not grow with them."""
    ids, document = (
        pair.matched.ids,
        np.repeat(np.arange(pair.matched.lengths.size, dtype=np.int32), pair.matched.lengths),
    )
    within = document[:-1] == document[1:]
    parts = 1 + ids.size // _PORTION
    for part in range(parts):
        start = np.flatnonzero(within & (ids[:-1] % parts == part))
        codes = ids[start].astype(np.int64) * len(pair.tokens.vocabulary) + ids[start + 1]
        yield count_table(pair.design.block[document[start]], recoded(codes), pair.design.side.size)


def _effective_tokens(pair: Pair) -> Reading:
    table, collisions = pair.words, pair.words_swept.collisions
    if not collisions[0, 0] > 0:
        return NotMeasured(
            statistic="effective-tokens", reason="no two baseline texts share a token, so their number has no estimate"
        )
    if not collisions[1, 0] > 0:
        return NotMeasured(
            statistic="effective-tokens", reason="no two texts of the generation share a token; nothing is concentrated"
        )
    # A relabelling may leave no collision on a side: less than a single one keeps its logarithm finite.
    floor = 0.5 / table.lengths.sum() ** 2
    ratios = np.log(np.maximum(collisions[0], floor)) - np.log(np.maximum(collisions[1], floor))
    return estimate(
        math.exp(ratios[0]),
        pair.design.standard_error(_effective_influence(table, pair.design.side)),
        scale="log",
        worse="lower",
        p_value=permutation_p(ratios, worse="lower"),
        design=pair.design,
        method="block jackknife of ln(1/sum p^2), normal",
        statistic="effective-tokens",
        raw={
            "effective_tokens_baseline": 1 / float(collisions[0, 0]),
            "effective_tokens_generation": 1 / float(collisions[1, 0]),
        },
    )


def _effective_influence(table: CountTable, side: BoolArray) -> FloatArray:
    """Influence of every block on ln(1/sum p^2) of the generation less that of the baseline; shape (K,)."""
    influence = np.zeros(side.size)
    squares = np.asarray(table.counts.power(2).sum(axis=0), dtype=np.float64)
    for which, sign in ((side, -1.0), (~side, 1.0)):
        counts, lengths = table.on(which), table.lengths[which]
        same = (counts**2).sum() - squares[which].sum()
        pairs = lengths.sum() ** 2 - (lengths**2).sum()
        shared = (table.counts.T @ counts)[which] - squares[which]  # tokens that this block shares with the others
        pairs_without = (lengths.sum() - lengths) ** 2 - ((lengths**2).sum() - lengths**2)
        without = (same - 2 * shared) / np.maximum(pairs_without, 1.0)
        influence[which] = sign * jackknife(same / pairs, without) / (same / pairs)
    return influence


def _duplicates(pair: Pair) -> Estimate:
    table, texts = pair.whole_texts("folded")
    if pair.whole_texts_counted is not None:
        sides = [
            (each.copies.values.astype(float), each.copies.counts.astype(float)) for each in pair.whole_texts_counted
        ]
        evidence = _copied_most(pair, table, texts) if pair.evidence != "none" else ()
        return compare_copies(*sides, statistic="duplicates", evidence=evidence)
    copies = [_collision(table.on(side)) for side in (~pair.design.side, pair.design.side)]
    return _repeated(
        pair,
        table,
        what="texts",
        statistic="duplicates",
        raw={
            "same_text_probability_baseline": copies[0],
            "same_text_probability_generation": copies[1],
        },
        evidence=_copied_most(pair, table, texts) if pair.evidence != "none" else (),
    )


def _near_copies(pair: Pair) -> Estimate:
    cluster, text = pair.near_copies
    design = pair.design
    repeated = _repeated(
        pair,
        count_table(design.block, cluster, design.side.size),
        what="templates",
        statistic="near-copies",
        raw={},
        evidence=_templates(pair, cluster, text) if pair.evidence != "none" else (),
    )
    if repeated.value > 0 and _elsewhere(pair, np.bincount(cluster)[cluster] == 1) > _OTHER_SUBJECT:
        return dataclasses.replace(
            repeated,
            kind="move",
            explanation="the other texts have moved too: another subject may have brought its formulas",
        )
    return repeated


def _repeated(pair: Pair, table: CountTable, *, what: str, raw: dict[str, float], **details: Any) -> Estimate:
    """Rise of 1 - distinct types/documents, one type a document."""
    types = richness([table], pair)
    documents = side_sums(table.lengths[:, None], pair.relabellings)[:, :, 0]
    shares = 1.0 - types.distinct / documents
    change = shares[1] - shares[0]
    return estimate(
        float(change[0]),
        max(
            pair.design.standard_error(_duplicate_influence(table, types, pair.design.side)), rule_of_three(pair.design)
        ),
        scale="linear",
        worse="higher",
        p_value=permutation_p(change, worse="higher"),
        design=pair.design,
        method=f"block jackknife of distinct {what}, normal",
        raw={
            "unique_share_baseline": float(1 - shares[0, 0]),
            "unique_share_generation": float(1 - shares[1, 0]),
            **raw,
        },
        **details,
    )


def _elsewhere(pair: Pair, lone: BoolArray) -> float:
    """JS-excess of the texts where ``lone`` (shape (D,)) is True, nats: have those moved that repeat no other?"""
    tokens, side = pair.tokens, pair.design.side[pair.design.block]
    if min(np.count_nonzero(lone & side), np.count_nonzero(lone & ~side)) < MIN_UNITS:
        return 0.0
    kept = np.repeat(lone, tokens.lengths)
    block = np.repeat(pair.design.block, tokens.lengths)
    table = count_table(block[kept], tokens.ids[kept], pair.design.side.size)
    divergence = sweep(table, pair.relabellings[: _COMPARED + 1]).divergence
    return float(divergence[0] - divergence[1:].mean())


def _templates(pair: Pair, cluster: IntArray, text: IntArray) -> tuple[dict[str, object], ...]:
    """How often the generation's largest templates stand on either side, and their words, with slots."""
    side = pair.design.side[pair.design.block]
    baseline, generation = (np.bincount(cluster[side == of], minlength=cluster.max() + 1) for of in (False, True))
    shown = []
    for which in np.argsort(-generation, kind="stable")[:_SHOWN]:
        members = np.flatnonzero(cluster == which)
        if generation[which] > 1 and (words := template(pair.tokens, members, text[members])):
            counts = {"baseline_count": int(baseline[which]), "generation_count": int(generation[which])}
            shown.append({"kind": "template", "term": words, **counts})
    return tuple(shown)


def _collision(copies: FloatArray) -> float:
    """Probability that two texts drawn without replacement are the same: sum c(c-1)/(n(n-1)), unbiased whatever n."""
    n = copies.sum()
    return float((copies * (copies - 1)).sum() / (n * (n - 1))) if n > 1 else 0.0


def _duplicate_influence(table: CountTable, types: Richness, side: BoolArray) -> FloatArray:
    """Influence of every block on the duplicate share of its side; shape (K,)."""
    influence = np.zeros(side.size)
    for which, sign, distinct in ((~side, -1.0, types.distinct[0, 0]), (side, 1.0, types.distinct[1, 0])):
        documents = table.lengths[which].sum()
        left = np.maximum(documents - table.lengths[which], 1.0)
        without = 1.0 - (distinct - types.lone[which]) / left
        influence[which] = sign * jackknife(1.0 - distinct / documents, without)
    return influence


def _copied_most(pair: Pair, table: CountTable, texts: pa.Array) -> tuple[dict[str, object], ...]:
    """How often the most copied texts stand in the generation; the texts themselves only if asked for."""
    baseline, generation = table.on(~pair.design.side), table.on(pair.design.side)
    return tuple(
        {
            "kind": "duplicates",
            "generation_copies": int(generation[row]),
            "baseline_copies": int(baseline[row]),
            **({"text": texts[int(table.types[row])].as_py()} if pair.evidence == "texts" else {}),
        }
        for row in np.argsort(-generation, kind="stable")[:_SHOWN]
        if generation[row] > 1
    )
