"""Lineages as strangers might write them: malformed at random, audited, and never more than a message.

    python -m benchmarks.fuzz [--minutes 60] [--cases N] [--seed 0] [--keep DIR]

A small lineage with what an audit reads (manifest, settings, corpora in several formats, adapters, results of lm-eval,
confidence, a training log) has one or two of its files damaged: bytes flipped, cut out, repeated; numbers made huge,
values nested, names made long, text cut off. Every audit of it must end with one
of the documented exit codes other than 3, within --seconds, without a traceback, and must leave the folder as it was.

What breaks that promise is kept under --keep, a folder a case, and its line tells the seed that makes it again. A case
that was cured belongs into tests/hostile/crashes, which the gate replays.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from collapse_audit.cli import main
from collapse_audit.lineages.files.digest import file_digest

ALLOWED = frozenset({0, 1, 4, 5, 6, 7})
_TEXTS = 24
_WORDS = ("a", "nodule", "of", "the", "left", "lobe", "EU-TIRADS", "2", "4", "rare", "solid", "cyst")
_TOKENS = (
    b"9" * 400,
    b"1e999",
    b"-1",
    b"NaN",
    b"0x" + b"f" * 40,
    b"[" * 3000,
    b'{"a":' * 300,
    b'"\\ud800"',
    b"\\u0000",
    b"\0",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"true",
    b"x" * 5000,
    b"../../etc/passwd",
    b"\n\n",
    b"1970-01-01",
    b"[[generation]]\n",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one audit did."""

    code: int
    said: str
    seconds: float
    changed: bool

    def broken(self, seconds: float) -> str:
        """The promise that was not kept; empty where all were."""
        if self.code not in ALLOWED:
            return f"exit code {self.code}"
        if "Traceback" in self.said or "defect of collapse-audit" in self.said:
            return "a traceback"
        if self.code == 4 and not self.said.strip():
            return "no message"
        if self.changed:
            return "the folder was written to"
        return f"{self.seconds:.0f} seconds" if self.seconds > seconds else ""


def write_whole(folder: Path) -> list[Path]:
    """A lineage that an audit reads to the end; returns its files."""
    draw = random.Random(1)
    for index, ending in ((0, ".jsonl"), (1, ".parquet"), (2, ".csv"), (3, ".jsonl.gz")):
        home = folder / f"gen_{index}"
        home.mkdir(parents=True)
        records = [
            {"id": f"{index}-{number}", "text": " ".join(draw.choices(_WORDS, k=12)), "label": str(number % 3)}
            for number in range(_TEXTS)
        ]
        _write_corpus(home / f"texts{ending}", records)
        _write_adapter(home / "adapter", index)
        _write_lm_eval(home / "lm_eval")
        adapter = file_digest(home / "adapter" / "adapter_model.safetensors")
        lines = [{"format": 1, "contexts": "sha256:1", "model": "m", "adapter": adapter}]
        lines += [{"id": str(n), "entropy": 1.5, "top1": 0.5, "n_positions": 9} for n in range(_TEXTS)]
        (home / "concentration.jsonl").write_bytes(_lines(lines))
        (home / "train.jsonl").write_bytes(_lines([{"step": step, "loss": 2.0 / (1 + step)} for step in range(5)]))
    entries = "".join(
        f'\n[[generation]]\nindex = {index}\ntexts = "gen_{index}/texts{ending}"\n'
        for index, ending in ((0, ".jsonl"), (1, ".parquet"), (2, ".csv"), (3, ".jsonl.gz"))
    )
    (folder / "lineage.toml").write_text(f'format = 1\nname = "fuzzed"\n{entries}', encoding="utf-8")
    (folder / "collapse-audit.toml").write_text('labels = "field"\n', encoding="utf-8")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _lines(values: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def _write_corpus(path: Path, records: list[dict[str, object]]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif path.suffix == ".csv":
        rows = [",".join(records[0])] + [",".join(f'"{cell}"' for cell in record.values()) for record in records]
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    else:
        data = _lines(records)
        path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _write_adapter(folder: Path, index: int) -> None:
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 1, "lora_alpha": 1}', encoding="utf-8")
    names = [f"base_model.model.layers.0.q_proj.lora_{letter}.weight" for letter in "AB"]
    values = np.arange(1, 5, dtype=np.float32) * (index + 1)
    header = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [16 * at, 16 * (at + 1)]}
        for at, (name, shape) in enumerate(zip(names, ([1, 4], [4, 1]), strict=True))
    }
    head = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(
        len(head).to_bytes(8, "little") + head + values.tobytes() + values.tobytes()
    )


def _write_lm_eval(folder: Path) -> None:
    folder.mkdir()
    results = {
        "lm_eval_version": "0.4.9",
        "results": {"t": {"acc,none": 0.5}},
        "configs": {"t": {}},
        "versions": {"t": 1},
        "n-samples": {"t": {"effective": _TEXTS}},
        "higher_is_better": {"t": {"acc": True}},
    }
    (folder / "results_2024-01-01T00-00-00.json").write_text(json.dumps(results), encoding="utf-8")
    samples: list[dict[str, object]] = [
        {"doc_id": n, "filter": "none", "doc_hash": f"h{n}", "metrics": ["acc"], "acc": n % 2} for n in range(_TEXTS)
    ]
    (folder / "samples_t_2024-01-01T00-00-00.jsonl").write_bytes(_lines(samples))


def damaged(data: bytes, draw: random.Random) -> bytes:
    """``data`` with one to three kinds of damage."""
    for _ in range(draw.choice((1, 1, 2, 3))):
        data = draw.choice(_DAMAGES)(data, draw)
    return data


def _flip(data: bytes, draw: random.Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(draw.choice((1, 1, 4, 20))):
        if flipped:
            flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
    return bytes(flipped)


def _cut(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + data[at + draw.choice((1, 8, 100, len(data))) :]


def _repeat(data: bytes, draw: random.Random) -> bytes:
    at, length = draw.randrange(len(data) + 1), draw.choice((1, 20, 300))
    return data[:at] + data[at : at + length] * draw.choice((2, 3, 50)) + data[at + length :]


def _insert(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + draw.choice(_TOKENS) + data[at:]


def _replace(data: bytes, draw: random.Random) -> bytes:
    """A number or a quoted word becomes something else."""
    starts = [at for at in range(1, len(data)) if data[at - 1 : at] in b" :[=," and data[at : at + 1] not in b" \n"]
    if not starts:
        return _insert(data, draw)
    at = draw.choice(starts)
    end = next((k for k in range(at, len(data)) if data[k : k + 1] in b",]}\n"), len(data))
    return data[:at] + draw.choice(_TOKENS) + data[end:]


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (_flip, _cut, _repeat, _insert, _replace, _replace)


def malform(folder: Path, seed: int) -> list[str]:
    """Damage one or two files of the whole lineage in ``folder``; returns their names."""
    draw = random.Random(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kinds = sorted({path.name for path in files})
    names = []
    # Every kind of file equally often, however many there are of it; none twice, as what is damaged does not unpack.
    for name in draw.sample(kinds, draw.choice((1, 1, 1, 2))):
        path = draw.choice([path for path in files if path.name == name])
        data = path.read_bytes()
        packed = path.suffix == ".gz" and draw.random() < 0.5
        path.write_bytes(
            gzip.compress(damaged(gzip.decompress(data), draw), mtime=0) if packed else damaged(data, draw)
        )
        names.append(path.relative_to(folder).as_posix())
    return names


def audited(folder: Path) -> Outcome:
    """One audit, in this process."""
    before = _state(folder)
    output, began = io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            code = main([str(folder), "--independent", "--evidence", "none"])
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
    return Outcome(code, output.getvalue(), time.monotonic() - began, _state(folder) != before)


def _state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def case(seed: int, folder: Path) -> tuple[list[str], Outcome]:
    """The lineage of this seed, malformed and audited."""
    write_whole(folder)
    return malform(folder, seed), audited(folder)


def _run(options: argparse.Namespace) -> int:
    counted: dict[int, int] = {}
    slowest, failed, seed = 0.0, 0, options.seed
    end = time.monotonic() + 60 * options.minutes
    while time.monotonic() < end and (options.cases is None or seed - options.seed < options.cases):
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home) / "lineage"
            names, outcome = case(seed, folder)
            counted[outcome.code] = counted.get(outcome.code, 0) + 1
            slowest = max(slowest, outcome.seconds)
            broken = outcome.broken(options.seconds)
            if broken:
                failed += 1
                print(f"seed {seed}: {broken} ({', '.join(names)}): {outcome.said.strip().splitlines()[-3:]}")
                shutil.copytree(folder, options.keep / f"seed_{seed}", dirs_exist_ok=True)
        seed += 1
    codes = ", ".join(f"{count} x exit {code}" for code, count in sorted(counted.items()))
    print(f"{seed - options.seed} cases ({codes}), {failed} broken, the slowest took {slowest:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="when to stop (default: 60)")
    parser.add_argument("--cases", type=int, help="how many, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--seconds", type=float, default=20.0, help="that one case may take")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-broken"), help="where broken cases are kept")
    raise SystemExit(_run(parser.parse_args()))
