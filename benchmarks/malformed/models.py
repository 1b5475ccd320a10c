"""What lies beside texts: adapters, results of lm-eval, confidence, training logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.malformed.case import READ_OR_REFUSED, Case, Damage, added, changed, put

_HUGE = int("9" * 400)
_DIGITS = "9" * 5000
_ADAPTER = "runs/gen_1/adapter/adapter_model.safetensors"
_CONFIG = "runs/gen_1/adapter/adapter_config.json"
_RESULTS = "runs/gen_0/lm_eval/results_2024-01-01T00-00-00.json"
_SAMPLES = "runs/gen_0/lm_eval/samples_t_2024-01-01T00-00-00.jsonl"
_NAMES = [f"base_model.model.layers.0.q_proj.lora_{letter}.weight" for letter in "AB"]


def cases() -> Iterator[Case]:
    """Every case of this file."""
    yield from _adapters()
    yield from _configs()
    yield from _results()
    yield from _samples()
    yield from _logs()


def _case(name: str, damage: Damage, *, file: str, codes: frozenset[int] = READ_OR_REFUSED) -> Case:
    return Case(name=name, damage=damage, says=(file,), codes=codes)


def _safetensors(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(head) if length is None else length).to_bytes(8, "little") + head + data


def _tensor(shape: object, start: object, stop: object, kind: object = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, stop]}


def _adapters() -> Iterator[Case]:
    a, b = _NAMES
    floats = np.arange(1, 9, dtype=np.float32).tobytes()
    ones = [1] * 64
    two = {a: _tensor([1, 4], 0, 16)}
    for what, content in {
        "65 dimensions": _safetensors({a: _tensor([*ones, 4], 0, 16), b: _tensor([4, *ones], 16, 32)}, floats),
        "scalars": _safetensors({a: _tensor([], 0, 4), b: _tensor([], 4, 8)}, floats[:8]),
        "vectors": _safetensors({a: _tensor([4], 0, 16), b: _tensor([4], 16, 32)}, floats),
        "three dimensions": _safetensors({a: _tensor([1, 2, 2], 0, 16), b: _tensor([2, 2, 1], 16, 32)}, floats),
        "no numbers": _safetensors({a: _tensor([0, 4], 0, 0), b: _tensor([4, 0], 0, 0)}),
        "no product": _safetensors({a: _tensor([2, 2], 0, 16), b: _tensor([4, 1], 16, 32)}, floats),
        "one of two": _safetensors(two, floats[:16]),
        "nothing": b"",
        "seven bytes": b"\0" * 7,
        "no tensor": _safetensors({}),
        "a header of 2^63 bytes": _safetensors({}, length=2**63),
        "a header of 90 MB that is not there": _safetensors({}, length=90_000_000),
        "a header that is no JSON": _safetensors(b"\xff{"),
        "a header that is a list": _safetensors([1]),
        "a header 3,000 deep": _safetensors(b'{"a":' * 3000),
        "a header with half a pair": _safetensors(b'{"\\ud800": 1}'),
        "offsets below zero": _safetensors({**two, b: _tensor([4, 1], -16, 0)}, floats[:16]),
        "offsets of 400 digits": _safetensors({**two, b: _tensor([4, 1], _HUGE, _HUGE + 16)}, floats[:16]),
        "a shape of 400 digits": _safetensors({**two, b: _tensor([_HUGE, 0], 16, 16)}, floats[:16]),
        "a shape of fractions": _safetensors({**two, b: _tensor([4.0, 1], 16, 32)}, floats),
        "a shape of booleans": _safetensors({**two, b: _tensor([True, 4], 16, 32)}, floats),
        "a shape of 10^6 dimensions": _safetensors({**two, b: _tensor([1] * 1_000_000, 16, 20)}, floats[:20]),
        "overlapping tensors": _safetensors({**two, b: _tensor([4, 1], 8, 24)}, floats[:24]),
        "an unknown type": _safetensors({**two, b: _tensor([4, 1], 16, 32, "F4")}, floats),
        "a type that is a list": _safetensors({**two, b: _tensor([4, 1], 16, 32, ["F32"])}, floats),
        "fewer bytes than it says": _safetensors({**two, b: _tensor([4, 1], 16, 32)}, floats[:20]),
        "more bytes than it says": _safetensors({**two, b: _tensor([4, 1], 16, 32)}, floats + b"\0"),
        "NaN": _safetensors({**two, b: _tensor([4, 1], 16, 32)}, floats[:16] + b"\xff" * 16),
        "the largest doubles": _safetensors(
            {a: _tensor([1, 2], 0, 16, "F64"), b: _tensor([2, 1], 16, 32, "F64")}, np.full(4, 1.7e308).tobytes()
        ),
        "a name of 1 MB": _safetensors({**two, "x" * 1_000_000: _tensor([4, 1], 16, 32)}, floats),
        "100,000 tensors": _safetensors({f"{k}.lora_A.weight": _tensor([0], 0, 0) for k in range(100_000)}),
        "a pickle": b"\x80\x04cos\nsystem\n(S'echo'\ntR.",
        "a pointer of git-lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    }.items():
        yield _case(f"an adapter of {what}", put(_ADAPTER, content), file="adapter")


def _configs() -> Iterator[Case]:
    for key in ("lora_alpha", "r", "peft_type", "rank_pattern", "use_rslora", "target_modules"):
        for what, value in {
            "400 digits": str(_HUGE),
            "5,000 digits": _DIGITS,
            "1e999": "1e999",
            "NaN": "NaN",
            "zero": "0",
            "below zero": "-1",
            "a table": '{"a": {"b": 1}}',
            "half a pair": '"\\ud800"',
        }.items():
            if (len(key) + len(what)) % 2:
                text = f'{{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "{key}": {value}}}'
                # Another rank than the matrices have is an adapter of something else: integrity judges that.
                codes = READ_OR_REFUSED | ({1} if key == "r" else set())
                name = f"adapter_config.json: {key} is {what}"
                yield _case(name, put(_CONFIG, text), file="adapter_config.json", codes=codes)
    for what, content in {"a list": "[1]", "no JSON": "{", "nothing": "", "bad UTF-8": b"\xff"}.items():
        yield _case(f"adapter_config.json is {what}", put(_CONFIG, content), file="adapter")
    yield _case("adapter_config.json is deep", put(_CONFIG, '{"a":' * 3000), file="adapter")


def _edited(data: bytes, *, edit: Callable[[dict[str, Any]], None]) -> bytes:
    value = json.loads(data)
    edit(value)
    return json.dumps(value).encode()


def _set(table: dict[str, Any], *, keys: tuple[str, ...], value: object) -> None:
    for key in keys[:-1]:
        table = table[key]
    table[keys[-1]] = value


def _results() -> Iterator[Case]:
    places = {
        "a score": ("results", "t", "acc,none"),
        "results": ("results",),
        "a task": ("results", "t"),
        "configs": ("configs",),
        "a config": ("configs", "t"),
        "a version": ("versions", "t"),
        "samples": ("n-samples", "t", "effective"),
        "all samples": ("n-samples",),
        "a direction": ("higher_is_better", "t", "acc"),
        "the harness": ("lm_eval_version",),
    }
    values: dict[str, object] = {"400 digits": _HUGE, "a list": [[1]], "a text": "\x1b[2J", "null": None, "-1": -1}
    for number, (where, keys) in enumerate(places.items()):
        for place, (what, value) in enumerate(values.items()):
            if (number + place) % 2 == 0:
                edit = partial(_set, keys=keys, value=value)
                yield _case(
                    f"lm-eval: {where} is {what}", changed(_RESULTS, partial(_edited, edit=edit)), file="lm_eval"
                )  # fmt: skip
    for what, content in {
        "a list": "[]",
        "no JSON": "{",
        "nothing": "",
        "bad UTF-8": b"\xff",
        "3,000 deep": '{"results":' * 3000,
        "a number of 5,000 digits": f'{{"results": {_DIGITS}}}',
        "NaN": '{"results": {"t": {"acc,none": NaN}}}',
        "1e999": '{"results": {"t": {"acc,none": 1e999}}}',
    }.items():
        yield _case(f"lm-eval: results that are {what}", put(_RESULTS, content), file="lm_eval")
    for what, name in {
        "of 5,000 characters": "t" * 5000,
        "with ..": "../../../x",
        "of escapes": "\x1b]0;x\x07",
    }.items():

        def rename(data: bytes, *, name: str = name) -> bytes:
            return data.replace(b'"t"', json.dumps(name).encode())

        yield _case(f"lm-eval: a task's name {what}", changed(_RESULTS, rename), file="lm_eval")


def _samples() -> Iterator[Case]:
    row: dict[str, object] = {"doc_id": 0, "filter": "none", "doc_hash": "h", "metrics": ["acc"], "acc": 1}
    for what, change in {
        "a doc_id of 31 digits": {"doc_id": 10**30},
        "a doc_id of 400 digits": {"doc_id": _HUGE},
        "a doc_id of 63 bits": {"doc_id": 2**63 - 1},
        "a doc_id below zero": {"doc_id": -1},
        "a doc_id that is true": {"doc_id": True},
        "a doc_id twice": {"doc_id": 1},
        "a doc_id that is a fraction": {"doc_id": 1.5},
        "a score of 400 digits": {"acc": _HUGE},
        "a score that is a text": {"acc": "1"},
        "a score that is a list": {"acc": [1, 2]},
        "a metric that is unknown": {"metrics": ["x"]},
        "100,000 metrics": {"metrics": [f"m{k}" for k in range(100_000)]},
        "metrics of lists": {"metrics": [[1]]},
        "a filter that is a number": {"filter": 1},
        "a filter that is long": {"filter": "f" * 100_000},
        "a hash that is a list": {"doc_hash": [1]},
        "a document 60 deep": {"doc": json.loads("[" * 60 + "]" * 60)},
    }.items():
        line = json.dumps({**row, **change}).encode() + b"\n"

        def first(data: bytes, *, line: bytes = line) -> bytes:
            return line + data.partition(b"\n")[2]

        yield _case(f"lm-eval: samples with {what}", changed(_SAMPLES, first), file="lm_eval")
    for what, tail in {
        "half a line": b'{"doc',
        "bad UTF-8": b"\xff\n",
        "deep": b"[" * 3000,
        "a number": b"1\n",
    }.items():
        yield _case(f"lm-eval: samples that end in {what}", added(_SAMPLES, tail), file="lm_eval")


def _logs() -> Iterator[Case]:
    numbers = {"400 digits": str(_HUGE), "5,000 digits": _DIGITS, "1e999": "1e999", "NaN": "NaN", "-1": "-1"}
    others = {"a list": "[1]", "null": "null", "true": "true", "a text": '"x"'}
    for key in ("step", "loss"):
        for what, value in {**numbers, **others}.items():
            line = f'{{"step": 6, "loss": 1.0, "{key}": {value}}}\n'
            yield _case(
                f"train.jsonl: {key} is {what}", put("runs/gen_1/train.jsonl", line * 3), file="train.jsonl"
            )  # fmt: skip
    for what, tail in {"bad UTF-8": b"\xff\n", "deep": b"[" * 3000, "a line of 20 MB": b"x" * 20_000_000}.items():
        yield _case(f"train.jsonl: {what}", added("runs/gen_1/train.jsonl", tail), file="train.jsonl")
    file = "runs/gen_1/concentration.jsonl"
    for key in ("id", "entropy", "top1", "n_positions"):
        for what, value in {**numbers, **others}.items():
            line = f'{{"id": "a", "entropy": 1.5, "top1": 0.5, "n_positions": 9, "{key}": {value}}}\n'
            if (key, what) not in {("id", "a text"), ("entropy", "true")}:
                yield _case(f"concentration.jsonl: {key} is {what}", added(file, line), file="concentration.jsonl")
    for what, head in {
        "nothing": b"",
        "a newer format": b'{"format": 2}\n',
        "no JSON": b"{\n",
        "deep": b"[" * 3000 + b"\n",
        "a format of 5,000 digits": f'{{"format": {_DIGITS}}}\n'.encode(),
        "rows of 400 digits": f'{{"format": 1, "contexts": "", "model": "", "adapter": "", "rows": {_HUGE}}}'.encode(),
    }.items():
        yield _case(f"concentration.jsonl begins with {what}", put(file, head), file="concentration.jsonl")
