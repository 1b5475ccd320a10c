"""``from collapse_audit import …``: the few names that are promised, and probes of one's own."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import small_lineages

import collapse_audit
from collapse_audit import Gate, NotMeasured, audit, load_lineage, probe
from collapse_audit.cli import main
from collapse_audit.errors import InputError, ProbeError, UsageError
from collapse_audit.lineages.model.lineage import Lineage
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.registry import BUILTIN, all_probes
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.probes.types import Probe
from collapse_audit.reports.document import AuditReport, Outcome, Verdict


def test_every_promised_name_is_there() -> None:
    for name in collapse_audit.__all__:
        assert getattr(collapse_audit, name) is not None
    namespace: dict[str, object] = {}
    exec("from collapse_audit import *", namespace)
    assert set(collapse_audit.__all__) <= set(namespace)


def test_promised_names_are_listed_before_they_are_used() -> None:
    assert set(collapse_audit.__all__) <= set(dir(collapse_audit))


def test_another_name_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'collapse_audit' has no attribute 'adit'$"):
        _ = collapse_audit.adit


def test_audit_returns_the_report_and_writes_and_prints_nothing(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    report = audit(shelf / "collapsed")
    assert isinstance(report, AuditReport)
    assert (report.verdict, report.exit_code) == (Verdict.COLLAPSE, 1)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_audit_takes_a_string_and_settings_by_name(shelf: Path) -> None:
    report = audit(str(shelf / "tiny"), allow_inconclusive=True, seed=7, sets=["diversity.duplicates.margin=0.5"])
    assert (report.verdict, report.exit_code, report.seed) == (Verdict.INCONCLUSIVE, 0, 7)
    assert report.config["margins"]["diversity/duplicates"]["margin"] == 0.5


def test_audit_refuses_a_setting_it_does_not_know(shelf: Path) -> None:
    with pytest.raises(UsageError, match="unknown argument 'alhpa'; did you mean alpha"):
        audit(shelf / "tiny", alhpa=0.1)


def test_what_cannot_be_read_is_an_exception_and_no_exit(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        audit(tmp_path)


def test_load_lineage_is_public(shelf: Path) -> None:
    lineage = load_lineage(shelf / "healthy")
    assert isinstance(lineage, Lineage)
    assert [entry.index for entry in lineage.generations] == [0, 1, 2]


# ------------------------------------------------------------------------------------------------ probes of one's own


@probe(name="letter-w", unit="share of documents", worse="higher", margin=0.05, because="ours")
def letter_w(pair: Pair) -> Estimate:
    """Do texts begin with a w?"""
    return pair.mean_rise(lambda text: text.startswith("w"), share=True)


def test_a_decorated_function_is_a_probe() -> None:
    assert isinstance(letter_w, Probe)
    assert (letter_w.name, letter_w.code, letter_w.doc) == ("letter-w", "X-letter-w", "Do texts begin with a w?")


def test_a_probe_of_ones_own_is_judged_like_the_built_in_ones(tmp_path: Path) -> None:
    same = small_lineages.lineage(tmp_path / "same", ["word"] * 200, ["word"] * 200)
    other = small_lineages.lineage(tmp_path / "other", ["another"] * 200, ["word"] * 200)
    found = [audit(root, probes=[letter_w], select="letter-w").findings[0] for root in (same, other)]
    assert [finding.outcome for finding in found] == [Outcome.PASS, Outcome.FAIL]
    assert found[1].value == pytest.approx(1.0)
    assert found[1].margin_reason == "ours"
    assert found[1].p_adjusted is not None


def test_a_probe_with_gates_may_leave_one_unmeasured(shelf: Path) -> None:
    gates = [Gate(statistic=name, unit="u", worse="higher", margin=1.0, because="ours") for name in ("a", "b")]

    @probe(name="half", gates=gates)
    def half(pair: Pair) -> list[Estimate | NotMeasured]:
        return [pair.mean_rise(len, statistic="a"), NotMeasured(statistic="b", reason="not here")]

    outcomes = {f.statistic: f.outcome for f in audit(shelf / "healthy", probes=[half], select="hal").findings}
    assert outcomes["b"] is Outcome.NOT_MEASURED
    assert outcomes["a"] is not Outcome.NOT_MEASURED


def test_a_file_of_probes_is_run_beside_the_built_in_ones(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(shelf / "healthy"), "--probes", str(shelf / "letters.py"), "-v"]) == 0
    shown = capsys.readouterr().out
    assert "letter-e" in shown
    assert "token-divergence" in shown


def test_a_margin_of_a_users_probe_can_be_set(shelf: Path) -> None:
    report = audit(shelf / "healthy", probe_files=[shelf / "letters.py"], sets=["letter-e.margin=0.25"])
    assert report.config["margins"]["letter-e/letter-e"]["margin"] == 0.25


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("x = 1\n", UsageError, "defines no probe; decorate a function with @collapse_audit.probe"),
        ("raise OSError('no')\n", ProbeError, "OSError: no"),
        (small_lineages.CRASHING.replace('"crashing"', '"diversity"'), UsageError, "two probes .* 'diversity'"),
    ],
)
def test_a_file_of_probes_that_makes_no_sense_is_refused(
    shelf: Path, tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(error, match=message):
        audit(shelf / "healthy", probe_files=[file])


def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str) -> None:
    """As if a package with this module were installed, and offered it as an entry point."""
    (tmp_path / "their_probes.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "their_probes", raising=False)
    entry = EntryPoint(name="theirs", value="their_probes:letter_e", group="collapse_audit.probes")
    monkeypatch.setattr(
        "collapse_audit.probes.registry.entry_points",
        lambda *, group: EntryPoints([entry]).select(group=group),
    )


def test_probes_of_installed_packages_come_by_entry_point(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tmp_path, small_lineages.LETTERS)
    assert [each.name for each in all_probes()] == [*(each.name for each in BUILTIN), "letter-e"]
    (first, *_) = audit(shelf / "healthy", select="letter-e").findings
    assert (first.probe, first.code, first.outcome) == ("letter-e", "X-letter-e", Outcome.PASS)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("letter_e = 3\n", "is not a probe; decorate it with @probe"),
        ("import no_such_module_anywhere\n", "ModuleNotFoundError"),
    ],
)
def test_an_entry_point_that_is_no_probe_is_named(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    installed(monkeypatch, tmp_path, source)
    with pytest.raises(ProbeError, match=f"^entry point theirs = their_probes:letter_e.*{message}"):
        audit(shelf / "healthy")
