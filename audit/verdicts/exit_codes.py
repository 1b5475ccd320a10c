"""Exit codes: pytest's own where it has one (0 to 5), 6 for "too little text to tell", 7 for an unwanted change."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says when it ends; the last line printed and every report say the same."""

    PASS = 0
    """Every probe passed."""
    COLLAPSE = 1
    """At least one gated finding failed."""
    INTERRUPTED = 2
    """Stopped by the user (Ctrl-C)."""
    INTERNAL_ERROR = 3
    """A probe crashed, or the tool did."""
    USAGE = 4
    """Bad usage or bad input; nothing was judged and nothing was written."""
    NOTHING_MEASURED = 5
    """No probe found anything to measure."""
    INCONCLUSIVE = 6
    """Too little text to tell collapse from health at the stated margins (0 with --allow-inconclusive)."""
    CHANGED = 7
    """Nothing was lost, but a probe that --fail-on-change names has moved (0 without it, with a warning)."""
