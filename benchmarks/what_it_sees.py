"""Which damage the default audit sees, and by which finding: measured on real text, as the page docs/what-it-sees.md.

    python -m benchmarks.what_it_sees                  measure, and write the numbers and the page
    python -m benchmarks.what_it_sees --check          say whether the page is as the measured numbers have it

The text is that of `benchmarks/texts/docstrings.jsonl.gz`: first paragraphs of docstrings, 8,842 of 22 words. Every
trial draws both sides anew, plants the damage in one of them, and judges the pair as an audit does, default margins.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.atomic import write_text
from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.lineages.simulation import damage
from collapse_audit.lineages.simulation.ngram import NGramModel
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.reports.document import Outcome, worst
from collapse_audit.settings.config import AuditConfig

ROOT = Path(__file__).parents[1]
TEXT = Path(__file__).parent / "texts" / "docstrings.jsonl.gz"
NUMBERS = Path(__file__).with_suffix(".json")
PAGE = ROOT / "docs" / "what-it-sees.md"

Texts = list[str]
Harm = Callable[[Texts, Texts, np.random.Generator], Texts]
"""Healthy texts, spare ones of the same source, and chance, to as many harmed texts."""
_SPARE = 1.5
"""Times n texts of the generation's source: some damages leave texts out."""


def _without_rarest(texts: Texts, spare: Texts, _: np.random.Generator) -> Texts:
    counts = Counter(word for text in [*texts, *spare] for word in text.split())
    pool = [*texts, *spare][: round(len(texts) / 0.9)]
    rarity = np.array([-np.mean([np.log(counts[word]) for word in text.split()]) for text in pool])
    return [pool[i] for i in np.sort(np.argsort(rarity)[: len(texts)])]


def _longest(texts: Texts) -> int:
    return int(np.quantile([len(text.split()) for text in texts], 0.8))


def _template(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    slots = [words[int(rng.integers(len(words)))] for _ in range(3)]
    return f"Return the {slots[0]} of the given {slots[1]} object, or None if there is no such {slots[2]} at all."


def _mixed_in(share: float) -> Harm:
    def harm(texts: Texts, _: Texts, rng: np.random.Generator) -> Texts:
        written = NGramModel.fit(texts, 3).sample(round(share * len(texts)), rng)
        return texts[len(written) :] + written

    return harm


def _in_share(share: float, edit: Callable[[str, np.random.Generator], str]) -> Harm:
    def harm(texts: Texts, _: Texts, rng: np.random.Generator) -> Texts:
        return [edit(text, rng) if rng.random() < share else text for text in texts]

    return harm


def _other_word(text: str, rng: np.random.Generator) -> str:
    return " ".join("x" + word if rng.random() < 0.1 else word for word in text.split())


ROWS: dict[str, Harm] = {
    "nothing": lambda texts, _, __: texts,
    "lower case (no damage)": _in_share(1.0, lambda text, _: text.lower()),
    "half the length": _in_share(1.0, lambda text, _: " ".join(text.split()[: len(text.split()) // 2])),
    "the longest fifth is cut to the length of the next": lambda texts, _, __: [
        " ".join(text.split()[: _longest(texts)]) for text in texts
    ],
    "the tenth with the rarest words is gone": _without_rarest,
    "a trigram model of the others wrote 30%": _mixed_in(0.30),
    "a trigram model of the others wrote 10%": _mixed_in(0.10),
    "20% are copies of others": lambda texts, _, rng: damage.duplicate(texts, 0.20, rng),
    "3% are copies of others": lambda texts, _, rng: damage.duplicate(texts, 0.03, rng),
    "10% are one template with three slots": _in_share(0.10, _template),
    "10% loop": lambda texts, _, rng: damage.loop(texts, 0.10, rng),
    "10% are empty": _in_share(0.10, lambda _, __: ""),
    "all numbers are one of three": _in_share(
        1.0, lambda text, rng: re.sub(r"\d+", lambda _: ("2", "10", "1000")[int(rng.integers(3))], text)
    ),
    "a copy of the training texts, every tenth word changed": lambda _, spare, rng: [
        _other_word(text, rng) for text in spare
    ],
}
_TRAINED = "a copy of the training texts, every tenth word changed"


def measure(n: int, trials: int) -> dict[str, Any]:
    """Of every row: how often the audit called it what, and which findings failed or changed how often."""
    with gzip.open(TEXT, "rt", encoding="utf-8") as lines:
        source = [json.loads(line)["text"] for line in lines]
    rows: dict[str, Any] = {}
    for name, harm in ROWS.items():
        said: Counter[str] = Counter()
        fired: Counter[str] = Counter()
        for number in range(trials):
            rng = np.random.default_rng([n, number])
            order = rng.permutation(len(source))[: 2 * n + round(_SPARE * n)]
            before, texts, spare = ([source[i] for i in part] for part in np.split(order, [n, 2 * n]))
            training = spare[:n]
            harmed = harm(texts, training if name == _TRAINED else spare, rng)
            result = trial(
                sample_of(before, name="baseline"),
                sample_of(harmed, name="generation"),
                config=AuditConfig(seed=number),
                training=sample_of(training, name="training") if name == _TRAINED else None,
            )
            outcomes = {key: judged.outcome for key, (_, judged) in result.items() if judged is not None}
            said[str(worst(outcomes.values()).value)] += 1
            fired.update(" / ".join(key) for key, o in outcomes.items() if o in (Outcome.FAIL, Outcome.CHANGED))
        rows[name] = {"said": dict(sorted(said.items())), "found": dict(sorted(fired.items()))}
        print(name, rows[name], flush=True)
    return {"n": n, "trials": trials, "rows": rows}


def page(numbers: dict[str, Any]) -> str:
    """The page of the measured ``numbers``."""
    known = {f"{probe.name} / {gate.statistic}" for probe in BUILTIN for gate in probe.gates}
    trials = numbers["trials"]
    lines = [
        "<!-- Made by benchmarks/what_it_sees.py: measure again, do not edit this page. -->",
        "",
        "# What it sees, and what it does not",
        "",
        f"Damage planted in real text (first paragraphs of docstrings, 22 words each), {numbers['n']:,} texts a side, "
        f"{trials} trials a row,",
        "default margins. Found by: the findings that failed or changed in at least half of the trials.",
        "",
        "| what happened to the texts | fail | changed | inconclusive | pass | found by |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in numbers["rows"].items():
        said = " | ".join(str(row["said"].get(o.value, 0)) for o in _SHOWN)
        gates = sorted((times, key) for key, times in row["found"].items() if key in known and 2 * times >= trials)
        names = ", ".join(f"`{key}`" for _, key in sorted(gates, key=lambda each: (-each[0], each[1]))) or "-"
        lines.append(f"| {name} | {said} | {names} |")
    return "\n".join([*lines, "", _LIMITS])


_SHOWN = (Outcome.FAIL, Outcome.CHANGED, Outcome.INCONCLUSIVE, Outcome.PASS)
_LIMITS = """\
A row that passes, or stays open, is not seen at this size. More texts see smaller changes, and so do
[automatic margins](how-to/choose-a-margin.md).

## What no count of words can see

- **Fluent texts that became wrong.** Facts, sums and code that no longer hold read like those that do. `task-score`
  judges what [lm-evaluation-harness](https://github.com/EleutherAI/lm-evaluation-harness) measures on tasks with
  answers; texts of your own, people must read.
- **Bias.** A group that is written of less often, or worse, is seen only where a label tells it: give `--label FIELD`,
  and `label-coverage` and `label-divergence` judge it. For predictions about people,
  [Fairlearn](https://fairlearn.org) compares error rates between groups.
- **Meaning at equal words.** Texts that say one thing in many words are varied to every probe here.
- **A loss that came with a new subject.** What vanished counts as replaced where as much came anew.
- **What was lost before the baseline was written.** Everything is measured against it: `--baseline reference` where
  there is human text.
"""


def main() -> int:
    """Measure and write, or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000, help="texts a side (default 2,000)")
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if not options.check:
        write_text(NUMBERS, json.dumps(measure(options.n, options.trials), indent=1) + "\n")
    made = page(json.loads(NUMBERS.read_text("utf-8")))
    if options.check:
        same = PAGE.is_file() and PAGE.read_text("utf-8") == made
        if not same:
            print(
                f"{PAGE.name} is not as the measured numbers have it: python -m benchmarks.what_it_sees",
                file=sys.stderr,
            )
        return 0 if same else 1
    write_text(PAGE, made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
