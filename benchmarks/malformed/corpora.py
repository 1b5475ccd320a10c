"""Corpora: records that are none, files that are cut off, bombs, long lines, pipes, devices, links that lead out."""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from benchmarks.malformed.case import READ_OR_REFUSED, Case, Damage, added, put, texts

_HUGE = "9" * 5000
_LINES: dict[str, bytes] = {
    "a record without a text": b'{"txt": "a"}',
    "a text that is null": b'{"text": null}',
    "a text that is a number": b'{"text": 1}',
    "a text that is a list": b'{"text": ["a"]}',
    "a text that is a table": b'{"text": {"a": 1}}',
    "half a surrogate pair in a text": b'{"text": "\\ud800"}',
    "half a surrogate pair in a label": b'{"text": "a", "label": "\\ud800"}',
    "half a surrogate pair in an id": b'{"text": "a", "id": "\\udfff"}',
    "half a surrogate pair in a key": b'{"text": "a", "\\ud83d": "b"}',
    "bad UTF-8": b'{"text": "\xff\xfe"}',
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "a number": b"1",
    "a list": b"[1, 2]",
    "a string": b'"a"',
    "null": b"null",
    "NaN": b"NaN",
    "half a record": b'{"text": "a',
    "two records on a line": b'{"text": "a"} {"text": "b"}',
    "a key twice": b'{"text": "a", "text": "b"}',
    "a label of 5,000 digits": f'{{"text": "a", "label": {_HUGE}}}'.encode(),
    "an nll of 5,000 digits": f'{{"text": "a", "nll": {_HUGE}}}'.encode(),
    "an nll of 1e999": b'{"text": "a", "nll": 1e999}',
    "an nll that is NaN": b'{"text": "a", "nll": NaN}',
    "an nll below zero": b'{"text": "a", "nll": -1e300}',
    "an nll that is a text": b'{"text": "a", "nll": "1"}',
    "tokens of a fraction": b'{"text": "a", "nll": 1.0, "n_tokens": 1.5}',
    "tokens below zero": b'{"text": "a", "nll": 1.0, "n_tokens": -1}',
    "tokens of 400 digits": f'{{"text": "a", "nll": 1.0, "n_tokens": {"9" * 400}}}'.encode(),
    "a group that is a list": b'{"text": "a", "group": [1]}',
    "a label that is a table": b'{"text": "a", "label": {"a": 1}}',
    "labels 100 deep": b'{"text": "a", "labels": ' + b"[" * 100 + b"]" * 100 + b"}",
    "values 3,000 deep": b'{"text": "a", "x": ' + b"[" * 3000 + b"]" * 3000 + b"}",
    "tables 50,000 deep": b'{"a":' * 50_000,
    "a prompt that is a number": b'{"text": "a", "prompt": 1}',
    "a split that is unknown": b'{"text": "a", "split": 7}',
    "an id of 400 digits": f'{{"text": "a", "id": {"9" * 400}}}'.encode(),
    "messages that are no list": b'{"messages": {"role": "assistant"}}',
    "messages of nobody": b'{"messages": [{"content": "a"}]}',
    "a line of 20 MB": b'{"text": "' + b"ab cd " * 3_400_000 + b'"}',
    "binary zeros": b"\0" * 1000,
}
_ODD = frozenset(
    {
        *("a key twice", "values 3,000 deep", "an id of 400 digits", "tokens of a fraction", "labels 100 deep"),
        *("a group that is a list", "a prompt that is a number", "a label that is a table", "NaN", "binary zeros"),
        *("a label of 5,000 digits", "half a surrogate pair in a key", "a split that is unknown"),
    }
)
"""What may be read: nothing that is asked for is in it."""
_FILES: dict[str, bytes] = {
    "gen_1.jsonl": b"",
    "gen_1.json": b"",
    "gen_1.csv": b"",
    "gen_1.txt": b"",
    "gen_1.parquet": b"",
    "gen_1.arrow": b"",
    "gen_1.jsonl.gz": b"",
    "gen_1.jsonl.zst": b"\x28\xb5\x2f\xfd",
    "gen_1.jsonl.xz": b"\xfd7zXZ\0",
}
_ARRAYS: dict[str, bytes] = {
    "no array": b'{"text": "a"}',
    "a number": b"1",
    "half an array": b'[{"text": "a"}',
    "an array of numbers": b"[1, 2]",
    "a comma too many": b'[{"text": "a"},]',
    "something after the end": b'[{"text": "a"}] x',
    "an array 50,000 deep": b"[" * 50_000,
    "a number of 5,000 digits": f'[{{"text": "a", "label": {_HUGE}}}]'.encode(),
    "half a surrogate pair": b'[{"text": "\\ud800"}]',
    "a record of 40 MB": b'[{"text": "' + b"ab cd " * 7_000_000 + b'"}]',
}
_TABLES: dict[str, bytes] = {
    "an open quote": b'text,label\n"a,1\n',
    "a cell too many": b"text,label\na,1,2\n",
    "a cell too few": b"text,label\na\n",
    "a heading twice": b"text,text\na,b\n",
    "no text": b"a,b\n1,2\n",
    "a NUL": b"text,label\na\0b,1\n",
    "bad UTF-8": b"text,label\n\xff,1\n",
    "2,000 columns": b"text," + ",".join(f"c{k}" for k in range(2000)).encode() + b"\na" + b"," * 2000 + b"\n",
    "a cell of 20 MB": b'text,label\n"' + b"ab cd " * 3_400_000 + b'",1\n',
    "nothing but a heading": b"text,label\n",
    "nothing but line ends": b"\n" * 1000,
    "an nll of 1e999": b"text,nll\na,1e999\n",
    "an nll of 5,000 digits": f"text,nll\na,{_HUGE}\n".encode(),
    "an nll that is a word": b"text,nll\na,x\n",
}


def cases() -> Iterator[Case]:
    """Every case of this file."""
    for what, line in _LINES.items():
        yield Case(
            name=f"gen_1.jsonl: {what}",
            damage=added("runs/gen_1.jsonl", line + b"\n"),
            says=("gen_1.jsonl:",),
            codes=READ_OR_REFUSED if what in _ODD else frozenset({4}),
            ground="bare",
        )
    for kind, contents in ((".json", _ARRAYS), (".csv", _TABLES)):
        for what, content in contents.items():
            yield Case(
                name=f"gen_1{kind}: {what}",
                damage=_in_place(f"gen_1{kind}", content),
                says=(f"gen_1{kind}",),
                codes=READ_OR_REFUSED if what in ("a NUL", "no array") else frozenset({4}),
                ground="bare",
            )
    for name, content in _FILES.items():
        yield Case(name=f"{name} is empty", damage=_in_place(name, content), says=(name,), ground="bare")
    yield from _packed()
    yield from _many()
    yield from _places()


def _in_place(name: str, content: bytes) -> Damage:
    """The second generation is another file."""

    def damage(home: Path) -> None:
        (home / "runs" / "gen_1.jsonl").unlink()
        put(f"runs/{name}", content)(home)

    return damage


def _zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as file:
        file.write(data)
    return bytes(sink.getvalue())


def _packed() -> Iterator[Case]:
    lines = "".join(f'{{"text": "{texts(1, k)}"}}\n' for k in range(40)).encode()
    packers = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": _zstd}
    for ending, pack in packers.items():
        name, packed = f"gen_1.jsonl{ending}", pack(lines)
        for what, content in {
            "cut off": packed[: len(packed) // 2],
            "cut off by a byte": packed[:-1],
            "not packed": lines,
            "damaged": packed[:40] + bytes([packed[40] ^ 255]) + packed[41:],
        }.items():
            yield Case(
                name=f"{name}: {what}",
                damage=_in_place(name, content),
                says=(name,),
                codes=READ_OR_REFUSED if (ending, what) == (".zst", "damaged") else frozenset({4}),  # no checksum
                ground="bare",
            )
    zeros = b"\0" * 2**20
    bombs = {
        ".gz": gzip.compress(zeros, 9) * 1024,  # members in a row: a gigabyte in one megabyte
        ".xz": lzma.compress(zeros) * 1024,
        ".zst": _zstd(zeros) * 1024,
    }
    for ending, bomb in bombs.items():
        for kind in (".jsonl", ".txt", ".csv", ".json"):
            name = f"gen_1{kind}{ending}"
            yield Case(name=f"{name}: a bomb", damage=_in_place(name, bomb), says=(name,), ground="bare")


def _many() -> Iterator[Case]:
    def generations(home: Path) -> None:
        for index in range(2, 2200):
            put(f"runs/gen_{index}.jsonl", '{"text": "a"}\n')(home)

    yield Case(name="2,200 generations", damage=generations, says=("generations",), ground="bare")

    def far(home: Path) -> None:
        (home / "runs" / "gen_1.jsonl").rename(home / "runs" / f"gen_{'9' * 200}.jsonl")

    yield Case(name="a generation of 200 digits", damage=far, codes=READ_OR_REFUSED, ground="bare")


def _places() -> Iterator[Case]:
    """A folder, a pipe, a device, a link out, a link in a circle, a link to nothing: where a file belongs."""
    where = {
        "lineage": ("lineage.toml", "collapse-audit.toml", "gen_1/texts.parquet"),
        "bare": ("gen_1.jsonl",),
    }
    beside = (
        *("gen_1/adapter/adapter_model.safetensors", "gen_1/adapter/adapter_config.json", "gen_1/concentration.jsonl"),
        *("gen_1/lm_eval/results_2024-01-01T00-00-00.json", "gen_1/lm_eval/samples_t_2024-01-01T00-00-00.jsonl"),
        *("gen_1/train.jsonl", "gen_1/adapter", "gen_1/lm_eval"),
    )
    for ground, names in (*where.items(), ("lineage", beside)):
        for name in names:
            for what, put_there in _WHAT.items():

                def damage(home: Path, *, name: str = name, put_there: Damage = put_there) -> None:
                    path = home / "runs" / name
                    path.rename(home / "away")
                    put_there(path)

                # What may lie beside texts need not; a manifest that is not there makes a lineage of files.
                loose = name in beside or name.endswith(".toml")
                yield Case(
                    name=f"{name} is {what}",
                    damage=damage,
                    says=(Path(name).name, "lineage.toml:"),
                    codes=READ_OR_REFUSED if loose else frozenset({4}),
                    ground=ground,
                )


def _folder(path: Path) -> None:
    path.mkdir()


def _out(path: Path) -> None:
    home = next(parent for parent in path.parents if parent.name == "runs").parent
    put("outside", '{"text": "a"}\n')(home)
    path.symlink_to(home / "outside")


_WHAT: dict[str, Damage] = {
    "a folder": _folder,
    "a pipe": os.mkfifo,
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a link to /etc/passwd": lambda path: path.symlink_to("/etc/passwd"),
    "a link out": _out,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
}
