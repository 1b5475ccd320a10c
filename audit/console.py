"""What both commands share: argument errors, consoles, and one place where exceptions become exit codes."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from rich.console import Console

from collapse_audit.exit_codes import ExitCode
from collapse_audit.probes.errors import CollapseAuditError


class Parser(argparse.ArgumentParser):
    """argparse, except that bad usage exits with 4: 2 means "interrupted" here, as it does in pytest."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.USAGE, f"{self.prog}: error: {message}\n")


def stdout() -> Console:
    """A console for results. Soft-wrapped and without markup: what users wrote is never interpreted."""
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=True)


def stderr() -> Console:
    """A console for errors and progress."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)


def exit_with(main: Callable[[Sequence[str]], int], argv: Sequence[str] | None, *, prog: str) -> int:
    """Run ``main`` and turn whatever it raises into the documented exit code and one clear message."""
    try:
        return int(main(sys.argv[1:] if argv is None else argv))
    except CollapseAuditError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)  # noqa: T201
        return int(error.exit_code)
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)  # noqa: T201
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output left (``| head``). Point stdout at nothing so that the interpreter's own
        # flush at exit does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.INTERRUPTED)
    except Exception:
        traceback.print_exc()
        print(  # noqa: T201
            f"{prog}: internal error: this is a defect of collapse-audit, not of your data; "
            "please report it with the lines above",
            file=sys.stderr,
        )
        return int(ExitCode.INTERNAL_ERROR)
