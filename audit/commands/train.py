"""``collapse-lineage train``: the command line of ``lineages.training``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from collapse_audit.commands.console import stderr, stdout
from collapse_audit.commands.progress_bars import progress
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

_EPILOG = """\
Everything is decided by [recipe] of lineage.toml. What is there is kept: an interrupted training goes on where it
stopped when the same command is run again, and arrives at the same lineage.

examples:
  collapse-lineage train lineages/mistral_recursive --dry-run
  collapse-lineage train lineages/mistral_recursive --out runs/mine --seed 0
  collapse-lineage train runs/mistral_cross runs/llama_cross
  accelerate launch --num_processes 4 -m collapse_audit.lineage_cli train runs/mine
"""


def add_train(commands: Any) -> None:
    """Add ``train`` to the subparsers of ``collapse-lineage``."""
    parser = commands.add_parser(
        "train",
        help="train the generations that a lineage lacks",
        description="Train each missing generation, write its texts, score them, add it to the manifest.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    text = "a folder with lineage.toml; lineages that exchange texts are named together"
    parser.add_argument("lineages", metavar="LINEAGE", nargs="+", type=Path, help=text)
    text = "train in a new folder, from this lineage's recipe, human text and base"
    parser.add_argument("--out", metavar="DIR", type=Path, help=text)
    parser.add_argument("--profile", metavar="NAME", help="a recipe of [recipe.profile]; needs --out or --dry-run")
    text = "only this seed of the recipe's; may be given several times"
    parser.add_argument("--seed", metavar="N", type=int, action="append", default=[], help=text)
    text = "say what would be trained, at what cost; touch no weights and write nothing"
    parser.add_argument("--dry-run", action="store_true", help=text)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.set_defaults(handler=_train)


def _train(args: argparse.Namespace) -> int:
    if args.out is not None and len(args.lineages) > 1:
        raise UsageError("--out makes one new lineage; name one LINEAGE", slug="out")
    if args.profile is not None and args.out is None and not args.dry_run:
        raise UsageError("a profile makes another lineage: name its folder with --out", slug="profile")
    if args.dry_run:
        return _dry_run(args)
    from collapse_audit.lineages.training.missing import require_training_stack

    require_training_stack()
    from collapse_audit.lineages.training.loop import degenerate, train
    from collapse_audit.lineages.training.run import open_run, start_run

    folders = args.lineages
    if args.out is not None:
        start_run(args.lineages[0], args.out, profile=args.profile)
        folders = [args.out]
    runs = [open_run(folder, seeds=args.seed) for folder in folders]
    first = os.environ.get("RANK", "0") == "0"  # of the processes that accelerate launch has started
    try:
        with progress(quiet=args.quiet or not first) as shown:
            train(runs, shown)
    except KeyboardInterrupt:
        stderr().print("what was finished is kept: run the same command again to go on")
        raise
    console, errors = stdout(), stderr()
    for run in runs if first else ():
        for line in degenerate(run):
            errors.print(line)
        console.print(f"{run.where}: complete; collapse-audit {run.where}")
    return ExitCode.PASS


def _dry_run(args: argparse.Namespace) -> int:
    from collapse_audit.lineages.training.dry_run import describe

    console = stdout()
    for folder in args.lineages:
        console.print(describe(folder, profile=args.profile, seeds=args.seed))
    return ExitCode.PASS
