"""Settings: the nearest source wins, and everything that is wrong with all of them is said at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import small_lineages

from collapse_audit.errors import UsageError
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.model.lineage import Lineage
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.probes.types import Probe
from collapse_audit.settings.config import OF_LINEAGE, AuditConfig, load_config

ONE = Probe(
    name="one",
    code="X-one",
    needs=frozenset({"text"}),
    gates=(Gate(statistic="rise", unit="share", worse="higher", margin=0.1, because="ours"),),
    source="",
    since="",
    doc="",
    measure=lambda _: (),
)
TWO = Probe(
    name="two",
    code="X-two",
    needs=frozenset({"text"}),
    gates=(
        Gate(
            statistic="kept",
            unit="ratio",
            worse="lower",
            margin=0.25,
            pass_margin=0.5,
            worst_of_many=True,
            because="ours",
        ),
        Gate(statistic="drop", unit="nats", worse="lower", margin=-0.1, because="ours"),
    ),
    source="",
    since="",
    doc="",
    measure=lambda _: (),
)
PROBES = (ONE, TWO)


@pytest.fixture
def found(tmp_path: Path) -> Lineage:
    return load_lineage(small_lineages.tiny(tmp_path / "above" / "lineage"))


def config(found: Lineage, **arguments: Any) -> AuditConfig:
    return load_config(found, PROBES, directory=found.root.parent, **arguments)


def problems(found: Lineage, **arguments: Any) -> list[str]:
    with pytest.raises(UsageError) as error:
        config(found, **arguments)
    return str(error.value).splitlines()


def one_gate(settings: AuditConfig) -> Gate:
    return settings.gate(ONE, ONE.gates[0])


def manifest(found: Lineage, *tables: str) -> Lineage:
    """The same lineage with a manifest that ends in ``tables``."""
    entries = "".join(
        f'[[generation]]\nindex = {k}\ntexts = "gen_{k}/texts.jsonl"\nholdout = "gen_{k}/holdout.jsonl"\n'
        for k in (0, 1)
    )
    text = "\n".join(['format = 1\nname = "n"\n', entries, *tables])
    (found.root / "lineage.toml").write_text(text, encoding="utf-8")
    return load_lineage(found.root)


def test_without_any_source_the_defaults_hold(found: Lineage) -> None:
    assert config(found) == AuditConfig()


def test_defaults_are_those_of_the_contract() -> None:
    defaults = AuditConfig()
    assert (defaults.alpha, defaults.baseline, defaults.labels) == (0.05, "generation-0", "auto")
    assert (defaults.permutations, defaults.seed, defaults.evidence) == (999, 0, "terms")
    assert not defaults.independent
    assert not defaults.allow_inconclusive


def test_the_nearest_source_wins(found: Lineage, tmp_path: Path) -> None:
    pyproject = found.root.parent / "pyproject.toml"
    file = tmp_path / "settings.toml"
    alphas = []

    def alpha(lineage: Lineage, **arguments: Any) -> None:
        alphas.append(config(lineage, **arguments).alpha)

    alpha(found)
    pyproject.write_text("[tool.collapse-audit]\nalpha = 0.01\n")
    alpha(found)
    file.write_text("alpha = 0.04\n")
    alpha(found, config_file=file)
    alpha(found, config_file=file, sets=["alpha=0.06"])
    alpha(found, config_file=file, sets=["alpha=0.06", "alpha=0.07"])
    alpha(found, config_file=file, sets=["alpha=0.06"], overrides={"alpha": 0.08})
    assert alphas == [0.05, 0.01, 0.04, 0.06, 0.07, 0.08]


def test_what_a_lineage_says_of_its_data_yields_to_every_setting_of_the_user(found: Lineage) -> None:
    beside = found.root / "collapse-audit.toml"
    labels = []

    def label_rule(lineage: Lineage, **arguments: Any) -> None:
        labels.append(config(lineage, **arguments).labels)

    found = manifest(found, '[audit]\nlabels = "field"\n')
    label_rule(found)
    beside.write_text('labels = "eu-tirads"\n')
    label_rule(found)
    (found.root.parent / "pyproject.toml").write_text('[tool.collapse-audit]\nlabels = "none"\n')
    label_rule(found)
    label_rule(found, overrides={"labels": "auto"})
    assert labels == ["field", "eu-tirads", "none", "auto"]


DECIDES = (
    "alpha = 0.00001",
    'baseline = "reference"',
    "permutations = 999",
    "max_documents = 1",
    "seed = 3",
    'evidence = "texts"',
    "independent = true",
    "allow_inconclusive = true",
    "gate_trend = true",
    "anytime = true",
    "fail_on_change = true",
    'history = "history.jsonl"',
    'phrases = "ours.txt"',
    'embed = "model"',
    'margins = "auto"',
    "solved_at = 0.5",
    "[probes.one]\nmargin = 0.9",
    "[probes.one]\nenabled = false",
    '[[waivers]]\nprobe = "one"',
)


@pytest.mark.parametrize("line", DECIDES)
def test_a_lineage_never_decides_its_verdict(found: Lineage, line: str) -> None:
    key = line.strip("[]").partition(" ")[0].partition(".")[0].partition("]")[0]
    told = (
        f"{key}: a lineage may describe its data (labels, tokens, unit, fields, documents), never decide its verdict; "
        "pass it with --config FILE, or in [tool.collapse-audit] of your pyproject.toml"
    )
    beside = found.root / "collapse-audit.toml"
    beside.write_text(line + "\n")
    assert problems(found) == [f"{beside}: {told}"]
    beside.unlink()
    if not line.startswith("["):
        assert problems(manifest(found, f"[audit]\n{line}\n")) == [f"[audit] of lineage.toml: {told}"]


def test_a_lineage_does_not_switch_off_what_looks_at_labels(found: Lineage) -> None:
    (found.root / "collapse-audit.toml").write_text('labels = "none"\n')
    (told,) = problems(found)
    assert 'labels = "none" would switch off what looks at labels; pass it with --config FILE' in told


def test_every_setting_is_either_a_lineages_own_or_refused_from_one() -> None:
    settings = {field.name for field in dataclasses.fields(AuditConfig)} - {"gates", "disabled"} | {"probes"}
    decided = {line.strip("[]").partition(" ")[0].partition(".")[0].partition("]")[0] for line in DECIDES}
    assert settings - decided <= set(OF_LINEAGE)


def test_margins_win_by_the_same_order_and_keep_their_reason_and_origin(found: Lineage) -> None:
    own = found.root.parent / "pyproject.toml"
    own.write_text('[tool.collapse-audit.probes.one]\nmargin = 0.2\nreason = "our tolerance"\n')
    assert (one_gate(config(found)).margin, one_gate(config(found)).because) == (0.2, "our tolerance")
    nearer = config(found, sets=["one.margin=0.3"])
    assert (one_gate(nearer).margin, one_gate(nearer).because) == (0.3, "set by --set one.margin=0.3")
    assert nearer.echo(PROBES)["margins"]["one/rise"] == {
        "margin": 0.3,
        "unit": "share",
        "reason": "set by --set one.margin=0.3",
        "origin": "--set one.margin=0.3",
    }
    assert nearer.echo(PROBES)["margins"]["two/kept"]["origin"] == "default"


def test_settings_of_different_sources_add_up(found: Lineage) -> None:
    (found.root.parent / "pyproject.toml").write_text('[tool.collapse-audit]\nbaseline = "previous"\n')
    both = config(found, sets=["alpha=0.1"])
    assert (both.baseline, both.alpha) == ("previous", 0.1)


def test_only_the_nearest_pyproject_counts(found: Lineage, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.collapse-audit]\nalpha = 0.01\n")
    assert config(found).alpha == 0.01
    (found.root.parent / "pyproject.toml").write_text("[tool.other]\n")
    assert config(found).alpha == 0.05


def test_the_label_rule_of_the_manifest_is_a_setting(found: Lineage) -> None:
    found = manifest(found, '[labels]\nrule = "eu-tirads"\n')
    assert config(found).labels == "eu-tirads"
    assert config(found, overrides={"labels": "field"}).labels == "field"


def test_what_the_command_line_does_not_give_overrides_nothing(found: Lineage) -> None:
    assert config(found, sets=["seed=4"], overrides={"seed": None, "independent": None}).seed == 4


def test_set_takes_toml_values_and_plain_words(found: Lineage) -> None:
    words = config(found, sets=["evidence=texts", "independent=true", "permutations=1999", "labels = 'field'"])
    assert (words.evidence, words.independent, words.permutations, words.labels) == ("texts", True, 1999, "field")


@pytest.mark.parametrize("item", ["two.kept.margin=0.4", "probes.two.kept.margin=0.4"])
def test_set_reaches_one_of_several_statistics(found: Lineage, item: str) -> None:
    assert config(found, sets=[item]).gate(TWO, TWO.gates[0]).margin == 0.4


def test_where_pass_starts_keeps_its_proportion_to_where_fail_ends(found: Lineage) -> None:
    changed = config(found, sets=["two.kept.margin=0.4"]).gate(TWO, TWO.gates[0])
    assert changed.pass_margin == pytest.approx(0.8)  # .5 / .25 * .4


def test_a_margin_of_a_difference_that_falls_stays_under_0(found: Lineage) -> None:
    assert config(found, sets=["two.drop.margin=-0.3"]).gate(TWO, TWO.gates[1]).margin == -0.3


def test_a_probe_is_switched_off_and_on_again(found: Lineage) -> None:
    (found.root.parent / "pyproject.toml").write_text("[tool.collapse-audit.probes.one]\nenabled = false\n")
    assert config(found).disabled == {"one"}
    assert config(found, sets=["one.enabled=true"]).disabled == frozenset()


def test_every_built_in_margin_is_echoed_with_its_reason() -> None:
    echoed = AuditConfig().echo(BUILTIN)["margins"]
    assert set(echoed) == {f"{probe.name}/{gate.statistic}" for probe in BUILTIN for gate in probe.gates}
    assert all(entry["reason"] and entry["unit"] and entry["origin"] == "default" for entry in echoed.values())


SETTINGS = (
    "alpha",
    "baseline",
    "labels",
    "tokens",
    "embed",
    "solved_at",
    "margins",
    "permutations",
    "max_documents",
    "unit",
    "evidence",
)
SWITCHES = (
    "independent",
    "allow_inconclusive",
    "gate_trend",
    "anytime",
    "fail_on_change",
    "seed",
    "phrases",
    "documents",
    "fields",
    "probes",
    "waivers",
)
ALLOWED = ", ".join(SETTINGS + SWITCHES)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("alpha=0", "alpha = 0; allowed: a number between 0 and 1"),
        ("alpha=1.0", "alpha = 1.0; allowed: a number between 0 and 1"),
        ("alpha=nan", "alpha = nan; allowed: a number between 0 and 1"),
        ("alpha=true", "alpha = true; allowed: a number between 0 and 1"),
        ("alpha=five", "alpha = 'five'; allowed: a number between 0 and 1"),
        ("baseline=3", "baseline = 3; allowed: a string"),
        ("labels=", "labels = ''; allowed: a string"),
        ("permutations=98", "permutations = 98; allowed: a whole number from 999 to 1,000,000"),
        ("permutations=999.0", "permutations = 999.0; allowed: a whole number from 999 to 1,000,000"),
        ("permutations=true", "permutations = true; allowed: a whole number from 999 to 1,000,000"),
        ("max_documents=-1", "max_documents = -1; allowed: a whole number of at least 0"),
        ("seed=-1", "seed = -1; allowed: a whole number of at least 0"),
        ("independent=1", "independent = 1; allowed: true or false"),
        ("evidence=all", 'evidence = \'all\'; allowed: "none", "terms" or "texts"'),
        ("alhpa=1", "unknown setting 'alhpa'; did you mean alpha?"),
        ("zzz=1", f"unknown setting 'zzz'; allowed: {ALLOWED}"),
        ("probes=1", "probes = 1; allowed: a table of probes, such as [probes.tail-mass]"),
        ("probes.one=1", "probes.one = 1; allowed: a table"),
        ("oen.margin=1", "no probe is called 'oen'; did you mean one?"),
        ("three-fold.margin=1", "no probe is called 'three-fold'; allowed: one, two"),
        ("one.margin=0", "probes.one.margin = 0; allowed: a share between 0 and 1 (share), or auto"),
        ("one.margin=nan", "probes.one.margin = nan; allowed: a share between 0 and 1 (share), or auto"),
        ("one.margin=inf", "probes.one.margin = inf; allowed: a share between 0 and 1 (share), or auto"),
        ("one.margin=true", "probes.one.margin = true; allowed: a share between 0 and 1 (share), or auto"),
        ("one.margin=wide", "probes.one.margin = 'wide'; allowed: a share between 0 and 1 (share), or auto"),
        ("one.reason=3", "probes.one.reason = 3; allowed: a string"),
        ("one.enabled=1", "probes.one.enabled = 1; allowed: true or false"),
        ("one.marign=1", "probes.one: unknown setting 'marign'; did you mean margin?"),
        ("two.kept.margin=1.0", "probes.two.kept.margin = 1.0; allowed: a ratio between 0 and 1 (ratio)"),
        ("two.drop.margin=0.1", "probes.two.drop.margin = 0.1; allowed: a number under 0 (nats), or auto"),
        ("two.drop.margin=-inf", "probes.two.drop.margin = -inf; allowed: a number under 0 (nats), or auto"),
        ("two.kept.width=1", "probes.two.kept: unknown setting 'width'; allowed: margin, reason"),
        ("two.kept=1", "probes.two.kept = 1; allowed: a table"),
        ("fields.txet=a", "fields: unknown setting 'txet'; did you mean text?"),
        ("fields=a", "fields = 'a'; allowed: a table with text, prompt, label, group, numeric, embedding, score"),
        ("fields.text=[]", "fields.text = []; allowed: the path of a field, or a list of paths"),
        ("fields.text=['a', '']", "fields.text (entry 2) = ''; allowed: the path of a field"),
        ("fail_on_change=3", "fail_on_change = 3; allowed: true (all probes), false, or a list of names of probes"),
        ("fail_on_change=['tow']", "fail_on_change: no probe is called 'tow'; did you mean two?"),
        (
            "two.margin=0.2",
            "probes.two.margin = 0.2; allowed: the margin of one of its statistics: two.kept.margin, two.drop.margin",
        ),
    ],
)
def test_a_bad_setting_is_refused_with_what_is_allowed(found: Lineage, item: str, message: str) -> None:
    assert problems(found, sets=[item]) == [f"--set {item}: {message}"]


@pytest.mark.parametrize("item", ["alpha", "=3", "one..margin=1", ".margin=1", ""])
def test_set_without_a_name_or_a_value_is_refused(found: Lineage, item: str) -> None:
    assert problems(found, sets=[item]) == [
        f"--set {item!r}: expected NAME=VALUE, such as token-divergence.margin=0.02 or alpha=0.01"
    ]


def test_problems_of_all_sources_are_reported_together_each_with_its_place(found: Lineage, tmp_path: Path) -> None:
    pyproject = found.root.parent / "pyproject.toml"
    pyproject.write_text("[tool.collapse-audit]\nalpha = 2\n")
    beside = found.root / "collapse-audit.toml"
    beside.write_text("tokens = 1\ncolour = 1\n")
    file = tmp_path / "settings.toml"
    file.write_text("[probes.one]\nmargin = -1\n")
    found = manifest(found, "[audit]\nlabels = 3\n")
    assert problems(found, config_file=file, sets=["alpha=3"], overrides={"seed": -2}) == [
        f"{beside}: unknown setting 'colour'; allowed: {', '.join(OF_LINEAGE)}",
        "[audit] of lineage.toml: labels = 3; allowed: a string",
        f"{beside}: tokens = 1; allowed: a string",
        f"[tool.collapse-audit] of {pyproject}: alpha = 2; allowed: a number between 0 and 1",
        f"{file}: probes.one.margin = -1; allowed: a share between 0 and 1 (share), or auto",
        "--set alpha=3: alpha = 3; allowed: a number between 0 and 1",
        "the command line: seed = -2; allowed: a whole number of at least 0",
    ]


def test_a_tool_table_that_is_none_is_refused(found: Lineage) -> None:
    pyproject = found.root.parent / "pyproject.toml"
    pyproject.write_text("[tool]\ncollapse-audit = 3\n")
    assert problems(found) == [f"[tool.collapse-audit] of {pyproject}: 3; allowed: a table of settings"]


def test_a_settings_file_that_is_not_there_is_named(found: Lineage, tmp_path: Path) -> None:
    file = tmp_path / "nowhere.toml"
    assert problems(found, config_file=file) == [f"--config {file}: no such file"]


def test_a_settings_file_that_is_not_toml_is_named(found: Lineage, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("alpha 3")
    (message,) = problems(found, config_file=file)
    assert message.startswith(f"{file}: not readable as TOML: ")
    file.write_bytes(b"alpha = 0.1 # \xff")
    (message,) = problems(found, config_file=file)
    assert message.startswith(f"{file}: not readable as TOML: ")
