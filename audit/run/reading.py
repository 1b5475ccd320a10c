"""A side of a comparison as a sample, and the label rule that reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from collapse_audit.engines.engine import Engine, Local
from collapse_audit.lineages.corpora.readers.formats import ALLOWED
from collapse_audit.lineages.corpora.shards import Checks, Shard, ShardReader, shards_of
from collapse_audit.lineages.disk.pack import is_pack, read_pack
from collapse_audit.lineages.files.door import reading, under
from collapse_audit.lineages.measured.scores import Scores, with_scores
from collapse_audit.probes.packs.packed_pair import PackedSample, packed_rule, packed_sample
from collapse_audit.probes.text.draw import PART, ROW, Draw, draw, together
from collapse_audit.probes.text.labels import AUTO_SHARE, EU_TIRADS, LabelRule, label_rule
from collapse_audit.probes.text.sample import Sample, sample_of
from collapse_audit.probes.text.tokens import Tokenizer
from collapse_audit.run.plan import Plan, Side
from collapse_audit.settings.config import AuditConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What some files of a corpus gave."""

    draw: Draw
    checks: Checks
    sizes: Mapping[int, int]
    """Documents of each file, by its number."""


def read_side(
    side: Side, config: AuditConfig, cutter: Tokenizer, scores: Sequence[Scores] = (), engine: Engine | None = None
) -> Sample:
    """The documents of ``side`` that are compared: the same ones each time, and with each engine. Raises InputError.

    ``scores``: likelihoods that lie beside the corpus and not in its records. ``engine``: None reads here.
    """
    corpus = side.corpus
    if is_pack(corpus.path):
        pack = read_pack(corpus.path, where=corpus.where)
        return packed_sample(pack, name=side.name, digest=corpus.digest, tokens=cutter.name)
    with reading(corpus.where or corpus.shown, f"a corpus file ({ALLOWED})", "unreadable"):
        shards = shards_of(corpus)
    reader = Local() if engine is None or corpus.memory is not None else engine
    read = reader.fold(
        shards,
        partial(_read, most=config.max_documents, seed=config.seed),
        _together,
        _settled,
        called=_name,
    )
    read.checks.require_clean(corpus)
    drawn = read.draw
    if scores:
        first = np.cumsum([0, *(read.sizes[number] for number in sorted(read.sizes))])
        rows = first[drawn.table[PART].to_numpy()] + drawn.table[ROW].to_numpy()
        where = corpus.where or corpus.shown
        drawn = replace(drawn, table=with_scores(drawn.table, rows, drawn.n_read, scores, where))
    return sample_of(drawn, name=side.name, digest=corpus.digest, tokenizer=cutter)


def _read(shard: Shard, *, most: int, seed: int) -> _Read:
    """One file, wherever this is called."""
    reader = ShardReader(shard)
    with under(shard.limits):
        drawn = draw(reader.batches(), part=shard.number, most=most, seed=seed)
    return _Read(draw=drawn, checks=reader.checks(), sizes={shard.number: drawn.n_read})


def _together(one: _Read, other: _Read) -> _Read:
    return _Read(
        draw=together(one.draw, other.draw),
        checks=one.checks.join(other.checks),
        sizes={**one.sizes, **other.sizes},
    )


def _settled(read: _Read) -> _Read:
    return replace(read, checks=read.checks.settled())


def _name(shard: Shard) -> str:
    return shard.name


def label_rule_of(config: AuditConfig, plan: Plan, baseline: Sample) -> LabelRule | None:
    """The label rule in force; ``auto`` looks at the baseline."""
    classes = plan.lineage.label_classes
    if isinstance(baseline, PackedSample):
        return packed_rule(baseline.pack, config.labels, classes=classes)
    if config.labels != "auto":
        return label_rule(config.labels, classes=classes)
    if baseline.label_field is not None:
        return label_rule("field", classes=classes)
    mentions = baseline.labels(EU_TIRADS).labelled
    return EU_TIRADS if mentions.mean() >= AUTO_SHARE else None
