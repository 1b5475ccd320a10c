"""Large and odd loads: each is made, audited in a process of its own, and measured.

    python -m benchmarks.load [labels line long-line generations types data]

A load is a lineage that an honest user might bring once in a while: 10,000 labels on 20,000 documents, one line of 200
megabytes, 300 generations, five million types; or training data: 100,000 texts beside as many of people's, with a
labelled sample and an evaluation set. What is printed is the exit code, CPU and wall-clock seconds and the
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

from benchmarks.zipf_text import write_corpora

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
    arguments: tuple[str, ...] = ("runs", "--independent")
    """What is audited, told from beside the folder ``runs``."""


def _texts(draw: random.Random, count: int, words: int = 12) -> Iterable[str]:
    return (" ".join(draw.choices(_WORDS, _WEIGHTS, k=words)) for _ in range(count))


def _write(path: Path, records: Iterable[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def training_data(folder: Path) -> None:
    """100,000 texts of 70 words on average, half of them people's, beside 100,000 of people's; words by Zipf's law."""
    write_corpora(folder, ["machine", "people", "evaluation", "taught"], documents=100_000, words=70)
    texts = {path.stem: path.read_text("utf-8").splitlines(keepends=True) for path in folder.glob("*.jsonl")}
    (folder / "train.jsonl").write_text("".join(texts["machine"][:50_000] + texts["people"][:50_000]), "utf-8")
    (folder / "evaluation.jsonl").write_text("".join(texts["evaluation"][:10_000]), "utf-8")
    taught = [json.loads(line)["text"] for line in texts["taught"][:1000]]
    records = ({"text": text, "label": "human" if k % 2 else "machine"} for k, text in enumerate(taught))
    _write(folder / "taught.jsonl", ({**each, "text": _marked(each)} for each in records))


def _marked(record: dict[str, str]) -> str:
    """Nothing tells apart who wrote what is drawn at random, so each machine's text gets words of its own."""
    return record["text"] + (" so to speak" if record["label"] == "machine" else "")


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
    "data": Load(
        make=training_data,
        seconds=120,
        gigabytes=1.5,
        codes=frozenset({0, 1, 6}),
        arguments=(
            *("--data", "runs/train.jsonl", "--reference", "runs/people.jsonl"),
            *("--labelled", "runs/taught.jsonl", "--evaluation", "runs/evaluation.jsonl"),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What an audit took."""

    code: int
    cpu: float
    wall: float
    gigabytes: float
    said: str


def audited(home: Path, load: Load, most: float) -> Taken:
    """An audit of a load made in ``home`` in a process of its own, ended after ``most`` CPU seconds."""
    environment = {
        **os.environ,
        "COLLAPSE_AUDIT_LIMITS": load.limits,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        limited = f"import resource; resource.setrlimit(resource.RLIMIT_CPU, ({most:.0f}, {most:.0f}))"
        start = f"{limited}; from collapse_audit.cli import main; raise SystemExit(main())"
        command = [sys.executable, "-c", start, *load.arguments]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=home)
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
            taken = audited(Path(home), load, 3 * load.seconds)
        within = taken.code in load.codes and taken.cpu <= load.seconds and taken.gigabytes <= load.gigabytes
        beyond |= not within
        allowed = f"{load.seconds:.0f} CPU s, {load.gigabytes:g} GB, exit {sorted(load.codes)}"
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
