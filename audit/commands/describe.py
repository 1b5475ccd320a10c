"""``collapse-lineage describe``: what a corpus is made of, or two side by side."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from collapse_audit.commands.console import status, stdout
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

_NEEDED = {"sklearn": "scikit-learn", "vaderSentiment": "vaderSentiment", "openpyxl": "openpyxl"}
_EPILOG = """\
A table (.csv, .tsv, .xlsx) is read as `prepare` reads it, all else as the audit reads it. Needs
'collapse-audit[describe]'. Words are shown where at least five texts hold them.

examples:
  collapse-lineage describe reports.xlsx --report out/reports
  collapse-lineage describe reference.jsonl gen_4.jsonl --report out/beside
"""


def add_describe(commands: Any) -> None:
    """Add ``describe`` to the subparsers of ``collapse-lineage``."""
    parser = commands.add_parser(
        "describe",
        help="say what a corpus is made of",
        description="Count records and gaps, measure lengths, show frequent words, labels, topics and sentiment.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("corpora", metavar="CORPUS", nargs="+", type=Path, help="a corpus or a table; at most two")
    text = "the column or field that holds the texts, where its name does not say so"
    parser.add_argument("--text", metavar="COLUMN", help=text)
    parser.add_argument("--report", metavar="DIR", type=Path, help="write description.json and description.html there")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the topics (default %(default)s)")
    parser.set_defaults(handler=_describe)


def _describe(args: argparse.Namespace) -> int:
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        message = f"describing needs {', '.join(missing)}: pip install 'collapse-audit[describe]'"
        raise UsageError(message, slug="no-description-stack")
    if len(args.corpora) > 2:
        raise UsageError(f"{len(args.corpora)} corpora; allowed are one, or two side by side")
    from collapse_audit.lineages.description.describe import describe
    from collapse_audit.lineages.description.source import read_source

    descriptions = []
    for path in args.corpora:
        with status(f"reading {path}"):
            descriptions.append(describe(read_source(path, text=args.text), seed=args.seed))
    if args.report is not None:
        _write(args.report, descriptions)
    _show(descriptions)
    return ExitCode.PASS


def _write(folder: Path, descriptions: Sequence[Mapping[str, Any]]) -> None:
    """Both files or neither."""
    import json

    from collapse_audit.atomic import write_together
    from collapse_audit.lineages.description.describe import FORMAT
    from collapse_audit.reports.describe_html import render

    data = {"format": FORMAT, "corpora": list(descriptions)}
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        contents = {"description.json": f"{text}\n", "description.html": render(descriptions)}
        write_together({folder / name: content.encode() for name, content in contents.items()})
    except OSError as error:
        message = f"--report {folder}: cannot be written ({error.strerror})"
        raise UsageError(message, slug="report-folder") from None


def _show(descriptions: Sequence[Mapping[str, Any]]) -> None:
    """One screen: a row for each thing, a column for each corpus."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from collapse_audit.reports._format import inert

    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    table.add_column("")
    for corpus in descriptions:
        table.add_column(Text(inert(corpus["name"])), overflow="fold")
    columns = [_rows(corpus) for corpus in descriptions]
    for name in columns[0]:
        table.add_row(name, *(Text(inert(column[name], limit=400)) for column in columns))
    console = stdout()
    console.soft_wrap = False
    console.print(table)


def _rows(corpus: Mapping[str, Any]) -> dict[str, str]:
    words, characters = corpus["length"]["words"], corpus["length"]["characters"]
    labels, topics, sentiment = corpus["labels"], corpus["topics"], corpus["sentiment"]
    gaps = {name: count for name, count in corpus["missing"].items() if count}
    unread = f", {corpus['unreadable']:,} rows unreadable" if corpus["unreadable"] else ""
    rows = {
        "records": f"{corpus['records']:,}, {corpus['distinct']:,} different, {corpus['empty']:,} empty{unread}",
        "missing": ", ".join(f"{name} {count:,}" for name, count in gaps.items()) or "nothing",
    }
    for name, length in (("characters", characters), ("words", words)):
        rows[name] = (
            "-"
            if length is None
            else (
                f"mean {length['mean']:.4g}, median {length['quantiles']['0.5']:.4g}, 90% within "
                f"{length['quantiles']['0.05']:.4g} to {length['quantiles']['0.95']:.4g}, at most {length['max']:,}"
            )
        )
    if "counts" in labels:
        rows["labels"] = ", ".join(f"{name}: {count:,}" for name, count in labels["counts"].items())
        several = ", ".join(f"{number}: {count:,}" for number, count in labels["labels_a_text"].items())
        rows["labels a text"] = f"{several}; {labels['occurrences']:,} in all"
    else:
        rows["labels"], rows["labels a text"] = labels["reason"], "-"
    for order, name in (("1", "words most used"), ("2", "pairs"), ("3", "three words")):
        rows[name] = ", ".join(f"{gram['words']} {gram['count']:,}" for gram in corpus["ngrams"][order][:6]) or "none"
    named = topics.get("topics", ())
    for at in range(5):
        text = (
            f"{named[at]['share']:.0%}: {', '.join(named[at]['words'][:6])}"
            if named
            else topics["reason"]
            if not at
            else "-"
        )
        rows[f"topic {at + 1}"] = text
    rows["sentiment"] = (
        sentiment.get("reason") or f"mean {sentiment['mean']:+.3f} (VADER), {sentiment['positive']:.0%} positive"
    )
    return rows
