"""Large and odd loads: each is made, audited in a process of its own, and measured.

    python -m benchmarks.load [labels line long-line generations types]

A load is a lineage that an honest user might bring once in a while: 10,000 labels on 20,000 documents, one line of 200
megabytes, 300 generations, five million types. What is printed is the exit code, CPU and wall-clock seconds and the
most memory that the audit's process held (``ru_maxrss`` of the child), beside what is allowed; the command ends with 1
where one of them is beyond it. What is held against the allowed seconds is CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_WORDS = [f"w{k}" for k in range(2000)]
_WEIGHTS = [1 / (k + 1) for k in range(2000)]
_LINE = 200_000_000


@dataclass(frozen=True, kw_only=True)
class Load:
    """A lineage, and what its audit may take."""

    make: Callable[[Path], None]
    seconds: float
    gigabytes: float
    codes: frozenset[int]
    limits: str = ""


def _texts(draw: random.Random, count: int, words: int = 12) -> Iterable[str]:
    return (" ".join(draw.choices(_WORDS, _WEIGHTS, k=words)) for _ in range(count))


def _write(path: Path, records: Iterable[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def many_labels(folder: Path) -> None:
    """20,000 documents a side, each with one of 10,000 labels."""
    for index in range(2):
        draw = random.Random(index)
        records = ({"text": text, "label": f"L{draw.randrange(10_000)}"} for text in _texts(draw, 20_000))
        _write(folder / f"gen_{index}.jsonl", records)


def long_line(folder: Path) -> None:
    """A thousand ordinary documents a side, and one of 200 megabytes."""
    for index in range(2):
        draw = random.Random(index)
        texts = list(_texts(draw, 1000))
        if index:
            words = " ".join(_texts(draw, 1000))
            texts.append((words + " ") * (_LINE // (len(words) + 1)))
        _write(folder / f"gen_{index}.jsonl", ({"text": text} for text in texts))


def generations(folder: Path) -> None:
    """300 generations of 200 documents."""
    for index in range(300):
        _write(folder / f"gen_{index}.jsonl", ({"text": text} for text in _texts(random.Random(index), 200)))


def types(folder: Path) -> None:
    """Five million different words: 25,000 documents a side of 100 words that no other document holds."""
    for index in range(2):
        start = index * 2_500_000
        records = ({"text": " ".join(f"t{k}" for k in range(n, n + 100))} for n in range(start, start + 2_500_000, 100))
        _write(folder / f"gen_{index}.jsonl", records)


LOADS = {
    "labels": Load(make=many_labels, seconds=60, gigabytes=2, codes=frozenset({0, 1, 6})),
    "line": Load(make=long_line, seconds=60, gigabytes=2, codes=frozenset({4})),
    "long-line": Load(make=long_line, seconds=60, gigabytes=2, codes=frozenset({0, 1, 6}), limits="line=1e9"),
    "generations": Load(make=generations, seconds=300, gigabytes=2, codes=frozenset({0, 1, 6})),
    "types": Load(make=types, seconds=300, gigabytes=3, codes=frozenset({0, 1, 6})),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What an audit took."""

    code: int
    cpu: float
    wall: float
    gigabytes: float
    said: str


def audited(folder: Path, limits: str, most: float) -> Taken:
    """An audit of ``folder`` in a process of its own, ended after ``most`` CPU seconds."""
    environment = {**os.environ, "COLLAPSE_AUDIT_LIMITS": limits, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        limited = f"import resource; resource.setrlimit(resource.RLIMIT_CPU, ({most:.0f}, {most:.0f}))"
        start = f"{limited}; from collapse_audit.cli import main; raise SystemExit(main())"
        command = [sys.executable, "-c", start, str(folder), "--independent"]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    unit = 1 if sys.platform == "darwin" else 1024
    wall = time.monotonic() - began
    return Taken(process.returncode, used.ru_utime + used.ru_stime, wall, used.ru_maxrss * unit / 1e9, said)


def main(chosen: list[str]) -> int:
    """Make, audit and measure the loads that are ``chosen``; 1 where one is beyond what is allowed."""
    beyond = False
    print(f"{'load':12} {'exit':>4} {'CPU s':>7} {'wall s':>7} {'GB':>5}   allowed")
    for name in chosen:
        load = LOADS[name]
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home) / "runs"
            folder.mkdir()
            load.make(folder)
            taken = audited(folder, load.limits, 3 * load.seconds)
        within = taken.code in load.codes and taken.cpu <= load.seconds and taken.gigabytes <= load.gigabytes
        beyond |= not within
        allowed = f"{load.seconds:.0f} CPU s, {load.gigabytes:.0f} GB, exit {sorted(load.codes)}"
        print(
            f"{name:12} {taken.code:4} {taken.cpu:7.1f} {taken.wall:7.1f} {taken.gigabytes:5.2f}   {allowed}"
            f"{'' if within else '   BEYOND'}",
            flush=True,
        )
        if taken.code not in load.codes:
            print("\n".join(taken.said.splitlines()[-8:]))
    return int(beyond)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loads", nargs="*", default=list(LOADS), choices=[*LOADS, []], help="which (default: all)")
    raise SystemExit(main(parser.parse_args().loads))
