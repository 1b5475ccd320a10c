"""Every error has a slug, and every slug a remedy."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from slugs_in_source import ROOT, slugs, trees

from collapse_audit.cli import main
from collapse_audit.commands.messages import MESSAGES, message
from collapse_audit.lineages.corpora.readers.records import check_record

TOLD = [slug for errors in MESSAGES.values() for slug in errors]
OF_FIELDS = {slug for field in ("id", "group", "prompt", "label") for slug in [f"bad-{field}"]}
"""Made of a field's name, where the source has only ``bad-{name}``."""


def test_the_table_has_every_slug_of_the_source_and_no_other() -> None:
    raised = slugs(trees())
    missing = {slug: place for slug, place in raised.items() if slug not in TOLD}
    assert not missing, "audit/commands/messages.py lacks these"
    assert set(TOLD) - set(raised) == OF_FIELDS
    assert len(TOLD) == len(set(TOLD))


@pytest.mark.parametrize("field", ["text", "id", "group", "prompt", "label"])
def test_slugs_that_are_made_of_a_field_are_raised(field: str) -> None:
    (complaint,) = check_record({"text": "words", field: 1.5})
    assert complaint[-1] == f"bad-{field}"


def test_only_that_one_slug_is_put_together() -> None:
    made = [
        node
        for module in trees().values()
        for node in ast.walk(module)
        if isinstance(node, ast.JoinedStr) and ast.unparse(node).startswith(("f'bad-", 'f"bad-'))
    ]
    assert len(made) == 1


@pytest.mark.parametrize("code", ['raise InputError([problem("f", "a", "b", "new-one")])', 'slug = "new-one"'])
def test_a_slug_without_a_remedy_would_be_found(code: str) -> None:
    helper = 'def problem(where, found, expected, slug):\n    """A problem."""\n'
    assert "new-one" in slugs({ROOT / "audit" / "made_up.py": ast.parse(helper + code)})


@pytest.mark.parametrize("slug", TOLD)
def test_a_remedy_is_one_short_line(slug: str) -> None:
    section = next(errors for errors in MESSAGES.values() if slug in errors)
    for text in section[slug]:
        assert 0 < len(text) <= 110
        assert "\n" not in text
        assert not text.endswith(".")
    assert re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", slug)


def test_explain_takes_a_slug(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "broken-json"]) == 0
    shown = capsys.readouterr().out
    assert shown == message("broken-json")
    assert "write one JSON object a line" in shown


def test_a_probe_comes_before_an_error_of_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from collapse_audit import probe\n\n"
        '@probe(name="memory", unit="share", worse="higher", margin=0.1)\n'
        'def memory(pair):\n    """Do texts remember?"""\n    return pair.mean_rise(len)\n'
    )
    assert main(["explain", "memory", "--probes", str(file)]) == 0
    assert "Do texts remember?" in capsys.readouterr().out
