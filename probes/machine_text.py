"""CA706: how much of the training data reads like a machine's, by a detector whose errors are known?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.pairs.pair import encoded, joined
from collapse_audit.probes.pairs.training_data import TrainingData
from collapse_audit.probes.statistics.design import BoolArray, FloatArray, IntArray
from collapse_audit.probes.statistics.mixture import Misfit, misfit, worth
from collapse_audit.probes.statistics.readings import RULE_OF_THREE, Estimate, Gate, NotMeasured, Reading, Z
from collapse_audit.probes.text.detector import FOLDS, folds, scored
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.types import data_probe

KINDS = ("human", "machine")
"""The labels of a labelled sample."""
_FEWEST = 30
"""Labelled texts of either kind."""
_APART = 0.20
"""By how much more often machine texts are flagged than human ones, at least: else nothing can be told."""
_WRONG = 0.10
"""What may be wrong in the share because the data fit no mixture, at most: the human tenth that the margin is about."""


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
    "Forman 2008, doi 10.1007/s10618-008-0097-y (the same of texts, under another share); "
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
        the data is flagged, x = (q - f)/(s - f) are machines', whatever the share in the sample, with a 90% interval
        for the errors of q, s and f (delta method; no error is taken for smaller than what as few texts may hide).
        The data should then be a mixture of the labelled kinds in all else too: the largest difference between the
        distribution functions of odds, and of unknown words, and those of the best mixture is the misfit. What chance
        does not explain of it, over s - f, may be wrong in x: the interval is as much wider, and beyond a tenth
        nothing is said.

    Why it signals collapse
        What ``human-share`` cannot see: text that came with the crawl, of people and models who are in no reference.

    When it misleads
        It finds texts like those that it was shown, and its errors are those of the labelled sample. Data of another
        subject, another model or after an editor's hand mostly fit no mixture of the two kinds, which is said; human
        texts that changed in nothing but towards machines' would fit, and be called so. Take the labelled sample from
        the data themselves, drawn at random, and label it by where each text came from.

    Needs
        Text, and a labelled sample (``--labelled``) whose records have the label ``human`` or ``machine``, 30 of each.
    """
    assert data.labelled is not None, "an audit without a labelled sample asks for no machine text"
    machine = _kinds(data.labelled)
    if isinstance(machine, NotMeasured):
        return machine
    texts = encoded(data.labelled.folded, data.generation.folded).indices.to_numpy().astype(np.int64)
    keys = _keys(data.labelled, texts[: machine.size])
    rng = data.stream("machine-text folds")
    fold = folds(keys, rng)
    where = np.full(int(texts.max()) + 1, -1)
    where[texts[: machine.size]] = fold
    copies = where[texts]
    copies[: machine.size] = fold
    both = joined(data.labelled.tokens, data.generation.tokens, np.arange(texts.size))
    scores = scored(both, machine, fold)
    calls = scores.flagged(copies)
    rates = _Rates.of(calls[: machine.size], machine, keys)
    if rates.apart < _APART:
        return NotMeasured(
            reason=f"the detector flags {rates.sensitivity:.0%} of the labelled machine texts and {rates.alarms:.0%} "
            "of the human ones, and so does not tell them apart; label more texts, or other ones",
            neutral=False,
        )
    asked = np.where(copies >= 0, copies, rng.integers(0, FOLDS, size=copies.size))
    away = _misfit(scores.readings(asked), machine, keys, texts, rng)
    if away.beyond > _WRONG * rates.apart:
        return NotMeasured(
            reason=f"the data are not like the labelled sample: no mixture of its two kinds comes nearer than "
            f"{away.distance:.2f} to what the detector reads off them, where chance leaves {away.by_chance:.2f}, so "
            "its error rates are not those of these data; draw the sample from them at random",
            neutral=False,
        )
    return _estimated(machine, calls[machine.size :], rates, away)


@dataclass(frozen=True, slots=True)
class _Rates:
    """How often labelled texts are flagged, and the standard errors."""

    sensitivity: float
    sensitivity_error: float
    alarms: float
    alarms_error: float

    @classmethod
    def of(cls, calls: FloatArray, machine: BoolArray, keys: IntArray) -> _Rates:
        """Of L labelled texts, those of one key together."""
        return cls(*_rate(calls[machine], keys[machine]), *_rate(calls[~machine], keys[~machine]))

    @property
    def apart(self) -> float:
        """By how much more often machine texts are flagged."""
        return self.sensitivity - self.alarms


def _misfit(
    readings: FloatArray, machine: BoolArray, keys: IntArray, texts: IntArray, rng: np.random.Generator
) -> Misfit:
    """How far the data are from a mixture of the labelled kinds; ``readings``, (L + N, 2), the labelled ones first."""
    labelled = readings[: machine.size]
    return misfit(
        (labelled[~machine], labelled[machine]),
        readings[machine.size :],
        rng,
        sizes=(worth(keys[~machine]), worth(keys[machine]), worth(texts[machine.size :])),
    )


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


def _rate(calls: FloatArray, keys: IntArray) -> tuple[float, float]:
    """Share of flagged texts and its standard error, texts of one key as one observation; it is no less than what 0 of
    as many may hide."""
    rate, n = float(calls.mean()), calls.size
    _, of = np.unique(keys, return_inverse=True)
    error = math.sqrt(float(np.square(np.bincount(of, calls - rate)).sum())) / n
    return rate, max(error, RULE_OF_THREE / (Z * worth(keys)))


def _estimated(machine: BoolArray, calls: FloatArray, rates: _Rates, away: Misfit) -> Estimate:
    """The share of machine texts among the data; ``calls``, shape (N,): what share of the detectors flags each."""
    n, flags = calls.size, float(calls.mean())
    share = min(max((flags - rates.alarms) / rates.apart, 0.0), 1.0)
    spread = [rate * (1 - rate) for rate in (rates.sensitivity, rates.alarms)]
    parts: Iterable[float] = (
        (share * spread[0] + (1 - share) * spread[1]) / n,
        (share * rates.sensitivity_error) ** 2,
        ((1 - share) * rates.alarms_error) ** 2,
    )
    error = (Z * math.sqrt(sum(parts)) + away.beyond) / rates.apart
    told = (
        f"the detector flags {rates.sensitivity:.0%} of labelled machine texts and {rates.alarms:.0%} of human ones, "
        "and so of the data if they are like the sample; it speaks of the corpus, of no single text"
    )
    if away.beyond:
        told += (
            f"; the data are {away.distance:.2f} from the nearest mixture of the two kinds, chance leaves "
            f"{away.by_chance:.2f}: the interval is wider by that"
        )
    return Estimate(
        value=share,
        low=max(share - error, 0.0),
        high=min(share + error, 1.0),
        method="share corrected by cross-fitted errors, delta method, and the misfit of the mixture",
        p_value=None,
        n_baseline=machine.size,
        n_generation=n,
        raw={
            "flagged": flags,
            "sensitivity": rates.sensitivity,
            "false_alarms": rates.alarms,
            "labelled_human": int((~machine).sum()),
            "labelled_machine": int(machine.sum()),
            "misfit": away.distance,
            "misfit_by_chance": away.by_chance,
        },
        notes=("range",),
        explanation=told,
    )
