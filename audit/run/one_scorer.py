"""Whose likelihoods an audit compares: one scorer's for all corpora of a seed, never two scorers' side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Set

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.probes.text.sample import GENERATION_0, Sample


def under_one_scorer(samples: Mapping[Corpus, Sample], compared: Set[Corpus]) -> tuple[dict[Corpus, Sample], list[str]]:
    """The samples with the likelihoods in force, and what to say of it.

    The records' own where every compared corpus has them. Else those of generation 0 beside the corpora, where one
    and the same scorer (by digest) has scored every compared corpus; records' own are then put aside. Else what there
    is in the records: a comparison in which one side has none is not measured.
    """
    if all(samples[corpus].nll is not None for corpus in compared):
        return dict(samples), []
    keys = [_generation_0(samples[corpus]) for corpus in compared]
    shared = set.intersection(*keys) if keys else set()
    if shared:
        scorer = min(shared)
        return {corpus: _scored(sample, scorer) for corpus, sample in samples.items()}, []
    if len(known := set.union(*keys, set())) > 1:
        names = ", ".join(_named(key) for key in sorted(known))
        return dict(samples), [
            f"scores by different models are not compared ({names}); run collapse-lineage score on the whole lineage"
        ]
    return dict(samples), []


def _generation_0(sample: Sample) -> set[str]:
    return {key for key in sample.scores if key.startswith(GENERATION_0)}


def _scored(sample: Sample, scorer: str) -> Sample:
    return dataclasses.replace(sample, nll=sample.scores.get(scorer))


def _named(key: str) -> str:
    name, _, digest = key.rpartition("@")
    return f"{name} {digest.removeprefix('sha256:')[:8]}"
