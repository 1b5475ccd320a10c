"""``collapse-lineage evaluate``: the command line of ``lineages.evaluation``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse_audit.commands.console import stderr, stdout
from collapse_audit.commands.progress_bars import progress
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

if TYPE_CHECKING:
    from collapse_audit.lineages.model.lineage import GenerationEntry

_EPILOG = """\
Results are written beside each generation, as lm-eval writes them; a generation whose model, tasks and lm-eval are
those of its results is left alone. Nothing is fetched: other tasks than the built-in ones must be in the local cache.

examples:
  collapse-lineage evaluate lineages/mistral_recursive
  collapse-lineage evaluate runs/mine --task collapse_eu_tirads --task my_task.yaml --generation last
  lm_eval --include_path "$(collapse-lineage evaluate --include-path)" --tasks collapse_eu_tirads \\
    --metadata '{"reference": "reference.holdout.jsonl"}' --model hf --model_args pretrained=base,peft=gen_1/adapter \\
    --output_path gen_1/lm_eval --log_samples
"""


def add_evaluate(commands: Any) -> None:
    """Add ``evaluate`` to the subparsers of ``collapse-lineage``."""
    parser = commands.add_parser(
        "evaluate",
        help="run lm-evaluation-harness on every generation",
        description="Evaluate each generation's model on people's held-out text, or on any task of lm-eval.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lineage", metavar="LINEAGE", type=Path, help="a folder of generations with adapters")
    text = (
        "a task or a group of lm-eval by name, or a task file; may be given several times (default: those that the "
        "text allows)"
    )
    parser.add_argument("--task", metavar="NAME|FILE.yaml", action="append", default=[], help=text)
    text = "the base of a lineage without a recipe: a folder or a hub id (default: LINEAGE/base, or what adapters name)"
    parser.add_argument("--base", metavar="MODEL", help=text)
    parser.add_argument("--generation", metavar="G", help="3, 1-4 or last (default: all)")
    parser.add_argument("--seed", metavar="N", action="append", default=[], help="only this seed; may be repeated")
    parser.add_argument("--limit", metavar="N", type=_count, help="only the first N documents of each task")
    text = "documents at a time, the same for every generation (default: %(default)s)"
    parser.add_argument("--batch-size", metavar="N", type=_count, default=16, help=text)
    text = "print the folder of the built-in tasks, for lm_eval --include_path, and stop"
    parser.add_argument("--include-path", action=_PrintFolder, nargs=0, help=text)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.set_defaults(handler=_evaluate)


class _PrintFolder(argparse.Action):
    """As ``--version`` does: print, and stop, whatever else stands on the line."""

    def __call__(self, *_: Any) -> None:
        from collapse_audit.lineages.evaluation.tasks_folder import TASKS

        print(TASKS)  # noqa: T201 - one bare path, for a shell to take
        raise SystemExit(ExitCode.PASS)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


def _evaluate(args: argparse.Namespace) -> int:
    from collapse_audit.lineages.training.missing import require_training_stack

    require_training_stack()
    from collapse_audit.lineages.evaluation.harness import require_harness

    require_harness()
    from collapse_audit.lineages.evaluation.evaluate import Options, evaluate
    from collapse_audit.lineages.training.without_recipe import open_models

    run = open_models(args.lineage, base=args.base)
    lineage = run.lineage()
    _require_seeds(args.seed, [str(seed) for seed in lineage.seeds], run.where)
    options = Options(
        tasks=tuple(_task(name) for name in args.task),
        limit=args.limit,
        batch_size=args.batch_size,
        chosen=_chooser(args, lineage.generations),
    )
    console = stdout()
    try:
        with progress(quiet=args.quiet) as shown:
            for line in evaluate(run, options, shown):
                console.print(line)
    except KeyboardInterrupt:
        stderr().print("what was finished is kept: run the same command again to go on")
        raise
    return ExitCode.PASS


def _chooser(args: argparse.Namespace, entries: Sequence[GenerationEntry]) -> Any:
    """Which generations ``--generation`` and ``--seed`` mean, seed by seed."""
    from collapse_audit.run.plan import selected

    chosen: dict[str | None, set[int]] = {}
    for seed in {entry.seed for entry in entries}:
        if not args.seed or str(seed) in args.seed:
            chosen[seed] = selected(tuple(entry for entry in entries if entry.seed == seed), args.generation)
    return lambda entry: entry.index in chosen.get(entry.seed, set())


def _require_seeds(asked: Sequence[str], there: Sequence[str], where: str) -> None:
    unknown = sorted(set(asked) - set(there))
    if unknown:
        raise UsageError(f"{where} has no seed {unknown[0]}; it has {', '.join(there)}", slug="unknown-seed")


def _task(name: str) -> str:
    """A task file by its full path: lm-eval looks for it from where it likes."""
    if not name.endswith((".yaml", ".yml")):
        return name
    if not Path(name).is_file():
        raise UsageError(f"--task {name}: no such file", slug="task")
    return str(Path(name).resolve())
