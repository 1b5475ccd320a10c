"""Some of the documents of a sample, as a sample of their own."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collapse_audit.probes.text.ngrams import take
from collapse_audit.probes.text.sample import Sample, rows_of

IntArray = npt.NDArray[np.int64]


def taken(sample: Sample, rows: IntArray, *, keys: IntArray | None = None) -> Sample:
    """The documents at ``rows`` (some perhaps more than once), with prompts and groups of the rows ``keys``."""
    places = rows if keys is None else keys
    index, key_index = pa.array(rows), pa.array(places)
    drawn = dataclasses.replace(
        sample,
        digest=_digest(sample.digest, rows, places),
        n_read=rows.size,
        whole=None,
        texts=sample.texts.take(index),
        tokens=take(sample.tokens, rows),
        label_field=None if sample.label_field is None else sample.label_field.take(index),
        prompts=None if sample.prompts is None else sample.prompts.take(key_index),
        groups=None if sample.groups is None else sample.groups.take(key_index),
        numeric=rows_of(sample.numeric, rows),
        nll=rows_of(sample.nll, rows),
        n_tokens=rows_of(sample.n_tokens, rows),
        score=rows_of(sample.score, rows),
        embeddings=rows_of(sample.embeddings, rows),
        scores={name: values[rows] for name, values in sample.scores.items()},
    )
    vars(drawn)["loops"] = sample.loops[rows]  # a property of each text: not looked for again in every trial
    return drawn


def _digest(of: str, *rows: IntArray) -> str:
    return hashlib.sha256(f"{of}|".encode() + b"".join(row.astype("<i8").tobytes() for row in rows)).hexdigest()
