"""Ours beside what others do: cost on made-up text, false alarms and power on real text of yours.

    pip install -r benchmarks/requirements.txt
    python benchmarks/peers.py [TEXT…] [--paragraphs] [--skip PATTERN] [--repeats 3] [--trials 40] [--n 500]

Run it from the repository root. First, two corpora of 20,000 documents of 70 words (benchmarks/zipf_text.py): our
whole default audit, report written, and each peer's whole rule, in fresh processes that take turns, so that whatever
else the machine does falls on all of them. Then, if TEXT is given, scenarios of benchmarks/real_text.py (see there for
what TEXT may be): how often each calls the pair a problem. ``null`` is healthy, everything else is damaged.

Peers (benchmarks/peer_rules.py) are optional: one that is not installed is named, with the command that installs it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from fresh_process import JUDGED, Cost, cost, middle
from machine import PACKAGES, describe
from peer_rules import RULES, missing
from zipf_text import write_corpora

OURS = "collapse-audit"
SCENARIO_NAMES = ("null", "20% duplicates", "loops in 10%", "p^1.2 unigram", "trigram recursion, 3")

Texts = list[str]
Caller = Callable[[Texts, Texts, int], str]
"""Baseline texts, generation texts and the number of the trial to ``problem``, ``fine`` or ``cannot tell``."""


def main() -> None:
    """Measure cost, then rates if there is text."""
    options = _options()
    print(describe((*PACKAGES, "pointblank", "polars")))
    rules = [rule for rule in RULES if not missing(rule)]
    for rule in (rule for rule in RULES if rule not in rules):
        print(f"left out: {rule} ({', '.join(missing(rule))} missing: pip install -r benchmarks/requirements.txt)")
    _print_costs(rules, options)
    if options.texts:
        _print_rates(rules, options)
    else:
        print("\nNo TEXT was given, so false alarms and power were not measured.")


def _print_costs(rules: list[str], options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="collapse-audit-") as parent:
        folder = Path(parent, "pair")
        folder.mkdir()
        write_corpora(folder, ["gen_0", "gen_1"], documents=options.documents, words=70)
        corpora = (str(folder / "gen_0.jsonl"), str(folder / "gen_1.jsonl"))
        audit = ("-m", "collapse_audit.cli", str(folder), "--independent", "--report", str(Path(parent, "report")))
        commands: dict[str, tuple[str, ...]] = {OURS: (sys.executable, *audit)}
        for rule in rules:
            commands[rule] = (sys.executable, str(Path(__file__).with_name("peer_rules.py")), rule, *corpora)
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for _ in range(options.repeats):
            for name, command in commands.items():
                costs[name].append(cost(command, accept=JUDGED))

    typical = {name: several[middle(several)] for name, several in costs.items()}
    ours = typical[OURS]
    what = f"2 x {options.documents:,} documents x 70 words"
    print(f"\n{what}, median of {options.repeats} runs; in brackets: ours is how many times as much")
    print(f"{'':28s}{'wall clock, s':>16s}{'processor, s':>16s}{'peak, MiB':>16s}{'others, cores':>16s}")
    for name, one in typical.items():
        pairs = ((one.wall, ours.wall, 2), (one.cpu, ours.cpu, 2), (one.peak, ours.peak, 0))
        cells = [f"{theirs:.{digits}f} [{mine / theirs:.1f}]" for theirs, mine, digits in pairs]
        others = "" if one.others is None else f"{one.others:.1f}"
        print(f"{name:28s}" + "".join(f"{cell:>16s}" for cell in (*cells, others)), flush=True)


def _print_rates(rules: list[str], options: argparse.Namespace) -> None:
    # Late, because a process that has loaded numpy and a corpus would lend its size to every child it measures.
    import numpy as np
    from real_text import SCENARIOS, read_texts

    texts = read_texts(options)
    callers: dict[str, Caller] = {OURS: _our_call}
    callers |= {rule: _their_call(rule) for rule in rules}
    print(f"\n{len(texts):,} documents; n = {options.n} a side, {options.trials} trials; a problem in how many of 100")
    print(" " * 28 + "".join(f"{name:>22s}" for name in SCENARIO_NAMES))
    counts = {name: dict.fromkeys(SCENARIO_NAMES, 0) for name in callers}
    undecided = dict.fromkeys(SCENARIO_NAMES, 0)
    for scenario in SCENARIO_NAMES:
        for trial in range(options.trials):
            made = SCENARIOS[scenario][0](texts, options.n, np.random.default_rng([options.seed, options.n, trial]))
            if made is None:
                sys.exit(f"{scenario} at n = {options.n} needs {2 * options.n:,} documents; there are {len(texts):,}")
            for name, call in callers.items():
                said = call(made[0], made[1], trial)
                counts[name][scenario] += said == "problem"
                undecided[scenario] += said == "cannot tell"
    for name, rates in counts.items():
        print(f"{name:28s}" + "".join(f"{100 * count / options.trials:>22.0f}" for count in rates.values()))
    print(
        f"{'  (inconclusive)':28s}" + "".join(f"{100 * count / options.trials:>22.0f}" for count in undecided.values())
    )


def _our_call(baseline: Texts, generation: Texts, trial_number: int) -> str:
    from collapse_audit.calibration.two_samples import sample_of, trial
    from collapse_audit.reports.document import Outcome
    from collapse_audit.settings.config import AuditConfig

    result = trial(
        sample_of(baseline, name="baseline"),
        sample_of(generation, name="generation"),
        config=AuditConfig(seed=trial_number),
    )
    outcomes = {judgement.outcome for _, judgement in result.values() if judgement}
    if Outcome.FAIL in outcomes:
        return "problem"
    return "cannot tell" if Outcome.INCONCLUSIVE in outcomes else "fine"


def _their_call(rule: str) -> Caller:
    def call(baseline: Texts, generation: Texts, _: int) -> str:
        return "problem" if RULES[rule](baseline, generation) else "fine"

    return call


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", type=Path, metavar="TEXT", help="real text, a document a line")
    parser.add_argument("--paragraphs", action="store_true", help="documents are separated by blank lines")
    parser.add_argument("--sentences", action="store_true", help="documents are sentences")
    parser.add_argument("--skip", default=r"^$", help="leave out documents that match this pattern (wikitext: '^ *=')")
    parser.add_argument("--min-words", type=int, default=20, help="shorter documents are left out (default 20)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs of each command (default 3)")
    parser.add_argument("--documents", type=int, default=20_000, help="documents a corpus in the first part")
    parser.add_argument("--trials", type=int, default=40, help="trials of each scenario (default 40)")
    parser.add_argument("--n", type=int, default=500, help="documents a side in a trial (default 500)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if min(options.repeats, options.documents, options.trials, options.n) < 1:
        parser.error("--repeats, --documents, --trials and --n: at least 1")
    return options


if __name__ == "__main__":
    main()
