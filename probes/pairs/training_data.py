"""Training data before anything is trained on them, beside people's text and whatever else they are held against."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.pairs.near_copies import clusters
from collapse_audit.probes.pairs.pair import Pair, encoded, joined
from collapse_audit.probes.statistics.design import IntArray
from collapse_audit.probes.text.folding import visible
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import WORDS, Tokens

NO_TEXTS = Sample(
    name="none",
    digest="",
    n_read=0,
    texts=pa.array([], pa.large_string()),
    tokens=Tokens(np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64), pa.array([], pa.large_string())),
    label_field=None,
    prompts=None,
    groups=None,
    nll=None,
)
"""The reference of data that come without one."""


@dataclass(frozen=True, kw_only=True)
class TrainingData(Pair):
    """The data (``generation``, N texts) beside the reference (``baseline``, R texts of people, none where R = 0).

    What is counted here is counted over all texts of both sides; only what is compared as a pair is cut to equal n.
    """

    evaluation: Sample | None = None
    """Texts that models are going to be evaluated on."""
    labelled: Sample | None = None
    """Texts whose labels say who wrote them: ``human`` or ``machine``."""
    phrases: tuple[str, ...] = ()
    """Phrases that give a chat model away."""

    @property
    def inseparable(self) -> str | None:
        """None: it makes no difference here which part of a record a model wrote."""
        return None

    @cached_property
    def side(self) -> IntArray:
        """0 for the R texts of the reference, 1 for the N of the data; shape (R + N,)."""
        return np.repeat([0, 1], (len(self.baseline), len(self.generation)))

    @cached_property
    def written(self) -> IntArray:
        """Rows of the texts of both sides that a reader sees something in."""
        return np.flatnonzero(~np.concatenate((self.baseline.empty, self.generation.empty)))

    @cached_property
    def text(self) -> IntArray:
        """Which text each of the R + N is, equal ones alike."""
        return np.asarray(self._texts.indices.to_numpy().astype(np.int64))

    @cached_property
    def _texts(self) -> pa.DictionaryArray:
        return encoded(self.baseline.folded, self.generation.folded)

    @cached_property
    def both(self) -> Tokens:
        """Tokens of the R + N texts, in one vocabulary."""
        return joined(self.baseline.tokens, self.generation.tokens, np.arange(self.side.size))

    @cached_property
    def near(self) -> IntArray:
        """The cluster of near-copies of each of the R + N texts; copies are near-copies."""
        return clusters(self.both, self.text, self._texts.dictionary)


def whole(sample: Sample) -> tuple[pa.Array, Tokens]:
    """The records of a sample as a model sees them, prompt and text, and their words; shape (N,)."""
    texts = sample.texts
    if sample.prompts is not None:
        prompts = pc.fill_null(sample.prompts.cast(pa.large_string()), "")
        texts = pc.binary_join_element_wise(prompts, texts, pa.scalar("\n", pa.large_string()))
    return texts, WORDS(visible(texts))
