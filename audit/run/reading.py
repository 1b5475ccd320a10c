"""A side of a comparison as a sample, and the label rule that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from collapse_audit.engines.engine import Engine
from collapse_audit.lineages.corpora.drawn import drawn_from
from collapse_audit.lineages.disk.pack import is_pack, read_pack
from collapse_audit.lineages.measured.scores import Scores, with_scores
from collapse_audit.probes.packs.packed_pair import PackedSample, packed_rule, packed_sample
from collapse_audit.probes.text.labels import AUTO_SHARE, EU_TIRADS, LabelRule, label_rule
from collapse_audit.probes.text.sample import Sample, sample_of
from collapse_audit.probes.text.tokens import Tokenizer
from collapse_audit.run.plan import Plan, Side
from collapse_audit.settings.config import AuditConfig


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
    found = drawn_from(corpus, engine, most=config.max_documents, seed=config.seed, tokens=config.tokens)
    drawn = found.draw
    if scores:
        table = with_scores(drawn.table, found.rows, drawn.n_read, scores, corpus.where or corpus.shown)
        drawn = replace(drawn, table=table)
    return sample_of(drawn, whole=found.whole, name=side.name, digest=corpus.digest, tokenizer=cutter)


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
