"""Every error that collapse-audit raises on purpose.

::

    CollapseAuditError            what a person can act on; carries a slug and an exit code
    ├── UsageError                a flag, a setting or a combination that makes no sense (exit 4)
    ├── InputError                files that cannot be read as a lineage (exit 4); lists every problem
    ├── ProbeError                a probe crashed or broke its contract (exit 3)
    └── EngineError               what the work was given to is gone (exit 3)

Anything else that escapes is a defect of ours and exits with 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with an input: where, what was found, what is allowed, and a permanent slug."""

    where: str
    """The file, as the user would type it, or the folder."""
    line: int | None = None
    """1-based line (or row) in that file; None when the problem is the file itself."""
    found: str
    expected: str
    slug: str
    more: str = ""
    """Lines below the message: commands that would do."""

    def __str__(self) -> str:
        place = self.where if self.line is None else f"{self.where}:{self.line}"
        return f"{place}: found {self.found}; expected {self.expected} [{self.slug}]{self.more}"


class CollapseAuditError(Exception):
    """Base of every error that is meant to be read by a person."""

    exit_code = 3
    slug = "error"

    def __init__(self, message: str, *, slug: str | None = None) -> None:
        super().__init__(message)
        if slug is not None:
            self.slug = slug


class UsageError(CollapseAuditError):
    """A flag, a setting or a combination of them that makes no sense."""

    exit_code = 4
    slug = "usage"


class InputError(CollapseAuditError):
    """Files that cannot be read as what they claim to be; every problem of a file together."""

    exit_code = 4
    slug = "input"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems), slug=self.problems[0].slug)

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Problem, ...]]]:
        """As another process gets it."""
        return InputError, (self.problems,)


class ProbeError(CollapseAuditError):
    """A probe crashed, or returned something that its contract does not allow."""

    exit_code = 3
    slug = "probe"


class EngineError(CollapseAuditError):
    """The cluster that the work was given to is gone, or cannot do it."""

    exit_code = 3
    slug = "engine"
