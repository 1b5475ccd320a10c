"""The JSON Schema of settings for editors: what an audit holds settings against, with their docs as descriptions.

It becomes ``audit/settings/collapse-audit.schema.json``, which ``collapse-audit explain settings`` prints. It has no
references and no types but JSON's own, since editors read TOML as JSON.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from collapse_audit.probes.registry import BUILTIN, DATA, NUMERIC
from collapse_audit.probes.types import Probe
from collapse_audit.settings.config import AuditConfig
from collapse_audit.settings.schema import settings_schema
from collapse_audit.verdicts.waivers import SCHEMA as WAIVERS

FILE = "collapse-audit.schema.json"


def editor_schema(told: Mapping[str, str]) -> dict[str, Any]:
    """The schema; ``told`` holds the docs of each setting."""
    schema = settings_schema((*BUILTIN, *NUMERIC, *DATA))
    defaults = {item.name: item.default for item in dataclasses.fields(AuditConfig)}
    settings = {}
    for name in schema["properties"]:
        setting = resolved(schema, name)
        setting["description"] = _described(told.get(name, ""), setting["description"])
        if isinstance(defaults.get(name), str | int | float):
            setting["default"] = defaults[name]
        settings[name] = setting
    for probe in (*BUILTIN, *NUMERIC, *DATA):
        settings["probes"]["properties"][probe.name] |= {"description": _question(probe)}
        for gate in probe.gates:
            table = settings["probes"]["properties"][probe.name]["properties"][gate.statistic]
            table["properties"]["margin"] |= {"default": gate.margin}
            table["description"] = f"In {gate.unit}. {gate.because[:1].upper()}{gate.because[1:]}."
    # A probe of the user's own has a table too, of which an editor cannot know more.
    settings["probes"]["additionalProperties"] = {"type": "object"}
    waiver = WAIVERS.document["items"]
    for key in waiver["properties"].values():
        key["description"] = _described("", key["description"])
    waiver["properties"]["expires"]["type"] = "string"
    settings["waivers"]["items"] = waiver
    settings["waivers"]["description"] = "Failures that somebody accepts, under their name, until a day."
    del schema["$defs"]
    return {**schema, "$id": f"https://collapse-audit.invalid/{FILE}", "properties": settings}


def schema_text(told: Mapping[str, str]) -> str:
    """The file."""
    return json.dumps(editor_schema(told), indent=2, ensure_ascii=False) + "\n"


def resolved(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A setting's own schema, without references."""
    return dict(_without_references(schema["properties"][name], schema["$defs"]))


def _without_references(part: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_without_references(each, parts) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _without_references(parts[part["$ref"].removeprefix("#/$defs/")], parts)
    return {key: _without_references(value, parts) for key, value in part.items()}


def _described(told: str, allowed: str) -> str:
    sentence = f"{allowed[:1].upper()}{allowed[1:]}."
    return f"{' '.join(told.replace('``', '`').split())} {sentence}".strip()


def _question(probe: Probe) -> str:
    return " ".join(probe.doc.partition("\n\n")[0].split())
