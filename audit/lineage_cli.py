"""``collapse-lineage``: check lineages, and make ones whose truth is known.

To add a subcommand: a function that adds its parser and sets ``handler``, and one line in COMMANDS. Nothing heavy is
imported before a handler runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse_audit.commands.completion import add_shell, completion_parser, show
from collapse_audit.commands.console import Parser, exit_with, stdout
from collapse_audit.commands.cures import add_cures
from collapse_audit.commands.describe import add_describe
from collapse_audit.commands.evaluate import add_evaluate
from collapse_audit.commands.pack import add_merge_packs, add_pack
from collapse_audit.commands.prepare import add_prepare
from collapse_audit.commands.redecode import add_redecode
from collapse_audit.commands.score import add_score
from collapse_audit.commands.simulate import add_simulate
from collapse_audit.commands.train import add_train
from collapse_audit.errors import InputError, Problem
from collapse_audit.verdicts.exit_codes import ExitCode
from collapse_audit.version import __version__

if TYPE_CHECKING:
    from collapse_audit.lineages.corpora.corpus import Corpus
    from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage

PROG = "collapse-lineage"


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point; returns the exit code."""
    return exit_with(_run, argv, prog=PROG)


def _run(argv: Sequence[str]) -> int:
    args = build_parser().parse_args(argv)
    args.argv = [PROG, *argv]
    handler: Callable[[argparse.Namespace], int] = args.handler
    return handler(args)


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(prog=PROG, description="Check lineages of language models, and make ones whose truth is known.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    return parser


def _add_completion(commands: Any) -> None:
    about = completion_parser(PROG, help="print a script with which a shell completes all of this")
    parser = commands.add_parser("completion", **about)
    add_shell(parser)
    parser.set_defaults(handler=lambda args: show(build_parser(), args.shell))


def _add_validate(commands: Any) -> None:
    parser = commands.add_parser(
        "validate",
        help="read every file of a lineage and say what is in it",
        description="Read every corpus of a lineage to its end, check its digest, and show what was trained on what. "
        "With --models, open every base with its adapter too, and compare what they answer.",
        epilog=f"Exit code 0 if all can be read, else {ExitCode.USAGE:d} with every problem and its line.",
    )
    parser.add_argument("lineages", metavar="LINEAGE", nargs="+", type=Path, help="a folder with generations")
    parser.add_argument("--independent", action="store_true", help="no corpus was trained on another")
    text = "also check that every adapter is applied, is its own, and equals its merged model"
    parser.add_argument("--models", action="store_true", help=text)
    parser.set_defaults(handler=_validate)


def _validate(args: argparse.Namespace) -> int:
    from collapse_audit.lineages.disk.load import load_lineage

    console = stdout()
    problems: list[Problem] = []
    for path in args.lineages:
        try:
            lineage = load_lineage(path, independent=args.independent)
            rows = _rows(lineage)
        except InputError as error:
            problems.extend(error.problems)
            continue
        console.print(f"{_printable(str(path))}: {_printable(lineage.name)}, {_plural(len(rows), 'corpus', 'corpora')}")
        console.print("\n".join(_columns([("", "documents", "digest", "trained on", "compared"), *rows])))
        if args.models:
            models, wrong = _models(lineage, str(path))
            console.print("\n".join(_columns([("", "adapter's change", "merged", "base"), *models])))
            problems.extend(wrong)
    if problems:
        raise InputError(problems)
    return ExitCode.PASS


def _models(lineage: Lineage, where: str) -> tuple[list[tuple[str, ...]], list[Problem]]:
    """A row a model, in nats: by how much its adapter, and merging it, changes a token's log-probability."""
    from collapse_audit.lineages.training.missing import require_training_stack

    require_training_stack()
    from collapse_audit.lineages.training.model_checks import check_models

    checked, problems = check_models(lineage, where=where)
    rows: list[tuple[str, ...]] = [
        (row.name, f"{row.change:.3g} nats", "-" if row.merged is None else f"{row.merged:.1g} nats apart", row.base)
        for row in checked
    ]
    return rows, problems


def _rows(lineage: Lineage) -> list[tuple[str, ...]]:
    """A row a corpus. Raises InputError with the problems of all corpora."""
    rows: list[tuple[str, ...]] = []
    problems: list[Problem] = []
    for corpus, origin, compared in _corpora(lineage):
        try:
            documents = sum(batch.num_rows for batch in corpus.batches())
        except InputError as error:
            problems.extend(error.problems)
            continue
        name = corpus.shown if corpus.split is None else f"{corpus.shown} ({corpus.split})"
        rows.append((name, f"{documents:,}", corpus.digest.removeprefix("sha256:")[:12], origin, compared))
    if problems:
        raise InputError(problems)
    return rows


def _corpora(lineage: Lineage) -> Iterator[tuple[Corpus, str, str]]:
    """Each corpus, what its author was trained on, and how it compares with its baseline."""
    if lineage.reference is not None:
        yield lineage.reference, "", "reference"
    if lineage.reference_holdout is not None:
        yield lineage.reference_holdout, "", "reference, held out"
    for entry in lineage.generations:
        yield entry.texts, _origin(entry.trained_on), _comparison(lineage, entry)
        if entry.holdout is not None:
            yield entry.holdout, "", "held out"


def _origin(trained_on: Sequence[str] | None) -> str:
    if trained_on is None:
        return "not said: taken as a chain"
    if len(trained_on) > 3:
        return f"{trained_on[0]} + {len(trained_on) - 2} more + {trained_on[-1]}"
    return " + ".join(trained_on) or "nothing of this lineage"


def _comparison(lineage: Lineage, entry: GenerationEntry) -> str:
    """Against generation 0 of the same seed, or the reference where that is what there is."""
    from collapse_audit.lineages.model.ancestry import trained_on

    first = next((other for other in lineage.of_seed(entry.seed) if other.index == 0 and entry.index > 0), None)
    texts, holdout = (first.texts, first.holdout) if first else (lineage.reference, lineage.reference_holdout)
    if texts is None:
        return "with nothing"
    name = "generation 0" if first else "the reference"
    if holdout is not None:
        return f"with held-out text of {name}"
    return f"one-sided: trained on {name}" if trained_on(lineage, entry, texts) else f"with {name}"


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Left-aligned columns; numbers (the second) to the right."""
    rows = [tuple(_printable(cell) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(f"{cell:>{width}}" if at == 1 else f"{cell:<{width}}" for at, (cell, width) in cells).rstrip()
        for row in rows
        for cells in [list(enumerate(zip(row, widths, strict=True)))]
    ]


def _printable(text: str) -> str:
    """Text from a file, harmless to a terminal."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def _plural(count: int, singular: str, many: str) -> str:
    return f"{count:,} {singular if count == 1 else many}"


COMMANDS: tuple[Callable[[Any], None], ...] = (
    _add_validate,
    add_simulate,
    add_prepare,
    add_describe,
    add_train,
    add_cures,
    add_score,
    add_redecode,
    add_evaluate,
    add_pack,
    add_merge_packs,
    _add_completion,
)


if __name__ == "__main__":
    raise SystemExit(main())
