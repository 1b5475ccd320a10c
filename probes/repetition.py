"""CA301: do texts repeat themselves?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from collapse_audit.probes.design import BoolArray, FloatArray, IntArray
from collapse_audit.probes.pair import Pair, ngrams
from collapse_audit.probes.tokens import Tokens
from collapse_audit.probes.types import Gate, NotMeasured, Reading, probe

_ORDER = 4
_TIMES = 3
LONGEST_SPAN = 100
"""Tokens of the longest span that is looked for; the search costs one pass over the tokens a span length."""
_SHOWN = 5
_PRIVATE = 5
"""A term is shown only if at least this many documents hold it."""


@probe(
    name="repetition",
    code="CA301",
    needs=("text",),
    gates=(
        Gate(
            statistic="seq-rep-4",
            unit="share of 4-grams",
            worse="higher",
            margin=0.05,
            because="one 4-gram in twenty more is a repeat; human paragraphs repeat about one in a hundred",
        ),
        Gate(
            statistic="looping",
            unit="share of documents",
            worse="higher",
            margin=0.05,
            because="one text in twenty more gets stuck in a loop; human text hardly ever does",
        ),
    ),
    source="Welleck et al. 2019, arXiv:1908.04319 (seq-rep-n)",
    since="0.1",
)
def repetition(pair: Pair) -> Iterator[Reading]:
    """Do texts repeat themselves?

    What it measures
        Two things: the share of repeated 4-grams within a text, and the share of texts that loop.

    Formula and unit
        seq-rep-4 = 1 - unique 4-grams/4-grams of a text, mean over texts of at least 4 tokens; rise against the
        baseline. Where one side writes shorter texts both are cut to a common length first, because seq-rep grows with
        length. A text loops if a span of 1 to 100 tokens stands three times back to back anywhere in it, uncut.

    Why it signals collapse
        Probable continuations breed more of themselves: Shumailov et al. 2024 see phrases repeated over and over in
        late generations.

    When it misleads
        Tables, lists and verse repeat legitimately; the baseline carries them too, and only the rise counts.

    Needs
        Text.
    """
    yield _seq_rep(pair)
    yield _looping(pair)


def _seq_rep(pair: Pair) -> Reading:
    repeated, long_enough = seq_rep(pair.matched)
    side = pair.design.side[pair.design.block]
    if not long_enough[~side].any() or not long_enough[side].any():
        return NotMeasured(statistic="seq-rep-4", reason="no text of one side has 4 tokens")
    return pair.compare(
        repeated,
        long_enough.astype(np.float64),
        scale="linear",
        worse="higher",
        share=True,
        statistic="seq-rep-4",
        raw={
            "baseline": float(repeated[~side].sum() / long_enough[~side].sum()),
            "generation": float(repeated[side].sum() / long_enough[side].sum()),
            "too_short_baseline": int(np.count_nonzero(~long_enough[~side])),
            "too_short_generation": int(np.count_nonzero(~long_enough[side])),
        },
        evidence=_repeated_terms(pair) if pair.evidence != "none" else (),
        notes=("length-matched",) if pair.matched_length is not None else (),
    )


def _looping(pair: Pair) -> Reading:
    loops = looping(pair.tokens)
    side = pair.design.side[pair.design.block]
    evidence: tuple[dict[str, object], ...] = ()
    if pair.evidence == "texts":
        texts = pair.texts(generation=True).to_pylist()
        evidence = tuple({"kind": "texts", "text": texts[d]} for d in np.flatnonzero(loops[side])[:_SHOWN])
    return pair.compare(
        loops.astype(np.float64),
        scale="linear",
        worse="higher",
        share=True,
        statistic="looping",
        raw={
            "baseline": float(loops[~side].mean()),
            "generation": float(loops[side].mean()),
            "looping_documents": int(np.count_nonzero(loops[side])),
        },
        evidence=evidence,
    )


def seq_rep(tokens: Tokens, order: int = _ORDER) -> tuple[FloatArray, BoolArray]:
    """Share of repeated n-grams of every document, and where there are any n-grams; both of shape (D,)."""
    grams, document, _ = ngrams(tokens, order)
    n = tokens.lengths.size
    total = np.bincount(document, minlength=n)
    distinct = np.unique(document * (grams.max(initial=0) + 1) + grams)
    unique = np.bincount(distinct // (grams.max(initial=0) + 1), minlength=n)
    return 1.0 - unique / np.maximum(total, 1) - (total == 0), total > 0


def looping(tokens: Tokens) -> BoolArray:
    """Whether a span of 1..100 tokens stands three times back to back; shape (D,)."""
    document = np.repeat(np.arange(tokens.lengths.size), tokens.lengths)
    found = np.zeros(tokens.lengths.size, dtype=np.bool_)
    longest = int(tokens.lengths.max(initial=0)) // _TIMES
    for span in range(1, min(longest, LONGEST_SPAN) + 1):
        # Three copies of a span of s tokens: 2s consecutive tokens each equal to the one s places on.
        same = (tokens.ids[:-span] == tokens.ids[span:]) & (document[:-span] == document[span:])
        found[document[_runs(same, (_TIMES - 1) * span)]] = True
    return found


def _runs(flags: BoolArray, length: int) -> IntArray:
    """Starts of the maximal runs of True that are at least ``length`` long."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.view(np.int8), [0]))))
    starts, ends = edges[0::2], edges[1::2]
    return starts[ends - starts >= length]


def _repeated_terms(pair: Pair) -> tuple[dict[str, object], ...]:
    """The 4-grams that most texts of the generation repeat within themselves, each in at least 5 of its texts."""
    grams, document, start = ngrams(pair.matched, _ORDER)
    if not grams.size:
        return ()
    width = grams.max() + 1
    keys, times = np.unique(document * width + grams, return_counts=True)
    of_generation = pair.design.side[pair.design.block][keys // width]
    texts = np.bincount(keys[of_generation & (times > 1)] % width, minlength=width)
    most = [gram for gram in np.argsort(-texts, kind="stable")[:_SHOWN] if texts[gram] >= _PRIVATE]
    where = [start[np.flatnonzero(grams == gram)[0]] for gram in most]
    return tuple(
        {
            "kind": "repeated",
            "term": pair.spelled(pair.matched.ids[at : at + _ORDER]),
            "generation_documents": int(texts[gram]),
        }
        for gram, at in zip(most, where, strict=True)
    )
