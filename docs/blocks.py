"""Runs the fenced blocks of a page, in order, in a folder of their own, and holds what they print against the page.

::

    python -m docs.blocks README.md docs/tutorial.md     run them
    python -m docs.blocks --update docs/tutorial.md      and put what they print into the page

What a block is, is said by the word behind its fence:

* ``console``: commands behind ``$ `` (``> `` goes on with one), and below each what it prints. ``…`` stands for any
  text, and on a line of its own for any lines.
* ``sh``: commands. ``collapse-audit`` and ``pytest`` may find a collapse (1) or nothing settled (6); everything else
  has to succeed.
* ``python``: run.
* ``toml``, ``json``, ``yaml``: have to parse.
* ``text`` and others: shown, and must not begin a line with one of our commands.

Comments right before a fence change that: ``<!-- not-run: WHY -->`` (its command lines are only parsed),
``<!-- file: NAME -->`` (the block is the content of that file, and is put there), ``<!-- setup: COMMAND -->`` (run
before the block, not shown), ``<!-- main-command -->`` and ``<!-- test-command -->`` (run by .ci/run).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

from docs import workplace
from docs.command_lines import check

ROOT = Path(__file__).parents[1]
_MARK = re.compile(r"<!-- ([a-z-]+)(?:: (.*?))? -->")
_PROGRAMS = ("collapse-audit", "collapse-lineage")
_SECONDS = 120
_END = "\x1e"
"""Stands behind the output of each command, with its exit code."""
_MAY_FIND = """
trap 'code=$?; [[ "$BASH_COMMAND" =~ ^(collapse-audit|pytest) && ( $code == 1 || $code == 6 ) ]] || exit $code' ERR
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page."""

    line: int
    """Of its first line of text, from 1."""
    kind: str
    text: str
    marks: Mapping[str, str]

    @property
    def runs(self) -> bool:
        """Whether its commands are run here, and not only parsed."""
        return not {"not-run", "main-command", "test-command"} & set(self.marks)


class WrongError(Exception):
    """A block that is not as the page says."""


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order, with the comments right before them."""
    found, comments = [], ""
    for token in MarkdownIt("commonmark").parse(page):
        if token.type == "html_block":
            comments += token.content
            continue
        if token.type == "fence" and token.map is not None:
            kind = token.info.split(" ")[0]
            marks = dict(_MARK.findall(comments))
            found.append(Block(line=token.map[0] + 2, kind=kind, text=token.content, marks=marks))
        comments = ""
    return found


def run(page: str, place: Path, *, name: str = "page", update: bool = False) -> str:
    """Run all blocks of a page in the folder ``place``; the page with what its commands really print.

    Raises WrongError, with file and line, at the first block that is not as it should be; with ``update`` what a
    command prints may be anything.
    """
    lines = page.splitlines()
    shift = 0
    for block in blocks(page):
        try:
            told = _run(block, place, update=update)
        except WrongError as wrong:
            raise WrongError(f"{name}:{block.line}: {wrong}") from None
        start, old = block.line - 1 + shift, block.text.rstrip("\n").splitlines()
        fence = lines[start - 1]
        indent = fence[: len(fence) - len(fence.lstrip())]
        lines[start : start + len(old)] = [f"{indent}{line}" if line else line for line in told]
        shift += len(told) - len(old)
    return "\n".join(lines) + "\n"


def _run(block: Block, place: Path, *, update: bool) -> list[str]:
    """Run one block; its lines, with what its commands really print."""
    lines = block.text.rstrip("\n").splitlines()
    if not block.kind:
        raise WrongError("the fence does not say what the block is")
    if "setup" in block.marks:
        _shell(block.marks["setup"], place)
    if "file" in block.marks:
        target = place / block.marks["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text, "utf-8")
    if block.kind in ("console", "sh"):
        commands = [command for command, _ in _commands(lines)] if block.kind == "console" else [block.text]
        if not block.runs:
            _parsed(commands)
        elif block.kind == "console":
            return _printed(lines, place, update=update)
        else:
            _shell(f"{_MAY_FIND}{block.text}\n:", place)
    elif block.kind == "python" and block.runs and "file" not in block.marks:
        _done([sys.executable, "-c", block.text], place)
    else:
        _looked_at(block, lines)
    return lines


def _looked_at(block: Block, lines: Sequence[str]) -> None:
    """What is not run has to be what it says it is."""
    parsers = {"toml": tomllib.loads, "json": json.loads, "yaml": yaml.safe_load}
    try:
        if block.kind in parsers:
            parsers[block.kind](block.text)
        elif block.kind == "python":
            compile(block.text, "block", "exec")
    except (ValueError, SyntaxError, yaml.YAMLError) as error:
        raise WrongError(f"no {block.kind}: {error}") from None
    if block.kind in ("text", "bash", "shell") and any(line.startswith(_PROGRAMS) for line in lines):
        raise WrongError("a command in a block that nobody runs: call it sh or console")


def _commands(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Commands of a console block, each with the lines that it should print."""
    command: str | None = None
    printed: list[str] = []
    for line in lines:
        if line.startswith("$ "):
            if command is not None:
                yield command, printed
            command, printed = line[2:], []
        elif command is None:
            raise WrongError("a console block begins with a command, behind $")
        elif line.startswith("> ") and not printed:
            command += f"\n{line[2:]}"
        else:
            printed.append(line)
    if command is not None:
        yield command, printed


def _printed(lines: Sequence[str], place: Path, *, update: bool) -> list[str]:
    """Run the commands of a console block in one shell; the block with their real output."""
    commands = list(_commands(lines))
    script = "".join(f"{command}\n__code=$?; printf '{_END}'; (exit $__code)\n" for command, _ in commands)
    outputs = _done(["bash", "-c", f"exec 2>&1\n{script}"], place, may_fail=True).split(_END)[:-1]
    if len(outputs) != len(commands):
        raise WrongError(f"ended early, after {len(outputs)} of {len(commands)} commands")
    result: list[str] = []
    for (command, expected), output in zip(commands, outputs, strict=True):
        real = [line.rstrip() for line in output.rstrip("\n").splitlines()]
        matches = _pattern(expected).fullmatch("\n".join(real)) is not None
        if not matches and not update:
            shown = "\n".join(real)
            raise WrongError(f"{command}\nprints\n{shown}\nand not what stands in the page")
        first, *more = command.split("\n")
        result += [f"$ {first}", *(f"> {line}" for line in more), *(expected if matches else real)]
    return result


def _pattern(expected: Sequence[str]) -> re.Pattern[str]:
    """What a command may print: ``…`` is any text of a line, and alone on its line any lines."""
    parts = []
    for line in expected:
        anything = r"(?:[^\n]*\n)*?" if line.strip() == "…" else None
        parts.append(anything or re.escape(line.rstrip()).replace("…", r"[^\n]*") + r"\n")
    return re.compile("".join(parts).removesuffix(r"\n") + r"\n?")


def _parsed(commands: Sequence[str]) -> None:
    """Every call of one of our programs in shell text has to be one that the program understands."""
    for command in commands:
        _done(["bash", "-n", "-c", command], ROOT)
        for line in command.replace("\\\n", " ").splitlines():
            for argv in _calls(line):
                try:
                    check(argv)
                except SystemExit as left:
                    if left.code not in (0, None):
                        raise WrongError(f"no such command line: {shlex.join(argv)}") from None


def _calls(line: str) -> Iterator[list[str]]:
    """The calls of our programs in a line of shell, without redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    words = [*lexer, ";"]
    call: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if set(word) <= set("();|&"):
            if call and Path(call[0]).name in _PROGRAMS:
                yield [Path(call[0]).name, *call[1:]]
            call = []
        elif not {*word, *before} & {"<", ">"} or (not set(before) <= {"<", ">"} and not set(word) <= {"<", ">"}):
            call.append(word)


def _shell(script: str, place: Path) -> None:
    _done(["bash", "-c", script], place)


def _done(argv: Sequence[str], place: Path, *, may_fail: bool = False) -> str:
    """Run a command; what it prints. Raises WrongError where it fails."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COLLAPSE", "GITHUB"))}
    path = f"{Path(sys.executable).parent}:{kept.get('PATH', '')}"
    told = {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", "HOME": str(place)}
    done = subprocess.run(
        argv, cwd=place, env=kept | told, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0 and not may_fail:
        raise WrongError(f"exit code {done.returncode}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
    return done.stdout


def main(argv: Sequence[str] | None = None) -> int:
    """Run the blocks of pages; with ``--update`` put what they print into them."""
    parser = argparse.ArgumentParser(prog="python -m docs.blocks", description="Run the blocks of pages.")
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--update", action="store_true", help="put what the commands print into the pages")
    options = parser.parse_args(argv)
    wrong = 0
    for page in options.pages:
        with tempfile.TemporaryDirectory() as folder:
            try:
                text = run(page.read_text("utf-8"), workplace.make(Path(folder)), name=str(page), update=options.update)
            except WrongError as error:
                wrong += 1
                sys.stdout.write(f"{error}\n")
                continue
        if options.update:
            page.write_text(text, "utf-8")
        sys.stdout.write(f"{page}: as it says\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
