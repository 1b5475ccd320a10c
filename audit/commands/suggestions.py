"""From an error that names an option to the whole command with it: what was typed, and what was missing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from collapse_audit.errors import CollapseAuditError, InputError

_OPTION = re.compile(r"--(?:text|prompt|label|group|documents) \S+")
_SLUGS = frozenset({"ambiguous-text", "missing-text", "no-field"})
_MOST = 3


def with_commands(error: CollapseAuditError, argv: Sequence[str]) -> CollapseAuditError:
    """The same problems, the first of them with the commands that its options make; any other error as it is."""
    if not isinstance(error, InputError):
        return error
    first, *others = error.problems
    options = list(dict.fromkeys(named.rstrip(",;?.") for named in _OPTION.findall(first.expected)))[:_MOST]
    if first.slug not in _SLUGS or not options:
        return error
    commands = "".join(f"\n    {_command(argv, *option.split(' '))}" for option in options)
    return InputError([replace(first, more=commands), *others])


def _command(argv: Sequence[str], option: str, value: str) -> str:
    """What was typed with the option in it, or with another value of it."""
    typed = [part for part in argv if part != "run"]
    if option in typed[:-1]:
        typed[typed.index(option) + 1] = value
    else:
        typed += [option, value]
    return shlex.join(["collapse-audit", *typed])
