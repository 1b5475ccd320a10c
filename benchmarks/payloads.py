"""What strangers' texts and names say is said, and never done: payloads through every output.

    python -m benchmarks.payloads

Each of more than a hundred payloads (workflow commands, Markdown, HTML, escapes of terminals, marks of direction,
formulas of spreadsheets, sections of GitLab, templates) stands in every place of a report that holds somebody's text,
and the report is rendered as all that it can become: the terminal with and without ``--github-annotations``, Markdown
(which is also what a step summary shows), HTML, JSON, JUnit, lines of a history. What is held against each output is
what its reader obeys: both parsers of GitHub's runner, a terminal, a Markdown parser with GitHub's own links, an HTML
and an XML parser. Needs markdown-it-py and lxml.
"""

from __future__ import annotations

import dataclasses
import json
import random
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import lxml.etree
import lxml.html
from markdown_it import MarkdownIt

from collapse_audit import audit
from collapse_audit.commands.console import visible
from collapse_audit.commands.github_runner import guarded, inert
from collapse_audit.reports import as_annotations, as_html, as_json, as_junit, as_markdown, as_text
from collapse_audit.reports.document import AuditReport, Finding
from collapse_audit.verdicts.history import Look, entries_of
from collapse_audit.verdicts.history import _written as history_line

_ESC, _BEL = "\x1b", "\x07"
PAYLOADS: Mapping[str, tuple[str, ...]] = {
    "workflow commands": (
        *("::add-mask::collapse", "::error::x", "  ::error file=a::x", "\t::set-output name=x::y", ":::debug::x"),
        *("::stop-commands::x", "::group::x", "::endgroup::", "::add-path::/tmp", "::set-env name=PATH::/tmp"),
        *("::save-state name=a::b", "::echo::on", "\x0b::error::x", "\u2028::error::x", "\x85::error::x"),
        *("a\n::error::x", "a\r\n::error::x", "a\r::error::x", "%0A::error::x", "a%0D%0A::warning::x"),
    ),
    "older workflow commands": (
        *("##[add-mask]collapse", "collapse: ##[warning]no", "##[error", "###[group]x", "##[endgroup]"),
        *("\u2028##[endgroup]", "##vso[task.setvariable variable=a]b", "##[command]x", "x##[debug]y##[error]z"),
    ),
    "GitLab sections": (
        f"section_start:1560896352:x[collapsed=true]\r{_ESC}[0Kx",
        f"section_end:1560896352:x\r{_ESC}[0K",
        f"\r{_ESC}[0Kpass: all findings passed [exit 0]",
    ),
    "terminals": (
        *(f"{_ESC}[2J", f"{_ESC}[31mred{_ESC}[0m", f"{_ESC}[1A{_ESC}[2Kpass", f"{_ESC}]0;title{_BEL}"),
        *(f"{_ESC}]8;;http://evil.example{_ESC}\\link{_ESC}]8;;{_ESC}\\", f"{_ESC}]52;c;ZWNobw=={_BEL}"),
        *(
            f'{_ESC}P$q"p{_ESC}\\',
            f"{_ESC}c",
            "\x9b2J",
            "\x9d0;title\x9c",
            "\x08\x08\x08pass",
            "a\rpass",
            "\x00",
            "\x7f",
        ),
        *(f"{_ESC}[?1049h", f"{_ESC}[8m hidden", "\x0e\x0f", _BEL * 9),
    ),
    "direction": (
        *("\u202eevil", "\u202a\u202bx\u202c", "\u2066x\u2069", "\u2067\u202eexit 0\u2069", "\u200f\u200e", "\u061cx"),
        *("\ufeffx", "a\u200bb", "\u00ad\u00ad", "\U000e0041\U000e0042", "\u2060x", "pass\u2028fail"),
    ),
    "Markdown": (
        *(
            "[x](http://evil.example)",
            "![x](http://evil.example/p.png)",
            "<http://evil.example>",
            "[x]: http://e.example",
        ),
        *("http://evil.example", "www.evil.example", "@everyone", "@org/team", "#1", "a/b#1", "GH-1", "gh-99"),
        *(
            "0123abc",
            "a" * 40,
            "deadbeef",
            "# heading",
            "> quote",
            "- [x] done",
            "| a | b |\n|---|---|",
            "```sh\nrm\n```",
        ),
        *("**pass**", "~~fail~~", "`x` ``y``", "$x$ $$y$$", "&lt;b&gt;", "\\[x\\]", "[^1]", "{% raw %}", ":boom:"),
        *("</details></td></table>", "<details open>", "<!-- x", "--> x", "[x](javascript:alert(1))"),
    ),
    "HTML": (
        *(
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<svg onload=alert(1)>",
            "<svg><script>1</script>",
        ),
        *(
            '"><script>alert(1)</script>',
            "' onmouseover='alert(1)",
            "javascript:alert(1)",
            "<a href=//evil.example>x</a>",
        ),
        *(
            "<iframe src=//evil.example>",
            "<style>*{display:none}</style>",
            "<base href=//evil.example>",
            "</script><b>",
        ),
        *("</style><b>", "</title><b>", "<meta http-equiv=refresh content=0>", "<form action=//evil.example>", "<!--"),
        *("]]>", "<![CDATA[", "<?xml version='1.0'?>", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "&a;", "&#60;script&#62;"),
    ),
    "formulas": ("=1+1", '=HYPERLINK("http://evil.example")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=cmd|' /C calc'!A0"),
    "templates": (
        *(
            "{{ 7*7 }}",
            "${{ secrets.GITHUB_TOKEN }}",
            "{x}",
            "{0.__class__}",
            "%(x)s",
            "%s",
            "$title",
            "${title}",
            "$$",
        ),
        *("{% import os %}", "[bold red]x[/bold red]", "[/]", "\\1", "\\g<0>", "<%= 1 %>", "#{1}", "`id`", "$(id)"),
    ),
}
"""Kind -> texts of which a reader would obey something."""
_OWN_COMMAND = re.compile(r"::(error|warning|notice) title=")
_LINKED = re.compile(r"@\w|#\d|://|\bwww\.|(?<![^\W_])gh-\d|(?<![0-9a-z])[0-9a-f]{7,40}(?![0-9a-z])", re.IGNORECASE)
"""What GitHub makes a mention, a reference or a link of, outside code. Figures have no seven digits in a row."""
Render = Callable[[AuditReport], str]


def base() -> AuditReport:
    """A report in which some findings fail, with all kinds of evidence."""
    with tempfile.TemporaryDirectory() as home:
        for index in range(2):
            draw = random.Random(index)
            words = [f"w{k}" for k in range(40 if index == 0 else 4)]
            lines = (
                json.dumps({"text": " ".join(draw.choices(words, k=12)), "label": str(k % (4 - 2 * index))})
                for k in range(60)
            )
            Path(home, f"gen_{index}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        report = audit(home, independent=True, evidence="texts")
    return dataclasses.replace(report, findings=report.findings[:6])  # of each statistic the same is shown


def loaded(report: AuditReport, payload: str) -> AuditReport:
    """The report with the payload wherever somebody's text or name may stand."""
    texts = ("reason", "sentence", "seed", "baseline", "units", "margin_reason")
    evidence = (
        {"kind": "term", "term": payload, "baseline": 0.1, "generation": 0.2},
        {"kind": "label", "label": payload, "status": "lost"},
        {"kind": "texts", "text": payload, "count": 2},
    )

    def of(finding: Finding) -> Finding:
        named: dict[str, Any] = dict.fromkeys(texts, payload)
        return dataclasses.replace(finding, **named, evidence=evidence, raw={payload: payload}, notes=(payload,))

    lineage = {**report.lineage, **dict.fromkeys(("name", "path", "scheme", "tokens", "labels", "baseline"), payload)}
    return dataclasses.replace(
        report,
        lineage=lineage,
        findings=tuple(map(of, report.findings)),
        notes=(payload, f"text = {payload}"),
        summary=f"collapse: {payload} [exit 1]",
        survival=tuple({**row, "label": payload} for row in report.survival),
        config={**report.config, payload: payload},
        environment={payload: payload},
    )


def _history(report: AuditReport) -> str:
    look = Look(look="l", time="2026-01-01T00:00:00Z", tool="0", lineage=report.lineage["name"], digest="d", alpha=0.05)
    return b"".join(map(history_line, entries_of(look, report.findings))).decode()


OUTPUTS: Mapping[str, Render] = {
    "terminal": lambda report: as_text.render(report, width=100, color=False, verbosity=1),
    "log with annotations": lambda report: (
        as_annotations.render(report) + guarded(as_text.render(report, width=100, color=False, verbosity=1))
    ),
    "refusal": lambda report: as_annotations.refusal(visible(report.notes[0])) + inert(visible(report.notes[0])),
    "report.md": as_markdown.render,
    "report.html": as_html.render,
    "report.json": as_json.render,
    "junit.xml": lambda report: as_junit.render_all([report]),
    "history": _history,
}
"""Everything that a report becomes. What a step summary shows is report.md."""


def obeyed(log: str) -> list[str]:
    """Lines of a log that GitHub's runner takes for commands, outside ``stop-commands``.

    Its two parsers: ``##[name …]`` anywhere in a line (ActionCommand.TryParse), and ``::name …::`` at the start of a
    line, white space aside (TryParseV2). https://github.com/actions/runner, src/Runner.Common/ActionCommand.cs
    """
    found, mark = [], ""
    for line in re.split(r"\r\n|\n|\r", log):
        rest = line.lstrip()
        if mark:
            mark = "" if rest == f"::{mark}::" else mark
        elif line.startswith("::stop-commands::") and re.fullmatch(r"[0-9a-f]{32}", line.rpartition("::")[2]):
            mark = line.rpartition("::")[2]
        elif re.search(r"##\[[^\]]*\]", line) or (rest.startswith("::") and "::" in rest[2:]):
            found.append(line)
    return found


def active(name: str, output: str, plain: str) -> list[str]:
    """What a reader of the output would do rather than show; ``plain`` is the same output of a harmless report."""
    if name in ("terminal", "log with annotations", "refusal"):
        commands = [line for line in obeyed(output) if not _OWN_COMMAND.match(line)]
        return [*(commands if name != "terminal" else []), *_unseen(output)]
    if name == "report.md":
        return [*_unseen(output), *_in_markdown(output, plain)]
    if name == "report.html":
        return [*_unseen(output), *_in_html(output, plain)]
    if name == "junit.xml":
        return [*_unseen(output), *sorted(_elements(output) - _elements(plain))]
    lines = output.splitlines() if name == "history" else [output]
    return [*_unseen(output), *(line[:80] for line in lines if not isinstance(json.loads(line), dict))]


def _unseen(output: str) -> Iterator[str]:
    """Characters that no reader sees; but line ends, and the space of no width that parts a workflow command."""
    for character in sorted(set(output) - {"\n", "\u200b"}):
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            yield f"U+{ord(character):04X}"


def _in_markdown(output: str, plain: str) -> Iterator[str]:
    pages = []
    for text in (output, plain):
        rendered = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
        pages.append(lxml.html.document_fromstring(f"<html><body>{rendered}</body></html>"))
    page, harmless = pages
    yield from sorted(_tags(page) - _tags(harmless))
    for text in page.xpath("//text()[not(ancestor::code)]"):
        if found := _LINKED.search(text):
            yield found[0]


def _in_html(output: str, plain: str) -> Iterator[str]:
    page, harmless = (lxml.html.document_fromstring(text) for text in (output, plain))
    yield from sorted(_tags(page) - _tags(harmless))
    for names in ("script", "style", "base", "meta", "link"):
        if len(page.findall(f".//{names}")) != len(harmless.findall(f".//{names}")):
            yield f"another number of <{names}>"
    yield from sorted(_addresses(page) - _addresses(harmless))


def _tags(page: lxml.html.HtmlElement) -> set[str]:
    """Elements, and attributes by which one acts."""
    elements = [element for element in page.iter() if isinstance(element.tag, str)]
    return {element.tag for element in elements} | {
        f"@{name}" for element in elements for name in element.attrib if name.startswith("on") or name == "style"
    }


def _addresses(page: lxml.html.HtmlElement) -> set[str]:
    links = page.xpath("//@href | //@src | //@action | //@data | //@formaction")
    return {link for link in map(str, links) if not link.startswith("#")}


def _elements(output: str) -> set[str]:
    parser = lxml.etree.XMLParser(resolve_entities=False, no_network=True)
    return {str(element.tag) for element in lxml.etree.fromstring(output.encode(), parser).iter()}


def main() -> int:
    """Every payload through every output; 1 where one is obeyed."""
    report = base()
    plain = {name: render(loaded(report, "harmless")) for name, render in OUTPUTS.items()}
    tried = broken = 0
    for kind, payloads in PAYLOADS.items():
        for payload in payloads:
            armed = loaded(report, payload)
            for name, render in OUTPUTS.items():
                tried += 1
                if told := active(name, render(armed), plain[name]):
                    broken += 1
                    print(f"{kind}: {payload!r} in {name}: {told[:4]}")
    count = sum(map(len, PAYLOADS.values()))
    print(f"{count} payloads x {len(OUTPUTS)} outputs: {tried} tried, {broken} obeyed")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
