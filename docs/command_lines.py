"""The command lines of both programs, as their own parsers have them: the page of commands, and a check of examples."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest.mock import patch

from collapse_audit import cli, lineage_cli
from collapse_audit.commands.console import Parser
from docs.markdown import block, plain, table

_INTRODUCTION = """\
# Commands

Two programs: `collapse-audit` judges, `collapse-lineage` checks and makes lineages. What they return:
[exit codes](exit-codes.md). What they read and write: [a lineage](lineage-format.md), [the report](report-format.md).
"""


class _Stop(BaseException):
    """Ends a command as soon as its arguments are parsed."""


def check(argv: Sequence[str]) -> None:
    """Parse ``argv``, program first, and run nothing. Raises SystemExit, the message shown, where that cannot be."""

    def parsed(parser: Parser, arguments: Sequence[str] | None = None, namespace: Any = None) -> None:
        _, left = parser.parse_known_args(arguments, namespace)
        if left:
            parser.error(f"unrecognized arguments: {' '.join(left)}")
        raise _Stop

    _stopped(argv, parsed)


def commands_page() -> str:
    """Every command with its options."""
    parts = [_INTRODUCTION.rstrip()]
    for command in cli._COMMANDS:
        parts += _command(_parser_of(command))
    for parser in _below(lineage_cli.build_parser()):
        parts += _command(parser)
        for kind in _below(parser):
            parts += _command(kind, level=3)
    return "\n\n".join(parts) + "\n"


def _parser_of(command: str) -> Parser:
    """The parser that a command of ``collapse-audit`` makes for itself."""
    found: list[Parser] = []

    def taken(parser: Parser, *_: Any) -> None:
        found.append(parser)
        raise _Stop

    _stopped(("collapse-audit", command, "-"), taken)
    return found[0]


def _stopped(argv: Sequence[str], parse_args: Callable[..., None]) -> None:
    program = {"collapse-audit": cli._main, "collapse-lineage": lineage_cli._run}[argv[0]]
    with patch.object(Parser, "parse_args", parse_args), contextlib.suppress(_Stop):
        program(list(argv[1:]))


def _below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def _command(parser: argparse.ArgumentParser, *, level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} `{parser.prog}`"
    if parser.description:
        yield plain(parser.description)
    yield f"`{' '.join([parser.prog, *_usage(parser)])}`"
    for group in parser._action_groups:
        rows = [_option(parser, action) for action in group._group_actions if _shown(action)]
        if rows:
            title = (group.title or "").removeprefix("positional ")
            yield table((title, ""), rows)
    if parser.epilog:
        yield block("text", parser.epilog)


def _usage(parser: argparse.ArgumentParser) -> Iterator[str]:
    """What a command line is made of. (argparse words it differently from one version of Python to the next.)"""
    if any(action.option_strings and action.help != argparse.SUPPRESS for action in parser._actions[1:]):
        yield "[options]"
    for action in parser._get_positional_actions():
        name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
        yield f"{name}…" if action.nargs == "+" else name


def _shown(action: argparse.Action) -> bool:
    hidden = isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
    return not hidden and action.help != argparse.SUPPRESS


def _option(parser: argparse.ArgumentParser, action: argparse.Action) -> tuple[str, str]:
    if action.nargs == 0:
        value = ""
    elif action.choices is not None:
        value = " | ".join(map(str, action.choices))
    else:
        value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    told = parser._get_formatter()._expand_help(action) if action.help else ""
    return f"`{' '.join(filter(None, (', '.join(action.option_strings), value)))}`", plain(told)
