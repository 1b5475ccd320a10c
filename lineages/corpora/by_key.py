"""A corpus, file by file, as what a private key draws of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import pyarrow as pa

from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.corpora.shards import Checks, ShardReader, shards_of
from collapse_audit.probes.packs.keyed import Key, ranked, smallest
from collapse_audit.probes.text.draw import RANK, Draw


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedDraw:
    """The documents of the smallest keyed hashes, of one part of a corpus or of several."""

    table: pa.Table
    """Columns of ``RECORDS`` and the hash; by hash."""
    n_read: int
    """Documents that they are drawn from."""
    most: int
    """How many are drawn at most; 0: all."""

    def join(self, other: KeyedDraw) -> KeyedDraw:
        """The draw of both parts; associative and commutative."""
        table = smallest((self.table, other.table), self.most)
        return KeyedDraw(table=table, n_read=self.n_read + other.n_read, most=self.most)

    def as_draw(self) -> Draw:
        """For a sample of it: its documents are in the order of the key."""
        return Draw(most=self.most, seed=0, n_read=self.n_read, table=self.table.drop_columns([RANK]))


def drawn_by_key(corpus: Corpus, key: Key, *, most: int) -> KeyedDraw:
    """Read all files of the corpus, each by itself. Raises InputError where anything is wrong with it."""
    if corpus.files is not None and corpus.files.documents:
        raise UsageError(
            f"{corpus.shown}: a folder of files that are a document each has no order that a key could hold on to; "
            'put them into one file of JSON lines: {"text": "…"}'
        )
    drawn: list[KeyedDraw] = []
    checks: list[Checks] = []
    for shard in shards_of(corpus):
        reader = ShardReader(shard)
        name = shard.corpus.shown.rpartition("/")[2]
        table, read = ranked(reader.batches(), key, file=name, most=most)
        drawn.append(KeyedDraw(table=table, n_read=read, most=most))
        checks.append(reader.checks())
    reduce(Checks.join, checks).require_clean(corpus)
    return reduce(KeyedDraw.join, drawn)
