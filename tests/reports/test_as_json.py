"""report.json: what the schema promises is what is written, and damage of any kind is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest
from examples import EXAMPLES, finding, healthy, report

from collapse_audit.errors import ProbeError
from collapse_audit.reports import as_json, as_junit, as_markdown, as_text
from collapse_audit.reports.document import AuditReport, Interval, Outcome, Verdict
from collapse_audit.reports.from_json import schema

# The fields as the contract lists them, and those that the dataclasses add.
REPORT = (
    "format_version tool lineage config seed verdict exit_code stage findings trends environment summary notes "
    "baselines stages survival recipe histograms copying decoding training examples"
)
FINDING = (
    "probe code statistic seed generation baseline gating outcome value unit interval margin p_value p_adjusted "
    "n_baseline n_generation n_units units minimum_detectable n_needed raw evidence reason seconds worse "
    "margin_reason notes waiver pass_margin kind sentence permutations judged"
)


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema())


def with_finding(**fields: Any) -> AuditReport:
    """A passing report whose only finding has these fields."""
    made = finding("looping", 2, Outcome.PASS, (0.01, 0.0, 0.02), seed="1")
    return report([replace(made, **fields)], Verdict.PASS, 0, "pass [exit 0]")


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_rendered_satisfies_the_schema(name: str) -> None:
    validator().validate(json.loads(as_json.render(EXAMPLES[name]())))


def test_schema_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_schema_names_the_fields_of_the_contract_and_no_others() -> None:
    assert set(schema()["properties"]) == set(REPORT.split())
    assert set(schema()["$defs"]["finding"]["properties"]) == set(FINDING.split())


def test_a_full_finding_carries_every_field() -> None:
    waiver = {"probe": "repetition", "owner": "Ann", "reason": "known", "expires": "2027-01-31", "origin": "our.toml"}
    made = with_finding(
        margin_reason="x",
        pass_margin=0.02,
        n_needed=5,
        minimum_detectable=0.1,
        waiver=waiver,
        permutations=9,
        judged="the data",
        n_units=7,
        units="groups",
    )
    assert set(json.loads(as_json.render(made))["findings"][0]) == set(FINDING.split())


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_is_null_and_no_number_is_lost(name: str) -> None:
    text = as_json.render(EXAMPLES[name]())
    assert "null" not in text.replace('"null"', "")
    assert json.loads(text, parse_constant=pytest.fail)


def test_what_was_not_measured_is_absent() -> None:
    made = json.loads(as_json.render(EXAMPLES["nothing_measured"]()))["findings"][0]
    assert {"value", "interval", "p_value", "seed"}.isdisjoint(made)


def test_unbounded_end_of_an_interval_is_absent() -> None:
    made = with_finding(interval=Interval(low=0.0, high=None, level=0.9, method="m"))
    assert json.loads(as_json.render(made))["findings"][0]["interval"] == {"low": 0.0, "level": 0.9, "method": "m"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_equal_reports_are_equal_bytes_in_sorted_ascii(name: str) -> None:
    first, second = as_json.render(EXAMPLES[name]()), as_json.render(EXAMPLES[name]())
    assert first == second
    assert first.isascii()
    assert first.endswith("}\n")
    parsed = json.loads(first)
    assert list(parsed) == sorted(parsed)


def test_order_of_keys_in_a_mapping_does_not_matter() -> None:
    one = replace(healthy(), environment={"a": 1, "b": 2})
    other = replace(healthy(), environment={"b": 2, "a": 1})
    assert as_json.render(one) == as_json.render(other)


def test_numbers_are_written_in_full() -> None:
    made = json.loads(as_json.render(with_finding(value=0.1 + 0.2)))
    assert made["findings"][0]["value"] == 0.1 + 0.2


def test_numbers_of_numpy_are_numbers() -> None:
    raw = {"a": np.float64(0.5), "b": np.int64(3), "c": np.bool_(True), "d": [np.float32(0.25)]}
    made = json.loads(as_json.render(with_finding(raw=raw)))
    assert made["findings"][0]["raw"] == {"a": 0.5, "b": 3, "c": True, "d": [0.25]}


def test_half_a_surrogate_pair_becomes_its_visible_escape() -> None:
    made = json.loads(as_json.render(with_finding(reason="x\ud800y")))
    assert made["findings"][0]["reason"] == "x\\ud800y"


NOT_FINITE: dict[str, dict[str, Any]] = {
    "value": {"value": math.nan},
    "p_value": {"p_value": math.inf},
    "margin": {"margin": -math.inf},
    "interval: high": {"interval": Interval(low=0.0, high=math.inf, level=0.9, method="m")},
    "raw: KL": {"raw": {"KL": math.inf}},
    "evidence[1]: ratio": {"evidence": ({"ratio": 1.0}, {"ratio": math.nan})},
    "raw: list[0]": {"raw": {"list": [np.float32("nan")]}},
}


@pytest.mark.parametrize("where", NOT_FINITE)
@pytest.mark.parametrize("render", [as_json.render, as_junit.render, as_markdown.render, as_text.render])
def test_number_that_is_not_finite_is_refused_by_every_format(where: str, render: Callable[..., str]) -> None:
    with pytest.raises(ProbeError) as caught:
        render(with_finding(**NOT_FINITE[where]))
    assert str(caught.value).startswith(f"finding repetition / looping of generation 2 (seed 1): {where} is ")
    assert str(caught.value).endswith("; numbers in a report are finite, or absent")


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, [None]])
def test_value_that_json_does_not_know_is_refused_by_name(value: object) -> None:
    with pytest.raises(
        ProbeError, match=r"^finding repetition / looping of generation 2 \(seed 1\): raw: x.* is of type"
    ):
        as_json.render(with_finding(raw={"x": value}))


def test_two_keys_that_read_the_same_are_refused() -> None:
    with pytest.raises(ProbeError, match="two entries that both read '1'"):
        as_json.render(with_finding(raw={1: "a", "1": "b"}))


def _drop(data: dict[str, Any], *path: str) -> None:
    *parents, last = path
    for each in parents:
        data = data[each]
    del data[last]


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "unknown key": lambda data: data.update(colour="red"),
    "unknown key in a finding": lambda data: data["findings"][0].update(colour="red"),
    "unknown key in an interval": lambda data: data["findings"][0]["interval"].update(mid=0.5),
    "unknown key in tool": lambda data: data["tool"].update(colour="red"),
    "unknown key in lineage": lambda data: data["lineage"].update(colour="red"),
    "outcome": lambda data: data["findings"][0].update(outcome="passed"),
    "verdict": lambda data: data.update(verdict="fail"),
    "stage": lambda data: data.update(stage="middle"),
    "exit code": lambda data: data.update(exit_code=7),
    "exit code of another verdict": lambda data: data.update(exit_code=1),
    "format version": lambda data: data.update(format_version=0),
    "worse": lambda data: data["findings"][0].update(worse="lower or higher"),
    "null": lambda data: data["findings"][0].update(value=None),
    "null deep inside": lambda data: data["findings"][0].update(raw={"a": [{"b": None}]}),
    "text for a number": lambda data: data["findings"][0].update(value="0.5"),
    "boolean for a number": lambda data: data["findings"][0].update(value=True),
    "impossible p": lambda data: data["findings"][0].update(p_value=1.5),
    "negative n": lambda data: data["findings"][0].update(n_baseline=-1),
    "fractional generation": lambda data: data["findings"][0].update(generation=1.5),
    "findings as a mapping": lambda data: data.update(findings={}),
}
REQUIRED = [
    *(("findings", 0, key) for key in schema()["$defs"]["finding"]["required"]),
    *((key,) for key in schema()["required"]),
    ("tool", "version"),
    ("lineage", "digest"),
]


@pytest.mark.parametrize("kind", DAMAGE)
def test_schema_rejects_damage(kind: str) -> None:
    data = json.loads(as_json.render(with_finding()))
    assert validator().is_valid(data)
    DAMAGE[kind](data)
    assert not validator().is_valid(data)


@pytest.mark.parametrize("path", REQUIRED, ids=str)
def test_schema_rejects_a_missing_field(path: tuple[Any, ...]) -> None:
    data = json.loads(as_json.render(with_finding()))
    _drop(data, *path)
    assert not validator().is_valid(data)
