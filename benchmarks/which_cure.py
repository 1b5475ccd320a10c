"""Which cure holds: the table of docs/which-cure-holds.md, of what ``collapse-lineage cures`` trained.

    python -m benchmarks.which_cure OUT        read OUT (its --out folder), and write the numbers and the page
    python -m benchmarks.which_cure --check    say whether the page is as the numbers have it

To what the command measured of every cure it adds what only the grammar of the reports can tell: how many mentions of
rare findings are left. Everything is measured on held-out samples, which nothing was trained on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pages import fill
from benchmarks.paper_measured import markdown, read_corpus
from benchmarks.paper_tables import finding_counts
from collapse_audit import load_lineage
from collapse_audit.atomic import write_text
from collapse_audit.comparison.cures import Figure, shown
from collapse_audit.lineages.simulation.thyroid_truth import thyroid_truth

NUMBERS = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).parents[1] / "docs" / "which-cure-holds.md"
SHOWN: Mapping[str, str] = {
    "human text": "nats a token",
    "rare findings": "rare findings",
    "distinct word pairs": "distinct pairs",
    "the rare tail's probability": "rare tail",
    "effective labels": "labels",
}
"""Figures of the table and their columns; all but the first are shares of what generation 0 had."""


def rare_findings(lineage: Path) -> Figure:
    """Mentions of rare findings in the last generation over those in generation 0, seed by seed."""
    names = thyroid_truth()["findings"]
    mentions: dict[int, dict[str, int]] = {}
    for entry in load_lineage(lineage).generations:
        assert entry.holdout is not None
        assert entry.seed is not None
        found = finding_counts(read_corpus(entry.holdout), names)
        mentions.setdefault(entry.index, {})[entry.seed] = sum(found.values())
    last = mentions[max(mentions)]
    shares = {seed: last[seed] / before for seed, before in mentions[0].items() if before}
    return Figure(name="rare findings", unit="ratio", scale="linear", by_seed=shares)


def read(out: Path) -> list[dict[str, Any]]:
    """The rows of the command, each with its rare findings."""
    rows = json.loads((out / "cures.json").read_text("utf-8"))["cures"]
    return [{**row, "figures": [*row["figures"], rare_findings(out / row["name"]).as_json()]} for row in rows]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line a cure: what the audit says, what it costs, and what is left in the last generation."""
    lines = []
    for row in rows:
        figures = {figure["name"]: figure for figure in row["figures"]}
        since = row["first_failed_generation"]
        said = row["verdict"] + ("" if since is None else f", first in {since}")
        cost = (f"{row['human_share']:.0%}", str(row["models"]))
        lines.append([f"`{row['name']}`", said, *cost, *(_cell(figures.get(name)) for name in SHOWN)])
    header = ("cure", "verdict, generation", "human text", "models", *SHOWN.values())
    return markdown(header, lines)


def _cell(figure: Mapping[str, Any] | None) -> str:
    return "–" if figure is None else shown(figure["mean"], (figure["low"], figure["high"]))


def meanings(rows: Sequence[Mapping[str, Any]]) -> str:
    """What is done in each cure."""
    return "\n".join(f"* `{row['name']}`: {row['says']}." for row in rows)


def main() -> int:
    """Measure and write, or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT", nargs="?", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check == (options.out is not None):
        parser.error("either OUT or --check")
    if options.out is not None:
        write_text(NUMBERS, json.dumps(read(options.out), ensure_ascii=False, indent=1) + "\n")
    rows = json.loads(NUMBERS.read_text("utf-8"))
    made = {"held": table(rows), "cures": meanings(rows)}
    return fill(PAGE, made, by="which_cure", check=options.check, command="python -m benchmarks.which_cure OUT")


if __name__ == "__main__":
    sys.exit(main())
