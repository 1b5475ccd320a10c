"""What the trained lineages show, beside what the two papers report: the tables of docs/papers.md.

    python -m benchmarks.paper_tables            print the tables and write them into the page
    python -m benchmarks.paper_tables --check    exit 1 if the page is not what the lineages say

Everything is measured on held-out samples, which nothing was trained on. A cell is the mean over the seeds that are
there and, of several, the least and the greatest. The papers' M1 is generation 0 here.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from benchmarks.nature_tables import (
    beside_people_table,
    changes_table,
    human_text_table,
    perplexity_table,
    tails_table,
)
from benchmarks.pages import fill
from benchmarks.paper_measured import Measured, markdown, measure, people_of, rows_of, spread
from benchmarks.thyroid_task import task_table
from collapse_audit.lineages.simulation.thyroid_grammar import thyroid_grammar
from collapse_audit.probes.text.eu_tirads import CATEGORIES
from collapse_audit.probes.text.labels import EU_TIRADS
from collapse_audit.probes.text.sample import Sample
from collapse_audit.reports.document import Finding, Outcome

_ROOT = Path(__file__).parents[1]
PAGE = _ROOT / "docs" / "papers.md"
LINEAGES = _ROOT / "lineages"
NATURE = ("smollm2_replace", "smollm2_preserve", "smollm2_accumulate", "smollm2_repetition_penalty")
UNLIKE = ("mistral_cross_unlike", "llama_cross_unlike")
"""As the thyroid paper's cross training, between writers that differ in size, pretraining and decoding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the thyroid paper reports of one of its four series."""

    table: int
    kl: tuple[float, ...]
    """M1 to M2, M3, M4 and M5; no unit is named."""
    unique_at_m5: float | None
    """Share of unique patterns, in percent; None where the text names no number."""


PUBLISHED: Mapping[str, Published] = {
    # Bobrova et al., "Study of the collapse of language models in medical applications during recursive and
    # cross-training on artificial data": tables 2, 3, 5 and 6; the shares are those of the text on figure 4.
    "mistral_recursive": Published(table=2, kl=(0.35, 0.55, 0.80, 1.30), unique_at_m5=8),
    "llama_recursive": Published(table=3, kl=(0.45, 0.75, 1.20, 2.00), unique_at_m5=1),
    "mistral_cross": Published(table=5, kl=(0.30, 0.46, 0.61, 0.83), unique_at_m5=None),
    "llama_cross": Published(table=6, kl=(0.37, 0.69, 0.86, 1.20), unique_at_m5=None),
}


# ---------------------------------------------------------------- the thyroid paper


def kl_table(runs: Sequence[Measured]) -> str:
    """KL from generation 0, over words and over labels, beside the paper's tables."""
    rows = []
    for run in runs:
        published = PUBLISHED.get(run.name)
        for k in range(1, 1 + (len(published.kl) if published else max(run.samples, default=0))):
            paper = "–" if published is None else f"{published.kl[k - 1]:.2f} (table {published.table})"
            raw = [f.raw for f in run.findings(k, "token-divergence") if f.statistic == "JS-excess"]
            words = [[r[f"kl_{way}_less_bias"] for r in raw] for way in ("baseline_generation", "generation_baseline")]
            labels = [
                f.value
                for f in run.findings(k, "label-divergence")
                if f.statistic == "KL-excess" and f.value is not None
            ]
            ours = (*(spread(values, 2) for values in words), spread(labels, 3), str(len(raw)))
            rows.append([run.name, f"M1→M{k + 1}", paper, *ours])
    header = ("words, KL(M1‖Mk)", "words, KL(Mk‖M1)", "labels, KL(M1‖Mk)", "seeds")
    return markdown(("lineage", "step", "paper", *header), rows)


def unique_shares(sample: Sample) -> tuple[float, float]:
    """Distinct texts, and distinct texts once numbers are masked, in percent of all texts."""
    distinct = (pc.count_distinct(texts).as_py() for texts in (sample.folded, sample.patterns))
    texts, patterns = (100 * float(number) / len(sample) for number in distinct)
    return texts, patterns


def unique_table(runs: Sequence[Measured]) -> str:
    """Share of unique texts, and of unique patterns (numbers masked), by generation."""

    def ours(run: Measured, k: int) -> Sequence[str]:
        published = PUBLISHED.get(run.name)
        paper = published.unique_at_m5 if published and k == len(published.kl) else None
        shares = zip(*(unique_shares(sample) for sample in run.samples[k].values()), strict=True)
        return "–" if paper is None else f"{paper:g}", *(spread(values, 1) for values in shares)

    people = people_of(runs, lambda s: ("–", *(f"{share:.1f}" for share in unique_shares(s))))
    header = ("lineage", "model", "paper, %", "texts, %", "patterns, %", "n", "seeds")
    return markdown(header, [*people, *rows_of(runs, ours)])


def category_shares(sample: Sample) -> list[float]:
    """Percent of the texts that name EU-TIRADS 1, 2, 3, 4, 5, and that name no category."""
    labels = sample.labels(EU_TIRADS)
    carried = np.column_stack([labels.column(name) for name in CATEGORIES])
    return [*(100 * carried.mean(axis=0)).tolist(), 100 * float((~carried.any(axis=1)).mean())]


def _seen(shares: Sequence[float]) -> int:
    return int(np.count_nonzero(shares[:-1]))


def categories_table(runs: Sequence[Measured]) -> str:
    """Which categories are still named, how often, and which of them label-coverage calls lost or depleted."""

    def row(shares: Sequence[float]) -> Sequence[str]:
        return str(_seen(shares)), *(f"{share:.1f}" for share in shares), "–"

    def ours(run: Measured, k: int) -> Sequence[str]:
        shares = [category_shares(sample) for sample in run.samples[k].values()]
        means = (f"{share:.1f}" for share in np.mean(shares, axis=0))
        return spread([_seen(s) for s in shares], 1), *means, _lost(run.findings(k, "label-coverage")) if k else "–"

    truth = next((run.truth for run in runs if "categories" in run.truth), None)
    exact = [] if truth is None else [truth["categories"].get(name, 0.0) for name in CATEGORIES] + [truth["unlabelled"]]
    rows = [["truth", "–", *row([100 * p for p in exact]), "–", "–"]] if exact else []
    numbers = [name.removeprefix("EU-TIRADS ") for name in CATEGORIES]
    header = ("lineage", "model", "categories", *numbers, "none", "lost or depleted", "n", "seeds")
    return markdown(header, [*rows, *people_of(runs, lambda s: row(category_shares(s))), *rows_of(runs, ours)])


def _lost(findings: Iterable[Finding]) -> str:
    """Categories surely under half of M1's share (label-coverage), with the number of seeds in which they are."""
    hit = Counter(str(e["label"]) for f in findings for e in f.evidence if e.get("status") in ("lost", "depleted"))
    return ", ".join(f"{label.removeprefix('EU-TIRADS ')} ({seeds})" for label, seeds in sorted(hit.items())) or "none"


def finding_counts(sample: Sample, findings: Iterable[str]) -> dict[str, int]:
    """In how many texts each rare finding of the thyroid grammar stands, in any of its wordings."""
    texts = pc.utf8_lower(sample.folded)
    counts = {}
    for name in findings:
        wordings = sorted({text.lstrip(".,- ").lower() for text in thyroid_grammar().law("finding", {"finding": name})})
        matches = pc.match_substring_regex(texts, "|".join(re.escape(wording) for wording in wordings))
        counts[name] = int(pc.sum(matches).as_py())
    return counts


def expected_findings(shares: Mapping[str, float], n: int) -> float:
    """How many of the findings a model that knew the truth would be expected to write in ``n`` independent reports:
    the sum of 1 - (1 - p)^n."""
    return float(sum(1 - (1 - p) ** n for p in shares.values()))


def findings_table(runs: Sequence[Measured]) -> str:
    """How many of the rare findings still occur, and how often they are named."""
    shares = _shares(runs)

    def both(sample: Sample) -> tuple[float, float]:
        counts = list(finding_counts(sample, shares).values())
        return float(np.count_nonzero(counts)), 100 * sum(counts) / len(sample)

    def ours(run: Measured, k: int) -> Sequence[str]:
        kinds, mentions = zip(*(both(sample) for sample in run.samples[k].values()), strict=True)
        return spread(kinds, 1), spread(mentions, 1)

    exact = people_of(runs, lambda s: (f"{expected_findings(shares, len(s)):.2f}", f"{100 * sum(shares.values()):.1f}"))
    people = people_of(runs, lambda s: (f"{both(s)[0]:.0f}", f"{both(s)[1]:.1f}"))
    header = ("lineage", "model", f"findings, of {len(shares)}", "mentions per 100 texts", "n", "seeds")
    return markdown(header, [*(["truth, expected", *row[1:]] for row in exact), *people, *rows_of(runs, ours)])


def _shares(runs: Sequence[Measured]) -> Mapping[str, float]:
    """Each rare finding's true share. All lineages have one reference, and so one truth."""
    return next((run.truth["findings"] for run in runs if "findings" in run.truth), {})


def each_finding_table(runs: Sequence[Measured]) -> str:
    """Each rare finding: the truth, the human texts, and its mean count in the first and in the last generation."""
    runs = [run for run in runs if run.samples]
    shares = _shares(runs)
    people = next((run.human for run in runs if run.human is not None), None)
    if people is None:
        return "No generation is there yet."
    human = finding_counts(people, shares)
    header, columns = ["finding", "truth, %", f"expected in {len(people)}", "people"], []
    for run in runs:
        first, last = min(run.samples), max(run.samples)
        header.append(f"{run.name}, M{first + 1} → M{last + 1}")
        ends = [[finding_counts(s, shares) for s in run.samples[k].values()] for k in (first, last)]
        columns.append({x: " → ".join(f"{np.mean([c[x] for c in end]):.1f}" for end in ends) for x in shares})
    rows = []
    for x, p in shares.items():
        known = (x.replace("_", " "), f"{100 * p:.2f}", f"{p * len(people):.1f}", str(human[x]))
        rows.append([*known, *(column[x] for column in columns)])
    return markdown(header, rows)


# ---------------------------------------------------------------- what the audit says


def verdict_table(runs: Sequence[Measured]) -> str:
    """What collapse-audit says of each lineage with its default settings, and in how many findings."""
    known = (Outcome.FAIL, Outcome.CHANGED, Outcome.INCONCLUSIVE)
    outcomes = (*known, Outcome.PASS, Outcome.NOT_MEASURED, Outcome.ERROR)
    rows = []
    for run in runs:
        if run.report is None:
            rows.append([run.name, "not there yet", *["–"] * 9])
            continue
        counts = Counter(f.outcome for f in run.report.findings if f.gating)
        failed = [f for f in run.report.findings if f.gating and f.outcome is Outcome.FAIL]
        probes = ", ".join(f"{probe} {count}" for probe, count in Counter(f.probe for f in failed).most_common())
        first = str(min((f.generation for f in failed), default="–"))
        says = f"{run.report.verdict.value}, {run.report.stage.value}".replace("_", " ")
        most = str(max(len(by_seed) for by_seed in run.samples.values()))
        rows.append([run.name, says, *(str(counts[o]) for o in outcomes), first, probes or "–", most])
    header = ("lineage", "verdict, stage", *(o.value.replace("_", " ") for o in outcomes), "first in generation")
    return markdown((*header, "failed", "seeds"), rows)


# ---------------------------------------------------------------- the page


def tables(thyroid: Sequence[Measured], nature: Sequence[Measured]) -> dict[str, str]:
    """Every table by its name on the page."""
    return {
        "kl": kl_table(thyroid),
        "unique": unique_table(thyroid),
        "categories": categories_table(thyroid),
        "task": task_table(thyroid),
        "findings": findings_table(thyroid),
        "each-finding": each_finding_table(thyroid),
        "human-text": human_text_table(nature),
        "answers": human_text_table(thyroid, digits=3),
        "beside-people": beside_people_table(nature),
        "perplexity": perplexity_table(nature),
        "tails": tails_table(nature),
        "changes": changes_table(nature),
        "verdicts": verdict_table([*thyroid, *nature]),
    }


def main() -> int:
    """Measure, print, and write or compare the page; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is out of date")
    options = parser.parse_args()
    made = tables(*([measure(LINEAGES / name) for name in names] for names in ((*PUBLISHED, *UNLIKE), NATURE)))
    if not options.check:
        for name, text in made.items():
            print(f"{name}\n\n{text}\n")
    return fill(PAGE, made, by="paper_tables", check=options.check, command="python -m benchmarks.paper_tables")


if __name__ == "__main__":
    sys.exit(main())
