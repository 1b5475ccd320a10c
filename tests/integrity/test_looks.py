"""One look among many: its part of alpha, its correction, and what it can and cannot judge."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from models_on_disk import documents

from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.in_training import look as looks
from collapse_audit.in_training.look import take_look
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.reports.document import Outcome, Verdict
from collapse_audit.settings.config import AuditConfig
from collapse_audit.settings.merged import GateSettings
from collapse_audit.verdicts.sequential import alpha_at

DIVERSITY = tuple(probe for probe in BUILTIN if probe.name == "diversity")
STRICT = AuditConfig(
    gates={
        ("diversity", name): GateSettings(margin=margin, reason="", origin="")
        for name, margin in (("distinct-2", 1.0), ("effective-tokens", 1.0), ("duplicates", 0.0))
    }
)
"""No margin: whatever is significant fails."""


def narrow(seed: int, count: int) -> list[str]:
    return [" ".join(text.split()[:4] * 5) for text in documents(seed, count)]


def test_a_look_spends_its_own_part_of_alpha() -> None:
    sides = sample_of(documents(1)), sample_of(documents(2))
    for number in (1, 100, 101):
        look = take_look(*sides, number=number, config=AuditConfig(alpha=0.2), probes=DIVERSITY)
        assert look.alpha == alpha_at(number, 0.2)
        assert look.number == number


def test_damage_is_found_at_so_small_an_alpha_and_named() -> None:
    look = take_look(sample_of(documents(1, 120)), sample_of(narrow(2, 120)), number=1, config=AuditConfig())
    assert look.verdict is Verdict.COLLAPSE
    assert "repetition/seq-rep-4" in look.failed
    assert look.alpha < 0.001
    failed = {key for key, one in look.judgements.items() if one.outcome is Outcome.FAIL}
    assert {f"{probe}/{name}" for probe, name in failed} == set(look.failed)


def test_two_samples_of_one_source_are_not_collapse() -> None:
    look = take_look(sample_of(documents(1, 400)), sample_of(documents(2, 400)), number=1, config=AuditConfig())
    assert look.failed == ()
    assert look.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)


def test_only_suspected_probes_are_measured_again_with_the_permutations_that_alpha_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has a p-value is a test; 1/(B + 1) * size must not exceed alpha."""
    seen: list[tuple[tuple[str, ...], int]] = []

    def watched(*sides: Any, **details: Any) -> Any:
        probes = tuple(probe.name for probe in details["probes"])
        seen.append((probes, details["config"].permutations))
        return trial(*sides, **details)

    monkeypatch.setattr(looks, "trial", watched)
    narrowed = [*narrow(2, 30), *documents(2, 90)]
    look = take_look(sample_of(documents(1, 120)), sample_of(narrowed), number=1, config=AuditConfig())
    (first, few), (again, many) = seen
    assert few == 999
    assert set(again) < set(first)
    size = sum(len(probe.gates) for probe in BUILTIN if probe.name in first) - 5
    # (two plain facts of a file; no training texts to be recited, and no numbers, of which there are two statistics)
    assert many == size / look.alpha
    seen.clear()
    take_look(sample_of(documents(1, 120)), sample_of(documents(3, 120)), number=1, config=AuditConfig())
    assert [permutations for _, permutations in seen] == [999]


def test_a_failure_is_significant_after_correction_for_all_tests_of_the_look() -> None:
    """By hand: the p-values of a fine trial, times the number of tests, against the look's part of alpha."""
    sides = sample_of(documents(1, 60)), sample_of([*documents(2, 50), *documents(2, 10)])
    look = take_look(*sides, number=1, config=dataclasses.replace(STRICT, alpha=0.9), probes=DIVERSITY)
    readings = trial(*sides, probes=DIVERSITY, config=dataclasses.replace(STRICT, permutations=9999))
    p = {key: one.p_value for key, (one, _) in readings.items()}
    assert p["diversity", "duplicates"] * 3 < look.alpha * 0.9  # clear of the draw of permutations
    assert p["diversity", "effective-tokens"] > look.alpha
    assert look.judgements["diversity", "duplicates"].outcome is Outcome.FAIL
    assert look.judgements["diversity", "effective-tokens"].outcome is not Outcome.FAIL


def test_tests_that_nothing_hangs_on_count_in_the_correction_of_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of three is suspected, at half of the look's alpha: times three it is not significant, times one it is."""

    def by_hand(*_sides: Any, **details: Any) -> Any:
        half = details["config"].alpha / 2
        usual = {"method": "by hand", "n_baseline": 99, "n_generation": 99}
        ratio = Estimate(value=1.0, low=0.95, high=1.05, p_value=0.9, **usual)
        copies = Estimate(value=0.5, low=0.4, high=0.6, p_value=half, **usual)
        found = {"distinct-2": ratio, "effective-tokens": ratio, "duplicates": copies}
        return {("diversity", name): (one, None) for name, one in found.items()}

    monkeypatch.setattr(looks, "trial", by_hand)
    sides = sample_of(documents(1, 60)), sample_of(documents(2, 60))
    look = take_look(*sides, number=1, config=AuditConfig(), probes=DIVERSITY)
    assert {name: one.outcome for (_, name), one in look.judgements.items()} == {
        "distinct-2": Outcome.PASS,
        "effective-tokens": Outcome.PASS,
        "duplicates": Outcome.INCONCLUSIVE,
    }


def test_labels_are_read_out_of_texts_where_the_baseline_has_them() -> None:
    def reports(categories: str) -> list[str]:
        return [f"node {k % 7}, EU-TIRADS {categories[k % len(categories)]}" for k in range(300)]

    look = take_look(sample_of(reports("2345")), sample_of(reports("345")), number=1, config=AuditConfig())
    assert "label-coverage/retained-share" in look.failed
    plain = take_look(sample_of(documents(1)), sample_of(documents(2)), number=1, config=AuditConfig())
    assert not any(probe.startswith("label") for probe, _ in plain.judgements)
    by_field = AuditConfig(labels="field")  # a model writes no such field
    plain = take_look(sample_of(documents(1)), sample_of(documents(2)), number=1, config=by_field)
    assert not any(probe.startswith("label") for probe, _ in plain.judgements)
