"""Seconds and memory of whole audits, each in a fresh process, beside the targets.

    python benchmarks/throughput.py [--repeats 3] [--scale 1.0]

Run it from the repository root, in an environment that has collapse-audit. It writes its own text, seeded, into a
temporary folder (benchmarks/zipf_text.py) and measures four things at default settings (every text probe, 999
permutations, report written):

* a lineage of 6 corpora x 10,000 documents x 40 words: wall-clock and processor seconds, peak memory, seconds a stage;
* the same with twice the documents, and how many times more that costs;
* two corpora of 20,000 documents of 70 words;
* ``collapse-audit --help``, and which large packages it imports.

Every row is the run of median wall-clock time among ``--repeats``. The targets are wall-clock seconds on two idle
cores. While other work runs these come out too high: "others" says how many cores it kept busy, and processor seconds,
which feel it less, are about what an idle machine would need. ``--scale 0.01`` tries the benchmark itself in seconds;
its figures then mean nothing. A missed target is printed, not turned into an exit code.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fresh_process import JUDGED, Cost, cost, middle
from machine import describe
from zipf_text import write_corpora

AUDIT = (sys.executable, "-m", "collapse_audit.cli")
HEAVY = ("torch", "transformers", "matplotlib", "pandas", "sklearn", "scipy", "numpy", "pyarrow", "jsonschema", "rich")
NEVER = HEAVY[:3]
"""What an audit of text must not import at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the result."""

    what: str
    measured: str
    target: str = ""
    met: bool | None = None
    """None where there is no target."""


def main() -> None:
    """Measure everything and print two tables: stages and targets."""
    options = _options()
    print(describe())
    with tempfile.TemporaryDirectory(prefix="collapse-audit-") as folder:
        rows = [
            *_lineage(Path(folder), options.repeats, options.scale),
            *_pair(Path(folder), options.repeats, options.scale),
            *_help(options.repeats),
        ]
    _print(rows, judge=options.scale == 1)


def _lineage(folder: Path, repeats: int, scale: float) -> list[Row]:
    names = [f"gen_{generation}" for generation in range(6)]
    documents = round(10_000 * scale)
    once, report = _audits(folder / "once", names, documents, 40, repeats)
    twice, _ = _audits(folder / "twice", names, 2 * documents, 40, repeats)
    start = _typical((*AUDIT, str(folder / "once"), "--collect-only"), repeats)
    _print_stages(once, report, start)
    what = f"6 x {documents:,} x 40 words"
    return [
        Row(what=f"{what}: wall clock", measured=_seconds(once), target="<= 60 s", met=once.wall <= 60),
        Row(what=f"{what}: peak memory", measured=f"{once.peak:.0f} MiB", target="<= 1.5 GB", met=once.peak <= 1430),
        Row(what="6 x twice the documents: wall clock", measured=_seconds(twice)),
        Row(what="6 x twice the documents: peak memory", measured=f"{twice.peak:.0f} MiB"),
        Row(
            what="twice the documents cost (processor seconds)",
            measured=f"{twice.cpu / once.cpu:.2f} times (wall clock {twice.wall / once.wall:.2f} times)",
            target="<= 2.2 times",
            met=twice.cpu / once.cpu <= 2.2,
        ),
    ]


def _pair(folder: Path, repeats: int, scale: float) -> list[Row]:
    documents = round(20_000 * scale)
    whole, _ = _audits(folder / "pair", ["gen_0", "gen_1"], documents, 70, repeats)
    what = f"2 x {documents:,} x 70 words"
    return [
        Row(what=f"{what}: wall clock", measured=_seconds(whole), target="< 10 s", met=whole.wall < 10),
        Row(what=f"{what}: peak memory", measured=f"{whole.peak:.0f} MiB", target="< 400 MiB", met=whole.peak < 400),
    ]


def _help(repeats: int) -> list[Row]:
    helped = _typical((*AUDIT, "--help"), max(5, repeats))
    imported = _imported("--help")
    installed = [name for name in NEVER if find_spec(name)]
    return [
        Row(what="--help: wall clock", measured=_seconds(helped), target="< 0.5 s", met=helped.wall < 0.5),
        Row(
            what=f"--help: imports of {', '.join(NEVER)} (installed here: {', '.join(installed) or 'none'})",
            measured=", ".join(imported & set(NEVER)) or "none",
            target="none",
            met=not imported & set(NEVER),
        ),
        Row(what="--help: other large packages", measured=", ".join(sorted(imported - set(NEVER))) or "none"),
    ]


def _audits(folder: Path, names: list[str], documents: int, words: int, repeats: int) -> tuple[Cost, dict[str, Any]]:
    """What a whole audit of new corpora costs, and its report."""
    folder.mkdir()
    write_corpora(folder, names, documents=documents, words=words)
    report = folder.with_suffix(".report")
    command = (*AUDIT, str(folder), "--independent", "--report", str(report))
    costs, reports = [], []
    for repeat in range(repeats):
        costs.append(cost(command, accept=JUDGED))
        reports.append(json.loads((report / "report.json").read_text("utf-8")))
        print(f"{len(names)} x {documents:,} x {words}, run {repeat + 1}: {_seconds(costs[-1])}", flush=True)
    return costs[middle(costs)], reports[middle(costs)]


def _typical(command: Sequence[str], repeats: int) -> Cost:
    costs = [cost(command) for _ in range(repeats)]
    return costs[middle(costs)]


def _imported(*arguments: str) -> set[str]:
    """Which of the large packages the command imports."""
    said = cost((sys.executable, "-X", "importtime", *AUDIT[1:], *arguments)).output
    return {name for name in HEAVY if re.search(rf"\| +{name}$", said, re.MULTILINE)}


def _print_stages(whole: Cost, report: dict[str, Any], start: Cost) -> None:
    """Where the seconds went. Probes share tables: whoever asks first pays, so their order matters."""
    probes: Counter[str] = Counter()
    for finding in report["findings"]:
        probes[finding["probe"]] += finding.get("seconds", 0.0)
    rest = whole.wall - start.wall - sum(probes.values())
    print("\nseconds a stage (wall clock; the probes of all generations together, from report.json)")
    print(f"  {start.wall:7.2f}  start: imports, settings, finding the files")
    print(f"  {rest:7.2f}  reading, cutting into tokens, judging, writing the report")
    for probe, seconds in probes.most_common():
        print(f"  {seconds:7.2f}  {probe}")
    print(f"  {whole.wall:7.2f}  total")


def _seconds(cost: Cost) -> str:
    others = "" if cost.others is None else f", others {cost.others:.1f} cores"
    return f"{cost.wall:.2f} s (processor {cost.cpu:.2f} s{others})"


def _print(rows: list[Row], *, judge: bool) -> None:
    words = {True: "yes", False: "NO", None: ""}
    table = [("what", "measured", "target", "met" if judge else "")]
    table += [(row.what, row.measured, row.target, words[row.met] if judge else "") for row in rows]
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    print()
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs of each command (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the documents (default 1.0)")
    options = parser.parse_args()
    if options.repeats < 1 or options.scale < 0.001:
        parser.error("--repeats: at least 1; --scale: at least 0.001, which is 10 documents a corpus")
    return options


if __name__ == "__main__":
    main()
