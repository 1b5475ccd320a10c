"""False alarms and power of the default audit on real text.

    python benchmarks/real_text.py TEXT… [--paragraphs] [--repeats 100] [--n 200 500 1800] [--auto]

TEXT is any file of real text, a document a line (``--paragraphs``: blank-line separated; ``--sentences``: split at
sentence ends). Every trial draws its documents anew. Each row is a known truth: ``null`` is two random halves of the
human text, everything else is damage planted in a copy. Printed: how many trials in a hundred are called collapse, how
many are inconclusive, how many were found by a probe that is there for that damage, which findings failed how often.

    python benchmarks/real_text.py --folder DIR [--repeats 20] [--n 500 2000] [--only sorted lost]

Every file of DIR is a source of its own (`loss_rows.py`). Rows are healthy, merely changed, or a loss; printed beside
what should be said of them: how many trials in a hundred are collapse, changed, inconclusive and pass.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import loss_rows
import numpy as np

from collapse_audit.calibration.bench import auto_margins
from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.lineages.simulation import damage
from collapse_audit.lineages.simulation.chain import WordChain
from collapse_audit.lineages.simulation.ngram import NGramModel
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.text.labels import label_rule
from collapse_audit.reports.document import Outcome, worst
from collapse_audit.settings.config import AuditConfig

Texts = list[str]
Pairing = tuple[Texts, Texts, "list[list[str]] | None", "list[list[str]] | None"]
Scenario = Callable[[Texts, int, np.random.Generator], "tuple[Texts, Texts] | Pairing | None"]


def halves(texts: Texts, n: int, rng: np.random.Generator) -> tuple[Texts, Texts] | None:
    """Two disjoint random samples of the human text; None where there is too little of it."""
    if 2 * n > len(texts):
        return None
    chosen = rng.permutation(len(texts))[: 2 * n]
    return [texts[i] for i in chosen[:n]], [texts[i] for i in chosen[n:]]


def modelled(order: int, change: Callable[[WordChain], WordChain]) -> Scenario:
    """Both sides from the same model of the text, the generation's changed."""
    fitted: list[WordChain] = []  # of the whole text, which is the same in every trial

    def make(texts: Texts, n: int, rng: np.random.Generator) -> tuple[Texts, Texts]:
        if not fitted:
            plain = WordChain.fit(texts, order=order)
            fitted.extend((plain, change(plain)))
        return fitted[0].sample(n, rng), fitted[1].sample(n, rng)

    return make


def damaged(harm: Callable[[Texts, np.random.Generator], Texts]) -> Scenario:
    """Human text against other human text that was harmed."""

    def make(texts: Texts, n: int, rng: np.random.Generator) -> tuple[Texts, Texts] | None:
        pair = halves(texts, n, rng)
        return None if pair is None else (pair[0], harm(pair[1], rng))

    return make


def recursion(generations: int) -> Scenario:
    """Generation k of trigram models trained on each other's texts, against generation 0's held-out sample."""

    def make(texts: Texts, n: int, rng: np.random.Generator) -> tuple[Texts, Texts] | None:
        if n > len(texts):
            return None
        model = NGramModel.fit([texts[i] for i in rng.permutation(len(texts))[:n]], 3)
        baseline = model.sample(n, rng)
        for _ in range(generations):
            model = NGramModel.fit(model.sample(n, rng), 3)
        return baseline, model.sample(n, rng)

    return make


def mixed_in(share: float) -> Scenario:
    """Human text against other human text, a share of which a trigram model of it wrote."""

    def make(texts: Texts, n: int, rng: np.random.Generator) -> tuple[Texts, Texts] | None:
        pair = halves(texts, n, rng)
        if pair is None:
            return None
        written = NGramModel.fit(pair[1], 3).sample(round(share * n), rng)
        return pair[0], pair[1][len(written) :] + written

    return make


def lost_class(share: float, kept: float) -> Scenario:
    """Five classes, one of them rare; the generation keeps only a part of it. The texts are human on both sides."""

    def make(texts: Texts, n: int, rng: np.random.Generator) -> Pairing | None:
        pair = halves(texts, n, rng)
        if pair is None:
            return None
        rest = (1 - share) / 4
        sides = []
        for rare in (share, share * kept):
            p = np.array([rare, *[rest * (1 - rare) / (1 - share)] * 4])
            sides.append([[f"class {k}"] for k in rng.choice(5, size=n, p=p / p.sum())])
        return (*pair, sides[0], sides[1])

    return make


_TAIL = ("tail-mass", "tail-coverage", "token-divergence", "diversity")

SCENARIOS: dict[str, tuple[Scenario, tuple[str, ...]]] = {
    "null": (halves, ()),
    "null labels": (lost_class(0.02, 1.0), ()),
    "p^1.2 unigram": (modelled(1, lambda chain: chain.sharpened(1.2)), _TAIL),
    "p^1.2 bigram": (modelled(2, lambda chain: chain.sharpened(1.2)), _TAIL),
    "top-p .95 unigram": (modelled(1, lambda chain: chain.truncated(0.95)), _TAIL),
    "3% duplicates": (damaged(lambda texts, rng: damage.duplicate(texts, 0.03, rng)), ("diversity",)),
    "10% trigram text": (mixed_in(0.10), _TAIL),
    "20% duplicates": (damaged(lambda texts, rng: damage.duplicate(texts, 0.20, rng)), ("diversity",)),
    "loops in 10%": (damaged(lambda texts, rng: damage.loop(texts, 0.10, rng)), ("repetition",)),
    "trigram recursion, 3": (recursion(3), _TAIL),
    "2% class lost": (lost_class(0.02, 0.0), ("label-coverage",)),
}
"""How each is made, and the probes that are there to find it."""


def main() -> None:
    """Run every scenario at every n and print the table."""
    options = _options()
    if options.folder:
        _folder(options)
        return
    texts = read_texts(options)
    print(f"{len(texts)} documents, {np.mean([len(t.split()) for t in texts]):.0f} words each on average", flush=True)
    for n in options.n:
        for name in SCENARIOS:
            if not options.only or any(only in name for only in options.only):
                _row(name, texts, n, options)


def _row(name: str, texts: Texts, n: int, options: argparse.Namespace) -> None:
    scenario, named_for_it = SCENARIOS[name]
    start, done, found_by_name = time.perf_counter(), 0, 0
    verdicts: Counter[str] = Counter()
    fired: Counter[str] = Counter()
    for repeat in range(options.repeats):
        rng = np.random.default_rng([options.seed, n, repeat])
        made = scenario(texts, n, rng)
        if made is None:
            print(f"n={n:5d}  {name:22s} not enough text", flush=True)
            return
        baseline, generation, *labels = made
        before, after = labels or (None, None)
        sample = sample_of(baseline, labels=before, name="baseline")
        config = AuditConfig(permutations=options.permutations, seed=repeat)
        if options.auto:
            rule = None if before is None else label_rule("field")
            config = replace(config, gates=auto_margins(sample, n, BUILTIN, config, labels=rule))
        result = trial(sample, sample_of(generation, labels=after, name="generation"), config=config)
        judged = {key: judgement.outcome for key, (_, judgement) in result.items() if judgement}
        failed = [key for key, outcome in judged.items() if outcome is Outcome.FAIL]
        verdicts["collapse" if failed else "inconclusive" if Outcome.INCONCLUSIVE in judged.values() else "pass"] += 1
        found_by_name += any(probe in named_for_it for probe, _ in failed)
        fired.update(f"{probe}/{statistic}" for probe, statistic in failed)
        fired.update(f"?{key[0]}/{key[1]}" for key, o in judged.items() if o is Outcome.INCONCLUSIVE)
        done += 1
    rates = "  ".join(
        f"{verdict} {100 * verdicts[verdict] / done:5.1f}%" for verdict in ("collapse", "inconclusive", "pass")
    )
    most = ", ".join(f"{key} {count}" for key, count in fired.most_common(8))
    by_name = f"  by {' or '.join(named_for_it)} {100 * found_by_name / done:.0f}%" if named_for_it else ""
    took = f"({done} trials, {time.perf_counter() - start:.0f} s)"
    print(f"n={n:5d}  {name:22s} {rates}{by_name}  {took}  {most}", flush=True)


def _folder(options: argparse.Namespace) -> None:
    sources = loss_rows.read_folder(options.folder, min_words=options.min_words)
    print(f"{len(sources)} sources of {[len(source) for source in sources]} sentences", flush=True)
    for n in options.n:
        for name, (row, wanted) in loss_rows.ROWS.items():
            if options.only and not any(only in name for only in options.only):
                continue
            said: Counter[str] = Counter()
            fired: Counter[str] = Counter()
            streams = [np.random.default_rng([options.seed, n, repeat]) for repeat in range(options.repeats)]
            try:
                pairs = [row(sources, n, rng) for rng in streams]
            except loss_rows.NotEnoughError as error:
                print(f"n={n:5d}  {name:24s} {error}", flush=True)
                continue
            for repeat, sides in enumerate(pairs):
                samples = [sample_of(side, name=str(k)) for k, side in enumerate(sides)]
                result = trial(*samples, config=AuditConfig(permutations=options.permutations, seed=repeat))
                judged = {key: judgement.outcome for key, (_, judgement) in result.items() if judgement}
                said[str(worst(judged.values()).value)] += 1
                fired.update("/".join(key) for key, outcome in judged.items() if outcome is Outcome.FAIL)
                fired.update(f"?{'/'.join(key)}" for key, o in judged.items() if o is Outcome.INCONCLUSIVE)
            rates = "  ".join(
                f"{word} {100 * said[outcome.value] / options.repeats:3.0f}"
                for word, outcome in (
                    ("collapse", Outcome.FAIL),
                    ("changed", Outcome.CHANGED),
                    ("inconclusive", Outcome.INCONCLUSIVE),
                    ("pass", Outcome.PASS),
                )
            )
            most = ", ".join(f"{key} {count}" for key, count in fired.most_common(6))
            print(f"n={n:5d}  {name:24s} {rates}   wanted: {wanted}   {most}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    text_options(parser)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--permutations", type=int, default=999)
    parser.add_argument("--n", type=int, nargs="+", default=[200, 500, 1800])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="a folder of text files, each a source: the rows of loss_rows.py")
    parser.add_argument("--auto", action="store_true", help='with margin = "auto" everywhere, not the defaults')
    parser.add_argument("--only", nargs="+", help="only scenarios whose name contains one of these")
    return parser.parse_args()


def text_options(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which text to read and how to cut it into documents."""
    parser.add_argument("texts", nargs="*", type=Path)
    parser.add_argument("--paragraphs", action="store_true", help="documents are separated by blank lines")
    parser.add_argument("--sentences", action="store_true", help="documents are sentences")
    parser.add_argument("--skip", default=r"^$", help="leave out documents that match this pattern (wikitext: '^ *=')")
    parser.add_argument("--min-words", type=int, default=20, help="shorter documents are left out (default 20)")


def read_texts(options: argparse.Namespace) -> Texts:
    """The documents that :func:`text_options` asked for, runs of white space folded."""
    whole = "\n".join(file.read_text("utf-8") for file in options.texts)
    documents = re.split(r"\n\s*\n", whole) if options.paragraphs else whole.splitlines()
    if options.sentences:
        documents = [sentence for document in documents for sentence in re.split(r"(?<=[.!?])\s+", document)]
    folded = (" ".join(document.split()) for document in documents)
    wanted = (document for document in folded if not re.match(options.skip, document))
    return [document for document in wanted if len(document.split()) >= options.min_words]


if __name__ == "__main__":
    main()
