"""Pieces of Markdown for the generated pages, and the words for them that stand in the code."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

_CODE = re.compile(r"`[^`]*`")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table; a cell keeps to one line."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def block(kind: str, text: str) -> str:
    """A fenced block."""
    body = text.strip("\n")
    return f"```{kind}\n{body}\n```"


def inline(text: str) -> str:
    """A docstring's words: ``code`` becomes `code`, and signs of Markdown in formulas stay themselves."""
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    spans = _CODE.findall(text)
    return "".join(plain(part) + span for part, span in zip(_CODE.split(text), [*spans, ""], strict=True))


def plain(text: str) -> str:
    """Text in which nothing is markup."""
    return re.sub(r"([\\*_<>\[\]$`])", r"\\\1", text)


def documented(kind: type[Any]) -> dict[str, str]:
    """The strings below the fields or members of a class: name -> text."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    told = {}
    for node, after in itertools.pairwise(definition.body):
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            told |= {
                each.id: inspect.cleandoc(str(after.value.value)) for each in targets if isinstance(each, ast.Name)
            }
    return told
