"""The JSON Schema of settings: an audit is held against it, and editors get the same with the docs of each setting."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from collapse_audit.cli import main
from collapse_audit.probes.pairs.units import UNITS
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.settings.config import AuditConfig, Evidence
from collapse_audit.settings.schema import EDITOR_SCHEMA, setting_names, settings_schema
from collapse_audit.verdicts.waivers import Waiver

EDITORS: dict[str, Any] = json.loads(EDITOR_SCHEMA.read_text("utf-8"))
PLAIN = Draft202012Validator(EDITORS)
"""Nothing of ours: as an editor reads it."""


def test_the_schema_has_every_setting_and_no_other() -> None:
    held = {field.name for field in dataclasses.fields(AuditConfig)} - {"gates", "disabled"} | {"probes"}
    assert set(setting_names()) == held
    assert set(EDITORS["properties"]) == held
    waiver = {field.name for field in dataclasses.fields(Waiver)} - {"generations", "origin"} | {"generation"}
    assert set(EDITORS["properties"]["waivers"]["items"]["properties"]) == waiver


def test_words_that_a_setting_may_be_are_those_of_its_type() -> None:
    schema = settings_schema(())["properties"]
    assert tuple(schema["unit"]["enum"]) == UNITS
    assert tuple(schema["evidence"]["enum"]) == get_args(Evidence)


def test_every_default_fits_and_is_shown() -> None:
    plain = {
        field.name: field.default
        for field in dataclasses.fields(AuditConfig)
        if isinstance(field.default, str | int | float)
    }
    assert PLAIN.is_valid(plain)
    assert {
        name: setting["default"] for name, setting in EDITORS["properties"].items() if "default" in setting
    } == plain


def test_every_margin_of_a_built_in_probe_fits_and_is_shown() -> None:
    for probe in BUILTIN:
        table = {gate.statistic: {"margin": gate.margin, "reason": "ours"} for gate in probe.gates}
        assert PLAIN.is_valid({"probes": {probe.name: {"enabled": True, **table}}})
        shown = EDITORS["properties"]["probes"]["properties"][probe.name]["properties"]
        for gate in probe.gates:
            assert shown[gate.statistic]["properties"]["margin"]["default"] == gate.margin


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('alpha = 0.01\n[probes.repetition.looping]\nmargin = "auto"\n', True),
        ("[probes.shouting]\nmargin = 0.2\n", True),  # a probe of the user's own
        ('[[waivers]]\nprobe = "length"\nowner = "ops"\nreason = "known"\nexpires = "2027-01-31"\n', True),
        ('[[waivers]]\nprobe = "length"\nowner = "ops"\nreason = "known"\n', False),
        ("[probes.repetition]\nmargin = 0.1\n", False),  # of which of its statistics?
        ("[probes.repetition.looping]\nmargin = 1.5\n", False),
        ("alhpa = 0.01\n", False),
        ("alpha = 1\n", False),
    ],
)
def test_an_editor_accepts_what_an_audit_would_and_nothing_else(text: str, fits: bool) -> None:
    assert PLAIN.is_valid(tomllib.loads(text)) == fits


def test_it_is_a_schema_in_which_everything_is_described() -> None:
    Draft202012Validator.check_schema(EDITORS)
    assert "$ref" not in EDITOR_SCHEMA.read_text("utf-8")
    assert all(setting["description"].endswith(".") for setting in EDITORS["properties"].values())


def test_explain_settings_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "settings"]) == 0
    assert json.loads(capsys.readouterr().out) == EDITORS
