"""What hangs on its p-value is measured again with four times the permutations, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import small_lineages
from stub_probes import BAD, FINE, by_place, constant, run, stub

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import Estimate, Gate
from collapse_audit.reports.document import Outcome
from collapse_audit.run.second_look import finer
from collapse_audit.verdicts.family import judge_family


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return small_lineages.tiny(tmp_path / "tiny")


def at_the_floor(pair: Pair) -> Estimate:
    return replace(BAD, p_value=1 / (pair.permutations + 1))


def unlucky(pair: Pair) -> Estimate:
    """Of the first 999 permutations 59 are as bad, of 3,996 four: p = .06, then 5 / 3,997."""
    return replace(BAD, p_value=0.06 if pair.permutations == 999 else 5 / 3997)


def test_a_finding_beyond_its_margin_is_tested_by_four_times_the_permutations(tiny: Path) -> None:
    report = run(tiny, stub("floor", at_the_floor), stub("unlucky", unlucky), constant("fine", FINE))
    found = by_place(report)
    floor, other, fine = (found[1, name] for name in ("floor", "unlucky", "fine"))
    assert (floor.outcome, floor.permutations, floor.p_value) == (Outcome.FAIL, 3996, 1 / 3997)
    assert floor.p_adjusted == pytest.approx(3 / 3997)  # Holm over three findings
    assert (other.outcome, other.p_adjusted) == (Outcome.FAIL, pytest.approx(2 * 5 / 3997))
    assert (fine.outcome, fine.permutations, fine.p_value) == (Outcome.PASS, 999, 0.9)


def test_what_does_not_hang_on_it_is_measured_once(tiny: Path) -> None:
    calls: list[int] = []

    def counted(pair: Pair) -> Estimate:
        calls.append(pair.permutations)
        return replace(FINE, low=0.5, high=1.5, p_value=0.001)

    [finding] = run(tiny, stub("open", counted)).findings
    assert (finding.outcome, calls) == (Outcome.INCONCLUSIVE, [999])


def test_where_alpha_is_small_all_are_measured_with_few_and_what_hangs_with_as_many_as_alpha_asks_for(
    tiny: Path,
) -> None:
    """Two findings at alpha .0005 need 2 / .0005 = 4,000 permutations; four times as many are drawn, of one."""
    report = run(tiny, stub("floor", at_the_floor), constant("fine", FINE), sets=["alpha=0.0005"])
    found = by_place(report)
    floor, fine = (found[1, name] for name in ("floor", "fine"))
    assert (floor.outcome, floor.permutations) == (Outcome.FAIL, 16_000)
    assert (fine.outcome, fine.permutations) == (Outcome.PASS, 999)
    assert any(note.startswith("16,000 permutations were drawn where the verdict hangs") for note in report.notes)


def test_only_the_statistic_that_hangs_takes_the_second_reading(tiny: Path) -> None:
    def both(pair: Pair) -> list[Estimate]:
        told = pair.permutations / 100_000
        return [replace(at_the_floor(pair), statistic="g0"), replace(FINE, statistic="g1", value=told)]

    first, second = run(tiny, stub("two", both, gates=2)).findings
    assert (first.permutations, second.permutations, second.value) == (3996, 999, 0.00999)


def test_those_that_are_not_looked_at_again_count_as_last_and_keep_their_own_correction() -> None:
    """Three tests. a is looked at again: 3 x .01. b and c keep Holm of the first look among .02, .001, .5: b 3 x .001,
    c at last .5. Were b counted before a, a would have been 2 x .01."""
    gate = Gate(statistic="s", unit="u", worse="higher", margin=1.0, because="a test")
    estimates = {"a": replace(BAD, p_value=0.01), "b": replace(FINE, p_value=0.001), "c": replace(FINE, p_value=0.5)}
    judged = judge_family(
        estimates,
        dict.fromkeys(estimates, gate),
        alpha=0.05,
        later={"b", "c"},
        first_look={"a": 0.02, "b": 0.001, "c": 0.5},
    )
    assert {key: one.p_adjusted for key, one in judged.items()} == pytest.approx({"a": 0.03, "b": 0.003, "c": 0.5})
    assert [judged[key].outcome for key in "abc"] == [Outcome.FAIL, Outcome.PASS, Outcome.PASS]
    assert "shift" in judged["b"].notes


@pytest.mark.parametrize(
    ("permutations", "blocks", "drawn"),
    [(999, 4_000, 3996), (999, 100_000, 2684), (5_000, 100_000, 5_000), (999, 0, 3996)],
)
def test_memory_and_time_stay_bounded(permutations: int, blocks: int, drawn: int) -> None:
    """At most 2^28 = 268,435,456 blocks times permutations, and never fewer than before."""
    assert finer(permutations, blocks) == drawn
