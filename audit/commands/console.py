"""What both commands share: argument errors, consoles, and one place where exceptions become exit codes."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import io
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from rich.console import Console

from collapse_audit.commands.github_runner import FLAG, inert
from collapse_audit.errors import CollapseAuditError, UsageError
from collapse_audit.lineages.files.urls import redacted
from collapse_audit.verdicts.exit_codes import ExitCode

_PAUSE = 2.0
"""Seconds that a thing may take in silence."""


class Parser(argparse.ArgumentParser):
    """argparse, except that bad usage exits with 4: 2 means "interrupted" here, as it does in pytest."""

    def error(self, message: str) -> NoReturn:
        said = f"{self.prog}: error: {redacted(message)}{self._meant(message)}\n"
        self.exit(ExitCode.USAGE, f"{self.prog} -h shows what there is\n{said}")

    def _meant(self, message: str) -> str:
        """The option that an unknown one was probably meant to be."""
        unknown = [word.partition("=")[0] for word in message.split() if word.startswith("--")]
        if not message.startswith("unrecognized arguments") or not unknown:
            return ""
        near = difflib.get_close_matches(unknown[0], self._option_string_actions, n=1)
        return f"; did you mean {near[0]}?" if near else ""


def finite(text: str) -> float:
    """An argument's type: a finite number."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text}; allowed is a finite number")
    return value


def count(text: str) -> int:
    """An argument's type: a whole number, 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}; allowed is a whole number, 1 or more")
    return value


def stdout() -> Console:
    """A console for results. Soft-wrapped and without markup: what users wrote is never interpreted."""
    return _console(stderr=False)


def stderr() -> Console:
    """A console for errors and progress."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    # Rich hears NO_COLOR (https://no-color.org) of colours alone: bold type and a moving cursor are escapes as well.
    plain = False if os.environ.get("NO_COLOR") else None
    return Console(stderr=stderr, force_terminal=plain, markup=False, highlight=False, emoji=False, soft_wrap=True)


def write(text: str) -> None:
    """Put ``text`` on standard output, all of it and at once. Raises UsageError where that is not possible."""
    if sys.stdout is None:  # the caller closed it (``>&-``): nobody wants to read
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _abandon_stdout()
        raise UsageError(f"cannot write to standard output: {error.strerror or error}", slug="output") from error


def _abandon_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's own flush at exit does not complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _never_refuse_characters() -> None:
    """What the terminal's encoding does not know is shown as an escape: a Cyrillic word must not end an audit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def visible(text: str) -> str:
    """``text`` of which a terminal obeys nothing but line ends: all else that is not printed is its escape."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        character if character == "\n" or character.isprintable() else ascii(character)[1:-1] for character in text
    )


_SPACE = "make space, and run the same command again"
_RIGHT = "name a place that you may write to, or give yourself the right, and run the same command again"
_OF_THE_SYSTEM = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: _SPACE,
    errno.EROFS: _RIGHT,
    errno.EACCES: _RIGHT,
    errno.EPERM: _RIGHT,
    errno.EIO: "the disk failed",
    errno.EMFILE: "too many files are open: close other programs, or raise the limit",
    errno.ENFILE: "too many files are open: close other programs, or raise the limit",
    errno.ENOENT: "it is not there, or no longer: run the command again when nobody else changes these files",
}
"""What the system may refuse to any command at any moment, and what to do: no defect of ours."""


def exit_with(main: Callable[[Sequence[str]], int], argv: Sequence[str] | None, *, prog: str) -> int:
    """Run ``main`` and turn whatever it raises into the documented exit code and one clear message."""
    _never_refuse_characters()
    argv = sys.argv[1:] if argv is None else argv
    shown: Callable[[str], str] = (lambda text: inert(visible(text))) if FLAG in argv else visible

    def told(text: str) -> str:  # a URL may hold a password
        return shown(redacted(text))

    try:
        try:
            return int(main(argv))
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except CollapseAuditError as error:
        print(told(f"{prog}: error: {error}"), file=sys.stderr)  # noqa: T201
        return int(error.exit_code)
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)  # noqa: T201
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output left (``| head``)
        _abandon_stdout()
        return int(ExitCode.INTERRUPTED)
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of a native library is no Exception, and Python's code for it would be 1
        if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
            print(told(f"{prog}: error: {what}; {_OF_THE_SYSTEM[error.errno]}"), file=sys.stderr)  # noqa: T201
            return int(ExitCode.USAGE)
        print(told(traceback.format_exc()), file=sys.stderr)  # noqa: T201
        print(  # noqa: T201
            f"{prog}: internal error: this is a defect of collapse-audit, not of your data; "
            "please report it with the lines above",
            file=sys.stderr,
        )
        return int(ExitCode.INTERNAL_ERROR)


@contextlib.contextmanager
def status(what: str = "", *, spinner: str = "line") -> Iterator[Callable[[str], None]]:
    """Where messages go: a line on a terminal's stderr that is gone at the end, else nowhere.

    Where ``NO_COLOR`` is set, a terminal gets plain lines that stay, at most one in two seconds.
    """
    console = stderr()
    if console.is_terminal:
        with console.status(what, spinner=spinner) as shown:
            yield shown.update
    elif sys.stderr is not None and sys.stderr.isatty():
        yield _Slowly()
    else:
        yield lambda message: None  # noqa: ARG005


class _Slowly:
    """Says every message that comes two seconds or more after the last one that was said."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, message: str) -> None:
        if time.monotonic() - self._last >= _PAUSE:
            self._last = time.monotonic()
            print(message, file=sys.stderr)  # noqa: T201
