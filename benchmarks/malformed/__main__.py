"""Malformed lineages and files, one of each kind, and never more than a message.

    python -m benchmarks.malformed [WORDS…] [--list] [--keep DIR]

Every case damages one thing that an audit reads and runs the command that reads it, in a forked process. It must end
with the exit code that is documented for it (never 3, and 1 by no accident), name the file or the setting in its
message, print no traceback, write nothing, and take at most 20 CPU seconds and 2 GB. WORDS: only cases whose names hold
one of them. What breaks a promise is kept under --keep.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.malformed import beside, corpora, models, outside, settings, tables
from benchmarks.malformed.case import Case, Grounds, broken, run


def all_cases() -> Iterator[Case]:
    """Every malformed input that is made here."""
    for kind in (settings, corpora, tables, models, beside, outside):
        yield from kind.cases()


def main(words: list[str], keep: Path, *, only_list: bool) -> int:
    """Run the cases whose names hold one of ``words``; 1 where one breaks a promise."""
    chosen = [case for case in all_cases() if not words or any(word in case.name for word in words)]
    if only_list:
        print("\n".join(case.name for case in chosen))
        return 0
    codes: Counter[int] = Counter()
    failed, slowest, largest, began = 0, (0.0, ""), (0.0, ""), time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        grounds = Grounds(Path(home))
        for number, case in enumerate(chosen):
            folder = Path(home) / f"case_{number}"
            ended = run(case, grounds, folder)
            codes[ended.code] += 1
            slowest = max(slowest, (ended.seconds, case.name))
            largest = max(largest, (ended.gigabytes, case.name))
            if told := broken(case, ended):
                failed += 1
                last = [line for line in ended.said.strip().splitlines() if line.strip()][-2:]
                print(f"{case.name}: {told}; {' / '.join(last)[:400]}", flush=True)
                shutil.copytree(folder, keep / f"case_{number}", symlinks=True, dirs_exist_ok=True, ignore=_special)
            shutil.rmtree(folder)
    told = ", ".join(f"{count} x exit {code}" for code, count in sorted(codes.items()))
    print(f"{len(chosen)} cases ({told}) in {time.monotonic() - began:.0f} s, {failed} broken")
    print(f"the slowest took {slowest[0]:.1f} CPU s ({slowest[1]}), the largest {largest[0]:.2f} GB ({largest[1]})")
    return 1 if failed else 0


def _special(folder: str, names: list[str]) -> set[str]:
    """Pipes cannot be copied."""
    return {name for name in names if not Path(folder, name).is_file() and not Path(folder, name).is_dir()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only cases whose names hold one of them")
    parser.add_argument("--list", action="store_true", help="print the names and run nothing")
    parser.add_argument("--keep", type=Path, default=Path("malformed-broken"), help="where broken cases are kept")
    options = parser.parse_args()
    raise SystemExit(main(options.words, options.keep, only_list=options.list))
