"""The fixtures ``lineage``, ``generation`` and ``baseline``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_lineages
from running import ALONE, PROBES, WITH_INPUT, WITHOUT_INPUT, audited, report_of

pytestmark = pytest.mark.usefixtures("_warm")


def test_fixtures_give_what_was_measured(pytester: pytest.Pytester, shelf: Path, tmp_path: Path) -> None:
    report = report_of(shelf / "healthy", tmp_path / "out")
    values = {f"{f.generation} {f.probe}/{f.statistic}": f.value for f in report.findings if f.value is not None}
    (pytester.path / "values.json").write_text(json.dumps(values))
    pytester.makepyfile(
        test_mine="""
        import json, pathlib

        VALUES = json.loads(pathlib.Path("values.json").read_text())
        SEEN = []

        def test_values(generation):
            assert generation.seed is None
            for finding in generation.findings:
                name = f"{finding.probe}/{finding.statistic}"
                assert generation[name] is finding
                assert finding.value == VALUES.get(f"{generation.index} {name}")
            SEEN.append(generation.index)

        def test_every_generation_that_is_judged_was_seen():
            assert SEEN == [1, 2]

        def test_a_probe_with_one_statistic_needs_no_other_name(generation):
            assert generation["token-divergence"] is generation["token-divergence/JS-excess"]

        def test_samples(generation, baseline):
            assert baseline.name == "generation 0 (held-out)"
            assert len(baseline.sample) == len(generation.sample) == 400
            words = generation.sample.texts[0].as_py().split()
            assert len(words) == 30 and words[0].startswith("w")
            assert generation.sample is generation.sample
            assert generation.baseline.sample is baseline.sample

        def test_lineage(lineage):
            assert lineage.name == lineage.root.name == "healthy"
            assert lineage.report.verdict == "pass"
            assert len({finding.generation for finding in lineage.report.findings}) == 2
        """
    )
    result = audited(pytester, shelf / "healthy", arguments=["test_mine.py", "-v"])
    result.assert_outcomes(passed=8 + 2 * WITH_INPUT, skipped=2 * WITHOUT_INPUT)
    result.stdout.fnmatch_lines(["*test_values[[]healthy-generation-2] PASSED*"])
    result.stdout.fnmatch_lines(["*test_lineage[[]healthy] PASSED*"])


def test_lineage_and_generation_of_one_test_belong_together(
    pytester: pytest.Pytester, shelf: Path, seeds: Path
) -> None:
    pytester.makepyfile(
        test_mine="""
        import pytest

        @pytest.fixture(scope="module")
        def of_their_own(generation):
            return generation

        def test_both(lineage, generation, baseline, of_their_own):
            assert generation.lineage is lineage and baseline.lineage is lineage
            assert of_their_own is generation
            assert (generation.seed is None) == (lineage.name == "healthy")
        """
    )
    result = audited(pytester, shelf / "healthy", seeds, arguments=["test_mine.py", "-k", "test_both", "-v"])
    result.assert_outcomes(passed=4, deselected=4 * PROBES)
    for name in (
        "healthy-generation-1",
        "healthy-generation-2",
        "seeds-seed-0-generation-1",
        "seeds-seed-1-generation-1",
    ):
        result.stdout.fnmatch_lines([f"*test_both[[]{name}] PASSED*"])


def test_fixtures_offer_every_finding_whatever_is_selected(pytester: pytest.Pytester, shelf: Path) -> None:
    pytester.makepyfile(
        test_mine="""
        def test_mine(generation):
            tail = generation["tail-mass"]
            assert tail.p_adjusted > 10 * tail.p_value
        """
    )
    result = audited(pytester, shelf / "collapsed", arguments=["test_mine.py", "-k", "test_mine or tail-mass"])
    result.assert_outcomes(passed=1, failed=1, deselected=PROBES - 1)
    result.stdout.fnmatch_lines(
        ["*p < .0003, the least that 3,996 permutations can show; Holm p = .0003; *"]
    )  # a family of one


def test_an_unknown_finding_is_a_key_error_that_names_the_known_ones(pytester: pytest.Pytester, shelf: Path) -> None:
    pytester.makepyfile(
        test_mine="""
        import pytest

        @pytest.mark.parametrize("name", ["diversity/distinct2", "diversity", "nothing"])
        def test_mine(generation, name):
            with pytest.raises(KeyError) as error:
                generation[name]
            assert f"no finding is called {name!r}" in error.value.args[0]
            assert "known: token-divergence/JS-excess, " in error.value.args[0]
            assert ("did you mean diversity/distinct-2?" in error.value.args[0]) == (name == "diversity/distinct2")
        """
    )
    audited(pytester, shelf / "collapsed", arguments=["test_mine.py", "-k", "test_mine"]).assert_outcomes(
        passed=3, deselected=PROBES
    )


OWN_FIXTURE = "import pytest\n@pytest.fixture\ndef lineage(): return 'mine'\n"
TEST_OF_IT = "def test_mine(lineage): assert lineage == 'mine'\n"


def test_a_projects_own_fixture_of_the_same_name_wins(pytester: pytest.Pytester, shelf: Path) -> None:
    pytester.makepyfile(
        test_module=OWN_FIXTURE + TEST_OF_IT,
        test_class="import pytest\nclass TestIt:\n    @pytest.fixture\n    def generation(self): return 1\n"
        "    def test_mine(self, generation, lineage): assert generation == 1 and lineage.name == 'tiny'\n",
        test_parameter="import pytest\n@pytest.mark.parametrize('baseline', ['mine'])\n"
        "def test_mine(baseline, generation): assert baseline == 'mine' and generation.index == 1\n",
    )
    audited(pytester, shelf / "tiny", arguments=[".", "-k", "test_mine"]).assert_outcomes(passed=3, deselected=PROBES)


@pytest.mark.parametrize("how", ["conftest", "plugin of a conftest", "-p"])
def test_a_projects_own_fixture_wins_wherever_it_is(pytester: pytest.Pytester, shelf: Path, how: str) -> None:
    pytester.syspathinsert()
    pytester.makepyfile(test_it=TEST_OF_IT, **{"conftest" if how == "conftest" else "their_plugin": OWN_FIXTURE})
    if how == "plugin of a conftest":
        pytester.makeconftest("pytest_plugins = ['their_plugin']")
    arguments = ["test_it.py", "-k", "test_mine", *(["-p", "their_plugin"] if how == "-p" else [])]
    audited(pytester, shelf / "tiny", arguments=arguments).assert_outcomes(passed=1, deselected=PROBES)


def test_a_fixture_that_is_asked_for_too_late_says_so(pytester: pytest.Pytester, shelf: Path) -> None:
    pytester.makepyfile(test_mine="def test_mine(request): request.getfixturevalue('lineage')")
    result = audited(pytester, shelf / "tiny", arguments=["test_mine.py", "-k", "test_mine"])
    result.assert_outcomes(failed=1, deselected=PROBES)
    result.stdout.fnmatch_lines(["*lineage, generation and baseline must be arguments of the test*"])


def test_a_fixture_over_text_that_cannot_be_read_is_an_error_without_a_traceback(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    broken = small_lineages.lineage(tmp_path / "broken", ["a"], ["b", {"text": 4}])
    pytester.makepyfile(test_mine="def test_mine(generation): pass")
    result = audited(pytester, broken, arguments=["test_mine.py", "-k", "test_mine"])
    result.assert_outcomes(errors=1, deselected=PROBES)
    result.stdout.fnmatch_lines(
        [f"{broken}/gen_1/holdout.jsonl:2: found text 4 (number); expected a string [[]bad-text]"]
    )
    assert "During handling" not in result.stdout.str()
    assert "pytest_fixtures.py" not in result.stdout.str()
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_without_an_audit_a_test_is_told_what_to_pass(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_mine="def test_mine(generation): pass\ndef test_other(nothing_of_ours): pass")
    result = pytester.runpytest(*ALONE, "test_mine.py")
    result.assert_outcomes(errors=2)
    said = "exist where an audit was asked for: pytest --collapse-audit LINEAGE"
    assert result.stdout.str().count(said) == 1
