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
from safetensors.numpy import load_file, save_file

from collapse_audit.errors import InputError
from collapse_audit.lineages.checks import adapters, safetensors
from collapse_audit.lineages.checks.adapters import WEIGHTS, read_adapter

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


def test_the_digest_is_of_types_shapes_and_numbers_and_of_nothing_else(tmp_path: Path) -> None:
    plain = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.float32)}
    variants = {
        "plain": plain,
        "reshaped": plain | {"a": plain["a"].reshape(3, 2)},
        "retyped": plain | {"a": plain["a"].view(np.int32)},
        "changed": plain | {"a": plain["a"] + np.float32(1e-6)},
        "swapped": {"a": plain["a"], "b": plain["b"], "c": np.ones(1, np.float32)},
    }
    for name, found in variants.items():
        (tmp_path / name).mkdir()
        save_file(found, tmp_path / name / WEIGHTS)
    assert len({read(tmp_path / name).digest for name in variants}) == len(variants)
    for name, found in (
        ("renamed", {"c": plain["a"], "b": plain["b"]}),
        ("swapped names", {"b": plain["a"], "a": plain["b"]}),
    ):
        (tmp_path / name).mkdir()
        save_file(found, tmp_path / name / WEIGHTS)
        assert read(tmp_path / name).digest == read(tmp_path / "plain").digest
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
    monkeypatch.setattr(safetensors, "_STRETCH", 8)
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


def delta(adapter: adapters.Adapter, scale: float) -> dict[str, Any]:
    """Layer to scale x B·A, written out in float64."""
    numpy = load_file(adapter.path)
    return {
        layer: scale
        * numpy[b].astype(np.float64).reshape(len(numpy[b]), -1)
        @ numpy[a].astype(np.float64).reshape(len(numpy[a]), -1)
        for layer, (a, b) in adapter.layers.items()
    }


CONFIGS = [({}, 8 / 2), ({"lora_alpha": 3}, 3 / 2), ({"lora_alpha": 3, "use_rslora": True}, 3 / 2**0.5),
           ({"lora_alpha": 0}, 0.0), ({"lora_alpha": 0, "alpha_pattern": {"q_proj": 5}}, 5 / 2),
           ({"lora_alpha": 4, "alpha_pattern": {"k_proj": 5}}, 4 / 2)]  # fmt: skip


@pytest.mark.parametrize(("config", "scale"), CONFIGS)
def test_what_a_layer_adds_is_the_scaled_product(tmp_path: Path, config: dict[str, Any], scale: float) -> None:
    """Against the product written out; peft's alpha is 8 where none is said, and the rank here is 2."""
    found = read(write_adapter(tmp_path, tensors(4), **config))
    for layer, change in delta(found, scale).items():
        assert found.changes[layer] == pytest.approx(np.linalg.norm(change), rel=1e-12)
    assert found.changes_nothing is (scale == 0)


def test_peft_scales_as_the_reader_does(tmp_path: Path) -> None:
    """The reference implementation, on layers of which a pattern names one."""
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    model = torch.nn.ModuleDict({name: torch.nn.Linear(6, 4, bias=False) for name in ("up", "down")})
    settings = {"r": 2, "lora_alpha": 5, "alpha_pattern": {"down": 7}, "target_modules": ["up", "down"]}
    adapted = peft.get_peft_model(model, peft.LoraConfig(**settings, init_lora_weights=False))
    adapted.save_pretrained(tmp_path)
    found = read(tmp_path)
    assert len(found.changes) == 2
    for layer, change in found.changes.items():
        weight = adapted.get_submodule(layer).get_delta_weight("default")
        assert change == pytest.approx(float(weight.double().norm().detach()), rel=1e-5)


def test_a_product_is_nothing_where_no_number_of_it_is_left(tmp_path: Path) -> None:
    """Each rank's column of B or row of A is zero, or two ranks cancel, or what is left is below 2^-24 everywhere."""
    found = tensors(1)
    by_rank = {
        k: v * (np.arange(2) == 0)[:, None] if "lora_A" in k else v * (np.arange(2) == 1) for k, v in found.items()
    }
    cancelled = {k: np.ones_like(v) if "lora_A" in k else np.ones_like(v) * np.array([3, -3]) for k, v in found.items()}
    tiny = {k: v * (1 if "lora_A" in k else 1e-30) for k, v in found.items()}
    small = {k: v * (1 if "lora_A" in k else 1e-5) for k, v in found.items()}
    cases = {"rank": (by_rank, True), "cancelled": (cancelled, True), "tiny": (tiny, True), "small": (small, False)}
    for name, (case, nothing) in cases.items():
        case = {key: value.astype(np.float32) for key, value in case.items()}
        adapter = read(write_adapter(tmp_path / name, case))
        assert not adapter.zero
        assert adapter.changes_nothing is nothing
        assert all((np.abs(change).max() < 2**-24) == nothing for change in delta(adapter, 4.0).values())


def test_a_matrix_without_its_other_half_is_named_and_a_bias_needs_none(tmp_path: Path) -> None:
    a, b = np.ones((2, 3)), np.ones((3, 2))
    whole = {"w.lora_A.weight": a, "w.lora_B.weight": b, "w.lora_B.bias": np.ones(3)}
    found = {"x.lora_A.weight": a, "y.lora_B.weight": b, "z.lora_embedding_A": a, **whole}
    adapter = read(write_adapter(tmp_path, found))
    assert set(adapter.unpaired) == {"x.lora_A.weight", "y.lora_B.weight", "z.lora_embedding_A"}
    assert adapter.beside == ("w.lora_B.bias",)


@pytest.mark.parametrize("kind", list(FLOATS))
def test_numbers_of_every_format_are_torchs(tmp_path: Path, kind: str) -> None:
    """Every one of the format's bit patterns of one byte, or as many random ones of a wider format."""
    torch = pytest.importorskip("torch")
    save = pytest.importorskip("safetensors.torch").save_file
    width = torch.zeros(1).to(getattr(torch, kind)).element_size()
    raw = (
        np.arange(256, dtype=np.uint8)
        if width == 1
        else np.random.default_rng(0).integers(0, 256, 256 * width, dtype=np.uint8)
    )
    one = torch.from_numpy(raw).view(getattr(torch, kind))
    save({"one": one}, tmp_path / WEIGHTS)
    expected = one.double().numpy() if kind == "float64" else one.float().double().numpy()
    place = read(tmp_path).places["one"]
    np.testing.assert_array_equal(safetensors.numbers(tmp_path / WEIGHTS, place), expected)


@given(seed=st.integers(0, 2**32 - 1), moved=st.sampled_from([0.0, 1e-6, 1e-4, 1e-2, 1.0]))
def test_the_distance_of_two_adapters_is_that_of_their_products(
    tmp_path_factory: pytest.TempPathFactory, seed: int, moved: float
) -> None:
    """Against the products written out; by other factors of the same products nothing changes."""
    folder, rng = tmp_path_factory.mktemp("two"), np.random.default_rng(seed)
    first = tensors(seed)
    second = {key: value + moved * rng.normal(size=value.shape).astype(np.float32) for key, value in first.items()}
    second = {key: value * np.float32(4 if "lora_A" in key else 0.25) for key, value in second.items()}
    second = {key.replace("model.model", "model.x"): value for key, value in second.items()}
    one, other = (read(write_adapter(folder / name, found)) for name, found in (("1", first), ("2", second)))
    d, e = (np.concatenate([c.ravel() for c in delta(each, 4.0).values()]) for each in (one, other))
    expected = np.linalg.norm(d - e) / max(np.linalg.norm(d), np.linalg.norm(e))
    found = one.distance(other, below=10.0)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert (one.distance(other, below=1e-3) is None) == (expected >= 1e-3)


def test_adapters_that_do_not_compare_have_no_distance(tmp_path: Path) -> None:
    one = read(write_adapter(tmp_path / "one", tensors(1)))
    fewer = {key: value for key, value in tensors(1).items() if ".0." not in key}
    beside = {**tensors(1), "lm_head.weight": np.ones((2, 2), np.float32)}
    zero = {key: value * 0 for key, value in tensors(1).items()}
    wider = {key: np.ones((2, 7), np.float32) if "lora_A" in key else value for key, value in tensors(1).items()}
    for number, other in enumerate((fewer, beside, zero, wider)):
        assert one.distance(read(write_adapter(tmp_path / str(number), other)), below=1e-3) is None
    nothing = read(tmp_path / "2")
    assert nothing.distance(nothing, below=1e-3) is None


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
