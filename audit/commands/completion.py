"""``collapse-audit completion SHELL`` and ``collapse-lineage completion SHELL``: a script that completes both's words.

The scripts are shtab's, made from the same parsers that read the command line; nothing is installed or run in the
background.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from collapse_audit.commands.console import Parser, write
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

SHELLS = ("bash", "zsh", "tcsh", "fish")
_FOLDERS = frozenset({"DIR"})
_FILES = frozenset({"FILE", "PATH", "LINEAGE", "REPORT", "BASE", "A", "B", "TEXT"})
_EPILOG = """\
examples:
  eval "$({prog} completion bash)"                             this shell, now
  {prog} completion bash > ~/.local/share/bash-completion/completions/{prog}
  {prog} completion fish > ~/.config/fish/completions/{prog}.fish
"""


def completion_parser(prog: str, **more: Any) -> dict[str, Any]:
    """What both programs say of the command, for their parsers."""
    return {
        "description": f"Print a script with which a shell completes {prog}'s commands, options and files.",
        "epilog": _EPILOG.format(prog=prog),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        **more,
    }


def add_shell(parser: argparse.ArgumentParser) -> None:
    """The one argument."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def completion(argv: Sequence[str], run: Parser, commands: Mapping[str, Parser]) -> int:
    """Run ``collapse-audit completion``: ``run``'s options stand without a command, too. Raises UsageError."""
    parser = Parser(prog=f"{run.prog} completion", allow_abbrev=False, **completion_parser(run.prog))
    add_shell(parser)
    shell = parser.parse_args(argv).shell
    # A first word that is no command is a lineage: where no command begins so, shells offer files by themselves.
    run._remove_action(next(action for action in run._actions if action.dest == "lineages"))
    words = run.add_subparsers(metavar="COMMAND")
    for name, command in {**commands, "completion": parser}.items():
        words.add_parser(
            name, parents=[command], add_help=False, prog=command.prog, help=(command.description or "").split("\n")[0]
        )
    return show(run, shell)


def show(parser: argparse.ArgumentParser, shell: str) -> int:
    """Print the script of ``parser``'s program. Raises UsageError where shtab is not installed."""
    if find_spec("shtab") is None:
        raise UsageError('completion needs the shtab package: pip install "collapse-audit[completion]"')
    import shtab

    for action in _actions(parser):
        named = {action.metavar} if isinstance(action.metavar, str) else set(action.metavar or ())
        if named & _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif named & _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    write(shtab.complete(parser, shell).rstrip("\n") + "\n")
    return ExitCode.PASS


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Of the parser and all below it."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [
        *parser._actions,
        *(action for choices in below for command in choices.choices.values() for action in _actions(command)),
    ]
