"""Controls: what generation 0 wrote under a later generation's decoding, found by name or named in the manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from collapse_audit import audit
from collapse_audit.errors import InputError
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.disk.write import set_in_generation

MANIFEST = """\
format = 1  # first line
name = "n"

[[generation]]
index = 0
texts = "gen_0.txt"

[[generation]]  # the second
index = 1
texts = "gen_1.txt"  # wrote
trained_on = [{corpus = "gen_0.txt", share = 1.0}]
"""


def folder(root: Path, **files: str) -> Path:
    """Text files by name, ``gen_0`` and ``gen_1`` at least; a double underscore is a folder's slash."""
    for name, text in {"gen_0": "a b\nc d\n", "gen_1": "a b\na b\n", **files}.items():
        path = root / f"{name.replace('__', '/')}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize("name", ["gen_1.control", "seed"])
def test_a_bare_folder_finds_its_control_by_name(tmp_path: Path, name: str) -> None:
    if name == "seed":
        for inner in ("seed_0/gen_0/texts", "seed_0/gen_1/texts", "seed_0/gen_1/control"):
            (tmp_path / inner).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / f"{inner}.txt").write_text(f"{inner}\n")
    else:
        folder(tmp_path, **{name: "c d\nc d\n"})
    first, second = load_lineage(tmp_path).generations
    assert first.control is None
    assert second.control is not None
    assert second.control.path.name.endswith("control.txt")


@pytest.mark.parametrize(
    ("files", "slug"),
    [
        ({"gen_0.control": "x\n"}, "control-of-generation-0"),
        ({"reference": "x\n", "reference.control": "x\n"}, "unknown-name"),
        ({"gen_2.control": "x\n"}, "no-texts"),
    ],
)
def test_a_control_of_nothing_is_refused(tmp_path: Path, files: dict[str, str], slug: str) -> None:
    with pytest.raises(InputError) as refused:
        load_lineage(folder(tmp_path, **files))
    assert [problem.slug for problem in refused.value.problems] == [slug]


def test_a_control_that_is_also_texts_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "lineage.toml").write_text(MANIFEST + 'control = "gen_0.txt"\n')
    with pytest.raises(InputError, match=r"byte for byte gen_0\.txt"):
        load_lineage(tmp_path)


def test_a_copy_of_texts_is_no_control(tmp_path: Path) -> None:
    folder(tmp_path, **{"gen_1.control": "a b\nc d\n"})  # generation 0's texts under another name
    with pytest.raises(InputError, match=r"byte for byte gen_0\.txt"):
        load_lineage(tmp_path)


def test_a_control_that_tells_nothing_is_named(tmp_path: Path) -> None:
    texts = "".join(f"w{i} w{i % 7} w{i % 3}\n" for i in range(60))
    folder(tmp_path, **{"gen_0": texts, "gen_1": texts[::-1], "gen_1.control": "...\n" * 60})
    report = audit(tmp_path, independent=True)
    assert any("gen_1.control.txt" in note and "not told apart" in note for note in report.notes)


def test_keys_are_set_in_place_and_every_other_line_stays(tmp_path: Path) -> None:
    folder(tmp_path, **{"gen_1.control": "c d\n"})
    (tmp_path / "lineage.toml").write_text(MANIFEST)
    set_in_generation(tmp_path, 1, {"control": "gen_1.control.txt", "texts_digest": "sha256:" + "0" * 64})
    set_in_generation(tmp_path, 1, {"texts_digest": load_lineage_digest(tmp_path / "gen_1.txt")})
    written = (tmp_path / "lineage.toml").read_text().split("\n")
    added = [line for line in written if line.startswith(("control", "texts_digest"))]
    assert len(added) == 2
    assert [line for line in written if line not in added] == MANIFEST.split("\n")
    entry = load_lineage(tmp_path).generations[1]
    assert entry.control is not None
    assert entry.control.shown == "gen_1.control.txt"


def load_lineage_digest(path: Path) -> str:
    """As ``sha256sum`` has it."""
    import hashlib

    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize("text", ["generation = [{index = 0, texts = 'gen_0.txt'}, {index = 1, texts = 'gen_1.txt'}]"])
def test_a_manifest_that_cannot_be_edited_line_by_line_stays(tmp_path: Path, text: str) -> None:
    folder(tmp_path, **{"gen_1.control": "c d\n"})
    whole = f"format = 1\nname = 'n'\n{text}\n"
    (tmp_path / "lineage.toml").write_text(whole)
    with pytest.raises(InputError):
        set_in_generation(tmp_path, 1, {"control": "gen_1.control.txt"})
    assert (tmp_path / "lineage.toml").read_text() == whole


def test_only_generation_0_as_baseline_has_a_control(tmp_path: Path) -> None:
    """The control is generation 0's: against the reference or the previous generation it says nothing."""
    texts = "".join(f"w{i} w{i % 7} w{i % 3}\n" for i in range(60))
    folder(
        tmp_path,
        **{
            "gen_0": texts,
            "gen_1": texts[::-1],
            "gen_2": texts,
            "gen_2.control": texts + "and more\n",
            "reference": texts,
        },
    )
    assert {row["generation"] for row in audit(tmp_path, independent=True).decoding} == {2}
    assert not audit(tmp_path, independent=True, baseline="reference").decoding
    assert not audit(tmp_path, independent=True, baseline="previous").decoding
