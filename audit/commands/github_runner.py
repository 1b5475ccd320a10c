"""What GitHub's runner takes for a command, in lines that strangers' names and texts stand in.

The runner tries two parsers on every line of a job's log, standard error included: ``::name …::`` at the start of a
line, white space aside, and the older ``##[name …]`` anywhere in it (actions/runner, ``ActionCommand.cs``).
"""

from __future__ import annotations

import re
import secrets

_COMMAND = re.compile(r"(?m)^(\s*):(?=:)|##(?=\[)")
FLAG = "--github-annotations"


def inert(text: str) -> str:
    """``text``, of which the runner obeys nothing: a zero-width space parts what begins a command."""
    return _COMMAND.sub(lambda match: f"{match[0]}\u200b", text)


def guarded(text: str) -> str:
    """``text`` between marks under which the runner obeys nothing; its last line stays last, and is inert."""
    token = secrets.token_hex(16)
    body, _, last = text.rstrip("\n").rpartition("\n")
    return f"::stop-commands::{token}\n{body}\n::{token}::\n{inert(last)}\n"
