"""How long a report may be before anything is unfolded, tried on one in which everything is wrong at once."""

from __future__ import annotations

import pytest
from examples import report
from rich.cells import cell_len

from collapse_audit.probes.registry import BUILTIN
from collapse_audit.reports import as_markdown, as_text
from collapse_audit.reports.document import AuditReport, Finding, Interval, Outcome, Verdict

TURNS = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.FAIL, Outcome.CHANGED)
REASON = "the 95% bound 0.06984 lies beyond the margin 0.01, p = 0.022 after Holm; " * 3
SENTENCE = (
    "in generation 4 the label that fell most keeps 12.5% of its share in generation 0; 750 texts a side cannot tell a "
    "loss of 50% in share of every label from chance; about 4,200 would"
)


def everything_wrong(seeds: int, generations: int = 5) -> AuditReport:
    """Every built-in statistic of every generation and seed fails, has changed or is open, with long words for it."""
    findings = []
    for seed in range(seeds):
        for generation in range(generations):
            for number, (probe, gate) in enumerate((p, g) for p in BUILTIN for g in p.gates):
                outcome = TURNS[(number + generation) % len(TURNS)]
                far = 0.4 if gate.worse == "lower" else gate.margin + 0.1
                findings.append(
                    Finding(
                        probe=probe.name,
                        code=probe.code,
                        statistic=gate.statistic,
                        seed=None if seeds == 1 else str(seed),
                        generation=generation,
                        baseline="generation 0 (held-out)" if generation else "reference (held-out)",
                        gating=generation > 0,
                        outcome=outcome,
                        value=far,
                        unit=gate.unit,
                        worse=gate.worse,
                        kind="move" if outcome is Outcome.CHANGED else "loss",
                        interval=Interval(low=far - 0.01, high=far + 0.01, level=0.9, method="normal"),
                        margin=gate.margin,
                        p_value=0.001,
                        p_adjusted=0.018,
                        n_baseline=750,
                        n_generation=750,
                        evidence=tuple({"kind": "term", "term": f"w{k}", "baseline": 1} for k in range(10)),
                        reason=REASON,
                        sentence=SENTENCE,
                    )
                )
    return report(findings, Verdict.COLLAPSE, 1, "collapse: 36 of 72 findings failed, first token-divergence [exit 1]")


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(("seeds", "lines"), [(1, 40), (3, 60)])
def test_the_terminal_shows_no_more_lines_than_are_read(seeds: int, lines: int, width: int) -> None:
    text = as_text.render(everything_wrong(seeds), width=width).splitlines()
    assert len(text) <= lines
    assert max(map(cell_len, text[:-1])) <= width


@pytest.mark.parametrize("seeds", [1, 3])
def test_at_60_columns_no_row_of_a_table_is_broken(seeds: int) -> None:
    text = as_text.render(everything_wrong(seeds), width=60)
    rows = [line for line in text.splitlines() if line[:3] in ("x F", "~ C", "? I") and " fail " not in line]
    assert rows
    names = {f"{probe.name}/{gate.statistic}" for probe in BUILTIN for gate in probe.gates}
    assert {row[5:].split()[0] for row in rows} <= names | {probe.name for probe in BUILTIN}


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_page_for_a_pull_request_shows_60_lines_before_anything_is_unfolded(seeds: int) -> None:
    text = as_markdown.render(everything_wrong(seeds))
    visible, _, folded = text.partition("<details>\n")
    assert len(visible.splitlines()) + 1 <= 60
    assert folded.endswith("</details>\n")
    assert folded.count("<details>") + 1 == folded.count("</details>")
