"""Over a whole training, false alarms stay within alpha, however often the model is looked at."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.in_training.look import take_look
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.reports.document import Verdict
from collapse_audit.settings.config import AuditConfig
from collapse_audit.settings.merged import GateSettings

ALPHA = 0.5
"""So large that the rate can be told from nothing in few trainings; a look may spend 0.0025 of it."""
LOOKS = 20
PROBES = tuple(probe for probe in BUILTIN if probe.name == "repetition")
MARGINLESS = AuditConfig(
    alpha=ALPHA,
    gates={
        ("repetition", name): GateSettings(margin=-1.0, reason="", origin="") for name in ("seq-rep-4", "looping")
    },
)  # fmt: skip
"""Every change lies beyond such a margin, so p-values alone decide: the worst case."""


def texts(rng: np.random.Generator, count: int = 12) -> list[str]:
    """Of three words, so that 4-grams repeat."""
    return [" ".join(rng.choice(["a", "b", "c"], size=14)) for _ in range(count)]


@pytest.mark.calibration
def test_a_healthy_training_is_stopped_at_most_with_probability_alpha(request: pytest.FixtureRequest) -> None:
    """Baseline and all looks are draws of one source. The limit is the binomial 99.9% quantile of alpha's half: twenty
    looks spend a fifth of the half that the first hundred share, .05 in all.

    A negative control goes along: the same looks at the whole of alpha each must stop most trainings.
    """
    trainings = 20 if request.config.getoption("--reduced") else 200
    spent = ALPHA / 2 * LOOKS / 100
    stopped = naive = 0
    for seed in range(trainings):
        rng = np.random.default_rng([7, seed])
        baseline = sample_of(texts(rng), name=f"baseline {seed}")
        found = [sample_of(texts(rng), name=f"{seed} {k}") for k in range(LOOKS)]
        stopped += any(
            take_look(baseline, one, number=k, config=MARGINLESS, probes=PROBES).verdict is Verdict.COLLAPSE
            for k, one in enumerate(found, start=1)
        )
        naive += any(
            judged is not None and judged.outcome.value == "fail"
            for one in found
            for _, judged in trial(baseline, one, probes=PROBES, config=MARGINLESS).values()
        )
    assert stopped <= binom.ppf(0.999, trainings, spent)
    assert naive >= binom.ppf(0.001, trainings, 0.9)
