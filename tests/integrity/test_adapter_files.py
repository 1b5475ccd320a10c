"""The reader of adapters, held against the format's own package, torch's number formats, and files that are broken."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from models_on_disk import tensors, write_adapter
from safetensors.numpy import save_file

from collapse_audit.lineages import adapters
from collapse_audit.lineages.adapters import WEIGHTS, read_adapter
from collapse_audit.probes.errors import InputError

FLOATS = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16",
          "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}  # fmt: skip


def raw_file(path: Path, header: Any, data: bytes = b"") -> Path:
    """A safetensors file by hand."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)
    return path


def read(folder: Path) -> adapters.Adapter:
    found = read_adapter(folder, where="A")
    assert found is not None
    return found


@pytest.mark.parametrize("kind", list(FLOATS))
@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, 3.0, float("nan"), float("inf"), -float("inf")])
def test_every_number_format_is_read_as_torch_reads_it(tmp_path: Path, kind: str, value: float) -> None:
    """One such number among zeros, finite and zero or not as ``torch.isfinite`` and ``== 0`` say."""
    torch = pytest.importorskip("torch")
    save = pytest.importorskip("safetensors.torch").save_file
    one = torch.zeros(2, 3)
    one[1, 2] = value
    one = one.to(getattr(torch, kind))
    save({"one": one}, tmp_path / WEIGHTS)
    seen = one.float()
    found = read(tmp_path)
    assert found.shapes == {"one": (2, 3)}
    assert bool(found.not_finite) == (not torch.isfinite(seen).all())
    assert bool(found.zero) == bool((seen == 0).all())


@given(
    one=arrays.arrays(
        st.sampled_from([np.float64, np.float32, np.float16, np.int32, np.uint8, np.bool_]),
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
    )
)
def test_any_array_is_finite_and_zero_as_numpy_says(tmp_path_factory: pytest.TempPathFactory, one: Any) -> None:
    folder = tmp_path_factory.mktemp("any")
    save_file({"one": one, "two": np.ones(1)}, folder / WEIGHTS)
    found = read(folder)
    assert found.shapes == {"one": one.shape, "two": (1,)}
    assert ("one" in found.not_finite) == (not np.isfinite(one).all())
    assert ("one" in found.zero) == (not one.any())


def test_the_digest_is_of_names_types_shapes_and_numbers_and_of_nothing_else(tmp_path: Path) -> None:
    plain = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.float32)}
    variants = {
        "plain": plain,
        "renamed": {"c": plain["a"], "b": plain["b"]},
        "reshaped": plain | {"a": plain["a"].reshape(3, 2)},
        "retyped": plain | {"a": plain["a"].view(np.int32)},
        "changed": plain | {"a": plain["a"] + np.float32(1e-6)},
        "swapped": {"a": plain["a"], "b": plain["b"], "c": np.ones(1, np.float32)},
    }
    for name, found in variants.items():
        (tmp_path / name).mkdir()
        save_file(found, tmp_path / name / WEIGHTS)
    assert len({read(tmp_path / name).digest for name in variants}) == len(variants)
    (tmp_path / "noted").mkdir()
    save_file(dict(reversed(plain.items())), tmp_path / "noted" / WEIGHTS, metadata={"about": "x"})
    assert read(tmp_path / "noted").digest == read(tmp_path / "plain").digest
    assert (tmp_path / "noted" / WEIGHTS).read_bytes() != (tmp_path / "plain" / WEIGHTS).read_bytes()


def test_a_tensor_is_read_in_stretches_with_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tensors(3)
    name = sorted(found)[2]
    found[name][-1, -1] = np.inf  # in the last stretch
    write_adapter(tmp_path, found)
    whole = read(tmp_path)
    monkeypatch.setattr(adapters, "_STRETCH", 8)
    assert read(tmp_path) == whole
    assert whole.not_finite == (name,)


def test_what_changes_nothing(tmp_path: Path) -> None:
    """A product is zero if either factor is; anything beside the factors changes the model by itself."""
    found = tensors(1)
    no_a = {name: value * ("lora_B" in name) for name, value in found.items()}
    beside = {**no_a, "base_model.model.lm_head.weight": np.ones((2, 2), np.float32)}
    embedding = {"e.lora_embedding_A": np.zeros((2, 5)), "e.lora_embedding_B": np.ones((3, 2))}
    moved = {**embedding, "e.lora_embedding_A": np.ones((2, 5))}
    cases = [(found, False), (no_a, True), (beside, False), (embedding, True), (moved, False)]
    for number, (case, nothing) in enumerate(cases):
        assert read(write_adapter(tmp_path / str(number), case)).changes_nothing is nothing


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BAD = [
    (b"", b"", "8 bytes, and a header that claims 0|a header that cannot be read"),
    (b"not json", b"", "a header that cannot be read"),
    ([1, 2], b"", "a header that cannot be read"),
    ({"a": 1}, b"", "a header that cannot be read"),
    ({}, b"", "no tensor at all"),
    ({"a": ONE}, b"\0" * 7, "bytes, where its header describes"),
    ({"a": ONE}, b"\0" * 9, "bytes, where its header describes"),
    ({"a": ONE | {"shape": [3]}}, b"\0" * 8, "a tensor whose bytes do not fit its shape"),
    ({"a": ONE | {"shape": [-2]}}, b"\0" * 8, "no whole number"),
    ({"a": ONE | {"shape": [2.0]}}, b"\0" * 8, "no whole number"),
    ({"a": ONE | {"dtype": "F31"}}, b"\0" * 8, "numbers of the type 'F31'"),
    ({"a": ONE, "b": ONE}, b"\0" * 8, "tensors that overlap or leave gaps"),
    ({"a": ONE | {"data_offsets": [8, 16]}}, b"\0" * 16, "tensors that overlap or leave gaps"),
]


@pytest.mark.parametrize(("header", "data", "found"), BAD)
def test_a_broken_file_is_refused_with_what_is_wrong(tmp_path: Path, header: Any, data: bytes, found: str) -> None:
    raw_file(tmp_path / WEIGHTS, header, data)
    with pytest.raises(InputError, match=found) as caught:
        read_adapter(tmp_path, where="A")
    assert caught.value.slug == "adapter-broken"


def test_a_header_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(InputError, match="10 bytes, and a header that claims 1,152,921,504,606,846,976"):
        read_adapter(tmp_path, where="A")


def test_a_folder_without_weights_and_broken_configurations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found a folder without adapter_model\.safetensors"):
        read_adapter(tmp_path, where="A")
    write_adapter(tmp_path, tensors(1))
    for words in ("{", "[1]"):
        (tmp_path / "adapter_config.json").write_text(words)
        with pytest.raises(InputError, match="expected a JSON object") as caught:
            read_adapter(tmp_path, where="A")
        assert caught.value.slug == "adapter-config"
