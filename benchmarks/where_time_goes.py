"""Where the processor time of an audit goes, and how far it is from what nobody can do without.

    python -m benchmarks.where_time_goes [LINEAGE] [--documents 20000] [--words 70] [--repeats 3] [--functions 15]

The floors are the plainest programs that read the same JSON lines, each in a process of its own: one parses every
record, one also cuts every text at white space, one also counts the words and the pairs of neighbours in dictionaries.
The last is what any statement about words costs in Python; the audit's processor time over it is its distance to the
limit. LINEAGE: folder of gen_0.jsonl, gen_1.jsonl, … (default: two corpora that are made up). Of each the run of least
processor time is shown.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.fresh_process import JUDGED, Cost, cost
from benchmarks.machine import describe
from benchmarks.zipf_text import write_corpora

_READ = """import json, sys
for name in sys.argv[1:]:
    for line in open(name, "rb"):
        text = json.loads(line)["text"]"""
_CUT = f"{_READ}\n        words = text.split()"
_COUNT = (
    f"from collections import Counter\nfrom itertools import pairwise\nkinds, pairs = Counter(), Counter()\n{_CUT}"
    "\n        kinds.update(words)\n        pairs.update(pairwise(words))"
)
FLOORS = {"reading": _READ, "reading and tokenizing": _CUT, "reading, tokenizing and counting": _COUNT}


def main() -> None:
    """Measure the floors and the audit, and print both."""
    options = _options()
    print(describe())
    with tempfile.TemporaryDirectory(prefix="collapse-audit-") as home:
        folder = options.lineage or Path(home) / "runs"
        if options.lineage is None:
            folder.mkdir()
            write_corpora(folder, ["gen_0", "gen_1"], documents=options.documents, words=options.words)
        files = sorted(map(str, folder.glob("gen_*.jsonl")))
        if not files:
            sys.exit(f"{folder}: no gen_*.jsonl there")
        floors = {
            what: _least(options.repeats, [sys.executable, "-c", program, *files]) for what, program in FLOORS.items()
        }
        out = Path(home) / "sampled.json"
        audit = [sys.executable, "-m", "benchmarks.sampled", str(out), str(folder), "--independent", "-q"]
        audit += ["--report", str(Path(home) / "report")]
        best: tuple[Cost, dict[str, Any]] | None = None
        for _ in range(options.repeats):
            spent = cost(audit, accept=JUDGED)
            if best is None or spent.cpu < best[0].cpu:
                best = spent, json.loads(out.read_text("utf-8"))
    assert best is not None
    _print(floors, *best, functions=options.functions)


def _least(repeats: int, command: list[str]) -> Cost:
    return min((cost(command) for _ in range(repeats)), key=lambda each: each.cpu)


def _print(floors: dict[str, Cost], whole: Cost, found: dict[str, Any], *, functions: int) -> None:
    print("\nfloors: processor seconds, and how many times as much the audit takes")
    for what, floor in floors.items():
        print(f"  {floor.cpu:7.2f}  {what}: {whole.cpu / floor.cpu:.1f}")
    print("\nthe audit: processor seconds by stage (probes share tables, and whoever asks first pays)")
    for what, seconds in sorted(found["stages"].items(), key=lambda each: -each[1]):
        print(f"  {seconds:7.2f}  {what}")
    print(f"  {whole.cpu:7.2f}  total; peak memory {whole.peak:.0f} MiB")
    print(f"\nthe {functions} functions in which most of it is spent, with what they call in libraries")
    for what, seconds in sorted(found["functions"].items(), key=lambda each: -each[1])[:functions]:
        print(f"  {seconds:7.2f}  {what or 'before and after'}")
    distance = whole.cpu / list(floors.values())[-1].cpu
    print(f"\ndistance to the limit: {distance:.1f} times reading, tokenizing and counting in dictionaries")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lineage", nargs="?", type=Path, help="folder of gen_<k>.jsonl (default: made up)")
    parser.add_argument("--documents", type=int, default=20_000, help="documents a corpus that is made up")
    parser.add_argument("--words", type=int, default=70, help="words a document, on average")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs of each command (default 3)")
    parser.add_argument("--functions", type=int, default=15, metavar="N", help="functions shown (default 15)")
    options = parser.parse_args()
    if min(options.repeats, options.documents, options.words) < 1:
        parser.error("--repeats, --documents and --words: at least 1")
    return options


if __name__ == "__main__":
    main()
