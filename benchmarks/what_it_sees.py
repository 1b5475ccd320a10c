"""Which damage the default audit sees, and by which finding: measured on real text, as the page docs/what-it-sees.md.

    python -m benchmarks.what_it_sees --jobs 2         measure, and write the numbers and the page
    python -m benchmarks.what_it_sees --check          say whether the page is as the measured numbers have it

The text is that of `benchmarks/texts/docstrings.jsonl.gz`: first paragraphs of docstrings, 8,842 of 22 words. Every
trial draws both sides anew, plants the damage in one of them, and judges the pair as an audit does, default margins.
The kind of text that is lost in one row is that of the reports in `lineages/mistral_recursive`: Russian, mixed in.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pages import fill
from collapse_audit import audit
from collapse_audit.atomic import write_text
from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.lineages.simulation import damage
from collapse_audit.lineages.simulation.ngram import NGramModel
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.reports.document import Outcome, worst
from collapse_audit.settings.config import AuditConfig

ROOT = Path(__file__).parents[1]
TEXT = Path(__file__).parent / "texts" / "docstrings.jsonl.gz"
OTHER = ROOT / "lineages" / "mistral_recursive" / "reference.jsonl.gz"
NUMBERS = Path(__file__).with_suffix(".json")
PAGE = ROOT / "docs" / "what-it-sees.md"

Texts = list[str]
Harm = Callable[[Texts, Texts, np.random.Generator], Texts]
"""Healthy texts, spare ones of the same source, and chance, to as many harmed texts."""
_SPARE = 1.5
"""Times n texts of the generation's source: some damages leave texts out."""
_GENERATIONS = 8
"""Written after generation 0, in the row that goes along a lineage."""
_ANSWERS = 4
"""To a prompt, in the row of prompts."""
_ROUND = 10
"""Trials after which what is known so far is written."""
_RARE = 20
"""Occurrences in all texts up to which a word may be lost, in the row that goes along a lineage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A damage, and what the trial of it needs."""

    harm: Harm
    other_kind: float = 0.0
    """Share of both sides' texts that is of another kind before anything is planted."""
    trained: bool = False
    """Whether the spare texts are what the generation was trained on."""
    prompts: bool = False
    """Whether each four texts in a row answer one prompt."""
    auto: bool = False
    """Whether margins are automatic."""


def _without_rarest(texts: Texts, spare: Texts, _: np.random.Generator) -> Texts:
    counts = Counter(word for text in [*texts, *spare] for word in text.split())
    pool = [*texts, *spare][: round(len(texts) / 0.9)]
    rarity = np.array([-np.mean([np.log(counts[word]) for word in text.split()]) for text in pool])
    return [pool[i] for i in np.sort(np.argsort(rarity)[: len(texts)])]


def _longest(texts: Texts) -> int:
    return int(np.quantile([len(text.split()) for text in texts], 0.8))


def _without_longest(texts: Texts, spare: Texts, _: np.random.Generator) -> Texts:
    longest = _longest(texts)
    return [text for text in [*texts, *spare] if len(text.split()) <= longest][: len(texts)]


def _cut(texts: Texts, _: Texts, __: np.random.Generator) -> Texts:
    longest = _longest(texts)
    return [" ".join(text.split()[:longest]) for text in texts]


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


def _one_of_three(text: str, rng: np.random.Generator) -> str:
    return re.sub(r"\d+", lambda _: ("2", "10", "1000")[int(rng.integers(3))], text)


def _without_other_kind(texts: Texts, spare: Texts, _: np.random.Generator) -> Texts:
    left = [text for text in texts if not re.search("[а-я]", text)]
    return left + spare[: len(texts) - len(left)]


def _begin_alike(texts: Texts, _: Texts, __: np.random.Generator) -> Texts:
    """Each of the four answers to a prompt begins with the first quarter of the first one."""
    begun = []
    for at in range(0, len(texts), _ANSWERS):
        first = texts[at].split()
        start = first[: len(first) // 4]
        begun += [" ".join([*start, *text.split()[len(start) :]]) for text in texts[at : at + _ANSWERS]]
    return begun


ROWS: dict[str, Row] = {
    "nothing": Row(harm=lambda texts, _, __: texts),
    "lower case (no damage)": Row(harm=_in_share(1.0, lambda text, _: text.lower())),
    "half the length": Row(harm=_in_share(1.0, lambda text, _: " ".join(text.split()[: len(text.split()) // 2]))),
    "the longest fifth is cut to the length of the next": Row(harm=_cut),
    "the longest fifth is gone": Row(harm=_without_longest),
    "the tenth with the rarest words is gone": Row(harm=_without_rarest),
    "a kind of text (5%, another language) is gone": Row(harm=_without_other_kind, other_kind=0.05),
    "a trigram model of the others wrote 30%": Row(harm=_mixed_in(0.30)),
    "a trigram model of the others wrote 10%": Row(harm=_mixed_in(0.10)),
    "the same, automatic margins": Row(harm=_mixed_in(0.10), auto=True),
    "20% are copies of others": Row(harm=lambda texts, _, rng: damage.duplicate(texts, 0.20, rng)),
    "3% are copies of others": Row(harm=lambda texts, _, rng: damage.duplicate(texts, 0.03, rng)),
    "3% are copies of others, automatic margins": Row(
        harm=lambda texts, _, rng: damage.duplicate(texts, 0.03, rng), auto=True
    ),
    "10% are one template with three slots": Row(harm=_in_share(0.10, _template)),
    "5% are one template with three slots": Row(harm=_in_share(0.05, _template)),
    "5% are one template in eight variants": Row(
        harm=lambda texts, _, rng: damage.template(texts, 0.05, rng, variants=8)
    ),
    "10% loop": Row(harm=lambda texts, _, rng: damage.loop(texts, 0.10, rng)),
    "10% are empty": Row(harm=_in_share(0.10, lambda _, __: "")),
    "all numbers are one of three": Row(harm=_in_share(1.0, _one_of_three)),
    "a copy of the training texts, every tenth word changed": Row(
        harm=lambda _, spare, rng: [_other_word(text, rng) for text in spare], trained=True
    ),
    "the four answers to a prompt begin with the same quarter": Row(harm=_begin_alike, prompts=True),
}
ALONG = f"each of {_GENERATIONS} generations loses 2% of the words more, `--gate-trend`"


@cache
def _source() -> Texts:
    with gzip.open(TEXT, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


@cache
def _other() -> Texts:
    with gzip.open(OTHER, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def pair_of(row: Row, n: int, number: int) -> tuple[Texts, Texts, Texts]:
    """Texts of the baseline, n of the generation, damaged, and n that it may have learnt from."""
    rng = np.random.default_rng([n, number])
    source = _source()
    order = rng.permutation(len(source))[: 2 * n + round(_SPARE * n)]
    before, texts, spare = ([source[i] for i in part] for part in np.split(order, [n, 2 * n]))
    if row.other_kind:
        many = round(row.other_kind * n)
        others = [_other()[i] for i in rng.permutation(len(_other()))[: 2 * many]]
        before[:many], texts[:many] = others[:many], others[many:]
    return before, row.harm(texts, spare[:n] if row.trained else spare, rng), spare[:n]


def judged(name: str, n: int, number: int) -> dict[str, Outcome]:
    """One trial of a row: outcomes by finding."""
    row = ROWS[name]
    before, harmed, training = pair_of(row, n, number)
    prompts = [f"prompt {place // _ANSWERS}" for place in range(n)] if row.prompts else None
    if row.auto:  # settled on the baseline itself, as an audit does
        report = audit(before=before, after=harmed, seed=number, margins="auto", independent=True)
        return {f"{f.probe} / {f.statistic}": f.outcome for f in report.findings if f.gating}
    result = trial(
        sample_of(before, prompts=prompts, name="baseline"),
        sample_of(harmed, prompts=prompts, name="generation"),
        config=AuditConfig(seed=number),
        training=sample_of(training, name="training") if row.trained else None,
    )
    return {" / ".join(key): found.outcome for key, (_, found) in result.items() if found is not None}


def judged_along(n: int, number: int) -> dict[str, Outcome]:
    """One lineage of which each generation has lost more words: the worst outcome of each finding."""
    rng = np.random.default_rng([n, number])
    counts = Counter(word for text in _source() for word in text.split())
    common = [word for word, count in counts.items() if count > _RARE]
    chances = np.array([counts[word] for word in common], float)
    rare = [word for word, count in counts.items() if count <= _RARE]
    rare = [rare[i] for i in rng.permutation(len(rare))]
    order = rng.permutation(len(_source()))
    generations = []
    for k in range(_GENERATIONS + 1):
        lost = set(rare[: round(0.02 * k * len(counts))])
        texts = [_source()[i].split() for i in order[k * n : (k + 1) * n]]
        new = iter(rng.choice(common, sum(map(len, texts)), p=chances / chances.sum()))
        generations.append([" ".join(str(next(new)) if word in lost else word for word in text) for text in texts])
    report = audit(generations=generations, gate_trend=True, independent=True, seed=number)
    found: dict[str, list[Outcome]] = {}
    for finding in report.findings:
        if finding.gating:
            found.setdefault(f"{finding.probe} / {finding.statistic}", []).append(finding.outcome)
    return {key: worst(outcomes) for key, outcomes in found.items()}


def measure(n: int, trials: int, jobs: int) -> Iterator[dict[str, Any]]:
    """Of every row: how often the audit called it what, and which findings failed or changed how often. After every
    ten trials what is known by then."""
    along = min(n, len(_source()) // (_GENERATIONS + 1))
    said: dict[str, Counter[str]] = {name: Counter() for name in (*ROWS, ALONG)}
    fired: dict[str, Counter[str]] = {name: Counter() for name in said}
    with ProcessPoolExecutor(jobs) as pool:
        for done in range(0, trials, _ROUND):
            numbers = range(done, min(done + _ROUND, trials))
            asked = [(name, pool.submit(judged, name, n, number)) for number in numbers for name in ROWS]
            asked += [(ALONG, pool.submit(judged_along, along, number)) for number in numbers]
            for name, one in asked:
                outcomes = one.result()
                said[name][str(worst(outcomes.values()).value)] += 1
                fired[name].update(key for key, o in outcomes.items() if o in (Outcome.FAIL, Outcome.CHANGED))
            rows = {
                name: {"said": dict(sorted(said[name].items())), "found": dict(sorted(fired[name].items()))}
                for name in said
            }
            yield {"n": n, "n_along": along, "trials": numbers[-1] + 1, "rows": rows}


_SHOWN = (Outcome.FAIL, Outcome.CHANGED, Outcome.INCONCLUSIVE, Outcome.PASS)


def parts(numbers: dict[str, Any]) -> dict[str, str]:
    """The part of the page that is made of the measured ``numbers``."""
    gates = {f"{probe.name} / {gate.statistic}" for probe in BUILTIN for gate in probe.gates}
    known = gates | {f"{gate}-trend" for gate in gates}
    trials = numbers["trials"]
    lines = [
        f"Damage planted in real text (first paragraphs of docstrings, 22 words each), {numbers['n']:,} texts a side "
        f"({numbers['n_along']:,} a generation in the last row), {trials} trials a row, default margins where nothing "
        "else is said. Found by: the findings that failed or changed in at least half of the trials.",
        "",
        "| what happened to the texts | fail | changed | inconclusive | pass | found by |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in numbers["rows"].items():
        said = " | ".join(str(row["said"].get(o.value, 0)) for o in _SHOWN)
        most = sorted((-times, key) for key, times in row["found"].items() if key in known and 2 * times >= trials)
        lines.append(f"| {name} | {said} | {', '.join(f'`{key}`' for _, key in most) or '-'} |")
    return {"damages": "\n".join(lines)}


def main() -> int:
    """Measure and write, or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000, help="texts a side (default 2,000)")
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if not options.check:
        for numbers in measure(options.n, options.trials, options.jobs):
            write_text(NUMBERS, json.dumps(numbers, indent=1) + "\n")
            print(f"{numbers['trials']} of {options.trials} trials", flush=True)
    made = parts(json.loads(NUMBERS.read_text("utf-8")))
    command = "python -m benchmarks.what_it_sees"
    return fill(PAGE, made, by="what_it_sees", check=options.check, command=command)


if __name__ == "__main__":
    sys.exit(main())
