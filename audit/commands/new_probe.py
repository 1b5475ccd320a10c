"""``collapse-audit new-probe NAME``: a probe to begin with, that runs at once.

In a checkout of collapse-audit it writes a built-in probe, its line in the registry and its test; anywhere else a file
for ``--probes``. Its body is an example, letters a word: replace it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from collapse_audit.atomic import write_text
from collapse_audit.commands.console import Parser, write
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode
from collapse_audit.version import __version__

_REGISTRY = Path("probes") / "registry.py"
_EXAMPLE = """\
    words = text.split()
    return sum(map(len, words)) / max(len(words), 1)
"""
_SECTIONS = '''\
    """{question}?

    What it measures
        Letters of a word, mean over the words of a text.

    Formula and unit
        sum of letters / number of words of a text, 0 where it has none; mean over texts; rise against the baseline.

    Why it signals collapse
        Say what a collapsing model does to it.

    When it misleads
        Say what else moves it.

    Needs
        Text.
    """
'''
_BUILT_IN = (
    '''\
"""{code}: {question_lower}?"""

from __future__ import annotations

from collapse_audit.probes.types import text_probe


@text_probe(
    name="{name}",
    code="{code}",
    unit="letters",
    worse="higher",
    margin=0.25,
    because="say in a sentence why a change of this size matters",
    source="say whose idea it is, with a doi",
    since="{since}",
    exempt={{"renaming-words": "it reads the letters of a word, and another word has others"}},
)
def {function}(text: str) -> float:
'''
    + _SECTIONS
    + _EXAMPLE
)
_OWN = (
    """\
from collapse_audit import text_probe


@text_probe(name="{name}", unit="letters", worse="higher", margin=0.25, because="say why a change of this size matters")
def {function}(text):
"""
    + _SECTIONS
    + _EXAMPLE
)
_TEST = '''\
"""{code} on texts counted by hand."""

from __future__ import annotations

import pytest
from builders import estimate, pair

from collapse_audit.probes.{function} import {function}


def test_a_rise_is_that_of_the_means_counted_by_hand() -> None:
    """Words of 1 and 3 letters: 2 a text. Words of 2 and 4: 3 a text. The rise is 1."""
    found = estimate({function}, pair(["a bcd"] * 20, ["ab cdef"] * 20))
    assert found.value == pytest.approx(1.0)
    assert found.p_value is not None
    assert found.p_value < 0.05


def test_more_damage_is_never_better() -> None:
    """None, half and all of the texts damaged."""
    baseline, damaged = ["a bcd"] * 20, ["ab cdef"] * 20
    sides = (baseline, damaged[:10] + baseline[10:], damaged)
    values = [estimate({function}, pair(baseline, side)).value for side in sides]
    assert values == sorted(values)
    assert values[-1] > values[0]


def test_a_text_without_a_word_has_none() -> None:
    assert estimate({function}, pair(["a"] * 20, [""] * 20)).value == pytest.approx(-1.0)
'''


def new_probe_parser() -> Parser:
    """The parser of ``collapse-audit new-probe``."""
    parser = Parser(
        prog="collapse-audit new-probe",
        description="Write a probe to begin with: built in, in a checkout of collapse-audit, else a file of yours.",
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", help="what reports call it: lower case, with hyphens")
    return parser


def new_probe(argv: Sequence[str]) -> int:
    """Run the command in the working directory; the exit code. Raises UsageError and writes nothing, or all."""
    name = new_probe_parser().parse_args(argv).name
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name):
        raise UsageError(f"NAME {name!r}: expected lower-case words with hyphens, such as mean-word-length")
    from collapse_audit.probes.registry import DATA, NUMERIC, all_probes

    taken = next((probe for probe in all_probes() if probe.name == name), None)
    if taken is not None:
        raise UsageError(f"NAME {name!r}: there is a probe of that name ({taken.code}); choose another")
    words = {
        "name": name,
        "function": name.replace("-", "_"),
        "question": f"Has the {name.replace('-', ' ')} changed",
        "question_lower": f"has the {name.replace('-', ' ')} changed",
        "since": ".".join(__version__.split(".")[:2]),
        "code": _free_code([probe.code for probe in (*all_probes(), *NUMERIC, *DATA)]),
    }
    files = _built_in(words) if _REGISTRY.is_file() and "BUILTIN" in _REGISTRY.read_text("utf-8") else _own(words)
    for path in files:
        if path != _REGISTRY and path.exists():
            raise UsageError(f"{path} is there already; nothing was written")
    for path, text in files.items():
        write_text(path, text)
    write("".join(f"wrote {path}\n" for path in files))
    write(_next(files, name))
    return ExitCode.PASS


def _free_code(codes: Sequence[str]) -> str:
    """The first code of the hundred after the highest."""
    highest = max(int(code[2:]) for code in codes if re.fullmatch(r"CA\d{3}", code))
    return f"CA{highest // 100 + 1}01"


def _built_in(words: dict[str, str]) -> dict[Path, str]:
    """The probe, the registry with two more lines, and the test."""
    function = words["function"]
    registry = _REGISTRY.read_text("utf-8")
    imports = re.findall(r"^from collapse_audit\.probes\.\w+ import \w+\n", registry, re.MULTILINE)
    line = f"from collapse_audit.probes.{function} import {function}\n"
    after = max((each for each in imports if each < line), default=imports[0])
    registry = registry.replace(after, after + line, 1)
    registry = re.sub(r"(BUILTIN: tuple\[Probe, \.\.\.\] = \(\n(?:    \w+,\n)+)", rf"\g<1>    {function},\n", registry)
    return {
        Path("probes") / f"{function}.py": _BUILT_IN.format(**words),
        _REGISTRY: registry,
        Path("tests") / "probes" / f"test_{function}.py": _TEST.format(**words),
    }


def _own(words: dict[str, str]) -> dict[Path, str]:
    return {Path(f"{words['function']}.py"): _OWN.format(**words)}


def _next(files: dict[Path, str], name: str) -> str:
    if _REGISTRY in files:
        return f"next: write its body, then pytest tests/probes tests/laws -k {name.replace('-', '_')}\n"
    (file,) = files
    return f"next: write its body, then collapse-audit LINEAGE --probes {file} -k {name} -v\n"
