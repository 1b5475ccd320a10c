"""``-k EXPR``: pytest's little language of names, ``and``, ``or``, ``not`` and parentheses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence

from collapse_audit.errors import UsageError

_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")
_MOST_TOKENS = 200
"""Each bracket within another takes three frames of Python's stack."""
Match = Callable[[str], bool]


def keyword(expression: str) -> Match:
    """Compile ``expression``: the result says whether a string matches it. A name matches where it is contained."""
    tokens = _TOKEN.findall(expression)
    if not tokens:
        raise UsageError("-k needs an expression, such as 'diversity or label-coverage'")
    if len(tokens) > _MOST_TOKENS:
        raise UsageError(f"-k: an expression of {len(tokens):,} words and brackets; at most {_MOST_TOKENS}")
    match, rest = _either(tokens, expression)
    if rest:
        raise _broken(expression, f"unexpected {rest[0]!r}")
    return match


def names_in(expression: str) -> frozenset[str]:
    """The names that the expression asks for, in lower case; not those that a ``not`` before them excludes."""
    names: set[str] = set()
    negated, brackets = False, [False]  # a "not" came just before; for each open bracket, whether it is negated
    for token in _TOKEN.findall(expression):
        if token == "not":
            negated = not negated
        elif token == "(":
            brackets.append(brackets[-1] != negated)
            negated = False
        elif token == ")":
            brackets = brackets[:-1] or [False]
        elif token not in ("and", "or"):
            if brackets[-1] == negated:
                names.add(token.lower())
            negated = False
    return frozenset(names)


def known_names(expression: str, described: Sequence[str]) -> None:
    """Raises UsageError where a name of the expression stands in none of ``described``: a slip of the pen would
    otherwise select nothing."""
    lower = [known.lower() for known in described]
    for name in sorted(names_in(expression)):
        if any(name in known for known in lower):
            continue
        words = {word for known in lower for word in known.split()}
        near = difflib.get_close_matches(name, sorted(words), n=1)
        hint = f"; did you mean {near[0]}?" if near else "; names of probes, codes, statistics and generation-<k> match"
        raise UsageError(f"-k {expression!r}: nothing is called {name!r}{hint}")


def _either(tokens: list[str], whole: str) -> tuple[Match, list[str]]:
    left, rest = _both(tokens, whole)
    while rest[:1] == ["or"]:
        right, rest = _both(rest[1:], whole)
        left = _or(left, right)
    return left, rest


def _both(tokens: list[str], whole: str) -> tuple[Match, list[str]]:
    left, rest = _one(tokens, whole)
    while rest[:1] == ["and"]:
        right, rest = _one(rest[1:], whole)
        left = _and(left, right)
    return left, rest


def _one(tokens: list[str], whole: str) -> tuple[Match, list[str]]:
    if not tokens or tokens[0] in ("and", "or", ")"):
        raise _broken(whole, f"a name is missing before {tokens[0]!r}" if tokens else "a name is missing at its end")
    if tokens[0] == "not":
        match, rest = _one(tokens[1:], whole)
        return (lambda text: not match(text)), rest
    if tokens[0] == "(":
        match, rest = _either(tokens[1:], whole)
        if rest[:1] != [")"]:
            raise _broken(whole, "a ) is missing")
        return match, rest[1:]
    name = tokens[0].lower()
    return (lambda text: name in text.lower()), tokens[1:]


def _or(left: Match, right: Match) -> Match:
    return lambda text: left(text) or right(text)


def _and(left: Match, right: Match) -> Match:
    return lambda text: left(text) and right(text)


def _broken(expression: str, why: str) -> UsageError:
    return UsageError(f"-k {expression!r}: {why}; allowed: names, and, or, not, ( )")
