"""CA706: how much of the training data reads like a machine's, by a detector whose errors are known?"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.pairs.pair import encoded, joined
from collapse_audit.probes.pairs.training_data import TrainingData
from collapse_audit.probes.statistics.design import BoolArray, FloatArray, IntArray
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading, Z
from collapse_audit.probes.text.detector import flagged, folds, held
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.types import data_probe

KINDS = ("human", "machine")
"""The labels of a labelled sample."""
_FEWEST = 30
"""Labelled texts of either kind."""
_APART = 0.20
"""By how much more often machine texts are flagged than human ones, at least: else nothing can be told."""
_RULE_OF_THREE = -math.log(0.05)


@data_probe(
    name="machine-text",
    code="CA706",
    needs=("text", "labelled"),
    gates=(
        Gate(
            statistic="machine-text",
            unit="share of documents",
            worse="higher",
            margin=0.90,
            because="a tenth of human text is the least that human-share asks for, by the same source",
            plain="texts of machines",
            says="an estimated {value} of the training texts are machines'",
        ),
    ),
    source="Rogan & Gladen 1978, doi 10.1093/oxfordjournals.aje.a112510 (a share from a test with known errors); "
    "Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y",
    since="0.2",
)
def machine_text(data: TrainingData) -> Reading:
    """How much of the training data reads like a machine's, by a detector whose errors are known?

    What it measures
        The share of texts that models wrote, estimated for the corpus as a whole. Of no single text anything is said:
        a detector is wrong too often for that, and here it is only counted how often.

    Formula and unit
        Naive Bayes on the words and word pairs of the labelled texts, in five parts: each part is classified by a
        detector that was trained on the other four (copies and groups stay together). So its sensitivity s (machine
        texts that are flagged) and its false alarms f (human texts that are) are those of new texts. Where a share q of
        the data is flagged, x = (q - f)/(s - f) are machines', with a 90% interval for the errors of q, s and f (delta
        method; no error is taken for smaller than what as few texts may hide).

    Why it signals collapse
        What ``human-share`` cannot see: text that came with the crawl, of people and models who are in no reference.

    When it misleads
        It finds texts like those that it was shown: of another model, another subject or after an editor's hand its
        errors are others, and nothing here would tell. Take the labelled sample from the data themselves, drawn at
        random, and label it by where each text came from.

    Needs
        Text, and a labelled sample (``--labelled``) whose records have the label ``human`` or ``machine``, 30 of each.
    """
    assert data.labelled is not None, "an audit without a labelled sample asks for no machine text"
    machine = _kinds(data.labelled)
    if isinstance(machine, NotMeasured):
        return machine
    texts = encoded(data.labelled.folded, data.generation.folded).indices.to_numpy().astype(np.int64)
    keys = _keys(data.labelled, texts[: machine.size])
    fold = folds(keys, data.stream("machine-text folds"))
    where = np.full(int(texts.max()) + 1, -1)
    where[texts[: machine.size]] = fold
    copies = where[texts]
    copies[: machine.size] = fold
    both = joined(data.labelled.tokens, data.generation.tokens, np.arange(texts.size))
    calls = flagged(held(both), machine, fold, copies)
    sensitivity, alarms = _rate(calls[: machine.size][machine]), _rate(calls[: machine.size][~machine])
    if sensitivity[0] - alarms[0] < _APART:
        return NotMeasured(
            reason=f"the detector flags {sensitivity[0]:.0%} of the labelled machine texts and {alarms[0]:.0%} of the "
            "human ones, and so does not tell them apart; label more texts, or other ones",
            neutral=False,
        )
    return _estimated(machine, calls[machine.size :], sensitivity, alarms)


def _kinds(labelled: Sample) -> BoolArray | NotMeasured:
    """Which of the L labelled texts are machines'; shape (L,)."""
    field = labelled.label_field
    flat = pa.array([], pa.string()) if field is None else pc.list_flatten(field)
    lengths = np.zeros(len(labelled)) if field is None else np.asarray(pc.fill_null(pc.list_value_length(field), 0))
    names = np.char.lower(np.array(flat.to_pylist() or [""], dtype=str))
    unknown = sorted(set(names.tolist()) - set(KINDS))
    if (lengths != 1).any() or unknown:
        seen = f"{unknown[0]!r}" if unknown and unknown[0] else "a text without one, or with several"
        why = f"every text of the labelled sample needs the label human or machine; there is {seen}"
        return NotMeasured(reason=why, neutral=False)
    machine = names == "machine"
    fewest = int(min(machine.sum(), (~machine).sum()))
    if fewest < _FEWEST:
        why = f"the labelled sample holds {fewest} texts of one kind; {_FEWEST} of each are the least"
        return NotMeasured(reason=why, neutral=False)
    return np.asarray(machine)


def _keys(labelled: Sample, texts: IntArray) -> IntArray:
    """What stays in one fold: a group where the records name one, else copies of one text; shape (L,)."""
    if labelled.groups is None:
        return texts
    return np.asarray(labelled.groups.dictionary_encode().indices.fill_null(-1).to_numpy()).astype(np.int64)


def _rate(calls: FloatArray) -> tuple[float, float]:
    """Share of flagged texts and its standard error, which is no less than what 0 of n may hide."""
    rate, n = float(calls.mean()), calls.size
    return rate, max(math.sqrt(rate * (1 - rate) / n), _RULE_OF_THREE / (Z * n))


def _estimated(
    machine: BoolArray,
    calls: FloatArray,
    sensitivity: tuple[float, float],
    alarms: tuple[float, float],
) -> Estimate:
    """The share of machine texts among the data; ``calls``, shape (N,): what share of the detectors flags each."""
    n, apart = calls.size, sensitivity[0] - alarms[0]
    flags = float(calls.mean())
    share = min(max((flags - alarms[0]) / apart, 0.0), 1.0)
    spread = [rate * (1 - rate) for rate in (sensitivity[0], alarms[0])]
    parts: Iterable[float] = (
        (share * spread[0] + (1 - share) * spread[1]) / n,
        (share * sensitivity[1]) ** 2,
        ((1 - share) * alarms[1]) ** 2,
    )
    error = math.sqrt(sum(parts)) / apart
    return Estimate(
        value=share,
        low=max(share - Z * error, 0.0),
        high=min(share + Z * error, 1.0),
        method="share corrected by cross-fitted errors, delta method",
        p_value=None,
        n_baseline=machine.size,
        n_generation=n,
        raw={
            "flagged": flags,
            "sensitivity": sensitivity[0],
            "false_alarms": alarms[0],
            "labelled_human": int((~machine).sum()),
            "labelled_machine": int(machine.sum()),
        },
        notes=("range",),
        explanation=f"the detector flags {sensitivity[0]:.0%} of labelled machine texts and {alarms[0]:.0%} of human "
        "ones; it speaks of the corpus, of no single text",
    )
