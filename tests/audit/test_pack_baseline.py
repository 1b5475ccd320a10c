"""``--baseline FILE.npz``: what was packed in one place, audited against in another that never sees the texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import small_lineages
from running import command, report_of
from small_lineages import documents, lineage, write

from collapse_audit import audit
from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineage_cli import main as collapse_lineage
from collapse_audit.reports.document import Outcome, Verdict

pytestmark = pytest.mark.usefixtures("elsewhere")

Packed = Callable[..., Path]


@pytest.fixture
def packed(tmp_path: Path) -> Packed:
    """A pack of generation 0 of a lineage that is gone afterwards."""

    def make(records: list[str], *arguments: str, held_out: bool = True) -> Path:
        clinic, out = tmp_path / "clinic", tmp_path / "baseline.npz"
        write(clinic / "gen_0" / "texts.jsonl", ["another text"] if held_out else records)
        if held_out:
            write(clinic / "gen_0" / "holdout.jsonl", records)
        assert collapse_lineage(["pack", str(clinic), "-o", str(out), *arguments]) == 0
        for file in clinic.rglob("*.jsonl"):
            file.unlink()
        return out

    return make


def test_an_unchanged_generation_passes_and_a_collapsed_one_fails(packed: Packed, tmp_path: Path) -> None:
    pack = packed(documents(1, 1000))
    new = lineage(tmp_path / "new", documents(2, 1000), documents(3, 1000, vocabulary=40))
    report = report_of(new, tmp_path / "out", "--baseline", pack)
    verdicts = {generation: {f.outcome for f in report.findings if f.generation == generation} for generation in (0, 1)}
    assert Outcome.FAIL not in verdicts[0]
    assert Outcome.PASS in verdicts[0]
    failed = {f.probe for f in report.findings if f.generation == 1 and f.outcome is Outcome.FAIL}
    assert failed >= {"tail-coverage", "diversity"}
    assert "token-divergence" in {
        f.probe for f in report.findings if f.generation == 1 and f.outcome is Outcome.CHANGED
    }
    assert report.verdict is Verdict.COLLAPSE
    assert {f.baseline for f in report.findings} == {str(pack)}
    assert any("a reference pack, 1,000 documents in blocks of 10" in note for note in report.notes)


def test_automatic_margins_need_texts_and_say_so(packed: Packed, tmp_path: Path) -> None:
    """A pack cannot be split into healthy halves: the defaults stay in force, all of them."""
    pack = packed(documents(1, 300))
    new = lineage(tmp_path / "new", documents(2, 300))
    plain = report_of(new, tmp_path / "plain", "--baseline", pack)
    automatic = report_of(
        new,
        tmp_path / "auto",
        "--baseline",
        pack,
        "--set",
        "diversity.duplicates.margin=auto",
        "--set",
        "tail-mass.margin=auto",
    )
    assert [(f.margin, f.outcome) for f in automatic.findings] == [(f.margin, f.outcome) for f in plain.findings]
    assert any("a reference pack holds no texts to settle margins on" in note for note in automatic.notes)


def test_the_same_pack_and_seed_give_the_same_report(packed: Packed, tmp_path: Path) -> None:
    pack = packed(documents(1, 300))
    new = lineage(tmp_path / "new", documents(2, 300))
    first, second = (
        [(f.value, f.p_value, f.interval) for f in report_of(new, tmp_path / f"out{k}", "--baseline", pack).findings]
        for k in range(2)
    )
    assert first == second


def test_texts_that_are_trained_on_are_one_sided_unless_the_user_knows_better(packed: Packed, tmp_path: Path) -> None:
    pack = packed(documents(1, 300), held_out=False)
    new = lineage(tmp_path / "new", documents(2, 300))
    for arguments, one_sided in (((), True), (("--independent",), False)):
        report = report_of(new, tmp_path / f"out{one_sided}", "--baseline", pack, *arguments)
        tail = next(f for f in report.findings if f.probe == "tail-mass")
        assert ("one-sided" in tail.notes) == one_sided


def test_labels_are_read_as_they_were_when_the_pack_was_made(packed: Packed, tmp_path: Path) -> None:
    labelled = [{"text": text, "label": "ab"[d % 2]} for d, text in enumerate(documents(1, 300))]
    pack = packed(labelled)  # type: ignore[arg-type]
    same = [{"text": text, "label": "ab"[d % 2]} for d, text in enumerate(documents(2, 300))]
    new = lineage(tmp_path / "new", same)
    report = audit(new, baseline=str(pack))
    labels = {f.probe: f.outcome for f in report.findings if f.probe.startswith("label")}
    assert labels["label-coverage"] is Outcome.PASS
    with pytest.raises(UsageError, match="read by field"):
        audit(new, baseline=str(pack), labels="eu-tirads")
    unlabelled = audit(lineage(tmp_path / "plain", documents(2, 300)), baseline=str(pack))
    assert {f.outcome for f in unlabelled.findings if f.probe.startswith("label")} == {Outcome.INCONCLUSIVE}


def test_a_probe_of_ones_own_is_not_measured_and_an_error_where_it_was_asked_for(
    packed: Packed, tmp_path: Path
) -> None:
    pack = packed(documents(1, 300))
    new = lineage(tmp_path / "new", documents(2, 300))
    file = tmp_path / "mine.py"
    file.write_text(small_lineages.LETTERS)
    arguments = ("--baseline", pack, "--probes", file)
    letters = next(f for f in report_of(new, tmp_path / "out", *arguments).findings if f.probe == "letter-e")
    assert letters.outcome is Outcome.NOT_MEASURED
    assert "reference pack" in letters.reason
    assert command(new, *arguments, "-k", "letter-e") == 3


def test_a_pack_that_is_damaged_or_of_another_tokeniser_is_bad_input(packed: Packed, tmp_path: Path) -> None:
    pack = packed(documents(1, 300))
    new = lineage(tmp_path / "new", documents(2, 300))
    cut = tmp_path / "cut.npz"
    cut.write_bytes(pack.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.npz: found a \.npz archive that is cut off"):
        audit(new, baseline=str(cut))
    assert command(new, "--baseline", cut) == 4
    assert command(new, "--baseline", tmp_path / "none.npz") == 4


def test_too_few_texts_are_inconclusive(packed: Packed, tmp_path: Path) -> None:
    assert command(lineage(tmp_path / "new", documents(2, 60)), "--baseline", packed(documents(1, 300))) == 6


def test_no_text_of_the_baseline_is_in_any_report(packed: Packed, tmp_path: Path) -> None:
    corpus = [f"{text} unheardof{d}" for d, text in enumerate(documents(1, 300))]
    new = lineage(tmp_path / "new", documents(2, 300, vocabulary=40))
    report_of(new, tmp_path / "out", "--baseline", packed(corpus), "--evidence", "texts")
    assert all("unheardof" not in file.read_text("utf-8") for file in (tmp_path / "out").iterdir())
