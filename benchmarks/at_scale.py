"""What an audit costs as texts become more: measured, a line fitted to every step, and what the lines say beyond.

    python -m benchmarks.at_scale [--tokens 1e6 1e7 1e8] [--words 40] [--beyond 1e9 1e12] [--home FOLDER]

Two corpora that are made up (many_texts.py), so many tokens in both together, are audited by one process at default
settings. Processor seconds are sampled by stage (sampled.py) and put together as
steps; a step is modelled as a + b * tokens, fitted to relative errors. Printed are the model beside what was measured,
and what it says beyond that. 1e9 tokens take 6 GB of disk in ``--home`` (default: the temporary folder).
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fresh_process import JUDGED, Cost, cost
from benchmarks.machine import describe

STEPS = {
    "digests": ("digests",),
    "cutting into tokens": ("tokenizing",),
    "reading, checking, counting all documents": ("reading", "counting all documents", "drawing documents"),
}
"""Steps of every document, and their stages; all other stages compare at most 20,000 documents a side."""
COMPARISON = "comparing the sample, start, reports"
_DRAWN = 20_000
"""Documents a side that are compared at most (``max_documents``): beyond that a comparison costs no more."""
_A_FILE = 250_000
"""Documents a file."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """seconds = fixed + a_token * tokens, of at most ``most`` tokens."""

    fixed: float
    a_token: float
    most: float = math.inf

    def at(self, tokens: float) -> float:
        """Seconds for so many tokens."""
        return self.fixed + self.a_token * min(tokens, self.most)


def fitted(tokens: Sequence[float], seconds: Sequence[float], most: float = math.inf) -> Line:
    """The line of least squared relative errors, neither part of it below 0; one size gives a constant.

    With weights w = 1/seconds^2 (of 0.05 s at least: what is shorter is hardly sampled) these are the normal equations
    of two unknowns, solved in closed form.
    """
    tokens = [min(each, most) for each in tokens]
    weights = [1 / max(second, 0.05) ** 2 for second in seconds]
    total = sum(weights)
    x = sum(w * t for w, t in zip(weights, tokens, strict=True)) / total
    y = sum(w * s for w, s in zip(weights, seconds, strict=True)) / total
    spread = sum(w * (t - x) ** 2 for w, t in zip(weights, tokens, strict=True))
    together = sum(w * (t - x) * (s - y) for w, t, s in zip(weights, tokens, seconds, strict=True))
    slope = max(together / spread, 0.0) if spread else 0.0
    fixed = y - slope * x
    if fixed >= 0:
        return Line(fixed=fixed, a_token=slope, most=most)
    through = sum(w * t * s for w, t, s in zip(weights, tokens, seconds, strict=True))
    slope = through / sum(w * t * t for w, t in zip(weights, tokens, strict=True))
    return Line(fixed=0.0, a_token=slope, most=most)


def steps_of(stages: Mapping[str, float], whole: float) -> dict[str, float]:
    """Processor seconds by step, from those by stage and those of the ``whole`` process."""
    steps = {step: sum(stages.get(name, 0.0) for name in names) for step, names in STEPS.items()}
    return {**steps, COMPARISON: whole - sum(steps.values())}


def main() -> None:
    """Measure every size, fit, and print."""
    options = _options()
    print(describe())
    measured: dict[float, tuple[Cost, dict[str, float]]] = {}
    for tokens in sorted(options.tokens):
        with tempfile.TemporaryDirectory(prefix="collapse-audit-", dir=options.home) as home:
            measured[tokens] = _measured(Path(home), round(tokens / 2 / options.words), options.words)
        whole = measured[tokens][0]
        print(f"{tokens:.0e} tokens: {whole.wall:.1f} s, processor {whole.cpu:.1f} s, {whole.peak:.0f} MiB", flush=True)
    full = 2 * _DRAWN * options.words
    lines = {
        step: fitted(
            list(measured), [steps[step] for _, steps in measured.values()], full if step == COMPARISON else math.inf
        )
        for step in (*STEPS, COMPARISON)
    }
    _print(measured, lines, options.beyond)


def _measured(home: Path, documents: int, words: int) -> tuple[Cost, dict[str, float]]:
    for side in range(2):
        made = [sys.executable, "-m", "benchmarks.many_texts", str(home / f"gen_{side}"), str(documents)]
        files = -(-documents // _A_FILE)
        subprocess.run([*made, f"--words={words}", f"--files={files}", f"--seed={side}"], check=True)
    out = home / "sampled.json"
    audit = [sys.executable, "-m", "benchmarks.sampled", str(out), str(home / "gen_0"), str(home / "gen_1"), "-q"]
    spent = cost([*audit, "--report", str(home / "report")], accept=JUDGED)
    return spent, steps_of(json.loads(out.read_text("utf-8"))["stages"], spent.cpu)


def _print(
    measured: Mapping[float, tuple[Cost, Mapping[str, float]]], lines: Mapping[str, Line], beyond: Sequence[float]
) -> None:
    print("\nprocessor seconds by step: measured (model)")
    for step, line in lines.items():
        print(f"  {step}: {line.fixed:.2f} s + {line.a_token * 1e6:.3f} s a million tokens")
        print(
            "    " + ", ".join(f"{t:.0e}: {steps[step]:.2f} ({line.at(t):.2f})" for t, (_, steps) in measured.items())
        )
    print("\nthe whole: measured, model, its error")
    for tokens, (_, steps) in measured.items():
        seen, said = sum(steps.values()), sum(line.at(tokens) for line in lines.values())
        print(f"  {tokens:.0e}: {seen:.1f} s, {said:.1f} s, {said / seen - 1:+.0%}")
    print("\nbeyond (modelled, one core of this machine)")
    for tokens in beyond:
        shares = {step: line.at(tokens) for step, line in lines.items()}
        most = max(shares, key=lambda step: shares[step])
        print(f"  {tokens:.0e}: {sum(shares.values()) / 3600:,.2f} processor hours; {most} is the largest step")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=float, nargs="+", default=[1e6, 1e7, 1e8], metavar="N")
    parser.add_argument("--beyond", type=float, nargs="+", default=[1e9, 1e12], metavar="N")
    parser.add_argument("--words", type=int, default=40, help="words a document, on average")
    parser.add_argument("--home", type=Path, help="where texts are put while they are audited")
    options = parser.parse_args()
    if min(options.tokens) < 1000 or options.words < 1:
        parser.error("--tokens: at least 1000; --words: at least 1")
    return options


if __name__ == "__main__":
    main()
