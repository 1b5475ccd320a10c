"""Files that are no pack, or no longer, or not yet: each is refused by its own name."""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pack_examples import numbers, rich

from collapse_audit.errors import InputError
from collapse_audit.lineages.disk import pack as pack_file
from collapse_audit.lineages.disk.pack import is_pack, open_baseline, read_pack, write_pack
from collapse_audit.lineages.disk.pack_format import FORMAT
from collapse_audit.lineages.disk.write import write_corpus
from collapse_audit.probes.text.labels import label_rule

FIELD = label_rule("field")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "p.npz"
    write_pack(path, rich())
    return path


def refused(path: Path) -> tuple[str, str]:
    """The slug and the words of what reading ``path`` raises."""
    with pytest.raises(InputError) as error:
        read_pack(path, where="p.npz")
    assert str(error.value).startswith("p.npz: found ")
    return error.value.slug, str(error.value)


def test_a_file_cut_off_anywhere_is_refused(good: Path, tmp_path: Path) -> None:
    whole = good.read_bytes()
    for length in [*range(0, len(whole), 997), len(whole) - 1]:
        (tmp_path / "p.npz").write_bytes(whole[:length])
        slug, words = refused(tmp_path / "p.npz")
        assert slug == ("pack-foreign" if length < 2 else "pack-damaged"), words


def test_a_flipped_byte_is_noticed_or_changes_nothing(good: Path, tmp_path: Path) -> None:
    whole, pack = good.read_bytes(), [*numbers(read_pack(good))]
    rng, noticed = np.random.default_rng(0), 0
    for at in rng.integers(0, len(whole), 300):
        changed = bytearray(whole)
        changed[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "p.npz").write_bytes(changed)
        try:
            again = read_pack(tmp_path / "p.npz")
        except InputError:
            noticed += 1
        else:
            assert [*numbers(again)] == pack
    assert noticed > 200


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_files_that_are_something_else_are_named(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    path.write_bytes(pickle.dumps({"a": np.arange(3)}))
    assert refused(path)[0] == "pack-pickle"
    path.write_bytes(b"text\n" * 20)
    assert refused(path)[0] == "pack-foreign"
    path.write_bytes(b"")
    assert refused(path) == ("pack-foreign", refused(path)[1])
    assert "empty file" in refused(path)[1]
    assert "without a pack's header" in refused(saved(path, weights=np.arange(3)))[1]
    assert refused(saved(path, header=np.frombuffer(b'{"kind": "other"}', np.uint8)))[0] == "pack-foreign"
    assert refused(saved(path, header=np.frombuffer(b"[" * 100_000, np.uint8)))[0] == "pack-foreign"
    assert refused(tmp_path)[0] == "unreadable"
    assert refused(tmp_path / "none.npz")[0] == "unreadable"


class _Trap:
    sprung = False

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return setattr, (_Trap, "sprung", True)


def test_a_pickle_inside_is_never_opened(good: Path, tmp_path: Path) -> None:
    trap = np.array([_Trap()], dtype=object)
    assert refused(saved(tmp_path / "p.npz", header=trap))[0] == "pack-pickle"
    assert refused(rewritten(good, tmp_path, arrays={"aside": trap}))[0] == "pack-pickle"
    assert not _Trap.sprung


def members(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def rewritten(
    good: Path, folder: Path, *, header: dict[str, Any] | None = None, arrays: dict[str, Any] | None = None
) -> Path:
    """The good pack with other values and a digest that fits them: a forgery, not an accident."""
    parts = members(good)
    head = json.loads(parts.pop("header").tobytes()) | (header or {})
    parts = {name: values for name, values in (parts | (arrays or {})).items() if values is not None}
    if not any(values.dtype.hasobject for values in parts.values()):
        head["digest"] = pack_file._digest(head, parts)
    head = {key: value for key, value in head.items() if value != "gone"}
    encoded = np.frombuffer(json.dumps(head).encode(), np.uint8)
    return saved(folder / "forged.npz", header=encoded, **parts)


def test_a_format_of_the_future_says_what_to_do(good: Path, tmp_path: Path) -> None:
    slug, words = refused(rewritten(good, tmp_path, header={"format": FORMAT + 1}))
    assert slug == "pack-format"
    assert re.search(rf"format {FORMAT + 1}; expected format {FORMAT}; a newer collapse-audit", words)
    assert "newer" not in refused(rewritten(good, tmp_path, header={"format": "x"}))[1]


FORGED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "a negative number": lambda m: {"empty": m["empty"] - 1},
    "not a number": lambda m: {"same_variance": m["same_variance"] * np.nan},
    "more texts than a block": lambda m: {"looping": m["looping"] + 6},
    "words out of order": lambda m: {
        "words": np.frombuffer(json.dumps(json.loads(m["words"].tobytes())[::-1]).encode(), np.uint8)
    },
    "words that are numbers": lambda _: {"words": np.frombuffer(b"[1, 2]", np.uint8)},
    "fewer words": lambda _: {"words": np.frombuffer(b'["a"]', np.uint8)},
    "rare words": lambda m: {"aside": m["aside"] * 0 + 1},
    "more common words than words": lambda m: {"aside": m["aside"] * 1000},
    "ends that go back": lambda m: {"counts_ends": m["counts_ends"][::-1].copy()},
    "a word beyond the last": lambda m: {"counts_word": m["counts_word"] + 1000},
    "a word twice in a block": lambda m: {"counts_word": m["counts_word"] * 0},
    "counts of nothing": lambda m: {"counts": m["counts"] * 0},
    "more words than tokens": lambda m: {"counts": m["counts"] * 1000},
    "fewer counts": lambda m: {"counts": m["counts"][:-1]},
    "types that become fewer": lambda m: {"distinct_pairs": m["distinct_pairs"][:, ::-1].copy()},
    "labels on more texts than there are": lambda m: {"label_carriers": m["label_carriers"] * 6},
    "unlabelled texts with labels": lambda m: {"label_carriers": m["label_carriers"] * 0},
    "another shape": lambda m: {"tokens": m["tokens"][:, :-1].copy()},
    "another type": lambda m: {"tokens": m["tokens"].astype(np.int32)},
    "columns first": lambda m: {"tokens": np.asfortranarray(m["tokens"])},
    "a member too few": lambda _: {"same": None},
    "a member too many": lambda _: {"texts": np.arange(3)},
}


@pytest.mark.parametrize("forgery", FORGED)
def test_values_that_no_corpus_has_are_refused_even_with_a_fitting_digest(
    good: Path, tmp_path: Path, forgery: str
) -> None:
    assert refused(rewritten(good, tmp_path, arrays=FORGED[forgery](members(good))))[0] == "pack-damaged"


@pytest.mark.parametrize(
    "header",
    [
        {"block": 4},
        {"blocks": 10**12},
        {"blocks": 29},
        {"compared": 31},
        {"compared": True},
        {"cuts": [0, 8]},
        {"cuts": [16, 8, 0]},
        {"cuts": []},
        {"words": -1},
        {"held_out": 1},
        {"nll_step": 0.01},
        {"labels": {"rule": "field"}},
        {"labels": None},
        {"patient": "Ivanov"},
        {"tokens": "gone"},
    ],
)
def test_headers_that_no_pack_has_are_refused(good: Path, tmp_path: Path, header: dict[str, Any]) -> None:
    assert refused(rewritten(good, tmp_path, header=header))[0] == "pack-damaged"


def test_other_values_under_the_old_digest_are_refused(good: Path, tmp_path: Path) -> None:
    parts = members(good)
    parts["looping"] = 1 - np.minimum(parts["looping"], 1)
    assert "do not match the digest" in refused(saved(tmp_path / "p.npz", **parts))[1]


def test_a_member_that_claims_to_be_huge_is_refused_before_it_is_made(good: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<i8", "fortran_order": False, "shape": (1 << 50,)})
    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        for name, values in members(good).items():
            if name == "aside":
                archive.writestr("aside.npy", buffer.getvalue())
            else:
                own = io.BytesIO()
                np.lib.format.write_array(own, values)
                archive.writestr(f"{name}.npy", own.getvalue())
    assert refused(tmp_path / "p.npz")[0] == "pack-damaged"


def test_an_archive_that_unpacks_to_too_much_is_refused(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_file, "_MOST_BYTES", 1 << 10)
    assert refused(good)[0] == "pack-foreign"


def test_a_baseline_elsewhere_is_a_pack_by_its_name(good: Path, tmp_path: Path) -> None:
    assert is_pack(good)
    corpus = open_baseline(str(good))
    assert (corpus.path, corpus.shown) == (good.resolve(), str(good))
    write_corpus(tmp_path / "texts.jsonl", [{"text": "a"}])
    assert open_baseline(str(tmp_path / "texts.jsonl")).shown == str(tmp_path / "texts.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        open_baseline(str(tmp_path / "none.npz"))
