"""The pages made from the code: docs/probes/*, docs/reference/{cli,config,api,exit-codes,messages,limits}.md, and
audit/settings/collapse-audit.schema.json, for editors.

::

    python -m docs.generate            write them
    python -m docs.generate --check    say which are out of date, and exit with 1 if any is

Every page is a pure function of the package, so the same code makes the same bytes.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import collapse_audit
from collapse_audit.lineages.files.door import Limits
from collapse_audit.probes.registry import BUILTIN, DATA, NUMERIC
from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.probes.types import Probe
from collapse_audit.settings import config
from collapse_audit.settings.schema import gate_settings, setting_names, settings_schema
from docs import editors
from docs.command_lines import commands_page
from docs.exit_codes import exit_codes_page, messages_page
from docs.markdown import block, documented, inline, table

DOCS = Path(__file__).parent
_MADE = "<!-- Made by docs/generate.py: edit the code that it reads, not this page. -->\n\n"


def pages() -> dict[str, str]:
    """Every generated page: path below docs/ -> its text."""
    made = {f"probes/{probe.name}.md": probe_page(probe) for probe in (*BUILTIN, *NUMERIC, *DATA)}
    made["probes/index.md"] = probes_page()
    made["reference/cli.md"] = commands_page()
    made["reference/config.md"] = config_page()
    made["reference/api.md"] = api_page()
    made["reference/exit-codes.md"] = exit_codes_page()
    made["reference/messages.md"] = messages_page()
    made["reference/limits.md"] = limits_page()
    texts = {name: _MADE + text for name, text in made.items()}
    return texts | {f"../audit/settings/{editors.FILE}": editors.schema_text(documented(config.AuditConfig))}


def outdated() -> dict[str, str | None]:
    """Pages that are not as the code has them: what they should be; None for one that should not be there."""
    wanted: dict[str, str | None] = dict(pages())
    surplus = {f"probes/{path.name}" for path in (DOCS / "probes").glob("*.md")} - set(wanted)
    return {name: text for name, text in wanted.items() if text != _read(DOCS / name)} | dict.fromkeys(surplus)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages, or with ``--check`` hold them against the code."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description="Make the generated pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    check = parser.parse_args(argv).check
    stale = outdated()
    for name, text in stale.items():
        sys.stdout.write(f"docs/{name}: {'out of date' if check else 'removed' if text is None else 'written'}\n")
        if not check:
            _put(DOCS / name, text)
    return 1 if check and stale else 0


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _put(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


# Probes

_PROBES = """\
# Probes

Each asks one question of a generation and its baseline. Its page says what is computed, in which unit, why that signals
collapse, and when it misleads. `collapse-audit list` and `collapse-audit explain PROBE` show the same in the terminal.
"""
_OF_NUMBERS = """\
## Numbers

These are asked of records that hold numbers in place of texts ([how](../how-to/watch-numbers-collapse.md)), with
`integrity`; of texts they say nothing, and the probes above nothing of numbers.
"""
_OF_DATA = """\
## Training data

These ask of data, before anything is trained on them: `collapse-audit --data FILE`
([how](../how-to/gate-training-data.md)).
"""
_CODES = """\
Codes are permanent: an old report, a history or a waiver keeps its meaning. A probe of your own is a function in a file
of yours: [add a probe](../how-to/add-a-probe.md).
"""
_RULE = """\
A finding fails only if “no change” is rejected *and* its 95% bound lies beyond the margin; it passes only if a change
of the margin would have been seen. Another margin is a setting ([how to choose one](../how-to/choose-a-margin.md)):
"""


def probe_page(probe: Probe) -> str:
    """A probe's page: its docstring, section by section, then its gates and its source."""
    (_, question), *sections = _sections(probe.doc)
    parts = [f"# `{probe.name}`", f"*{inline(question)}* Code {probe.code}."]
    for title, body in sections:
        parts += [f"## {title}", inline(body)]
    gates = [(f"`{gate.statistic}`", _limit(gate), gate.unit, inline(gate.because)) for gate in probe.gates]
    parts += ["## Gates", table(("statistic", "fails where", "unit", "why this margin"), gates)]
    parts += [
        f"`{gate.statistic}` fails beyond {gate.margin:g}; else it passes where its 95% bound lies within "
        f"{gate.pass_margin:g}."
        for gate in probe.gates
        if gate.pass_margin is not None
    ]
    parts += [_RULE.rstrip(), block("toml", "\n".join(_setting(probe, gate) for gate in probe.gates))]
    return "\n\n".join([*parts, "## Source", inline(probe.source)]) + "\n"


def probes_page() -> str:
    """The overview of all probes, and their order in the sidebar."""
    contents = block("{toctree}", "\n".join([":hidden:", "", *(probe.name for probe in (*BUILTIN, *NUMERIC, *DATA))]))
    numbers, data = [_OF_NUMBERS, _overview(NUMERIC), ""], [_OF_DATA, _overview(DATA), ""]
    return "\n".join([_PROBES, _overview(BUILTIN), "", *numbers, *data, _CODES, contents, ""])


def _overview(probes: Sequence[Probe]) -> str:
    rows = [
        (
            f"[`{probe.name}`]({probe.name}.md)",
            probe.code,
            inline(_sections(probe.doc)[0][1]),
            ", ".join(sorted(probe.needs)),
            "<br>".join(f"{gate.statistic} {_limit(gate)}" for gate in probe.gates),
        )
        for probe in probes
    ]
    return table(("probe", "code", "asks", "needs", "fails where"), rows)


def _sections(doc: str) -> list[tuple[str, str]]:
    """A docstring's sections, titles and texts; the first, without a title, is the question."""
    found = [("", "")]
    for line in inspect.cleandoc(doc).splitlines():
        if line and not line.startswith(" ") and found[0][1]:
            found.append((line, ""))
        else:
            title, body = found[-1]
            found[-1] = (title, f"{body}\n{line.removeprefix('    ')}".strip("\n"))
    return found


def _limit(gate: Gate) -> str:
    return f"{'>' if gate.worse == 'higher' else '<'}\N{NO-BREAK SPACE}{gate.margin:g}"


def _setting(probe: Probe, gate: Gate) -> str:
    place = probe.name if len(probe.gates) == 1 else f"{probe.name}.{gate.statistic}"
    return f"[probes.{place}]\nmargin = {gate.margin:g}\n"


# Settings

_SETTINGS = """\
# Settings

Of several sources the nearest wins: the command line, then `--config FILE`, then `[tool.collapse-audit]` of the
`pyproject.toml` above the working directory, then what the lineage's folder says of itself (`collapse-audit.toml`, or
`[audit]` of its `lineage.toml`), then the defaults. Unknown settings are refused, all problems of all sources together.
Every report echoes what was in force, and where it came from.

<!-- file: collapse-audit.toml -->
```toml
baseline = "generation-0"
allow_inconclusive = true

[probes.tail-coverage]
margin = 0.85
reason = "the vocabulary is controlled: a seventh of it may go"

[probes.diversity.duplicates]
margin = "auto"

[probes.perplexity]
enabled = false
```

An editor that knows JSON Schema completes and checks the file (VS Code with Even Better TOML, for one): write the
schema beside it with `collapse-audit explain settings > collapse-audit.schema.json`, and begin it with the line
`#:schema ./collapse-audit.schema.json`.

In a `pyproject.toml` the same keys stand under `[tool.collapse-audit]`; on the command line one of them is
`--set tail-coverage.margin=0.85`; in Python they are arguments of `audit(…)`.

**A lineage may describe its data, never decide its verdict**, since a gate reads folders that strangers wrote. All that
its own folder may set is `labels` (a rule, not `none`), `tokens` (a tokenizer file inside the folder), `unit`, `fields`
and `documents`. Everything else there is refused with exit code 4, the file and the setting; pass it with
`--config FILE`.

## Settings of an audit
"""
_MARGINS = """
Also: `[[waivers]]` ([waivers](waivers.md)), and `[probes.NAME]` with `enabled`, `margin` and `reason`.

## Margins

`margin` is the size of change that matters; `reason` is echoed in every report. A probe with several statistics takes
them one level deeper: `[probes.diversity.duplicates]`. `margin = "auto"` settles it on the baseline's own text
([calibrate](calibrate.md)). [How to choose one](../how-to/choose-a-margin.md).
"""


def config_page() -> str:
    """Every setting, what it may be, and every margin."""
    told = documented(config.AuditConfig)
    settings = [
        (f"`{item.name}`", f"`{_toml(item.default)}`", _allowed(item.name), inline(told.get(item.name, "")))
        for item in dataclasses.fields(config.AuditConfig)
        if item.name in setting_names() and item.name not in ("fields", "waivers")
    ]
    margins = [
        (f"`{probe.name}.{gate.statistic}`", _limit(gate), gate.unit, _range(gate), inline(gate.because))
        for probe in (*BUILTIN, *NUMERIC, *DATA)
        for gate in probe.gates
    ]
    rows = table(("setting", "default", "allowed", ""), settings)
    gates = table(("finding", "fails where", "unit", "allowed", "why"), margins)
    return "\n".join([_SETTINGS, rows, _MARGINS, gates, ""])


_LIMITS = """# Limits

What is read of a lineage is bounded, so that a small file cannot take a machine's memory or an hour of its time. What
is beyond a limit is refused with exit code 4; the message names the file, the limit and this variable, by which a user
(and no lineage) raises it:

```text
COLLAPSE_AUDIT_LIMITS=line=1e8,ratio=2000 collapse-audit runs/latest
```
"""
_FIXED = """
Some limits cannot be raised. Labels are at most 100,000: name coarser ones. A pattern for labels has
at most 10,000 characters and 100 groups, and RE2 holds it to 8 MB of automaton. At most 1,000,000 permutations are
drawn, and no more than 2 GB of memory holds. Numbers (`numeric`, `nll`) lie between -1e70 and 1e70, so that variances
of variances are numbers. Of what is wrong with a corpus the first 100,000 problems are counted, of a history the first
1,000. A tokenizer's file is read by a process of its own, with bounded memory and time.
"""


def limits_page() -> str:
    """How much is read of what strangers wrote, and how to have more of it read."""
    told = documented(Limits)
    rows = [(f"`{one.name}`", f"{one.default:,}", inline(told[one.name])) for one in dataclasses.fields(Limits)]
    return "\n".join([_LIMITS, table(("limit", "default", ""), rows), _FIXED])


def _allowed(name: str) -> str:
    """What a setting may be, in the words with which anything else is refused."""
    return str(editors.resolved(settings_schema(()), name)["description"])


def _range(gate: Gate) -> str:
    return str(gate_settings(gate)["margin"]["description"]).partition(" (")[0]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


# Python

_API = """\
# Python

`from collapse_audit import …`: these names, and no others, are promised. What a report holds:
[the report](report-format.md). A probe of your own: [add a probe](../how-to/add-a-probe.md).
"""


def api_page() -> str:
    """Every public name with its signature and its docstring."""
    parts = [_API.rstrip()]
    for name in collapse_audit.__all__:
        thing = getattr(collapse_audit, name)
        if name.startswith("__"):
            continue
        parts.append(f"## `{name}`")
        if callable(thing) and not inspect.isclass(thing):
            parts.append(block("text", _signature(name, thing)))
        parts.append(_docstring(inspect.getdoc(thing) or ""))
        if name == "audit":
            told = documented(config.AuditConfig) | documented(config.Settings)
            rows = [(f"`{key}`", inline(told.get(key, ""))) for key in config.Settings.__annotations__]
            parts.append(table(("setting", ""), rows))
    return "\n\n".join(parts) + "\n"


def _docstring(doc: str) -> str:
    """A docstring as Markdown: its lists, and what stands indented below ``::``."""
    parts, code = [], False
    doc = re.sub(r":(?:class|func|meth|data):`~?(?:\w+\.)*(\w+)`", r"``\1``", doc)
    for paragraph in doc.split("\n\n"):
        if paragraph.strip() == "::":
            code = True
        elif code:
            parts.append(block("python", textwrap.dedent(paragraph)))
            code = False
        elif paragraph.startswith("* "):
            items = paragraph[2:].split("\n* ")
            parts.append("\n".join(f"- {inline(item)}" for item in items))
        else:
            parts.append(inline(paragraph))
    return "\n\n".join(parts)


def _signature(name: str, thing: Any) -> str:
    """One parameter a line, as the source has them."""
    parameters = inspect.signature(thing).parameters.values()
    lines, starred = [], False
    for one in parameters:
        if one.kind is one.KEYWORD_ONLY and not starred:
            lines.append("    *,")
            starred = True
        star = "**" if one.kind is one.VAR_KEYWORD else ""
        default = "" if one.default is one.empty else f" = {one.default!r}"
        lines.append(f"    {star}{one.name}: {one.annotation}{default},")
    return "\n".join([f"{name}(", *lines, ")"])


if __name__ == "__main__":
    raise SystemExit(main())
