"""Makes lineages whose truth is known, one function a kind: what ``collapse-lineage simulate`` runs.

Three families, by what generations are made of:

* ``healthy``, ``label-loss``, ``duplicate``, ``loop``, ``perplexity-shift``: the source's own documents, split at
  random so that no two corpora share one (planted.py).
* ``sharpen``, ``top-p``: words drawn from one model of the whole source (drawn.py).
* ``wright-fisher``, ``ngram``: each generation learns from what the one before wrote (trained.py); so do ``discrete``,
  ``gaussian``, ``mixture`` and ``vae``, which write numbers; of ``clipped`` a rule is all there is (numbered.py).

And two that make no generation: ``thyroid``, the texts that a first model is to be trained on (thyroid.py), and
``thyroid-table``, the same as a clinic's table with all that can be wrong in one (thyroid_table.py).

The damage itself, as functions from texts to texts, is in damage.py, chain.py, ngram.py and
wright_fisher.py. Every generation has held-out texts. The same seed gives the same files.

>>> sorted(KINDS)[:3]
['clipped', 'discrete', 'duplicate']
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from collapse_audit.lineages.simulation.drawn import simulate_sharpen, simulate_top_p
from collapse_audit.lineages.simulation.numbered import (
    simulate_clipped,
    simulate_discrete,
    simulate_gaussian,
    simulate_mixture,
    simulate_vae,
)
from collapse_audit.lineages.simulation.output import Output
from collapse_audit.lineages.simulation.planted import (
    simulate_duplicate,
    simulate_healthy,
    simulate_label_loss,
    simulate_loop,
    simulate_perplexity_shift,
)
from collapse_audit.lineages.simulation.source import Source, read_source
from collapse_audit.lineages.simulation.thyroid import simulate_thyroid
from collapse_audit.lineages.simulation.thyroid_table import simulate_thyroid_table
from collapse_audit.lineages.simulation.trained import simulate_ngram, simulate_wright_fisher

__all__ = ["KINDS", "REFERENCES", "Output", "Source", "read_source"]

KINDS: Mapping[str, Callable[..., Path]] = {
    "healthy": simulate_healthy,
    "label-loss": simulate_label_loss,
    "duplicate": simulate_duplicate,
    "loop": simulate_loop,
    "perplexity-shift": simulate_perplexity_shift,
    "sharpen": simulate_sharpen,
    "top-p": simulate_top_p,
    "wright-fisher": simulate_wright_fisher,
    "ngram": simulate_ngram,
    "discrete": simulate_discrete,
    "gaussian": simulate_gaussian,
    "mixture": simulate_mixture,
    "vae": simulate_vae,
    "clipped": simulate_clipped,
}
"""Kind to function: ``(source, output, **parameters)``, without a source for ``wright-fisher``
and those that write numbers; returns the folder."""

REFERENCES: Mapping[str, Callable[..., Path]] = {"thyroid": simulate_thyroid, "thyroid-table": simulate_thyroid_table}
"""Kinds that write a reference, or a table to make one of, and no generation: ``(output, **parameters)``; returns the
folder."""
