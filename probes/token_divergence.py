"""CA101: has the distribution of tokens moved?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from collapse_audit.probes.packs import answers
from collapse_audit.probes.pairs.pair import CURE, Pair
from collapse_audit.probes.pairs.vanished import LEAST, CommonWords, common_words, influence, sweep_vanished
from collapse_audit.probes.statistics.bitwise import counted, packed
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.estimates import estimate, permutation_p, settling_n
from collapse_audit.probes.statistics.readings import Z_POWER, Estimate, Gate, NotMeasured, RawPanel, Reading, Z
from collapse_audit.probes.statistics.tables import COARSE_BLOCKS, COMPARABLE, CountTable, go_on, side_sums
from collapse_audit.probes.text.tokens import tells_something
from collapse_audit.probes.types import probe

_SHOWN = 10
_LOOKED_AT = 5
"""Times as many terms are looked at for those that mean something to a reader."""
_ALPHA = 0.5
_LATE = 0.10
"""JS-excess, nats, from which the text as a whole has become another."""
_KL_REPLICATES = 200
"""Relabellings that estimate the bias of the displayed KL: its mean needs no thousand."""


@probe(
    name="token-divergence",
    code="CA101",
    needs=("text",),
    gates=(
        Gate(
            statistic="JS-excess",
            unit="nats",
            worse="higher",
            margin=0.01,
            because="word probabilities sharpened to p^1.1 move the text by .006 to .011 nats",
            part="bulk",
            late=_LATE,
            depends_on_n=True,
            kind="move",
            panels=tuple(
                RawPanel(picture="divergence", title=f"Words, {title}", unit="nats", generation=f"{key}_less_bias")
                for title, key in (
                    ("KL(baseline‖generation)", "kl_baseline_generation"),
                    ("KL(generation‖baseline)", "kl_generation_baseline"),
                )
            ),
            plain="use of words",
            says="the words of {generation} lie {value} from those of {baseline}",
        ),
        Gate(
            statistic="vanished",
            unit="share of words",
            worse="higher",
            margin=0.01,
            because="one of five languages lost shows as .02 to .11; two halves, or two subjects, stay under .003",
            part="tail",
            depends_on_n=True,
            plain="words that vanished",
            says="words that made up {value} of {baseline} vanished from {generation} and nothing took their place",
        ),
    ),
    source="Lin 1991, doi 10.1109/18.61115; bias removed by document permutation",
    since="0.1",
    packed=answers.common_words,
)
def token_divergence(pair: Pair) -> Iterable[Reading]:
    """Has the distribution of tokens moved, and how much of the move is loss?

    What it measures
        Jensen-Shannon divergence between the token distributions of the generation and its baseline, less its mean
        over document permutations: what sampling alone does not explain. And of the move what is loss: words that
        vanished, common ones included, and that nothing replaced.

    Formula and unit
        JS = (KL(P||M) + KL(Q||M))/2 with M = (P+Q)/2, in nats, on types that stand in at least 5 documents of the two
        corpora together; all others share one ``<rare>`` bin. (Where texts hold fewer than 3 tokens on average they are
        whole patterns, and every type keeps a bin.) JS-excess = JS - mean of JS over permutations.

        Vanished: words are counted once a text, case folded, signs left out. Of those in at least 10 texts of the two
        corpora together, G are the words that less than a quarter is left of (and by chance with p <= .001), N those of
        which the baseline has less than a quarter of the generation's. vanished(P, Q) = max(0, sum over G of (p - q)
        - 5 sum over N of min(q - p, the mean p - q of G)): a fifth that came anew counts as replaced, and no new word
        stands for more than one old one, so numbers that all become one are lost. The value is
        vanished(P, Q) - vanished(Q, P), as a share of words: 0 where a subject took the place of another, negative
        where words came and none went. Rarer numbers are put into bins by a hash.

    Why it signals collapse
        A model trained on its predecessor's texts gives common tokens more mass and rare ones less (Shumailov et al.
        2024, doi 10.1038/s41586-024-07566-y), so its token distribution drifts from the baseline's.

    When it misleads
        A change of subject moves tokens too: the p-value of the divergence speaks of any change, not only of collapse.
        Vanished does not see what goes without words of its own (a topic told in common words), nor a loss that came
        together with a new subject. Against the texts that the generation was trained on the divergence is too small;
        the upper bounds then come from the raw JS, and from all that thinned.

    Needs
        Text.

    Raw numbers
        KL both ways with add-0.5 smoothing. They depend on n, vocabulary and smoothing: never gate on them.
    """
    table = pair.words
    tokens = [float(table.lengths[pair.design.side == side].sum()) for side in (False, True)]
    if min(tokens) == 0:
        why = f"no text of the {'generation' if tokens[0] else 'baseline'} holds a token"
        return [NotMeasured(statistic=name, reason=why, neutral=False) for name in ("JS-excess", "vanished")]
    return [_divergence(pair, table), _vanished(pair)]


def _divergence(pair: Pair, table: CountTable) -> Estimate:
    js = pair.words_swept.divergence
    excess = float(js[0] - js[1:].mean())
    shares = _coarse_shares(table, pair.design.side)
    # The influence vanishes where the sides are alike; the spread under permutation takes over there.
    error = max(pair.design.standard_error(_influence(table, pair.design.side, shares)), float(js[1:].std()))
    return estimate(
        excess,
        error,
        scale="linear",
        worse="higher",
        p_value=permutation_p(js, worse="higher"),
        design=pair.design,
        method="influence function or permutation spread, normal",
        statistic="JS-excess",
        raw=_familiar(pair, table, float(js[0])),
        evidence=_moved_most(pair, table, shares),
        **_upper_bound(pair, table, float(js[0]), excess, error),
    )


def _vanished(pair: Pair) -> Reading:
    words = common_words(pair)
    baseline = float(words.texts.lengths[~pair.design.side].sum())
    if baseline == 0:
        return NotMeasured(statistic="vanished", reason="the baseline holds no word")
    swept = sweep_vanished(words, pair.relabellings)
    net, thinned = float(swept.net[0]), float(swept.thinned[0])
    error = max(pair.design.standard_error(influence(words, pair.design)), float(swept.net[1:].std()))
    # Where nothing vanished for sure: the spread of what chance thins, and one word that could just have been told.
    unseen = max(error, float(swept.thinned[1:].std()), LEAST / baseline / Z)
    # Against texts that the model was trained on, chance thins less than it seems.
    chance = 0.0 if pair.one_sided else float(swept.chance[0])
    slack = max(0.0, thinned - chance - float(swept.replaced[0]) - max(net, 0.0))
    counts = [words.texts.on(side) for side in (~pair.design.side, pair.design.side)]
    return estimate(
        net,
        error,
        scale="linear",
        worse="higher",
        p_value=permutation_p(swept.net, worse="higher"),
        design=pair.design,
        method="influence function or permutation spread, normal",
        statistic="vanished",
        high=net + slack + Z * unseen,
        deciding=unseen,
        raw={
            "thinned": thinned,
            "thinned_by_chance": float(swept.chance[0]),
            "replaced": float(swept.replaced[0]),
            "words_vanished": int(np.count_nonzero((counts[1] <= words.sure) & (counts[0] > counts[1]))),
            "words_new": int(np.count_nonzero((counts[0] <= words.sure) & (counts[1] > counts[0]))),
            "words_told": len(words.spelled),
        },
        evidence=_gone(pair, words, *counts),
        notes=(
            *(("one-sided",) if pair.one_sided else ()),
            *(("length-matched",) if pair.matched_length is not None else ()),
        ),
        explanation=f"upper bound from all that thinned, because {pair.one_sided}; {CURE}" if pair.one_sided else "",
    )


def _gone(
    pair: Pair, words: CommonWords, baseline: FloatArray, generation: FloatArray
) -> tuple[dict[str, object], ...]:
    """The words that vanished, those of most texts first; each stood in ten texts, most of them the baseline's."""
    if pair.evidence == "none":
        return ()
    gone = np.flatnonzero((generation <= words.sure) & (baseline > generation))
    return tuple(
        {
            "kind": "vanished",
            "term": words.spelled[row],
            "baseline_documents": int(baseline[row]),
            "generation_documents": int(generation[row]),
        }
        for row in gone[np.argsort(-baseline[gone], kind="stable")]
        if words.spelled[row] is not None
    )[:_SHOWN]


def _upper_bound(pair: Pair, table: CountTable, raw: float, excess: float, error: float) -> dict[str, Any]:
    """What replaces the usual upper bound where that one would promise too much. The lower bound always holds, because
    pooling types never raises a divergence."""
    seen_share = float(table.counts[: table.seen_apart].sum() / table.lengths.sum())
    if seen_share < COMPARABLE:
        return {
            "high": math.inf,
            "n_needed": lambda _margin: math.inf,
            "explanation": f"only {seen_share:.0%} of the tokens are of types that stand in enough texts to be "
            "compared; more or longer texts are needed",
        }
    if pair.one_sided is None:
        return {}
    n = min(pair.design.documents(side) for side in (False, True))

    def needed(margin: float) -> float:
        # The sampling bias of the raw JS falls as 1/n, the error as 1/sqrt(n).
        def settled(times: float) -> bool:
            bias, reach = (raw - excess) / times, (Z + Z_POWER) * error / math.sqrt(times)
            return max(excess, 0.0) + bias + reach <= margin or excess - reach > margin

        return settling_n(n, settled)

    return {
        "high": raw + Z * error,
        "n_needed": needed,
        "notes": ("one-sided",),
        "explanation": f"upper bound from the raw JS, because {pair.one_sided}; {CURE}",
    }


def _coarse_shares(table: CountTable, side: np.ndarray) -> FloatArray:
    """Token shares of the coarse types and, last, of everything rare; shape (2, C + 1), baseline first."""
    counts = np.stack([table.on(which)[: table.coarse] for which in (~side, side)])
    tokens = np.array([table.lengths[which].sum() for which in (~side, side)])
    shares: FloatArray = np.concatenate((counts, (tokens - counts.sum(axis=1))[:, None]), axis=1) / tokens[:, None]
    return shares


def _influence(table: CountTable, side: np.ndarray, shares: FloatArray) -> FloatArray:
    """First-order effect of every block on JS: the change of ½ ln(P/M) that its tokens bring, per token of its side."""
    influence = np.zeros(side.size)
    middle = shares.mean(axis=0)
    coarse = table.counts[: table.coarse]
    rare = table.lengths - np.asarray(coarse.sum(axis=0))
    for which, share in ((~side, shares[0]), (side, shares[1])):
        weight = np.where(share > 0, np.log(np.where(share > 0, share, 1.0) / np.where(middle > 0, middle, 1.0)) / 2, 0)
        score = coarse.T @ weight[:-1] + rare * weight[-1]
        length = table.lengths[which].sum()
        mean = score[which].sum() / length
        influence[which] = (score[which] - table.lengths[which] * mean) / length
    return influence


def _familiar(pair: Pair, table: CountTable, js: float) -> dict[str, float | int]:
    """KL both ways, raw and less its permutation mean, with what they depend on."""
    drawn = pair.relabellings[: _KL_REPLICATES + 1]
    tokens = side_sums(table.lengths[:, None], drawn)[:, :, 0]
    coarse = table.repeated[: table.coarse]
    totals = np.asarray(coarse.sum(axis=1), dtype=np.float64)
    smoothed_tokens = tokens + _ALPHA * (coarse.shape[0] + 1)
    rest, sums = tokens.copy(), np.zeros_like(tokens)
    for rows, counts in counted(coarse, packed(drawn), len(drawn)):
        generation = counts.astype(np.float64)
        both = np.stack((totals[rows, None] - generation, generation))
        rest -= both.sum(axis=1)
        _add_divergences(sums, both, smoothed_tokens)
    _add_divergences(sums, rest[:, None], smoothed_tokens)
    forward, reverse = sums
    return {
        "js": js,
        "kl_baseline_generation": float(forward[0]),
        "kl_generation_baseline": float(reverse[0]),
        "kl_baseline_generation_less_bias": float(forward[0] - forward[1:].mean()),
        "kl_generation_baseline_less_bias": float(reverse[0] - reverse[1:].mean()),
        "kl_smoothing": _ALPHA,
        "vocabulary": table.seen_apart + 1,
        "tokens_baseline": int(table.lengths[~pair.design.side].sum()),
        "tokens_generation": int(table.lengths[pair.design.side].sum()),
        "alike_p": pair.alike_p,
    }


def _add_divergences(sums: FloatArray, counts: FloatArray, tokens: FloatArray) -> None:
    """Add to KL(P||Q) and KL(Q||P), ``sums`` (2, b), what types add; ``counts`` (2, v, b), ``tokens`` (2, b) in all."""
    log = np.log((counts + _ALPHA) / tokens[:, None])
    p = np.exp(log)
    for so_far, shares, apart in zip(sums, p, (log[0] - log[1], log[1] - log[0]), strict=True):
        go_on(so_far, np.concatenate((so_far[None], shares * apart)))


def _moved_most(pair: Pair, table: CountTable, shares: FloatArray) -> tuple[dict[str, object], ...]:
    """The terms that contribute most to JS, those that mean something first; each stands in at least 5 documents."""
    if pair.evidence == "none":
        return ()
    p, q = shares[:, :-1]
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.nan_to_num(p * np.log(p / middle)) + np.nan_to_num(q * np.log(q / middle))
    parts[table.frequency[: table.coarse] < COARSE_BLOCKS] = 0.0  # terms of fewer texts are never shown
    most = [int(row) for row in np.argsort(-parts, kind="stable")[: _LOOKED_AT * _SHOWN] if parts[row] > 0]
    terms = {row: pair.tokens.vocabulary[int(table.types[row])].as_py() for row in most}
    return tuple(
        {"kind": "term", "term": terms[row], "baseline": float(p[row]), "generation": float(q[row])}
        for row in sorted(most, key=lambda row: not tells_something(terms[row]))[:_SHOWN]
    )
