"""``collapse-lineage cures``: one lineage under everything that people try against collapse, and what each holds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse_audit.commands.console import stderr, stdout
from collapse_audit.commands.progress_bars import progress
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

if TYPE_CHECKING:
    from collapse_audit.comparison.cures import Held
    from collapse_audit.lineages.training.cures import Cure
    from collapse_audit.lineages.training.progress import Progress
    from collapse_audit.lineages.training.run import Run

FORMAT_VERSION = 1
"""Of cures.json."""
_EPILOG = """\
Every cure becomes a lineage of its own in DIR, trained from the same base and human text, with the same seeds and the
same number of examples read. What is there is kept: run the same command again to go on. DIR/cures.md and cures.json
hold the table: what is left in the last generation of what generation 0 had, and how much worse than generation 0 it
predicts people's text that no model was trained on.

examples:
  collapse-lineage cures lineages/mistral_recursive --out runs/cures --dry-run
  collapse-lineage cures lineages/mistral_recursive --out runs/cures --partner lineages/llama_recursive
  collapse-lineage cures runs/mine --out runs/cures --cure none --cure human_10 --seed 0
"""


def add_cures(commands: Any) -> None:
    """Add ``cures`` to the subparsers of ``collapse-lineage``."""
    parser = commands.add_parser(
        "cures",
        help="train a lineage under several cures against collapse, and say what each holds",
        description="Train one lineage under several cures against collapse, with equal compute, and compare them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lineage", metavar="LINEAGE", type=Path, help="a folder with lineage.toml and its recipe")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="a folder; a lineage a cure goes in it")
    parser.add_argument("--cures", metavar="FILE", type=Path, help="a TOML file of cures in place of the usual ones")
    text = "only this cure; may be given several times"
    parser.add_argument("--cure", metavar="NAME", action="append", default=[], help=text)
    text = "a lineage of another base on the same human text, for cures with two writers"
    parser.add_argument("--partner", metavar="LINEAGE", type=Path, help=text)
    text = "a corpus in LINEAGE of human text that nothing else is trained on, for cures that need fresh text"
    parser.add_argument("--fresh", metavar="NAME", help=text)
    text = "only this seed of the recipe's; may be given several times"
    parser.add_argument("--seed", metavar="N", type=int, action="append", default=[], help=text)
    parser.add_argument(
        "--dry-run", action="store_true", help="say which cures would be tried; train and write nothing"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.set_defaults(handler=_cures)


def _cures(args: argparse.Namespace) -> int:
    from collapse_audit.lineages.training.cures import Patient, read_cures

    patient = Patient(folder=args.lineage, partner=args.partner, fresh=args.fresh)
    chosen = _chosen(read_cures(args.cures), args.cure)
    tried = [cure for cure in chosen if patient.has(cure.needs)]
    console, errors = stdout(), stderr()
    for cure in chosen:
        if cure not in tried:
            errors.print(f"{cure.name} is left out: it needs --{cure.needs}")
    if not tried:
        raise UsageError("no cure is left to be tried", slug="cures")
    if args.dry_run:
        for cure in tried:
            console.print(f"{args.out / cure.name}: {cure.says}")
        return ExitCode.PASS
    from collapse_audit.lineages.training.cures import start
    from collapse_audit.lineages.training.loop import train
    from collapse_audit.lineages.training.missing import require_training_stack

    require_training_stack()
    rows = []
    with progress(quiet=args.quiet) as shown:
        for cure in tried:
            runs = start(patient, args.out, cure, args.seed, shown)
            train(runs, shown)
            rows.append(_row(cure, runs, shown))
            _write(args.out, rows)
    _show(rows)
    console.print(f"wrote {args.out / 'cures.md'} and {args.out / 'cures.json'}")
    return ExitCode.PASS


def _chosen(cures: Mapping[str, Cure], names: Sequence[str]) -> list[Cure]:
    unknown = [name for name in names if name not in cures]
    if unknown:
        raise UsageError(f"there is no cure {unknown[0]!r}; there are: {', '.join(cures)}", slug="cures")
    return [cures[name] for name in names or cures]


def _row(cure: Cure, runs: Sequence[Run], shown: Progress) -> Held:
    """One cure, measured on the first of the lineages that it takes: its audit, and how well its models predict
    people's text."""
    from collapse_audit.api import audit
    from collapse_audit.comparison.cures import held
    from collapse_audit.lineages.scoring.human_text import nats_per_token
    from collapse_audit.lineages.training.schemes import FRESH, REFERENCE, shares_of
    from collapse_audit.probes.registry import gates_of

    run = runs[0]
    last = run.recipe.generations - 1
    human_text = {
        str(seed): nats_per_token(run, seed, last, shown) - nats_per_token(run, seed, 0, shown) for seed in run.seeds
    }
    shares = [shares_of(run.scheme, index) for index in range(1, last + 1)]
    human = [share.get(REFERENCE, 0.0) + share.get(FRESH, 0.0) for share in shares]
    shown.say(f"{run.where}: audited")
    return held(
        cure.name,
        cure.says,
        audit(run.root),
        gates_of(),
        human_share=sum(human) / max(len(human), 1),
        human_text=human_text,
        models=len(runs),
    )


def _write(out: Path, rows: Sequence[Held]) -> None:
    """Both files anew after every cure: what is measured is not lost to an interruption."""
    from collapse_audit.atomic import write_text
    from collapse_audit.comparison.cures import cells, columns

    names = columns(rows)
    head = [*_HEAD, *names]
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join(':--' if i < 2 else '--:' for i in range(len(head)))} |"]
    lines += [f"| {' | '.join(cells(row, names))} |" for row in rows]
    write_text(out / "cures.md", "\n".join([*lines, "", *(f"* `{row.name}`: {row.says}" for row in rows), ""]))
    document = {"format_version": FORMAT_VERSION, "cures": [row.as_json() for row in rows]}
    write_text(out / "cures.json", json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


_HEAD = ("cure", "verdict", "fails from", "human share", "models")


def _show(rows: Sequence[Held]) -> None:
    """A block a cure, 80 columns wide: a table of this many columns fits no terminal."""
    from collapse_audit.comparison.cures import cells, columns

    console, names = stdout(), columns(rows)
    for row in rows:
        name, verdict, first, human, models, *figures = cells(row, names)
        since = "" if first == "–" else f", fails from generation {first}"
        console.print(f"{name}: {verdict}{since}; {human} human text{'' if models == '1' else f', {models} models'}")
        console.print(f"  {row.says}", style="dim")
        for what, figure in zip(names, figures, strict=True):
            console.print(f"  {what:<32} {figure}")
