"""What is read beside a lineage: packs, histories, stored reports, tokenizer files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_beside import COMMANDS
from benchmarks.malformed.case import READ_OR_REFUSED, Case, Damage, added, changed, put

_HUGE = int("9" * 400)
_DIGITS = "9" * 5000
_ANY = frozenset({0, 1, 4, 5, 6, 7})
"""A stored report ends with the code that it holds."""


def cases() -> Iterator[Case]:
    """Every case of this file."""
    yield from _packs()
    yield from _histories()
    yield from _reports()
    yield from _tokenizers()


def _case(file: str, what: str, damage: Damage, *, codes: frozenset[int] = frozenset({4})) -> Case:
    made = frozenset({"history.jsonl", "page.md", "page.html", "page.xml"})
    return Case(
        name=f"{file}: {what}",
        damage=damage,
        says=(file,),
        codes=codes,
        ground="beside",
        command=COMMANDS[file],
        writes=made,
    )


Members = dict[str, bytes]


def _repacked(data: bytes, *, change: Callable[[Members], None]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _npy(array: Any, *, pickled: bool = False) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=pickled)
    return out.getvalue()


def _packs() -> Iterator[Case]:
    pack = partial(_case, "pack.npz")

    def member(name: str, content: bytes) -> Damage:
        return changed("pack.npz", partial(_repacked, change=lambda members: members.update({name: content})))

    head = b"\x93NUMPY\x01\x00"
    shape = b"{'descr': '<i8', 'fortran_order': False, 'shape': (%s,), }"
    for name in ("tokens.npy", "counts.npy", "words.npy", "counts_ends.npy", "same_variance.npy", "header.npy"):
        for what, content in {
            "is a pickle": _npy(np.array([{"a": 1}], dtype=object), pickled=True),
            "is a scalar": _npy(np.float64(1)),
            "is empty": b"",
            "is of complex numbers": _npy(np.zeros(3, complex)),
            "is of NaN": _npy(np.full((1, 40), np.nan)),
            "is below zero": _npy(np.full((1, 40), -1)),
            "is of 64 dimensions": _npy(np.zeros([1] * 64)) if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else b"x",
            "claims 10^18 numbers": head + (118).to_bytes(2, "little") + (shape % b"10" + b"0" * 17).ljust(118),
            "has a head of 64 KB": head + b"\xff\xff" + b"(" * 65_535,
            "is no array": b"x" * 1000,
        }.items():
            if (len(name) + len(what)) % 2:
                yield pack(f"{name} {what}", member(name, content))

    def without(members: Members) -> None:
        members.pop("tokens.npy")

    yield pack("a member is missing", changed("pack.npz", partial(_repacked, change=without)))
    yield pack("a member leads out", member("../x.npy", _npy(np.zeros(1))), codes=READ_OR_REFUSED)
    yield pack("a member is a bomb", member("tokens.npy", _npy(np.zeros(200_000_000, np.int8))))
    for what, content in {
        "nothing": b"",
        "no archive": b"x" * 1000,
        "an empty archive": b"PK\5\6" + b"\0" * 18,
    }.items():
        yield pack(f"is {what}", put("pack.npz", content))
    yield pack("is cut off", changed("pack.npz", lambda data: data[: len(data) // 2]))
    for key, value in {"block": 10**9, "blocks": _HUGE, "format": 2, "cuts": [], "words": -1, "digest": 1}.items():

        def edit(members: Members, *, key: str = key, value: object = value) -> None:
            name = next(each for each in members if each.startswith("header"))
            header = json.loads(np.load(io.BytesIO(members[name])).tobytes())
            members[name] = _npy(np.frombuffer(json.dumps({**header, key: value}).encode(), np.uint8))

        yield pack(f"its header's {key} is {str(value)[:20]}", changed("pack.npz", partial(_repacked, change=edit)))


def _line_edited(data: bytes, *, key: str, value: str) -> bytes:
    """The first line with another value for the key, written as it stands."""
    first, _, rest = data.partition(b"\n")
    line = {**json.loads(first), key: "THERE"}
    return json.dumps(line).replace('"THERE"', value).encode() + b"\n" + rest


def _histories() -> Iterator[Case]:
    history = partial(_case, "history.jsonl")
    values = {
        "5,000 digits": _DIGITS,
        "400 digits": str(_HUGE),
        "1e999": "1e999",
        "NaN": "NaN",
        "a list": "[1]",
        "half a pair": '"\\ud800"',
        "null": "null",
    }
    for number, key in enumerate(("alpha", "generation", "value", "p_value", "look", "time", "n_baseline", "seed")):
        for place, (what, value) in enumerate(values.items()):
            loose = key in ("look", "time", "seed") and what == "half a pair"
            if (number + place) % 2 == 0:
                yield history(
                    f"{key} is {what}",
                    changed("history.jsonl", partial(_line_edited, key=key, value=value)),
                    codes=READ_OR_REFUSED if loose else frozenset({4}),
                )
    for what, tail in {
        "no JSON": b"{\n",
        "a number": b"1\n",
        "nothing": b"\n",
        "bad UTF-8": b"\xff\n",
        "deep": b"[" * 3000 + b"\n",
        "a newer format": b'{"format": 2}\n',
        "an unknown key": b'{"format": 1, "x": 1}\n',
    }.items():
        yield history(f"it ends in {what}", added("history.jsonl", tail))
    yield history("is no history", put("history.jsonl", b"\0" * 1000))


def _report_edited(data: bytes, *, keys: tuple[Any, ...], value: str) -> bytes:
    report = json.loads(data)
    table = report
    for key in keys[:-1]:
        table = table[key]
    table[keys[-1]] = "THERE"
    return json.dumps(report).replace('"THERE"', value).encode()


def _reports() -> Iterator[Case]:
    for file, number in (("report.json", 0), ("other.json", 1)):
        report = partial(_case, file)
        for place, (where, keys) in enumerate(
            {
                "findings": ("findings",),
                "a finding": ("findings", 0),
                "a value": ("findings", 0, "value"),
                "a margin": ("findings", 0, "margin"),
                "an outcome": ("findings", 0, "outcome"),
                "an interval": ("findings", 0, "interval"),
                "the verdict": ("verdict",),
                "the exit code": ("exit_code",),
                "the lineage": ("lineage",),
                "the version": ("format_version",),
            }.items()
        ):
            for turn, (what, value) in enumerate(
                {"5,000 digits": _DIGITS, "1e999": "1e999", "a list": "[[1]]", "half a pair": '"\\ud800"'}.items()
            ):
                if (place + turn + number) % 2:
                    yield report(
                        f"{where} is {what}",
                        changed(file, partial(_report_edited, keys=keys, value=value)),
                        codes=frozenset({4}),
                    )
        for what, content in {"nothing": b"", "a list": b"[]", "deep": b"[" * 3000, "no UTF-8": b"\xff"}.items():
            yield report(f"is {what}", put(file, content))


def _tokenizers() -> Iterator[Case]:
    def model(**change: object) -> str:
        whole = {"type": "WordLevel", "vocab": {"?": 0, "a": 1}, "unk_token": "?"}
        return json.dumps({"version": "1.0", "pre_tokenizer": {"type": "Whitespace"}, "model": {**whole, **change}})

    def other(**change: object) -> str:
        return json.dumps({**json.loads(model()), **change})

    normalizer = {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "b"}
    grows = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "x" * 100_000}] * 400}
    for what, content in {
        "an unknown word that is not there": model(unk_token="[NO]"),
        "no vocabulary": model(vocab={}),
        "a vocabulary of huge numbers": model(vocab={"?": 0, "a": 2**32 - 1}),
        "a vocabulary of numbers below zero": model(vocab={"?": 0, "a": -1}),
        "a vocabulary that is a list": model(vocab=[1, 2]),
        "a model of an unknown kind": model(type="X"),
        "merges of nothing": json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["x y"]}}),
        "a unigram without unknown words": json.dumps({"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}),
        "a unigram of infinity": json.dumps({"model": {"type": "Unigram", "unk_id": 9, "vocab": [["a", -1e308]]}}),
        "a pattern that others never finish": other(normalizer=normalizer),
        "a normalizer that grows": other(normalizer=grows),
        "a padding of 10^9": other(
            padding={
                "strategy": {"Fixed": 10**9},
                "direction": "Right",
                "pad_to_multiple_of": None,
                "pad_id": 0,
                "pad_type_id": 0,
                "pad_token": "?",
            }
        ),
        "a truncation of 0": other(
            truncation={"max_length": 0, "strategy": "LongestFirst", "stride": 5, "direction": "Right"}
        ),
        "digits of Unicode": other(pre_tokenizer={"type": "Digits", "individual_digits": True}),
        "nothing": "",
        "no JSON": "{",
        "a list": "[]",
        "3,000 deep": '{"a":' * 3000,
        "a number of 5,000 digits": f'{{"version": {_DIGITS}}}',
        "half a pair": '{"version": "\\ud800"}',
    }.items():
        yield Case(
            name=f"tokenizer.json: {what}",
            damage=put("tokenizer.json", content),
            says=("tokenizer.json",),
            codes=READ_OR_REFUSED,
            ground="beside",
            command=COMMANDS["tokenizer.json"],
        )

        def of_lineage(home: Path, *, content: str = content) -> None:
            put("runs/tokenizer.json", content)(home)
            put("runs/collapse-audit.toml", 'tokens = "hf:tokenizer.json"\n')(home)

        yield Case(
            name=f"a lineage's tokenizer.json: {what}",
            damage=of_lineage,
            says=("tokenizer.json",),
            codes=READ_OR_REFUSED,
            ground="beside",
            command=("runs", "--independent", "-k", "length or divergence"),
        )
