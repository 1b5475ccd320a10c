"""What the commands return, and every error with its remedy: docs/reference/{exit-codes,messages}.md."""

from __future__ import annotations

from collapse_audit.commands.messages import MESSAGES
from collapse_audit.verdicts.exit_codes import ExitCode
from docs.markdown import documented, inline, table

_EXIT_CODES = """\
# Exit codes

Pytest's own where it has one (0 to 5). The last line printed, the exit code and every report say the same thing.
"""
_ORDER = """
Where several hold, the first of these decides: collapse (1), error (3), inconclusive (6), nothing measured (5), changed
(0 or 7), pass (0). The same order holds for several lineages in one command. An error is never a pass.

**Changed** means that a probe which only tells two distributions apart (a *move*: `token-divergence`,
`label-divergence`, `perplexity` without the Nature signature) found a difference beyond its margin, and that nothing
was found lost. That is 0, with a warning that says what moved and which of tails, types, labels and diversity were
held. `--fail-on-change` makes it 7, `--fail-on-change token-divergence` only for the probes named. In settings:
`fail_on_change = true`, or a list of probes; in pytest: `--fail-on-change`, `--fail-on-change=token-divergence`.

A probe whose input is not there (no labels, no `nll`) is `not_measured` and neutral: the summary says so in one line. A
probe that was asked for by name (`-k perplexity`) and could not run is an error.

`--allow-inconclusive` turns 6 into 0 and nothing else: a change that is asked to fail is then 7. In pytest
(`pytest --collapse-audit LINEAGE`) each probe on each generation is an item, and pytest's own exit code holds: `fail`,
`error` and `inconclusive` fail their item, `changed` passes it with a warning.

`collapse-audit compare` uses the same numbers for its own question: 0 nothing is worse, 1 something is worse, 5 nothing
could be compared, 6 inconclusive. `collapse-audit calibrate` returns 5 where no margin could be settled.
`collapse-lineage` returns 0, 2, 3 or 4.
"""
_MESSAGES = """\
# Messages

An error says what was found, where, and what is allowed; all problems of a file come together. Each has a slug, which
never changes; behind a message about a file it stands in square brackets. `collapse-audit explain SLUG` shows what
stands here.

Exit code 4 (bad usage or bad input: nothing was judged, nothing written), except in the last section: 3.
"""


def exit_codes_page() -> str:
    """What the commands return."""
    told = documented(ExitCode)
    rows = [(f"**{code.value}**", code.name.lower().replace("_", " "), inline(told[code.name])) for code in ExitCode]
    return "\n".join([_EXIT_CODES, table(("code", "name", "meaning"), rows), _ORDER])


def messages_page() -> str:
    """Every error with its remedy."""
    header = ("slug", "what it says", "what to do")
    parts = [_MESSAGES]
    for section, errors in MESSAGES.items():
        rows = [(f"`{slug}`", inline(meaning), inline(remedy)) for slug, (meaning, remedy) in errors.items()]
        parts += [f"## {section}", "", table(header, rows), ""]
    return "\n".join(parts)
