"""Texts that are in memory already are audited as files are, and a slip of the pen is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collapse_audit import audit, compare
from collapse_audit.cli import main
from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.memory import in_memory
from collapse_audit.lineages.corpora.readers.fields import FIELDS
from collapse_audit.settings.config import Settings
from collapse_audit.settings.schema import setting_names

BEFORE = [f"the {a} {b} of number {n}" for n, (a, b) in enumerate((a, b) for a in "abcdefgh" for b in "stuvwxyz")]
AFTER = ["the same words again and again"] * len(BEFORE)


class Frame:
    """As pandas and polars offer a table: through Arrow's C stream, without any import of theirs."""

    columns = ("text",)

    def __init__(self, texts: list[str]) -> None:
        self.table = pa.table({"text": texts})

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


class Series:
    name = "answers"

    def __init__(self, texts: list[str]) -> None:
        self.values = pa.chunked_array([texts])

    def to_frame(self) -> Frame:
        raise AssertionError("nobody asked")

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.values.__arrow_c_stream__(requested_schema)


FORMS: dict[str, Any] = {
    "strings": lambda texts: texts,
    "records": lambda texts: [{"prompt": "p", "completion": text} for text in texts],
    "an Arrow table": lambda texts: pa.table({"text": texts}),
    "a frame": Frame,
    "a series": Series,
    "an iterator": lambda texts: iter(texts),
}


@pytest.mark.parametrize("form", FORMS)
def test_texts_in_memory_are_read(form: str) -> None:
    held = in_memory(FORMS[form](BEFORE), what="before")
    records = [record for block in held.blocks() for record in block.records]
    assert [record.get("text", record.get("completion")) for record in records] == BEFORE
    assert held.digest() != in_memory(FORMS[form](AFTER), what="before").digest()


def test_two_lists_are_audited_and_files_of_the_same_texts_get_the_same_verdict(tmp_path: Path) -> None:
    report = audit(before=BEFORE, after=AFTER, select="diversity")
    assert (report.verdict, report.lineage["name"]) == ("collapse", "before to after")
    paths = []
    for name, texts in (("before", BEFORE), ("after", AFTER)):
        paths.append(tmp_path / f"{name}.jsonl")
        paths[-1].write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    stored = audit(generations=paths, select="diversity")
    assert [finding.value for finding in stored.findings] == [finding.value for finding in report.findings]


def test_a_report_shows_itself_shortly_and_escapes_what_strangers_wrote() -> None:
    report = audit(before=BEFORE, after=AFTER, select="diversity")
    assert repr(report) == f"<AuditReport of before to after: {report.summary}>"
    shown = report._repr_html_()
    assert report.summary in shown
    assert "generation 1" in shown
    named = audit(generations=[BEFORE, AFTER], select="diversity", sets=['diversity.duplicates.reason="<b>"'])
    assert "<b>" not in named._repr_html_()


def test_two_reports_are_compared() -> None:
    good = audit(before=BEFORE, after=BEFORE[::-1], select="diversity", independent=True)
    bad = audit(before=BEFORE, after=AFTER, select="diversity", independent=True)
    assert compare(good, bad).exit_code == 1
    with pytest.raises(UsageError, match="one of the two is a report"):
        compare(good, "nowhere")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({}, "name one of", id="nothing"),
        pytest.param({"before": BEFORE}, "after is not given", id="one side"),
        pytest.param({"before": BEFORE, "after": AFTER, "generations": [BEFORE]}, "name one of", id="both ways"),
        pytest.param({"before": 5, "after": AFTER}, "before: int; allowed: a path, or a list", id="a number"),
        pytest.param({"before": [None], "after": AFTER}, "before: item 0 is a NoneType", id="a list of nothing"),
        pytest.param({"generations": [BEFORE]}, "nothing to compare it with", id="one corpus"),
        pytest.param(
            {"before": BEFORE, "after": AFTER, "labels": "field"}, "no record has a", id="labels that are not there"
        ),
        pytest.param(
            {"before": BEFORE, "after": AFTER, "select": "diversty"}, "did you mean diversity", id="a slip in select"
        ),
        pytest.param(
            {"before": BEFORE, "after": AFTER, "generation": "1-9"}, "no generation 9; it has 0, 1", id="a range"
        ),
        pytest.param(
            {"before": BEFORE, "after": AFTER, "baseline": "reference"}, "has no reference", id="no reference"
        ),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        audit(**arguments)


def test_every_setting_is_a_typed_keyword() -> None:
    assert set(Settings.__annotations__) == {*setting_names(), *FIELDS} - {"fields", "probes", "waivers"}


def test_an_unknown_option_is_answered_with_a_known_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["runs/latest", "--genration", "1"])
    assert ended.value.code == 4
    assert capsys.readouterr().err.endswith("unrecognized arguments: --genration 1; did you mean --generation?\n")


def test_arrays_of_arrow_and_columns_by_name_are_texts() -> None:
    texts = ["one", "two"]
    held = [pa.array(texts), pa.chunked_array([texts]), {"text": texts, "id": ["a", "b"]}]
    read = [[record["text"] for block in in_memory(x, what="x").blocks() for record in block.records] for x in held]
    assert read == [texts] * 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"train": object()}, "x: a dict (keys: train); allowed: lists by name, or one of its parts: x[key]"),
        ({"text": ["a"], "id": []}, "x: columns of different lengths (0, 1)"),
    ],
)
def test_what_is_no_table_says_what_to_pass(given: object, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        in_memory(given, what="x")
    assert str(caught.value) == said


def test_an_argument_that_is_misspelt_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError, match=r"^unknown argument 'genration'; did you mean generation\?$"):
        audit(before=["a"], after=["b"], genration="1")  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="select= takes names of probes"):
        audit(before=["a"], after=["b"], probes=["diversity"])  # type: ignore[list-item]
