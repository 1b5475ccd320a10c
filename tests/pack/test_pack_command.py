"""``collapse-lineage pack``: whose texts it takes, what it says of them, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pack_examples import contents, holds, texts

from collapse_audit.commands.console import Parser, exit_with
from collapse_audit.commands.pack import add_pack
from collapse_audit.lineages.disk.pack import read_pack
from collapse_audit.lineages.disk.write import write_corpus
from collapse_audit.probes.text.labels import label_rule

FIELD = label_rule("field")


def command(*arguments: object) -> int:
    """``collapse-lineage`` with nothing but ``pack``."""

    def run(argv: Any) -> int:
        parser = Parser(prog="collapse-lineage")
        add_pack(parser.add_subparsers(required=True))
        args = parser.parse_args(argv)
        return int(args.handler(args))

    try:
        return exit_with(run, [str(argument) for argument in arguments], prog="collapse-lineage")
    except SystemExit as left:
        return int(left.code or 0)


@pytest.fixture
def lineage(tmp_path: Path) -> Path:
    """Two seeds, a reference with a held-out part; every record with an id and a group that no file may hold."""
    root = tmp_path / "clinic-of-dr-secretive"
    kinds = {
        "reference": 1,
        "reference.holdout": 2,
        "seed_0/gen_0/texts": 3,
        "seed_1/gen_0/texts": 4,
        "seed_1/gen_0/holdout": 5,
    }
    for name, seed in kinds.items():
        records = [
            {"text": text, "id": f"identity-{d}", "group": f"patient-{d // 2}", "label": "ab"[d % 2]}
            for d, text in enumerate(texts(240, seed))
        ]
        write_corpus(root / f"{name}.jsonl", records)
    return root


def test_held_out_texts_of_generation_0_are_packed_if_there_are_any(
    lineage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p.npz"
    assert command("pack", lineage, "-o", out, "--seed", "1", "--block-size", "5") == 0
    told = capsys.readouterr().out
    pack = read_pack(out)
    assert (pack.documents, pack.sketch.size, pack.held_out) == (120, 5, True)
    assert "120 of 240 documents of seed_1/gen_0/holdout.jsonl, in 24 blocks of 5" in told
    assert f"{len(pack.words)} words in at least 5 documents" in told
    assert "2 categories (field)" in told
    assert not any(holds(contents(out), word) for word in ("identity", "patient", "secretive", "jsonl", "seed_1"))
    assert command("pack", lineage, "-o", out, "--seed", "0", "--block-size", "5") == 0
    assert not read_pack(out).held_out
    assert "one-sided" in capsys.readouterr().out


def test_the_reference_is_packed_where_that_is_asked_for_or_all_there_is(lineage: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.npz"
    assert command("pack", lineage, "-o", out, "--of", "reference", "--block-size", "6", "--labels", "none") == 0
    pack = read_pack(out)
    assert (pack.held_out, pack.sketch.size, pack.labels) == (True, 6, None)
    alone = tmp_path / "alone"
    write_corpus(alone / "reference.jsonl", [{"text": text} for text in texts(200, 9)])
    assert command("pack", alone, "-o", out) == 0
    assert (read_pack(out).documents, read_pack(out).held_out, read_pack(out).sketch.size) == (200, False, 10)


def test_texts_that_mention_categories_are_labelled_as_an_audit_labels_them(tmp_path: Path) -> None:
    reports = [f"EU-TIRADS {2 + d % 3} {text}" for d, text in enumerate(texts(200, 9))]
    write_corpus(tmp_path / "clinic" / "reference.jsonl", [{"text": text, "nll": 2.5} for text in reports])
    assert command("pack", tmp_path / "clinic", "-o", tmp_path / "p.npz") == 0
    pack = read_pack(tmp_path / "p.npz")
    assert pack.labels is not None
    assert (pack.labels.rule, sum(pack.labels.totals.values())) == ("eu-tirads", 200)
    assert pack.sketch.nll is not None


def test_blocks_are_drawn_anew_every_time(lineage: Path, tmp_path: Path) -> None:
    """From the system's entropy: the order of the file must not tell who is in which block."""
    files = [tmp_path / f"{k}.npz" for k in range(2)]
    for out in files:
        assert command("pack", lineage, "-o", out, "--of", "reference", "--block-size", "5") == 0
    assert files[0].read_bytes() != files[1].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--block-size", "5"), "choose one with --seed (0, 1)"),
        (("--seed", "7"), "--seed 7: no such seed"),
        (("--of", "reference", "--seed", "0"), "belong to no seed"),
        (("--of", "reference", "--block-size", "4"), "at least 5"),
        (("--of", "reference", "--block-size", "10"), "120 independent documents are too few"),
        (("--of", "reference", "-o", "p.txt"), "ends in .npz"),
        (("--of", "reference", "--labels", "x"), "labels = 'x' is not known"),
        (("--of", "gen"), "invalid choice"),
    ],
)
def test_what_cannot_be_packed_is_said_and_nothing_is_written(
    lineage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    out = tmp_path / "out" / "p.npz"
    assert command("pack", lineage, "-o", out, *arguments) == 4
    assert told in capsys.readouterr().err
    assert not out.parent.exists()


def test_a_place_that_cannot_be_written_is_named(
    lineage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / "p.npz"
    assert command("pack", lineage, "-o", out, "--of", "reference", "--block-size", "5") == 4
    assert "cannot be written" in capsys.readouterr().err


def test_a_lineage_without_the_texts_asked_for_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_corpus(tmp_path / "one" / "reference.jsonl", [{"text": text} for text in texts(200, 9)])
    assert command("pack", tmp_path / "one", "-o", tmp_path / "p.npz", "--of", "generation-0") == 4
    assert "has no generation 0" in capsys.readouterr().err
    write_corpus(tmp_path / "two" / "gen_1.jsonl", [{"text": text} for text in texts(200, 9)])
    assert command("pack", tmp_path / "two", "-o", tmp_path / "p.npz") == 4
    assert "nothing to pack" in capsys.readouterr().err
