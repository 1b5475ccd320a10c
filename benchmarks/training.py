"""The QLoRA trainer beside a bare PyTorch loop, TRL's SFTTrainer and bare ``model.generate``; and its smoke profile.

    pip install -e '.[train]' -c constraints.txt
    pip install trl -c constraints.txt          # optional: without it the rows about TRL are left out
    python benchmarks/training.py [--repeats 3] [--threads 2] [--parts training generation smoke]

Run it from the repository root. The work is that of ``lineages/mistral_recursive``, copied into a temporary folder: a
tiny Mistral in NF4 with LoRA on every linear layer, records of prompt and completion, the recipe's settings, one epoch.

All targets but that of the smoke profile are ratios within one run. The rivals (benchmarks/training_rivals.py) take
turns, A B C A B C, in processes that have done a little of the work before, all with the same number of threads. A
ratio is taken within a turn; shown are the median over the turns and, in brackets, the least and the greatest.
Training is timed from before the first step to after the last, without loading and saving; generation from the
prompts' tokens to the texts. Tokens are those of the examples or of the texts: padding counts for nobody. Where two
rivals should compute the same, it is checked that they did. A missed target is printed, not turned into an exit code.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import training_rivals as rivals
from fresh_process import Cost, cost, middle
from machine import describe
from training_rivals import Task, Timed

from collapse_audit.lineages.training.missing import require_training_stack

LINEAGE = Path("lineages/mistral_recursive")
PACKAGES = ("collapse-audit", "torch", "transformers", "peft", "bitsandbytes", "accelerate", "trl")
PARTS = ("training", "generation", "smoke")
SMOKE_SECONDS = 60
SMOKE_RUNS = 3
WARM_UP = 32
"""Examples, or prompts, on which a process tries its work before it is timed."""
SAME = 2e-4
"""Two trainings that compute the same differ by no more at any step, nats per token; the logged losses are rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """One way to do the work."""

    name: str
    work: Callable[[Task], Timed]
    process: str = "ours"
    """Rivals that name the same one share it."""
    least: float | None = None
    """How many times this rival's speed ours should have, at least."""
    same: bool = False
    """Whether it should compute what ours computes."""


def main() -> None:
    """Measure the parts asked for and print a table each."""
    options = _options()
    require_training_stack()
    # Every process started from here inherits these; torch reads the first when it is imported.
    os.environ.update(OMP_NUM_THREADS=str(options.threads), HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    print(describe(PACKAGES))
    print(f"{options.threads} threads", flush=True)
    with tempfile.TemporaryDirectory(prefix="collapse-audit-") as parent:
        task = Task(folder=Path(parent, "lineage"), records=options.records)
        if "training" in options.parts:
            _compare("training", _trainings(), task, options.repeats)
        if "generation" in options.parts:
            _compare("sampling", _generations(beams=1), task, options.repeats)
            _compare("five beams", _generations(beams=5), replace(task, records=task.records // 4), options.repeats)
    if "smoke" in options.parts:
        _print_smoke([_smoke() for _ in range(SMOKE_RUNS)])


def _trainings() -> list[Rival]:
    trained = [
        Rival(name="ours", work=rivals.train_ours),
        Rival(name="bare loop", work=rivals.train_bare, least=0.95, same=True),
        Rival(name="bare loop, all logits", work=partial(rivals.train_bare, all_logits=True)),
        Rival(
            name="bare loop, all logits, random batches",
            work=partial(rivals.train_bare, all_logits=True, shuffled=True),
        ),
    ]
    if find_spec("trl") is None:
        print("\nleft out: TRL (not installed: pip install trl -c constraints.txt)")
        return trained
    trl = partial(Rival, process="float32")
    float32 = partial(rivals.train_trl, bf16=False)
    lean = partial(float32, gradient_checkpointing=False)
    plain = partial(lean, float32_adapter=True)
    return [
        *trained,
        # The number format of a training is a property of its whole process.
        Rival(name="TRL", work=rivals.train_trl, process="bfloat16", least=1.3),
        trl(name="TRL, float32", work=float32),
        trl(name="… and no checkpointing", work=lean, least=1.3),
        trl(name="… and a float32 adapter", work=plain),
        trl(name="… and our batches", work=partial(plain, our_batches=True)),
    ]


def _generations(*, beams: int) -> list[Rival]:
    return [
        Rival(name="ours", work=partial(rivals.generate_ours, beams=beams)),
        Rival(name="bare model.generate", work=partial(rivals.generate_bare, beams=beams), least=0.95, same=True),
    ]


def _compare(what: str, competing: Sequence[Rival], task: Task, repeats: int) -> None:
    """Let them take turns, check that the same was computed, print the table."""
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
            for name in dict.fromkeys(rival.process for rival in competing)
        }

        def turn(task: Task) -> list[Timed]:
            return [processes[rival.process].submit(rival.work, task).result() for rival in competing]

        processes["ours"].submit(rivals.prepare, task, LINEAGE).result()
        turn(replace(task, records=WARM_UP))
        print(f"\n{what}: {repeats} turns of {len(competing)}", flush=True)
        turns = [turn(task) for _ in range(repeats)]
    for rival, timed in zip(competing, turns[0], strict=True):
        if rival.same:
            _require_same(rival.name, turns[0][0], timed)
    _print(competing, turns)


def _require_same(name: str, ours: Timed, theirs: Timed) -> None:
    pairs = list(zip(ours.outcome, theirs.outcome, strict=True))
    apart = max(abs(mine - other) for mine, other in pairs)
    print(f"ours and {name} differ by at most {apart:.2g} over {len(pairs)} {ours.unit}")
    if apart > SAME:
        sys.exit("they did not compute the same, so their times cannot be compared")


def _print(competing: Sequence[Rival], turns: Sequence[Sequence[Timed]]) -> None:
    amount = f"{turns[0][0].tokens:,} tokens a turn"
    print(f"{amount:40s}{'tokens/s':>12s}  {'ours is so many times as fast':32s}{'target':10s}met")
    for column, rival in enumerate(competing):
        speed = [turn[column].tokens / turn[column].seconds for turn in turns]
        ratios = [turn[0].tokens / turn[0].seconds / theirs for turn, theirs in zip(turns, speed, strict=True)]
        ratio = statistics.median(ratios)
        words = f"{ratio:.2f} [{min(ratios):.2f} to {max(ratios):.2f}]" if column else ""
        target = "" if rival.least is None else f">= {rival.least:g}"
        met = "" if rival.least is None else "yes" if ratio >= rival.least else "NO"
        print(f"{rival.name:40s}{statistics.median(speed):>12,.0f}  {words:32s}{target:10s}{met}".rstrip(), flush=True)


def _smoke() -> Cost:
    with tempfile.TemporaryDirectory(prefix="collapse-audit-") as parent:
        command = ("train", str(LINEAGE), "--profile", "smoke", "--out", str(Path(parent, "smoke")))
        return cost((sys.executable, "-m", "collapse_audit.lineage_cli", *command))


def _print_smoke(costs: Sequence[Cost]) -> None:
    median = costs[middle(costs)]
    print(f"\nsmoke profile of {LINEAGE}, median of {len(costs)} runs")
    print(f"{'wall clock, s':>16s}{'processor, s':>16s}{'peak, MiB':>16s}{'others, cores':>16s}  target    met")
    others = "" if median.others is None else f"{median.others:.1f}"
    met = "yes" if median.wall <= SMOKE_SECONDS else "NO"
    print(
        f"{median.wall:>16.1f}{median.cpu:>16.1f}{median.peak:>16.0f}{others:>16s}  <= {SMOKE_SECONDS} s   {met}",
        flush=True,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="turns of each rival (default 3)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of every process (default 2)")
    parser.add_argument("--records", type=int, default=512, metavar="N", help="examples, and prompts (default 512)")
    options = parser.parse_args()
    if min(options.repeats, options.threads) < 1 or options.records < 4 * WARM_UP:
        parser.error(f"--repeats and --threads: at least 1; --records: at least {4 * WARM_UP}")
    return options


if __name__ == "__main__":
    main()
