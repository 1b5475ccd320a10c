"""How often the whole gate turns red on lineages in which nothing happened, made of real text.

    python benchmarks/null_lineages.py TEXT… [--lineages 400] [--generations 5] [--n 500] [--sentences] [--skip '^ *=']

Every lineage is a random draw without replacement of human documents: a held-out sample for generation 0 and one for
each later generation, all disjoint and all of one law. Each document carries one of five labels at random, the rarest
in 2% of them, and a log-perplexity, so that no probe but those of files stands idle. The audit is the whole of it, from
files to verdict. Printed: how many lineages were called collapse, with the exact one-sided 95% bound (Clopper and
Pearson 1934), how many had a significant finding, and how many were inconclusive.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from real_text import read_texts, text_options
from scipy.stats import beta

from collapse_audit import audit
from collapse_audit.reports.document import Outcome

LABELS = (0.02, 0.245, 0.245, 0.245, 0.245)
NLL = (3.4, 0.45)
"""Mean and standard deviation of the log-perplexities, nats per token."""
ALPHA = 0.05


def write_lineage(folder: Path, texts: list[str], n: int, generations: int, rng: np.random.Generator) -> None:
    """Generations 0 to ``generations`` of ``n`` documents each, no document twice."""
    drawn = rng.permutation(len(texts))[: n * (generations + 1)].reshape(generations + 1, n)
    for k, chosen in enumerate(drawn):
        labels = rng.choice(len(LABELS), size=n, p=LABELS)
        nll = rng.normal(*NLL, size=n).clip(0)
        rows = [
            json.dumps({"text": texts[i], "label": f"class {label}", "nll": float(x)})
            for i, label, x in zip(chosen, labels, nll, strict=True)
        ]
        (folder / f"gen_{k}.jsonl").write_text("\n".join(rows) + "\n", "utf-8")


def main() -> None:
    """Audit every lineage and print the rates."""
    options = _options()
    texts = read_texts(options)
    needed = options.n * (options.generations + 1)
    if needed > len(texts):
        raise SystemExit(f"{needed} documents are needed for a lineage, and there are {len(texts)}")
    print(f"{len(texts)} documents; {options.generations} generations of {options.n} against generation 0", flush=True)
    verdicts: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    rejected = 0
    start = time.perf_counter()
    for repeat in range(options.lineages):
        with tempfile.TemporaryDirectory() as name:
            write_lineage(
                Path(name), texts, options.n, options.generations, np.random.default_rng([options.seed, repeat])
            )
            report = audit(name, independent=True, seed=repeat, evidence="none")
        verdicts[report.verdict.value] += 1
        failed.update(f"{f.probe}/{f.statistic}" for f in report.findings if f.outcome is Outcome.FAIL)
        rejected += any(f.p_adjusted is not None and f.p_adjusted <= ALPHA for f in report.findings if f.gating)
        if (repeat + 1) % 50 == 0:
            print(f"  {repeat + 1}: {dict(verdicts)}, {time.perf_counter() - start:.0f} s", flush=True)
    for what, count in (("collapse", verdicts["collapse"]), ("any p adjusted at most .05", rejected)):
        done = options.lineages
        bound = 1.0 if count == done else float(beta.ppf(0.95, count + 1, done - count))
        print(f"{what}: {count} of {done} lineages ({100 * count / done:.1f}%, at most {100 * bound:.1f}%)")
    print(f"verdicts {dict(verdicts)}; failed findings {dict(failed)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    text_options(parser)
    parser.add_argument("--lineages", type=int, default=400)
    parser.add_argument("--generations", type=int, default=5)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
