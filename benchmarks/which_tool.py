"""What each tool says of the same two files: a healthy pair, and three in which something is lost.

    python benchmarks/which_tool.py TEXT… --other FILE… [--n 1000] [--python pointblank=VENV/bin/python]…

TEXT: real text, as for benchmarks/real_text.py; ``--other``: sentences of another language, one a line. Every rule of
benchmarks/peer_rules.py whose packages an interpreter has is run by that interpreter (``--python NAME=PATH`` for rules
that begin with NAME, else this one), each on each pair in a process of its own. Seconds are processor time.

``trigram`` replaces 30% of the texts by what a trigram model of them writes; ``loops`` lets a tenth end in the same few
words again and again; in ``language`` 30% of the first file are of the other language, and none of the second.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from machine import PACKAGES, describe
from peer_rules import RULES, SHOWN
from real_text import SCENARIOS, mixed_in, read_texts, text_options

OURS = "collapse-audit"
VERDICTS = (0, 1, 6)


def main() -> None:
    """A row a tool, a column a pair."""
    options = _options()
    print(describe((*PACKAGES, "pointblank", "evidently", "deepchecks", "mauve-text")))
    pythons = dict(pair.split("=", 1) for pair in options.python)
    with tempfile.TemporaryDirectory(prefix="collapse-audit-") as folder:
        for name, before, after in _pairs(options):
            files = [Path(folder, f"{name}_{side}.jsonl") for side in ("before", "after")]
            for file, texts in zip(files, (before, after), strict=True):
                file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
            print(f"\n{name}: {len(before):,} and {len(after):,} texts")
            ours = [sys.executable, "-m", "collapse_audit", *map(str, files), "--independent", "-q"]
            _say(OURS, ours)
            for rule in RULES | SHOWN:
                python = next((path for known, path in pythons.items() if rule.startswith(known)), sys.executable)
                _say(rule, [python, str(Path(__file__).with_name("peer_rules.py")), rule, *map(str, files)])


def _say(name: str, command: list[str]) -> None:
    before = _children()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = _children() - before
    if done.returncode not in VERDICTS or (done.returncode and name != OURS):
        print(f"  {name:30s} did not run: {(done.stderr.splitlines() or ['?'])[-1][:90]}")
        return
    lines = done.stdout.strip().splitlines()
    print(f"  {name:30s} {seconds:5.1f} s  {lines[-1] if name == OURS else '; '.join(lines)}", flush=True)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _pairs(options: argparse.Namespace) -> Iterator[tuple[str, list[str], list[str]]]:
    texts, n = read_texts(options), options.n
    made_by = {"healthy": SCENARIOS["null"][0], "trigram": mixed_in(0.30), "loops": SCENARIOS["loops in 10%"][0]}
    for name, scenario in made_by.items():
        made = scenario(texts, n, np.random.default_rng([options.seed, n]))
        if made is None:
            sys.exit(f"{name} at n = {n} needs {2 * n:,} documents; there are {len(texts):,}")
        yield name, list(made[0]), list(made[1])
    rng = np.random.default_rng(options.seed)
    other = [line.strip() for file in options.other for line in file.read_text("utf-8").splitlines() if line.strip()]
    drawn, lost = [texts[at] for at in rng.permutation(len(texts))[: 2 * n]], round(0.3 * n)
    foreign = [other[at] for at in rng.permutation(len(other))[:lost]]
    yield "language", drawn[: n - lost] + foreign, drawn[n:]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    text_options(parser)
    parser.add_argument("--other", nargs="+", type=Path, required=True, metavar="FILE", help="of another language")
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="the interpreter of a peer")
    parser.add_argument("--n", type=int, default=1000, help="documents a side (default 1000)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
