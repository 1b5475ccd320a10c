"""Packs of shards by a shared key: merged, they are the pack of the whole to the byte; what travels is sealed."""

from __future__ import annotations

import random
import subprocess
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_examples import NAMES, contents, holds, texts

from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineage_cli import main
from collapse_audit.lineages.corpora.by_key import KeyedDraw, drawn_by_key
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.disk.pack import read_pack, write_pack
from collapse_audit.lineages.disk.pack_part import About, read_parts, write_part
from collapse_audit.lineages.disk.write import write_corpus
from collapse_audit.probes.packs.keyed import InOrder, Key
from collapse_audit.probes.packs.pack import make_pack
from collapse_audit.probes.text.labels import label_rule
from collapse_audit.probes.text.sample import sample_of
from collapse_audit.probes.text.tokens import WORDS

KEY = Key(b"of this house alone" * 2)
OTHER = Key(b"of another house, far away from here")
ABOUT = About(of="reference", held_out=False, label_rule=None, label_classes=None, most=0)


def records(n: int, seed: int) -> list[dict[str, Any]]:
    """Documents with groups of one to three, labels, likelihoods, and one in eight a copy."""
    made = texts(n, seed, length=9.0, types=120)
    rng = random.Random(seed)
    return [
        {
            "text": made[0] if rng.random() < 0.12 else text,
            "group": f"patient-{rng.randrange(n)}",
            "label": rng.choice("aab"),
            "nll": round(rng.random() * 4, 3),
        }
        for text in made
    ]


def packed(drawn: KeyedDraw, out: Path) -> bytes:
    sample = sample_of(drawn.as_draw(), name="", digest="", tokenizer=WORDS)
    pack = make_pack(sample, InOrder(), tokens="words", held_out=False, rule=label_rule("field"), size=5)
    write_pack(out, pack)
    return out.read_bytes()


@settings(max_examples=12)
@given(data=st.data())
def test_any_split_into_shards_merges_to_the_pack_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("split")
    held = records(260, data.draw(st.integers(0, 3)))
    files = data.draw(st.integers(2, 6))
    of_file = data.draw(st.lists(st.integers(0, files - 1), min_size=260, max_size=260))
    parts = data.draw(st.integers(1, files))
    of_part = data.draw(st.lists(st.integers(0, parts - 1), min_size=files, max_size=files))
    most = data.draw(st.sampled_from([0, 180]))
    for number in sorted(set(of_file)):
        mine = [record for record, file in zip(held, of_file, strict=True) if file == number]
        for folder in ("whole", f"part-{of_part[number]}"):
            write_corpus(root / folder / f"shard-{number}.jsonl", mine)
    whole = packed(drawn_by_key(open_corpus(root / "whole"), KEY, most=most), root / "whole.npz")
    drawn = [drawn_by_key(open_corpus(folder), KEY, most=most) for folder in sorted(root.glob("part-*"))]
    order = data.draw(st.permutations(drawn))
    assert packed(reduce(KeyedDraw.join, order), root / "merged.npz") == whole


def test_another_key_makes_another_pack_of_the_same_texts(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a.jsonl", records(200, 1))
    corpus = open_corpus(tmp_path / "a.jsonl")
    one, again, other = (packed(drawn_by_key(corpus, key, most=0), tmp_path / "p.npz") for key in (KEY, KEY, OTHER))
    assert one == again != other


def test_copies_of_one_text_are_no_neighbours(tmp_path: Path) -> None:
    """Where 60 of 600 documents are copies of one text, the gaps between them are those of a random order: their mean
    is about 10, and the share of gaps of 1 is about a tenth (geometric)."""
    held = [{"text": "again and again" if row % 10 == 0 else f"text {row}"} for row in range(600)]
    write_corpus(tmp_path / "a.jsonl", held)
    drawn = drawn_by_key(open_corpus(tmp_path / "a.jsonl"), KEY, most=0)
    at = np.flatnonzero([text == "again and again" for text in drawn.table["text"].to_pylist()])
    assert len(at) == 60
    assert np.mean(np.diff(at) == 1) < 0.25
    assert 5 < np.mean(np.diff(at)) < 15


def test_the_same_record_in_the_same_place_of_two_files_is_two_documents(tmp_path: Path) -> None:
    for part, extra in (("a", "of a"), ("b", "of b")):
        write_corpus(tmp_path / part / "reference.jsonl", [{"text": "heading"}, {"text": extra}])
    drawn = [drawn_by_key(open_corpus(tmp_path / part), KEY, most=0) for part in ("a", "b")]
    merged, backwards = drawn[0].join(drawn[1]), drawn[1].join(drawn[0])
    assert sorted(merged.table["text"].to_pylist()) == ["heading", "heading", "of a", "of b"]
    assert merged.table.equals(backwards.table)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Two sites of one house and both together, each a lineage; and a key."""
    held = records(300, 4)
    for site, mine in (("site_a", held[:100]), ("site_b", held[100:])):
        write_corpus(tmp_path / site / "reference" / f"{site}.jsonl", mine)
        write_corpus(tmp_path / "both" / "reference" / f"{site}-0.jsonl".replace("-0", ""), mine)
    for number, site in enumerate(("site_a", "site_b")):  # names of shards differ in their numbers alone
        (tmp_path / "both/reference" / f"{site}.jsonl").rename(tmp_path / f"both/reference/site-{number}.jsonl")
        (tmp_path / site / "reference" / f"{site}.jsonl").rename(tmp_path / site / f"reference/site-{number}.jsonl")
    (tmp_path / "house.key").write_bytes(bytes(range(32)))
    return tmp_path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def parts_of(house: Path) -> list[Path]:
    made = []
    for site in ("site_a", "site_b"):
        made.append(house / f"{site}.part")
        assert run("pack", house / site, "-o", made[-1], "--part", "--key", house / "house.key") == 0
    return made


def test_the_commands_merge_two_sites_to_the_pack_of_both(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts, key = parts_of(house), house / "house.key"
    assert "100 of 100 documents of reference/site-0.jsonl, sealed" in capsys.readouterr().out
    how = ["--key", key, "--block-size", "5"]
    assert run("merge-packs", *parts[::-1], "-o", house / "merged.npz", *how) == 0
    assert "300 documents of 2 parts" in capsys.readouterr().out
    assert run("pack", house / "both", "-o", house / "whole.npz", *how) == 0
    assert (house / "merged.npz").read_bytes() == (house / "whole.npz").read_bytes()
    pack = read_pack(house / "merged.npz")
    assert pack.labels is not None
    assert pack.sketch.nll is not None
    assert not pack.held_out


def test_a_part_tells_nothing_without_the_key_and_a_pack_nothing_of_it(house: Path) -> None:
    parts = parts_of(house)
    sealed = parts[0].read_bytes()
    for word in (*NAMES[:120], "patient", "site", "reference", "text"):
        assert word.encode() not in sealed
    merged = house / "merged.npz"
    assert run("merge-packs", *parts, "-o", merged, "--key", house / "house.key", "--block-size", "5") == 0
    assert not any(holds(contents(merged), word) for word in ("patient", "site", "rank", "jsonl"))


REFUSED = {
    "another key": "pack-sealed",
    "cut off": "pack-sealed",
    "changed": "pack-sealed",
    "no part": "pack-foreign",
    "a part twice": "pack-parts",
}


@pytest.mark.parametrize("damage", REFUSED)
def test_what_does_not_belong_together_is_refused(house: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    parts, key = parts_of(house), house / "house.key"
    content = parts[0].read_bytes()
    if damage == "another key":
        key.write_bytes(bytes(32))
    elif damage == "cut off":
        parts[0].write_bytes(content[:-40])
    elif damage == "changed":
        parts[0].write_bytes(content[:-40] + b"A" * 4 + content[-36:])
    elif damage == "no part":
        parts[0].write_bytes(b"PK\x03\x04")
    else:
        (house / "again.part").write_bytes(content)
        parts.append(house / "again.part")
    assert run("merge-packs", *parts, "-o", house / "m.npz", "--key", key) == 4
    assert f"[{REFUSED[damage]}]" in capsys.readouterr().err
    assert not (house / "m.npz").exists()


def test_parts_of_other_texts_or_limits_are_not_merged(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a.jsonl", records(30, 1))
    write_corpus(tmp_path / "b.jsonl", records(30, 2))
    abouts = [ABOUT, About(**{**{name: getattr(ABOUT, name) for name in ABOUT.__slots__}, "held_out": True})]
    for name, about in zip("ab", abouts, strict=True):
        drawn = drawn_by_key(open_corpus(tmp_path / f"{name}.jsonl"), KEY, most=0)
        write_part(tmp_path / f"{name}.part", drawn, about, KEY)
    with pytest.raises(InputError, match=r"held_out False, not True \[pack-parts\]"):
        read_parts([tmp_path / "a.part", tmp_path / "b.part"], KEY)


def test_a_key_is_there_long_enough_and_never_shown(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="a key of 8 bytes"):
        Key(b"password")
    assert repr(KEY) == "Key(…)"
    out = ["-o", house / "p.part", "--part"]
    assert run("pack", house / "site_a", *out) == 4
    assert run("pack", house / "site_a", *out, "--key", house / "none.key") == 4
    assert run("pack", house / "site_a", "-o", house / "p.npz", "--part", "--key", house / "house.key") == 4
    told = capsys.readouterr().err
    assert "--part needs --key FILE" in told
    assert "none.key: cannot be read" in told
    assert "the name of a part ends in .part" in told


def test_a_folder_of_documents_has_no_order_by_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        (tmp_path / "clinic" / "reference").mkdir(parents=True, exist_ok=True)
        (tmp_path / "clinic" / "reference" / f"{number}.txt").write_text("a text")
    (tmp_path / "house.key").write_bytes(bytes(32))
    arguments = ["-o", tmp_path / "p.part", "--part", "--key", tmp_path / "house.key"]
    assert run("pack", tmp_path / "clinic", *arguments) == 4
    assert "JSON lines" in capsys.readouterr().err


def test_without_the_library_that_seals_the_pip_command_is_printed(house: Path) -> None:
    arguments = ["pack", str(house / "site_a"), "-o", "p.part", "--part", "--key", str(house / "house.key")]
    code = (
        "import sys; sys.modules['cryptography'] = None; sys.modules['cryptography.fernet'] = None\n"
        f"from collapse_audit.lineage_cli import main\nsys.exit(main({arguments!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=house, check=False)
    assert done.returncode == 4
    assert 'pip install "collapse-audit[parts]"' in done.stderr
