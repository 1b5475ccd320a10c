"""CA301: do texts repeat themselves?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from collapse_audit.probes.packs import answers
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.prompts import compared
from collapse_audit.probes.statistics.design import BoolArray, IntArray
from collapse_audit.probes.statistics.lengths import MEASURABLE, least_cut
from collapse_audit.probes.statistics.readings import Gate, NotMeasured, Reading
from collapse_audit.probes.text.ngrams import distinct, recoded, truncated
from collapse_audit.probes.text.repeats import Repeats, repeated_grams
from collapse_audit.probes.text.tokens import Tokens
from collapse_audit.probes.trends import followed
from collapse_audit.probes.types import probe

_SHOWN = 5
_KEPT = 0.25
"""Share of the baseline's tokens that must be left after the cut for its repetition to be known."""
_LONG = 3 * MEASURABLE
"""Tokens of a text that is not short: texts cut to a half (``max_new_tokens``) have not degenerated."""
_SHORT = 0.05
"""Texts of fewer than 4 tokens, less the baseline's of fewer than 12, as a share from which nothing passes."""
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
            trend="seq-rep-4",
            plain="repeated phrases",
            says="the share of phrases that a text repeats {rise} in {generation}",
        ),
        Gate(
            statistic="looping",
            unit="share of documents",
            worse="higher",
            margin=0.025,
            because="one text in forty more gets stuck in a loop; at .05, loops in a tenth of wikitext paragraphs, "
            "of which 5% repeat a span by themselves, are found in only 70% of trials at n = 500",
            plain="texts that loop",
            says="the share of texts that get stuck in a loop {rise} in {generation}",
        ),
    ),
    source="Welleck et al. 2019, arXiv:1908.04319 (seq-rep-n)",
    since="0.1",
    followed=followed.seq_rep,
    compared=compared.repetition,
    packed=answers.repetition,
)
def repetition(pair: Pair) -> Iterator[Reading]:
    """Do texts repeat themselves?

    What it measures
        Two things: the share of repeated 4-grams within a text, and the share of texts that loop.

    Formula and unit
        seq-rep-4 = 1 - unique 4-grams/4-grams of a text, mean over texts of at least 4 tokens; rise against the
        baseline. Where one side writes shorter texts both are cut to a common length first, because seq-rep grows with
        length; never below the lower quartile of the shorter side. A text loops if a span of 1 to 100 tokens stands
        three times back to back anywhere in it, uncut, or a span of 1 to 500 characters that covers at least 48 (400
        where it holds no letter; a longer run of one sign counts for 8). Texts of fewer than 4 tokens cannot repeat
        themselves: where they are more than the baseline's texts of fewer than 12 by one text in twenty, or less than a
        quarter of the baseline's tokens is left after the cut, nothing passes.

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
    side = pair.design.side[pair.design.block]
    tokens, cut = _cut(pair, side)
    repeats = repeated_grams(tokens)
    share, long_enough = repeats.share, repeats.counted > 0
    if not long_enough[~side].any() or not long_enough[side].any():
        fewer = bool(long_enough[~side].any())  # the baseline can be measured: that is not nothing
        return NotMeasured(statistic="seq-rep-4", reason="no text of one side has 4 tokens", neutral=not fewer)
    reading = pair.compare(
        share,
        repeats.counted,
        scale="linear",
        worse="higher",
        share=True,
        statistic="seq-rep-4",
        raw={
            "baseline": float(share[~side].sum() / long_enough[~side].sum()),
            "generation": float(share[side].sum() / long_enough[side].sum()),
            "too_short_baseline": int(np.count_nonzero(~long_enough[~side])),
            "too_short_generation": int(np.count_nonzero(~long_enough[side])),
            **({} if cut is None else {"cut_to_tokens": cut}),
        },
        evidence=_most_repeated(pair, repeats) if pair.evidence != "none" else (),
        notes=() if cut is None else ("length-matched",),
    )
    kept = float(tokens.lengths[~side].sum() / max(pair.tokens.lengths[~side].sum(), 1))
    if kept < _KEPT:
        note = f"only {kept:.0%} of the baseline's tokens stand within the length of the generation's texts"
        return _without_pass(reading, note)
    return _without_pass(reading, _too_short(pair, side))


def _cut(pair: Pair, side: BoolArray) -> tuple[Tokens, int | None]:
    """The tokens, cut to a common length where lengths differ, and that length."""
    if pair.matched_length is None:
        return pair.tokens, None
    lengths = pair.tokens.lengths
    cut = max(pair.matched_length, least_cut(lengths[~side], lengths[side]))
    return truncated(pair.tokens, cut), cut


def _too_short(pair: Pair, side: BoolArray) -> str | None:
    """What to say where the generation's texts are too short to repeat themselves and the baseline's were not."""
    lengths = pair.tokens.lengths
    before, after = float((lengths[~side] < _LONG).mean()), float((lengths[side] < MEASURABLE).mean())
    if after - before <= _SHORT:
        return None
    return (
        f"{after:.0%} of the generation's texts hold fewer than {MEASURABLE} tokens, and {before:.0%} of the "
        f"baseline's fewer than {_LONG}: they are too short to repeat themselves, and that is no health"
    )


def _without_pass(reading: Reading, note: str | None) -> Reading:
    """The reading without an upper bound, so that it fails or is inconclusive, and why."""
    if note is None or isinstance(reading, NotMeasured):
        return reading
    return dataclasses.replace(
        reading,
        high=math.inf,
        minimum_detectable=None,
        n_needed=lambda _margin: math.inf,
        notes=(*reading.notes, "too-short"),
        explanation="; ".join(filter(None, (reading.explanation, note))),
    )


def _looping(pair: Pair) -> Reading:
    loops = np.concatenate((pair.baseline.loops, pair.generation.loops))[pair.design.kept]
    side = pair.design.side[pair.design.block]
    evidence: tuple[dict[str, object], ...] = ()
    if pair.evidence == "texts":
        texts = pair.texts(generation=True).to_pylist()
        evidence = tuple({"kind": "texts", "text": texts[d]} for d in np.flatnonzero(loops[side])[:_SHOWN])
    reading = pair.compare(
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
    return _without_pass(reading, _too_short(pair, side))


def _most_repeated(pair: Pair, repeats: Repeats) -> tuple[dict[str, object], ...]:
    """The 4-grams that most texts of the generation repeat within themselves, each in at least 5 of its texts."""
    generation = pair.design.side[pair.design.block][repeats.owners]
    spans, owners = repeats.spans[generation], repeats.owners[generation]
    codes = _span_codes(spans, len(pair.tokens.vocabulary))
    different = int(codes.max(initial=0)) + 1
    texts = np.bincount(distinct(owners * different + codes) % different)
    most = [code for code in np.argsort(-texts, kind="stable")[:_SHOWN] if texts[code] >= _PRIVATE]
    return tuple(
        {
            "kind": "repeated",
            "term": pair.spelled(spans[np.argmax(codes == code)]),
            "generation_documents": int(texts[code]),
        }
        for code in most
    )


def _span_codes(spans: IntArray, vocabulary: int) -> IntArray:
    """Spans (shape (R, n), n > 1) as 0, 1, 2, … in their order; shape (R,)."""
    codes = spans[:, 0]
    for column in spans.T[1:]:
        codes = recoded(codes.astype(np.int64) * vocabulary + column)
    return codes
