"""Kinds whose generations are all drawn from one model of the whole source, a unigram or bigram model.

Generation 0 is drawn from the model as it is, so that generations differ from it by the damage alone. Generation k is
drawn from the model damaged k times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.lineages.simulation.chain import WordChain, entropy, kept_mass, sharpening_kl
from collapse_audit.lineages.simulation.output import Output, as_records, new_lineage, require_some
from collapse_audit.lineages.simulation.source import Source


def simulate_sharpen(
    source: Source,
    output: Output,
    *,
    gamma: float = 1.2,
    order: int = 1,
    documents: int | None = None,
    generations: int = 1,
) -> Path:
    """Words are drawn from p^gamma: what a temperature of 1 / gamma does."""
    chains = [WordChain.fit(source.texts, order=order)]
    for _ in range(generations):
        chains.append(chains[-1].sharpened(gamma))
    truth: dict[str, Any] = {"gamma": [gamma**times for times in range(generations + 1)]}
    if order == 1:
        p = chains[0].shares()
        truth["kl_of_generation_0"] = [sharpening_kl(p, gamma**times) for times in range(generations + 1)]
        truth["entropy"] = [entropy(chain.shares()) for chain in chains]
    decoding = [{"method": "sampling", "temperature": gamma**-times} for times in range(generations + 1)]
    return _drawn(source, output, chains, decoding, documents, kind="sharpen", gamma=gamma, truth=truth)


def simulate_top_p(
    source: Source,
    output: Output,
    *,
    mass: float = 0.9,
    order: int = 1,
    documents: int | None = None,
    generations: int = 1,
) -> Path:
    """Words are drawn from the smallest set of most probable ones that holds ``mass`` (nucleus sampling)."""
    chains = [WordChain.fit(source.texts, order=order)]
    for _ in range(generations):
        chains.append(chains[-1].truncated(mass))
    truth: dict[str, Any] = {"cut_off": list(range(generations + 1))}
    if order == 1:
        kept = [kept_mass(chains[0], chain) for chain in chains]
        truth |= {"kept_mass": kept, "kl_to_generation_0": [float(-np.log(mass)) for mass in kept]}
    decoding = [{"method": "sampling", **({"top_p": mass} if times else {})} for times in range(generations + 1)]
    return _drawn(source, output, chains, decoding, documents, kind="top-p", mass=mass, truth=truth)


def _drawn(
    source: Source,
    output: Output,
    chains: Sequence[WordChain],
    decoding: Sequence[Mapping[str, Any]],
    documents: int | None,
    *,
    kind: str,
    truth: Mapping[str, Any],
    **parameters: Any,
) -> Path:
    """One generation from each chain, all of them models of the reference."""
    size = len(source.records) if documents is None else documents
    require_some(size, len(chains) - 1)
    model = {"kind": ("unigram", "bigram")[chains[0].order - 1]}
    with new_lineage(output) as draft:
        draft.add_reference(source.records)
        for index, chain in enumerate(chains):
            output.progress(f"generation {index}")
            texts, holdout = (as_records(chain.sample(size, output.rng(index, role))) for role in (0, 1))
            draft.add_generation(
                index, texts, holdout, trained_on={"reference": 1.0}, decoding=decoding[index], model=model
            )
        parameters |= {"order": chains[0].order, "documents": size}
        draft.finish(output, kind=kind, parameters=parameters, source=source.facts, truth=truth)
    return output.out
