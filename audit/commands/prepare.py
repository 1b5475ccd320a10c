"""``collapse-lineage prepare``: a clinic's table of reports made into a reference."""

from __future__ import annotations

import argparse
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse_audit.commands.console import finite, status, stdout
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

if TYPE_CHECKING:
    from collapse_audit.lineages.preparation.prepare import Prepared

_NEEDED = {"sklearn": "scikit-learn", "openpyxl": "openpyxl"}
_EPILOG = """\
Every row is accounted for: it is in one of the three parts, or rejects.jsonl says why not. Columns that look like
personal data are left out with a warning, and so are texts in which a rule finds any. Needs 'collapse-audit[prepare]'.

examples:
  collapse-lineage prepare reports.xlsx --out lineages/clinic --drop-columns Doctor
  collapse-lineage prepare reports.csv --out lineages/clinic --text Conclusion --prompt Description --group Patient
"""


def add_prepare(commands: Any) -> None:
    """Add ``prepare`` to the subparsers of ``collapse-lineage``."""
    parser = commands.add_parser(
        "prepare",
        help="make a reference of a table of reports",
        description="Clean a table of labelled reports, normalise the labels, take long texts apart by them, split "
        "70/15/15 by patient, encode what is not text, fill what is missing, and write a reference.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("raw", metavar="RAW", type=Path, help="a table: .csv, .tsv, .xlsx, .jsonl or .parquet")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="a folder that is new or empty")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the split (default %(default)s)")
    text = "the model that `train` is to start from, in lineage.toml (default %(default)s)"
    parser.add_argument("--base", metavar="MODEL", default="mistralai/Mistral-7B-v0.1", help=text)
    _add_columns(parser.add_argument_group("columns", "told by their names where none is given; none: there is none"))
    steps = parser.add_argument_group("steps")
    text = "eu-tirads: in any form, wherever it stands; field: the label columns as they are (default auto)"
    steps.add_argument("--labels", choices=("auto", "eu-tirads", "field"), default="auto", help=text)
    text = "labels that contradict each other: drop the row, or believe the column or the text (default %(default)s)"
    steps.add_argument("--contradictory", choices=("drop", "column", "text"), default="drop", help=text)
    text = "values that are missing: drop the row, or fill in a constant, the median (categories: the most frequent), "
    text += "the most frequent, or what the other columns predict (default %(default)s)"
    strategies = ("drop", "constant", "median", "mode", "predicted")
    steps.add_argument("--missing", choices=strategies, default="median", help=text)
    steps.add_argument("--fill", metavar="X", type=finite, default=0.0, help="the constant (default %(default)g)")
    steps.add_argument("--whole-texts", action="store_true", help="leave texts that name several labels whole")
    text = "texts with what looks like personal data: drop the row, mask the words, or keep (default %(default)s)"
    steps.add_argument("--personal", choices=("drop", "mask", "keep"), default="drop", help=text)
    text = "texts with fewer words say nothing (default %(default)s)"
    steps.add_argument("--min-words", metavar="N", type=int, default=1, help=text)
    reading = parser.add_argument_group("what to read")
    reading.add_argument("--sheet", metavar="NAME", help="of a workbook that has several")
    reading.add_argument("--encoding", metavar="NAME", help="of the file, where it is told wrongly")
    parser.set_defaults(handler=_prepare)


def _add_columns(group: Any) -> None:
    group.add_argument("--text", metavar="COLUMN", help="what a model is to write: the conclusion")
    group.add_argument("--prompt", metavar="COLUMN", help="what it is given: the description")
    group.add_argument("--label", metavar="COLUMN", action="append", help="a column of labels; may be repeated")
    group.add_argument("--group", metavar="COLUMN", help="the patient: none stands on both sides of the split")
    group.add_argument("--id", metavar="COLUMN", help="the row's own number, which makes no row another")
    text = "leave these out of all that is written"
    group.add_argument("--drop-columns", metavar="COLUMN", nargs="+", default=[], help=text)
    text = "columns that look personal and are not"
    group.add_argument("--keep-columns", metavar="COLUMN", nargs="+", default=[], help=text)


def _prepare(args: argparse.Namespace) -> int:
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        message = f"preparing needs {', '.join(missing)}: pip install 'collapse-audit[prepare]'"
        raise UsageError(message, slug="no-preparation-stack")
    from collapse_audit.lineages.preparation.columns import Choice
    from collapse_audit.lineages.preparation.prepare import Options, prepare
    from collapse_audit.lineages.preparation.write_reference import write_reference

    options = Options(
        columns=Choice(
            text=args.text,
            prompt=args.prompt,
            labels=args.label,
            group=args.group,
            id=args.id,
            drop=args.drop_columns,
            keep=args.keep_columns,
        ),
        labels=args.labels,
        contradictory=args.contradictory,
        missing=args.missing,
        fill=args.fill,
        sentences=not args.whole_texts,
        personal=args.personal,
        min_words=args.min_words,
        sheet=args.sheet,
        encoding=args.encoding,
        seed=args.seed,
    )
    with status(f"reading {args.raw}"):
        prepared = prepare(args.raw, options)
        write_reference(args.out, prepared, options, command=shlex.join(args.argv), base=args.base)
    stdout().print("\n".join(_summary(args.out, prepared)))
    return ExitCode.PASS


def _summary(out: Path, prepared: Prepared) -> list[str]:
    """Steps with what they dropped, parts with their labels, warnings, and where everything is."""
    from collapse_audit.lineages.preparation.prepare import label_counts
    from collapse_audit.lineages.preparation.sentences import PAPER_SHARE
    from collapse_audit.lineages.preparation.write_reference import FACTS, FILES, REJECTS

    lines = [f"{'':15}{'rows':>8}{'dropped':>9}{'repaired':>10}{'added':>7}{'left':>8}"]
    for step in prepared.ledger.steps:
        counts = (step.rows_in, step.dropped.total(), step.repaired.total(), step.added, step.rows_out)
        why = ", ".join(f"{reason} {count:,}" for reason, count in (step.dropped + step.repaired).most_common())
        numbers = "".join(f"{count:>{width},}" for count, width in zip(counts, (8, 9, 10, 7, 8), strict=True))
        lines.append(f"{step.name:15}{numbers}  {why}".rstrip())
    if any(step.name == "sentences" for step in prepared.ledger.steps):
        share, paper = prepared.sentence_share, PAPER_SHARE
        lines.append(f"texts taken apart by their labels: {share:+.1%} records (Bobrova et al.: {paper:+.1%})")
    lines.append(f"labels by the rule {prepared.rule}; {len(prepared.forms)} written forms in label columns")
    for part, file in FILES.items():
        records = prepared.parts[part]
        patients = len({record["group"] for record in records})
        labels = ", ".join(f"{label.removeprefix('EU-TIRADS ')}: {n:,}" for label, n in label_counts(records).items())
        lines.append(f"{file:24}{len(records):>7,} records of {patients:,} patients; {labels}")
    lines += [f"warning: {warning}" for warning in prepared.ledger.warnings]
    lines.append(
        f"{out}: written; {REJECTS} has {len(prepared.ledger.entries):,} lines, {FACTS} all counts and digests"
    )
    return lines
