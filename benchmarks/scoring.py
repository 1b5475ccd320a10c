"""Our scorer beside lm-eval's own ``loglikelihood_rolling``: the same model, the same texts, the same batch size.

    pip install -e '.[train,eval]' -c constraints.txt
    python benchmarks/scoring.py [--repeats 5] [--threads 1] [--texts 400] [--batch-size 16]

Run it from the repository root. The model is generation 0 of ``lineages/mistral_recursive``, a tiny Mistral in NF4 with
its adapter; the texts are those that this generation wrote. Both get the texts as strings and return the log-likelihood
of each, so tokenizing is timed on both sides; both compute in one process, on one loaded model, and take turns,
A B A B. A ratio is taken within a turn; shown are the median over the turns and, in brackets, the least and the
greatest. It is checked that both return the same numbers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe

LINEAGE = Path("lineages/mistral_recursive")
PACKAGES = ("collapse-audit", "torch", "transformers", "peft", "bitsandbytes", "lm-eval")
TARGET = 0.95
SAME = 1e-4
"""Nats per token by which the two may differ: float32 sums in another order."""

Work = Callable[[], "np.ndarray[Any, np.dtype[np.float64]]"]


def main() -> None:
    """Measure and print a table."""
    options = _options()
    os.environ.update(OMP_NUM_THREADS=str(options.threads), TOKENIZERS_PARALLELISM="false")
    os.environ.update(dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"), "1"))
    print(describe(PACKAGES))
    texts, ours, theirs, tokens = _rivals(options.texts, options.batch_size)
    first, second = ours(), theirs()  # also warms both up
    apart = float(np.max(np.abs(first - second) / tokens))
    work = f"{len(texts):,} texts, {int(tokens.sum()):,} tokens, batches of {options.batch_size}"
    print(f"threads: {options.threads}; {work}")
    print(f"largest difference: {apart:.2g} nats per token ({'the same' if apart <= SAME else 'NOT the same'})\n")
    turns = [(_seconds(ours), _seconds(theirs)) for _ in range(options.repeats)]
    ratios = sorted(theirs_took / ours_took for ours_took, theirs_took in turns)
    print("| scorer | tokens/s |\n|---|---|")
    for name, each in zip(("ours", "lm-eval's loglikelihood_rolling"), zip(*turns, strict=True), strict=True):
        print(f"| {name} | {tokens.sum() / statistics.median(each):,.0f} |")
    met = "met" if statistics.median(ratios) >= TARGET else "not met"
    ratio = f"{statistics.median(ratios):.2f} [{ratios[0]:.2f} to {ratios[-1]:.2f}]"
    print(f"\nours is {ratio} times as fast; target at least {TARGET}: {met}")


def _rivals(n: int, batch_size: int) -> tuple[list[str], Work, Work, np.ndarray[Any, np.dtype[np.float64]]]:
    """The texts, both ways to score them, and their numbers of tokens."""
    from types import SimpleNamespace

    from collapse_audit.lineages.evaluation.harness import quiet
    from collapse_audit.lineages.scoring.likelihood import predict
    from collapse_audit.lineages.training.base import prepare_base
    from collapse_audit.lineages.training.examples import Example, read_records
    from collapse_audit.lineages.training.models import load_generation
    from collapse_audit.lineages.training.progress import Silent
    from collapse_audit.lineages.training.run import find, open_run

    run = open_run(LINEAGE)
    entry = find(run.lineage(), 0, 0)
    assert entry is not None
    assert entry.adapter is not None
    base = prepare_base(run.root, run.recipe, Silent())
    model, tokenizer = load_generation(base, run.recipe, writer=entry.adapter, scorer=entry.adapter)
    texts = [record["text"] for record in read_records(entry.texts) if record["text"].strip()][:n]
    longest = model.config.max_position_embeddings
    with quiet():
        from lm_eval.models.huggingface import HFLM

        harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
    requests = [SimpleNamespace(args=(text,)) for text in texts]

    def encoded() -> list[Example]:
        rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
        return [Example(np.array([tokenizer.bos_token_id, *row], dtype=np.int64), 1) for row in rows]

    def ours() -> np.ndarray[Any, np.dtype[np.float64]]:
        return -predict(model, encoded(), longest=longest, batch_size=batch_size, progress=Silent()).nll

    def theirs() -> np.ndarray[Any, np.dtype[np.float64]]:
        with quiet():
            return np.array(harness.loglikelihood_rolling(requests, disable_tqdm=True))

    return texts, ours, theirs, np.array([len(example.ids) - 1 for example in encoded()], dtype=np.float64)


def _seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Our scorer beside lm-eval's loglikelihood_rolling.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=16)
    return parser.parse_args()


if __name__ == "__main__":
    main()
