"""How many of N texts were taken out of a reference, told by those of its texts that nothing else in it is like.

A text that many people could have written says nothing when it turns up again; one that stands alone among its kind is
a mark. A share s of the reference's texts are marks. Of texts that were taken out of it as many are; of texts that
somebody wrote on his own, a share g hit a mark by chance. So u of N hits are s x + g (1 - x) of a share x of taken
texts, and x = (u/N - g)/(s - g).

The chance g is read off the reference itself. By exchangeability a text more hits a mark as often as a text of the
reference would among its others, and it would where it stands in a pair: g is the share of texts that stand in pairs
(Good 1953, doi 10.1093/biomet/40.3-4.237: what stands there twice tells how often a new one meets what stands there
once). Somebody who writes less like the reference than its own authors hits fewer, down to none, so the upper bound
takes g for 0 and the lower one for as much as it may be.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, gammaln, ndtri

from collapse_audit.probes.statistics.design import FloatArray, IntArray

_STEPS = 60
"""Halvings in which a bound is found, to more digits than a float has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What N texts have in common with a reference of R, each of its marks hit once at most.

    >>> found = Marked.counted(np.array([1, 1, 1, 2, 2, 4]), np.array([3, 1, 0, 1, 0, 0]))
    >>> found.n, found.hits, found.marks, found.known  # 5 texts hit 2 of 3 marks; of 11 known texts 4 stand in pairs
    (5, 2, 3, 11)
    >>> round(found.chance, 6), round(found.value, 6)  # (.4 - 4/11)/(3/11 - 4/11): pairs outweigh the marks
    (0.363636, 0.0)
    """

    n: int
    """N, all texts in which the hits were looked for."""
    hits: int
    """u, marks that stand among them."""
    marks: int
    """Texts of the reference that nothing else in it is like."""
    pairs: int
    """How often two of its texts are like each other, and nothing else is like them."""
    known: int
    """R, all texts of the reference."""
    complete: bool = True
    """Whether the N texts are all, or a part that was drawn at random."""

    @classmethod
    def counted(cls, theirs: IntArray, mine: IntArray, *, n: int | None = None, complete: bool = True) -> Marked:
        """Of each kind of text, how often it stands in the reference (``theirs``) and in the data (``mine``).

        ``n``: the number of data where some are of no kind.
        """
        return cls(
            n=int(mine.sum()) if n is None else n,
            hits=int(np.count_nonzero((theirs == 1) & (mine > 0))),
            marks=int(np.count_nonzero(theirs == 1)),
            pairs=int(np.count_nonzero(theirs == 2)),
            known=int(theirs.sum()),
            complete=complete,
        )

    @property
    def share(self) -> float:
        """s: which share of the reference the marks are."""
        return self.marks / self.known if self.known else 0.0

    @property
    def chance(self) -> float:
        """g: how often a text of another author hits a mark."""
        return 2 * self.pairs / self.known if self.known else 0.0

    def chance_at_most(self, alpha: float) -> float:
        """The upper bound of g; two texts of a pair are one observation (Clopper & Pearson)."""
        half = self.known // 2
        return 1.0 if self.pairs >= half else float(betaincinv(self.pairs + 1, half - self.pairs, 1 - alpha))

    @property
    def value(self) -> float:
        """x beyond what chance explains, in [0, 1]."""
        if self.share <= self.chance:
            return 0.0
        return min(max((self.hits / self.n - self.chance) / (self.share - self.chance), 0.0), 1.0)

    def at_least(self, alpha: float) -> float:
        """The lower bound of x, g as large as it may be: where the hits are as many as their mean and the errors of who
        was taken and who hit by chance allow (normal approximation, solved for x as Wilson's is)."""
        g, seen, z = self.chance_at_most(alpha), self.hits / self.n, -float(ndtri(alpha))
        if self.share <= g:
            return 0.0

        def beyond(x: float) -> bool:
            spread = x * self.share * (1 - self.share) + (1 - x) * g * (1 - g)
            if not self.complete:
                spread += x * (1 - x) * (self.share - g) ** 2
            return seen - (x * self.share + (1 - x) * g) > z * math.sqrt(spread / self.n)

        return _last(beyond)

    def at_most(self, alpha: float) -> float:
        """The upper bound of x, g = 0: the most texts H, drawn from the reference, of which so few could be marks.

        Where all were looked at, P(u or fewer) is hypergeometric: exact. Where only a part was, the share of hits has
        its binomial bound (Clopper & Pearson).
        """
        if not self.marks:
            return 1.0
        if not self.complete:
            top = 1.0 if self.hits >= self.n else float(betaincinv(self.hits + 1, self.n - self.hits, 1 - alpha))
            return min(top / self.share, 1.0)
        least, most = self.hits, min(self.n, self.known)
        while least < most:
            middle = (least + most + 1) // 2
            if self._so_few(middle) > alpha:
                least = middle
            else:
                most = middle - 1
        return least / self.n

    def _so_few(self, taken: int) -> float:
        """P(at most u marks among ``taken`` texts of the reference)."""
        others = self.known - self.marks
        k = np.arange(max(taken - others, 0), min(self.hits, taken, self.marks) + 1)
        if not k.size:
            return 0.0
        logs = _choose(self.marks, k) + _choose(others, taken - k) - _choose(self.known, np.array([taken]))
        return float(np.exp(logs).sum())


def _choose(n: int, k: IntArray) -> FloatArray:
    """Logarithms of binomial coefficients; shape of ``k``."""
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))


def _last(holds: Callable[[float], bool]) -> float:
    """The largest x in [0, 1] up to which ``holds`` is true, 0 where it never is."""
    low, high = 0.0, 1.0
    if not holds(0.0):
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
