"""A corpus read by an engine, file by file: what is drawn of it, and what is counted over all of it.

Whoever reads a file imports this module and no more: no statistics, and nothing that looks at reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from collapse_audit.engines.engine import Engine, Local
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.corpora.readers.formats import ALLOWED
from collapse_audit.lineages.corpora.shards import Checks, Shard, ShardReader, shards_of
from collapse_audit.lineages.files.door import reading, under
from collapse_audit.probes.text.census import Census, census
from collapse_audit.probes.text.draw import PART, ROW, Count, Draw, draw, together


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What some files of a corpus gave."""

    draw: Draw
    checks: Checks
    sizes: Mapping[int, int]
    """Documents of each file, by its number."""
    whole: Census | None = None
    """Counts over all documents, where not all were drawn; there once the last file has been read."""

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Which of all documents of the corpus, in the order of its files, were drawn; shape (N,)."""
        first = np.cumsum([0, *(self.sizes[number] for number in sorted(self.sizes))])
        table = self.draw.table
        return np.asarray(first[table[PART].to_numpy()] + table[ROW].to_numpy(), dtype=np.int64)


def drawn_from(corpus: Corpus, engine: Engine | None = None, *, most: int, seed: int, tokens: str) -> Drawn:
    """At most ``most`` documents (0: all), the same ones whichever engine reads (None: this process), and where that is
    not all, counts over all, in tokens as the setting ``tokens`` cuts them.

    Raises InputError where anything is wrong with the corpus.
    """
    with reading(corpus.where or corpus.shown, f"a corpus file ({ALLOWED})", "unreadable"):
        shards = shards_of(corpus)
    reader = Local() if engine is None or corpus.memory is not None else engine
    count = partial(census, tokens=tokens, seed=seed)
    read: Drawn = reader.fold(
        shards,
        partial(read_shard, most=most, seed=seed, count=count),
        partial(joined, count=count),
        partial(settled, count=count),
        called=_name,
    )
    read.checks.require_clean(corpus)
    return read


def read_shard(shard: Shard, *, most: int, seed: int, count: Count) -> Drawn:
    """One file, wherever this is called. Nothing is raised that is wrong with it."""
    reader = ShardReader(shard)
    with under(shard.limits):
        found = draw(reader.batches(), part=shard.number, most=most, seed=seed, count=count)
    return Drawn(draw=found, checks=reader.checks(), sizes={shard.number: found.n_read})


def joined(one: Drawn, other: Drawn, *, count: Count) -> Drawn:
    """What the files of both gave; associative and commutative."""
    return Drawn(
        draw=together(one.draw, other.draw, count),
        checks=one.checks.join(other.checks),
        sizes={**one.sizes, **other.sizes},
    )


def settled(drawn: Drawn, *, count: Count) -> Drawn:
    """What of all files together is wanted: no more need travel. The documents that were drawn are counted too."""
    left_out = drawn.draw.left_out
    return Drawn(
        draw=replace(drawn.draw, left_out=None),
        checks=drawn.checks.settled(),
        sizes=drawn.sizes,
        whole=None if left_out is None else (left_out + count(drawn.draw.table)).settled(),
    )


def _name(shard: Shard) -> str:
    return shard.name
