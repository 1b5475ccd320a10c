"""Seconds and bytes of ``report.html``, from a stored report, in a fresh process.

    python benchmarks/html_page.py [REPORT…] [--repeats 3]

REPORT is a report.json or its folder. Without one, the committed lineage ``mistral_recursive`` (5 generations, 3 seeds)
is audited first, into a temporary folder. Targets, for that lineage: under 5 seconds and under 3 MB (10^6 bytes).
Seconds are those of ``collapse-audit render``: the start of Python, the import of the drawing library, and the rest. A
missed target is printed, not turned into an exit code.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fresh_process import cost, middle

AUDIT = (sys.executable, "-m", "collapse_audit.cli")
LINEAGE = Path(__file__).parents[1] / "lineages" / "mistral_recursive"
SECONDS, BYTES = 5.0, 3_000_000


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line a report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="*", type=Path, metavar="REPORT")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the median one is shown (default 3)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        if not options.reports:
            cost([*AUDIT, str(LINEAGE), "--report", folder, "--evidence", "texts", "-q"], accept=(0, 1, 6))
        for report in options.reports or [Path(folder)]:
            page = Path(folder, "page.html")
            command = [*AUDIT, "render", str(report), "--html", str(page)]
            runs = [cost(command) for _ in range(options.repeats)]
            run, size = runs[middle(runs)], page.stat().st_size
            missed = [name for name, above in (("time", run.wall > SECONDS), ("size", size > BYTES)) if above]
            others = "" if run.others is None else f", others kept {run.others:.1f} cores busy"
            print(
                f"{size / 1e6:.2f} MB of {BYTES / 1e6:.0f}; {run.wall:.1f} s of {SECONDS:.0f} on the wall, "
                f"{run.cpu:.1f} s of processor{others}; {'missed: ' + ', '.join(missed) if missed else 'both met'}"
            )


if __name__ == "__main__":
    main()
