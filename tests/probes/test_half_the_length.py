"""Texts of which one side keeps the first half have lost length, and neither a kind of text nor rare words."""

from __future__ import annotations

import pytest

from benchmarks import what_it_sees
from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.probes.mode_coverage import mode_coverage
from collapse_audit.probes.rare_texts import rare_texts
from collapse_audit.reports.document import Outcome


@pytest.mark.parametrize("number", [22, 30, 35, 47])
def test_half_of_every_text_loses_no_kind_and_no_rare_words(number: int) -> None:
    """Of the pairs in which one or the other seemed lost when words beyond the cut counted: real text, 2,000 a side."""
    before, after, _ = what_it_sees.pair_of(what_it_sees.ROWS["half the length"], 2000, number)
    found = trial(sample_of(before, name="baseline"), sample_of(after, name="generation"), probes=PROBES)
    assert {key: judged.outcome for key, (_, judged) in found.items() if judged is not None} == dict.fromkeys(
        ((probe.name, gate.statistic) for probe in PROBES for gate in probe.gates), Outcome.PASS
    )


PROBES = (mode_coverage, rare_texts)
