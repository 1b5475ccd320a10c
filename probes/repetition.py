"""CA301: do texts repeat themselves?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import IntArray
from collapse_audit.probes.statistics.readings import Gate, NotMeasured, Reading
from collapse_audit.probes.text.repeats import repeated_grams
from collapse_audit.probes.types import probe

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
            margin=0.025,
            because="one text in forty more gets stuck in a loop; at .05, loops in a tenth of wikitext paragraphs, "
            "of which 5% repeat a span by themselves, are found in only 70% of trials at n = 500",
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
    repeats, grams, spans, owners = repeated_grams(pair.matched)
    long_enough = grams > 0
    share = repeats / np.maximum(grams, 1)
    side = pair.design.side[pair.design.block]
    if not long_enough[~side].any() or not long_enough[side].any():
        return NotMeasured(statistic="seq-rep-4", reason="no text of one side has 4 tokens")
    return pair.compare(
        share,
        long_enough.astype(np.float64),
        scale="linear",
        worse="higher",
        share=True,
        statistic="seq-rep-4",
        raw={
            "baseline": float(share[~side].sum() / long_enough[~side].sum()),
            "generation": float(share[side].sum() / long_enough[side].sum()),
            "too_short_baseline": int(np.count_nonzero(~long_enough[~side])),
            "too_short_generation": int(np.count_nonzero(~long_enough[side])),
        },
        evidence=_most_repeated(pair, spans[side[owners]], owners[side[owners]]) if pair.evidence != "none" else (),
        notes=("length-matched",) if pair.matched_length is not None else (),
    )


def _looping(pair: Pair) -> Reading:
    loops = np.concatenate((pair.baseline.loops, pair.generation.loops))[pair.design.kept]
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


def _most_repeated(pair: Pair, spans: IntArray, owners: IntArray) -> tuple[dict[str, object], ...]:
    """The 4-grams that most texts of the generation repeat within themselves, each in at least 5 of its texts."""
    once_a_text = np.unique(np.column_stack((owners, spans)), axis=0)[:, 1:]
    terms, texts = np.unique(once_a_text, axis=0, return_counts=True)
    most = [row for row in np.argsort(-texts, kind="stable")[:_SHOWN] if texts[row] >= _PRIVATE]
    return tuple(
        {"kind": "repeated", "term": pair.spelled(terms[row]), "generation_documents": int(texts[row])} for row in most
    )
