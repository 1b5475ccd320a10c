"""What findings say to a person without statistics, against sentences written by hand."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from collapse_audit.errors import ProbeError
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.design import Units
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured
from collapse_audit.reports._exhibits import exhibits
from collapse_audit.reports._format import at_floor, probability
from collapse_audit.reports._format import sentence as numbers
from collapse_audit.reports.document import Finding, Outcome
from collapse_audit.verdicts.rule import judge
from collapse_audit.verdicts.sentences import sentence, sentence_without

GATES = {f"{probe.name}/{gate.statistic}": gate for probe in BUILTIN for gate in probe.gates}


def told(
    gate: Gate | str,
    value: float,
    low: float,
    high: float,
    *,
    p: float = 0.001,
    units: Units | None = None,
    **details: Any,
) -> str:
    gate = GATES[gate] if isinstance(gate, str) else gate
    found = Estimate(
        value=value, low=low, high=high, method="m", p_value=p, n_baseline=750, n_generation=750, **details
    )
    judgement = judge(found, gate, p_adjusted=p, alpha=0.05)
    return sentence(gate, found, judgement, judged="generation 4", baseline="generation 0 (held-out)", units=units)


def test_an_open_question_counts_what_is_independent() -> None:
    runs = Units(count=7, name="runs of 64 neighbouring records", inferred=True)
    groups = Units(count=12, name="groups", inferred=False)
    assert told("tail-coverage/distinct-types", 0.9, 0.85, 0.95, units=runs).endswith(
        "; 750 texts (7 runs of 64 neighbouring records) a side cannot tell a loss of 10% in distinct words from "
        "chance, and more alone may not; records that are independent of each other would tell more, or give "
        "--group FIELD"
    )
    assert "; 750 texts (12 groups) a side cannot tell" in told(
        "tail-mass/tail-mass-ratio", 0.8, 0.7, 0.9, units=groups
    )
    assert "--group" not in told("tail-mass/tail-mass-ratio", 0.8, 0.7, 0.9, units=groups)


def test_what_no_number_of_texts_would_tell_says_what_is_not_at_hand() -> None:
    missing = "generation 4 of seed 0 has no adapter, where generations 0 have one: its model is not at hand"
    said = told("integrity/unchanged", 0.0, 0.0, 1.0, notes=("unknown",), explanation=missing)
    assert said.endswith(f"; {missing}")
    assert "750" not in said


def test_a_failure_says_what_is_left_and_what_is_allowed() -> None:
    assert told("tail-coverage/distinct-types", 0.38, 0.33, 0.42) == (
        "generation 4 uses 38% of the distinct words of generation 0; 90% is the least allowed"
    )
    assert told("repetition/looping", 0.31, 0.27, 0.35) == (
        "the share of texts that get stuck in a loop rose by 31 points in generation 4; "
        "a rise of 2.5 points is the most allowed"
    )


def test_a_pass_says_how_far_it_may_be_from_the_truth() -> None:
    assert told("tail-coverage/distinct-types", 0.99, 0.97, 1.01, p=0.4) == (
        "generation 4 uses 99% of the distinct words of generation 0 (at least 97%); 90% is the least allowed"
    )


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "did not change"), (0.0004, "hardly changed"), (-2e-7, "hardly changed")]
)
def test_a_change_that_rounds_to_nothing_has_no_number(value: float, words: str) -> None:
    said = told("repetition/looping", value, -0.01, 0.01, p=0.4)
    assert said.startswith(f"the share of texts that get stuck in a loop {words} in generation 4 (at most 1.0 points)")


def test_a_margin_of_nothing_has_no_number() -> None:
    none = {"worse": "lower", "margin": 1.0, "because": "b"}
    open_ = told(Gate(statistic="loudness", unit="ratio", **none), 0.99, 0.9, 1.1)
    assert "750 texts a side cannot tell any loss in loudness from chance" in open_
    none = {"worse": "higher", "margin": 0.0, "because": "b"}
    share = Gate(statistic="shouting", unit="share of letters", **none)
    assert "750 texts a side cannot tell any change in shouting from chance" in told(share, 0.01, -0.01, 0.03)
    assert told(share, 0.02, 0.01, 0.03).endswith("; no rise is allowed")


def test_a_move_says_that_it_is_no_loss() -> None:
    assert told("token-divergence/JS-excess", 0.0231, 0.02, 0.026).endswith(
        "lie 0.0231 nats from those of generation 0; 0.0100 nats is the most allowed, and a move alone is no loss"
    )


def test_an_open_question_says_what_would_answer_it() -> None:
    open_ = told("tail-coverage/distinct-types", 0.9, 0.85, 0.95, n_needed=lambda _: 4200.0)
    assert open_.endswith(
        "; 750 texts a side cannot tell a loss of 10% in distinct words from chance; about 4,200 would"
    )
    one_sided = told("tail-coverage/distinct-types", 0.9, 0.85, 0.95, n_needed=lambda _: 4200.0, notes=("one-sided",))
    assert one_sided.endswith("hold texts out on both sides, or pass --independent if no corpus was trained on another")


@pytest.mark.parametrize("needed", [630_000.0, 15_001.0, math.inf])
def test_a_number_that_nobody_collects_never_stands_alone(needed: float) -> None:
    open_ = told("tail-coverage/distinct-types", 0.9, 0.85, 0.95, n_needed=lambda _: needed)
    assert open_.endswith("a wider margin (collapse-audit calibrate proposes one) or another probe can tell")


@pytest.mark.parametrize("key", GATES)
@pytest.mark.parametrize("outcome", ["fail", "pass", "open"])
def test_every_built_in_statistic_has_words_of_its_own(key: str, outcome: str) -> None:
    gate = GATES[key]
    assert gate.plain
    assert gate.says
    side = -1 if gate.worse == "lower" else 1
    value = {"fail": gate.margin + side * 0.2, "pass": gate.margin - side * 0.2, "open": gate.margin}[outcome]
    said = told(gate, value, value - 0.01, value + 0.01)
    assert "generation 4" in said
    assert not re.search(r"[{}]|nan|inf\b|p =|interval|bound", said)


def test_a_probe_without_words_gets_a_sentence_of_its_numbers() -> None:
    ratio = Gate(statistic="loudness", unit="ratio", worse="lower", margin=0.8, because="b")
    assert told(ratio, 0.5, 0.4, 0.6) == (
        "loudness of generation 4 is 50% of that of generation 0; 80% is the least allowed"
    )
    share = Gate(statistic="shouting", unit="share of letters", worse="higher", margin=0.05, because="b")
    assert (
        told(share, 0.12, 0.1, 0.14)
        == "shouting rose by 12 points in generation 4; a rise of 5 points is the most allowed"
    )


def test_words_with_an_unknown_brace_are_refused() -> None:
    with pytest.raises(ProbeError, match=r"says = '\{generaton\}'"):
        Gate(statistic="s", unit="u", worse="higher", margin=1, because="b", says="{generaton}")


def test_no_value_says_why() -> None:
    gate = GATES["tail-mass/tail-mass-ratio"]
    assert (
        sentence_without(gate, "ZeroDivisionError: no")
        == "use of rare words: could not be measured (ZeroDivisionError: no)"
    )
    assert sentence_without(gate, NotMeasured(reason="no text")) == "use of rare words: not measured, because no text"
    assert sentence_without(gate, NotMeasured(reason="one side", neutral=False)).startswith(
        "use of rare words: nobody can tell"
    )


@pytest.mark.parametrize(("value", "shown"), [(0.8999, "89.99%"), (0.9001, "90.01%"), (0.9, "90%"), (0.904, "90.4%")])
def test_a_value_never_reads_like_the_margin_that_it_is_not(value: float, shown: str) -> None:
    assert f"uses {shown} of" in told("tail-coverage/distinct-types", value, value - 0.05, value + 0.05)


# --------------------------------------------------------------------------------------------------------- p-values


def finding(p: float, permutations: int | None) -> Finding:
    return Finding(
        probe="p",
        code="X",
        statistic="s",
        seed=None,
        generation=1,
        baseline="b",
        gating=True,
        outcome=Outcome.FAIL,
        value=1.0,
        unit="u",
        worse="higher",
        p_value=p,
        permutations=permutations,
        reason="r",
    )


def test_a_p_value_at_its_floor_is_shown_as_such() -> None:
    # 1 / 1,281 = .00078
    assert "p < .0008, the least that 1,280 permutations can show" in numbers(finding(1 / 1281, 1280))
    assert "p = .001, the least" not in numbers(finding(1 / 1000, 1280))
    assert "p < .001, the least that 999 permutations can show" in numbers(finding(1 / 1000, 999))
    assert not at_floor(finding(2 / 1281, 1280))
    assert not at_floor(finding(1e-14, 1280))  # counted exactly, as label coverage does: no permutation was drawn
    assert not at_floor(finding(1 / 1281, None))


@pytest.mark.parametrize("p", [0.99991, 0.9999999999999999])
def test_a_p_value_of_almost_one_is_no_row_of_nines(p: float) -> None:
    assert probability(p) == "> .9999"
    assert probability(1.0) == "= 1"


def test_words_that_mean_something_come_first() -> None:
    terms = [",", "<unk>", "lobe", "TI-RADS", "...", "12"]
    shown = exhibits({"kind": "term", "term": term, "baseline": 1, "generation": 2} for term in terms)
    assert [piece.quoted for piece in shown] == ["lobe", "TI-RADS", "12", ",", "<unk>", "..."]
