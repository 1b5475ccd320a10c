"""Words that vanished and that nothing replaced: the part of a moved distribution that is loss.

A change of subject empties some words and fills as many others; a loss empties words and fills none, or one. So what
vanished is set against what came anew, with a wide dead zone between "replaced" and "lost", under every relabelling.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import bdtr, bdtrik

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.bitwise import counted, packed
from collapse_audit.probes.statistics.design import BoolArray, Design, FloatArray, IntArray
from collapse_audit.probes.statistics.tables import CountTable, count_table, side_sums
from collapse_audit.probes.text.ngrams import distinct
from collapse_audit.probes.text.tokens import folded_words

LEAST = 10
"""Texts of both sides together that must hold a word for it to be told: all of them on one side are p = .001."""
THINNED = 4
"""A word counts as vanished if less than a quarter of its texts are left."""
REPLACED = 5
"""What vanished counts as replaced where a fifth of it came anew; it is lost as far as it is more than that."""
SURE, LIKELY = 0.001, 0.01
"""One-sided binomial levels at which a word vanished, and at which one came anew: doubt speaks for "replaced"."""
_BIN = 24
"""Texts a bin of rare numbers."""
_RELABELLINGS = 512
"""Relabellings that are gone through at a time."""


@dataclass(frozen=True, kw_only=True)
class CommonWords:
    """V words that stand in at least ten texts, and in how many texts of each of K blocks."""

    texts: CountTable
    """Counts of texts, words by blocks; ``frequency`` is texts of both sides together."""
    spelled: tuple[str | None, ...]
    """The words, in the order of the rows; None for a bin of rare numbers."""
    sure: IntArray
    """Shape (V,): texts left on one side up to which a word has vanished from it; -1 where it never can."""
    likely: IntArray
    """The same at the level that does for a word that came anew."""
    thin: IntArray
    """The same whether or not chance is excluded."""


def common_words(pair: Pair) -> CommonWords:
    """The words of ``pair`` in at least ten texts, case folded, at the common length; signs are no words.

    Numbers in fewer texts than ten are dealt out to bins of about 24 texts, by a hash of their digits. One by one they
    are too rare to be tested; if all numbers become one, most bins empty.
    """
    tokens, design = pair.matched, pair.design
    codes, names = folded_words(tokens.vocabulary)
    ids = codes[tokens.ids]
    document = np.repeat(np.arange(tokens.lengths.size, dtype=np.int64), tokens.lengths)
    width = max(len(names), 1)
    once = distinct(document[ids >= 0] * width + ids[ids >= 0])
    block, ids = design.block[once // width], once % width
    row = _binned(names, np.bincount(ids, minlength=width))[ids]
    named = count_table(block[row >= 0], row[row >= 0], design.side.size)
    total = np.asarray(named.counts.sum(axis=1)).astype(np.int64)
    order = np.argsort(-total, kind="stable")[: np.count_nonzero(total >= LEAST)]
    frequency = total[order]
    return CommonWords(
        texts=CountTable(
            counts=named.counts[order],
            types=named.types[order],
            frequency=frequency,
            lengths=np.bincount(block, minlength=design.side.size).astype(np.float64),
        ),
        spelled=tuple(names[code] if code < width else None for code in named.types[order]),
        sure=critical(frequency, SURE),
        likely=critical(frequency, LIKELY),
        thin=critical(frequency, 1.0),
    )


@dataclass(frozen=True, kw_only=True)
class Vanished:
    """Shares of words, each counted once a text, under every relabelling; shape (B + 1,), the observed one first."""

    net: FloatArray
    """What vanished from the baseline and was not replaced, less what came anew and replaced nothing."""
    replaced: FloatArray
    """What counts as replaced of what vanished: five times what came anew."""
    thinned: FloatArray
    """Everything that thinned to under a quarter, whether or not chance is excluded."""
    chance: FloatArray
    """What chance brings of that."""


def sweep_vanished(words: CommonWords, relabellings: npt.NDArray[np.uint8]) -> Vanished:
    """What vanished and what came anew for each row of ``relabellings`` (shape (B + 1, K))."""
    lengths = side_sums(words.texts.lengths[:, None], relabellings)[:, :, 0]
    a_side = np.maximum(lengths.mean(axis=0), 1.0)
    doubtful = 2 * by_chance(words.texts.frequency, words.likely) / a_side
    net, replaced, thinned = np.zeros((3, len(relabellings)))
    for start in range(0, len(relabellings), _RELABELLINGS):
        part = slice(start, start + _RELABELLINGS)
        change, back = changes(words, _few_left(words, relabellings[part]), lengths[:, part])
        replaced[part] = REPLACED * change.came(back, doubtful[part]).share
        returned = REPLACED * back.came(change, doubtful[part]).share
        net[part] = np.maximum(change.gone - replaced[part], 0.0) - np.maximum(back.gone - returned, 0.0)
        thinned[part] = change.sums(change.fall)
    chance = by_chance(words.texts.frequency, words.thin) / a_side
    return Vanished(net=net, replaced=replaced, thinned=thinned, chance=chance)


def _few_left(words: CommonWords, relabellings: npt.NDArray[np.uint8]) -> list[_Left]:
    """Where under ``relabellings`` (b, K) less than a quarter of a word's texts is left on side 1, and on side 0.

    Hardly any word under any relabelling, so only those are kept, in the order of the words.
    """
    found: list[list[_Left]] = [[], []]
    for rows, counts in counted(words.texts.counts, packed(relabellings), len(relabellings)):
        thin = words.thin[rows]
        for at, few in enumerate((counts <= thin[:, None], counts >= (words.texts.frequency[rows] - thin)[:, None])):
            word, column = np.nonzero(few)
            found[at].append(_Left(word + rows.start, column, counts[word, column].astype(np.int64)))
    none = np.zeros(0, dtype=np.int64)
    return [
        _Left(
            *(np.concatenate([none, *(getattr(each, name) for each in side)]) for name in ("word", "column", "count"))
        )
        for side in found
    ]


@dataclass(frozen=True, slots=True)
class _Left:
    """H words of which less than a quarter is left on a side under a relabelling; each of shape (H,)."""

    word: IntArray
    column: IntArray
    """The relabelling."""
    count: IntArray
    """Texts on side 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What came anew in the place of what went."""

    share: FloatArray
    """Shape (b,)."""
    counted: BoolArray
    """Shape (H,), as the change back: words whose gain counts in full."""


def changes(words: CommonWords, left: Sequence[_Left], lengths: FloatArray) -> tuple[Change, Change]:
    """From side 0 to side 1, and back; ``left``: what is left on side 1 and on side 0; ``lengths`` (2, b) words a
    side."""
    made = []
    for (here, there), each in zip(((0, 1), (1, 0)), left, strict=True):
        counts = np.stack((words.texts.frequency[each.word] - each.count, each.count))
        shares = counts / np.maximum(lengths, 1.0)[:, each.column]
        made.append(
            Change(
                word=each.word,
                column=each.column,
                fall=np.maximum(shares[here] - shares[there], 0.0),
                sure=counts[there] <= words.sure[each.word],
                likely=counts[there] <= words.likely[each.word],
                width=lengths.shape[1],
            )
        )
    return made[0], made[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Words of which one side has less than a quarter of the other's texts, under each of b relabellings; each of shape
    (H,), words in their order."""

    word: IntArray
    column: IntArray
    """The relabelling."""
    fall: FloatArray
    """By how much the word's share is less."""
    sure: BoolArray
    """Whether it has vanished for sure."""
    likely: BoolArray
    """Whether it has perhaps."""
    width: int
    """b."""

    def sums(self, falls: FloatArray) -> FloatArray:
        """Of all words, under each relabelling; shape (b,)."""
        return np.bincount(self.column, falls, self.width).astype(np.float64)

    @property
    def gone(self) -> FloatArray:
        """Share of all words that have vanished for sure; shape (b,)."""
        return self.sums(np.where(self.sure, self.fall, 0.0))

    def came(self, back: Change, doubtful: FloatArray) -> Came:
        """What came anew in the place of what went; ``back`` is the change from side 1 to side 0.

        No word that came stands for more than those that went do on average: a word that swallowed a hundred others
        replaces one of them. Words that came only perhaps count beyond ``doubtful``, twice what chance brings of them.
        """
        most = self.gone / np.maximum(self.sums((self.sure & (self.fall > 0)).astype(np.float64)), 1)
        capped = np.minimum(back.fall, most[back.column])
        sure = back.sums(np.where(back.sure, capped, 0.0))
        perhaps = back.sums(np.where(back.likely, capped, 0.0)) - doubtful
        larger = np.where((perhaps > sure)[back.column], back.likely, back.sure)
        return Came(
            share=np.maximum(sure, perhaps), counted=larger & (back.fall > 0) & (back.fall <= most[back.column])
        )


def critical(frequency: IntArray, level: float) -> IntArray:
    """Texts of ``frequency`` left on one side up to which a word has vanished from it: fewer than a quarter of the
    other side's, and at most ``level`` likely if each text's side were a coin's. Shape (V,); -1 where it never can."""
    thin = -(-frequency // (THINNED + 1)) - 1
    if level >= 1.0:
        return np.asarray(thin)
    likely = np.floor(np.nan_to_num(bdtrik(level, frequency, 0.5), nan=-1.0)) + 1  # one too many, or two by rounding
    for _ in range(3):
        likely = np.where(heads(likely, frequency) <= level, likely, likely - 1)
    return np.asarray(np.minimum(thin, likely.astype(np.int64)))


def heads(most: IntArray | FloatArray, tosses: IntArray) -> FloatArray:
    """P(at most ``most`` of ``tosses`` of a coin are heads); both of shape (V,). Not scipy.stats, which takes longer to
    import than a small audit to run."""
    return np.where(most < 0, 0.0, bdtr(np.clip(most, 0, tosses), tosses, 0.5))


def by_chance(frequency: IntArray, left: IntArray) -> float:
    """Texts that words lose by falling to ``left`` or below where each text's side is a coin's.

    The sum of E[(d - 2X) 1{X <= c}], where E[X 1{X <= c}] = d/2 P(X' <= c - 1) with X' of d - 1 tosses.
    """
    return float((frequency * (heads(left, frequency) - heads(left - 1, frequency - 1))).sum())


def influence(words: CommonWords, design: Design) -> FloatArray:
    """First-order effect of every block on the observed net loss, the vanished words being given; shape (K,)."""
    side = design.side
    lengths = np.array([[words.texts.lengths[which].sum()] for which in (~side, side)])
    doubtful = 2 * by_chance(words.texts.frequency, words.likely) / np.maximum(lengths.mean(axis=0), 1.0)
    there, back = changes(words, _few_left(words, side[None].astype(np.uint8)), lengths)
    weight = np.zeros(len(words.spelled))
    for mine, other in ((there, back), (back, there)):
        came = mine.came(other, doubtful)
        if mine.gone.sum() > REPLACED * came.share[0]:
            weight[mine.word[mine.sure & (mine.fall > 0)]] += 1
            weight[other.word[came.counted]] += REPLACED
    score = words.texts.counts.T @ weight
    moved = np.zeros(side.size)
    for which, sign, length in ((~side, 1.0, lengths[0, 0]), (side, -1.0, lengths[1, 0])):
        mean = score[which].sum() / max(length, 1.0)
        moved[which] = sign * (score[which] - mean * words.texts.lengths[which]) / max(length, 1.0)
    return moved


def _binned(names: list[str], frequency: IntArray) -> npt.NDArray[np.int64]:
    """Row of every word: its code, or that of a bin past all codes; -1 for words too rare to be told."""
    row = np.where(frequency >= LEAST, np.arange(frequency.size), -1)
    if not names:
        return row
    number = pc.match_substring_regex(pa.array(names, pa.large_string()), r"^\p{N}+$").to_numpy(zero_copy_only=False)
    rare = np.flatnonzero(number & (frequency < LEAST) & (frequency > 0))
    bins = int(frequency[rare].sum()) // _BIN
    if bins:
        row[rare] = frequency.size + np.array([zlib.crc32(names[i].encode()) % bins for i in rare], dtype=np.int64)
    return row
