"""The probes there are: permanent names and codes, complete pages, and users' own files."""

from __future__ import annotations

import ast
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from collapse_audit.errors import ProbeError, UsageError
from collapse_audit.probes import registry
from collapse_audit.probes.registry import BUILTIN, DATA, NUMERIC, all_probes, find, from_file
from collapse_audit.probes.types import Probe

SECTIONS = ("What it measures", "Formula and unit", "Why it signals collapse", "When it misleads", "Needs")

OF_DATA = {"reference", "evaluation", "labelled"}
NAMES = {probe.name: probe for probe in BUILTIN}


@pytest.fixture(params=(*BUILTIN, *NUMERIC, *DATA), ids=lambda built: built.name)
def builtin(request: pytest.FixtureRequest) -> Probe:
    found = request.param
    assert isinstance(found, Probe)
    return found


def test_the_default_set_of_the_contract_is_there() -> None:
    assert {
        "token-divergence",
        "label-divergence",
        "label-coverage",
        "tail-mass",
        "tail-coverage",
        "repetition",
        "diversity",
        "perplexity",
        "integrity",
    } <= set(NAMES)


def test_names_codes_and_statistics_are_unique() -> None:
    both = (*BUILTIN, *NUMERIC, *DATA)
    assert len(NAMES) == len(BUILTIN)
    assert len({probe.name for probe in both}) == len(both) == len({probe.code for probe in both})
    for built in both:
        assert len({gate.statistic for gate in built.gates}) == len(built.gates) >= 1


def test_a_code_is_ca_and_three_digits_and_a_name_is_kebab_case(builtin: Probe) -> None:
    assert re.fullmatch(r"CA\d{3}", builtin.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", builtin.name)
    for gate in builtin.gates:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*", gate.statistic)


def test_a_probes_page_has_every_section_with_something_in_it(builtin: Probe) -> None:
    question, *rest = builtin.doc.splitlines()
    assert question.endswith("?")
    headings = [line.strip() for line in rest if re.fullmatch(r" {4}\S.*", line)]
    assert [heading for heading in headings if heading in SECTIONS] == list(SECTIONS)  # all, in this order
    body = builtin.doc
    for heading, following in zip(SECTIONS, [*SECTIONS[1:], None], strict=True):
        part = body.split(f"    {heading}\n", 1)[1]
        if following:
            part = part.split(f"    {following}\n", 1)[0]
        assert len(part.split()) >= 1, f"{builtin.name}: nothing under {heading!r}"


def test_a_probe_says_what_it_needs_since_when_and_from_where(builtin: Probe) -> None:
    assert builtin.needs
    assert builtin.needs <= {
        "text",
        "labels",
        "nll",
        "files",
        "tasks",
        "contexts",
        "prompts",
        "embeddings",
        "scores",
        "numeric",
        *OF_DATA,
    }
    assert re.fullmatch(r"\d+\.\d+", builtin.since)
    for doi in re.findall(r"doi ([^ ;)]+)", builtin.source + builtin.doc):
        assert re.fullmatch(r"10\.\d{4,}/\S+[^\s,.;]", doi.rstrip(",.")), doi
    if builtin.needs != {"files"}:
        assert builtin.source


def test_a_gate_has_a_unit_a_direction_and_a_reason(builtin: Probe) -> None:
    for gate in builtin.gates:
        assert gate.unit
        assert gate.worse in ("higher", "lower")
        assert len(gate.because.split()) > 5
        if gate.unit == "ratio":  # of what is left, or of what grew
            assert 0 < gate.margin < 1 if gate.worse == "lower" else gate.margin > 1
        else:
            assert 0 < gate.margin < 1
            assert gate.worse == "higher" or "{value}" in gate.says  # a share itself, and no rise of one


# Finding


@pytest.mark.parametrize("name", ["tail-mass", "CA201"])
def test_a_probe_is_found_by_name_and_by_code(name: str) -> None:
    assert find(name, BUILTIN).name == "tail-mass"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("token-divergance", "token-divergence"), ("repitition", "repetition"), ("Diversty", "diversity")],
)
def test_a_slip_of_the_finger_gets_a_suggestion(typed: str, meant: str) -> None:
    with pytest.raises(UsageError, match=rf"no probe is called '{typed}'; did you mean {meant}\? Known: token-div"):
        find(typed, BUILTIN)


def test_a_name_like_no_other_gets_the_list() -> None:
    with pytest.raises(UsageError, match=r"no probe is called 'zzz'\. Known: .*tail-mass.*integrity") as caught:
        find("zzz", BUILTIN)
    assert "did you mean" not in str(caught.value)


# Users' own files

OWN = '''
from collapse_audit.probes.types import probe

@probe(name="{name}", unit="words", worse="higher", margin=2.0{more})
def own(pair):
    """Do texts grow?"""
    return pair.mean_rise(lambda text: len(text.split()))
'''


def write(folder: Path, source: str, name: str = "mine.py") -> Path:
    file = folder / name
    file.write_text(source, encoding="utf-8")
    return file


def test_probes_of_a_file_come_after_the_built_in_ones(tmp_path: Path) -> None:
    found = all_probes([write(tmp_path, OWN.format(name="growth", more=""))])
    assert found[: len(BUILTIN)] == BUILTIN
    [mine] = found[len(BUILTIN) :]
    assert (mine.name, mine.code, mine.doc) == ("growth", "X-growth", "Do texts grow?")


def test_two_files_of_one_name_are_two_files(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        files.append(write(tmp_path / name, OWN.format(name=name, more="")))
    assert [probe.name for probe in all_probes(files)[len(BUILTIN) :]] == ["one", "two"]


def test_a_second_name_for_a_probe_is_still_one_probe(tmp_path: Path) -> None:
    file = write(tmp_path, OWN.format(name="growth", more="") + "\nalias = own\n")
    assert [mine.name for mine in from_file(file)] == ["growth"]


def test_built_in_probes_that_a_file_imports_are_not_its_own(tmp_path: Path) -> None:
    source = (
        "from collapse_audit.probes.registry import BUILTIN\nfrom collapse_audit.probes.diversity import diversity\n"
    )
    file = write(tmp_path, source + OWN.format(name="growth", more=""))
    assert [mine.name for mine in from_file(file)] == ["growth"]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("def (", ProbeError, r"mine\.py: SyntaxError"),
        ("1 / 0", ProbeError, r"mine\.py: ZeroDivisionError: division by zero"),
        ("import no_such_module_anywhere", ProbeError, r"mine\.py: ModuleNotFoundError"),
        ("import sys; sys.exit(0)", ProbeError, r"mine\.py: SystemExit"),
        ("x = 1", UsageError, r"mine\.py: defines no probe; decorate a function"),
        ("", UsageError, r"mine\.py: defines no probe"),
        (OWN.format(name="diversity", more=""), UsageError, "two probes have the name 'diversity'"),
        (OWN.format(name="growth", more=', code="CA101"'), UsageError, "two probes have the code 'CA101'"),
        (
            OWN.replace("margin=2.0{more}", "").format(name="x"),
            ProbeError,
            "needs gates=…, or all of unit=, worse= and margin=",
        ),
    ],
)
def test_a_file_of_probes_that_cannot_be_used_says_why(
    tmp_path: Path, source: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        all_probes([write(tmp_path, source)])


def test_a_file_that_is_not_there_or_not_python_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file; expected a Python file"):
        from_file(tmp_path / "absent.py")
    with pytest.raises(UsageError, match="no such file; expected a Python file"):
        from_file(tmp_path)
    with pytest.raises(UsageError, match=r"not a Python file \(its name must end in \.py\)"):
        from_file(write(tmp_path, "x = 1", "probes.txt"))


# Entry points


def with_entry_points(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    points = [EntryPoint(name=f"e{i}", value=value, group=registry.ENTRY_POINTS) for i, value in enumerate(values)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.ENTRY_POINTS else [])


def test_an_installed_package_can_bring_a_probe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, OWN.format(name="growth", more=""), "installed_probes_of_a_test.py")
    monkeypatch.syspath_prepend(tmp_path)
    with_entry_points(monkeypatch, "installed_probes_of_a_test:own")
    assert [mine.name for mine in all_probes()[len(BUILTIN) :]] == ["growth"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module_anywhere:probe", "entry point e0 = no_such_module_anywhere:probe: ModuleNotFoundError"),
        ("math:pi", r"entry point e0 = math:pi is not a probe; decorate it with @probe\(…\)"),
        ("math:no_such_thing", "entry point e0 = math:no_such_thing: AttributeError"),
    ],
)
def test_a_broken_entry_point_is_named(monkeypatch: pytest.MonkeyPatch, value: str, message: str) -> None:
    with_entry_points(monkeypatch, value)
    with pytest.raises(ProbeError, match=message):
        all_probes()


ROOT = Path(__file__).parents[2]
NAMES_OF_OTHER_THINGS = {
    ("concentration", "lineages/disk/opener.py"),  # a key of the manifest, and the file that it names
    ("concentration", "lineages/scoring/contexts.py"),
    ("concentration", "lineages/scoring/corpora.py"),
    ("length", "audit/commands/describe.py"),  # a key of a description
    ("length", "lineages/description/describe.py"),
    ("length", "reports/describe_html.py"),
    ("length", "probes/text/views.py"),  # a column
    ("perplexity", "lineages/training/recipe.py"),  # a key of the recipe
    ("perplexity", "probes/statistics/readings.py"),  # a picture
    ("perplexity", "reports/pictures/perplexity.py"),
    ("tail-mass", "probes/packs/answers.py"),  # a stream of random numbers
    ("tail-mass", "probes/trends/followed.py"),  # a statistic of trends
}


def test_nothing_outside_the_probes_spells_the_name_of_one() -> None:
    """Stage, recipe, trends, pictures and pages read what the gates declare, so a new probe is in all of them."""
    names, spelled = {built.name for built in BUILTIN}, set()
    for folder in ("audit", "lineages", "probes", "reports", "docs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.parent != ROOT / "probes":
                nodes = ast.walk(ast.parse(path.read_text("utf-8")))
                found = {node.value for node in nodes if isinstance(node, ast.Constant)}
                spelled |= {(name, path.relative_to(ROOT).as_posix()) for name in names & found}
    assert spelled == NAMES_OF_OTHER_THINGS
