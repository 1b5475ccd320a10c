"""``collapse-lineage redecode``: generation 0's texts under the decoding of later generations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from collapse_audit.commands.console import stdout
from collapse_audit.commands.progress_bars import progress
from collapse_audit.verdicts.exit_codes import ExitCode

_EPILOG = """\
An audit of the lineage then splits every change into what decoding did and what training did. Controls that are there
are kept; a generation that was decoded as generation 0 needs none.
"""


def add_redecode(commands: Any) -> None:
    """Add ``redecode`` to the subparsers of ``collapse-lineage``."""
    parser = commands.add_parser(
        "redecode",
        help="let generation 0 write under the decoding of later generations",
        description="Write gen_<k>/control.jsonl.gz for each generation k whose decoding is not generation 0's.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lineage", metavar="LINEAGE", type=Path, help="a folder with lineage.toml, base and adapters")
    text = "only this seed of the recipe's; may be given several times"
    parser.add_argument("--seed", metavar="N", type=int, action="append", default=[], help=text)
    parser.add_argument("--anew", action="store_true", help="also write the controls that are there already")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.set_defaults(handler=_redecode)


def _redecode(args: argparse.Namespace) -> int:
    from collapse_audit.lineages.training.missing import require_training_stack

    require_training_stack()
    from collapse_audit.lineages.training.redecode import missing_controls, redecode
    from collapse_audit.lineages.training.run import open_run

    run = open_run(args.lineage, seeds=args.seed)
    missing = missing_controls(run, anew=args.anew)
    console = stdout()
    if not missing:
        console.print(f"{run.where}: no generation needs a control (all decoded as generation 0, or there already)")
        return ExitCode.PASS
    with progress(quiet=args.quiet) as shown:
        for path in redecode(run, missing, shown):
            console.print(f"wrote {args.lineage / path.relative_to(run.root)}")
    return ExitCode.PASS
