"""Single steps against what they come to by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from collapse_audit.lineages.preparation.encode import Feature
from collapse_audit.lineages.preparation.impute import impute
from collapse_audit.lineages.preparation.labels import cell_categories
from collapse_audit.lineages.preparation.sentences import sentence_parts
from tests.preparation.tables import prepared, records, report, write

FIGURE_1 = (  # Bobrova et al., fig. 1
    "В правой доле щитовидной железы в в/3-ср/3 по передней поверхности определяется вертикально ориентированное "
    "образование неоднородной структуры, умеренно пониженной экзогенности с четкими контурами, при ЦДК "
    "-умеренный смешанный тип кровотока, размерами: 0,3x0,3x0,4 см. EU-TIRADS 4 В правой доле в н/3 определяется "
    "образование "
    "средней экзогенности, овальной формы с четкими, ровными контурами, при ЦДК-умеренный преимущественно "
    "перинодулярный тип кровотока, размерами: 0,9x0,8x0,7 см. EU-TIRADS 3 В левой доле в ср/3-н/3 определяется "
    "образование средней экзогенности с участком умеренно пониженной экзогенности, овальной формы, контуры четкие, "
    "ровные, при ЦДК умеренный смешанный тип кровотока, размерами: 1,7x1,5x2,4 см. EU-TIRADS 3 Дополнительные данные в "
    "правой доле в в/3 "
    "определяется изоэхогенная зона с кальцинированной капсулой d= 0,2 см."
)


def test_the_papers_figure_1_is_three_nodules_each_with_its_category() -> None:
    parts = sentence_parts(FIGURE_1)
    assert [part.strip()[-11:] for part in parts[:2]] == ["EU-TIRADS 4", "EU-TIRADS 3"]
    assert [part.split()[1] for part in parts] == ["правой", "правой", "левой"]
    assert parts[2].startswith("В левой доле") and parts[2].endswith("d= 0,2 см.")  # noqa: PT018


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Узел (EU-TIRADS 3-4).", 1),
        ("Узел EU-TIRADS 3. Второй узел EU-TIRADS 3.", 2),
        ("Узел EU-TIRADS 3 и 4", 1),
        ("Узел. EU-TIRADS\n4\nКиста EU-TIRADS 2", 2),
        ("Без узлов.", 1),
        ("", 1),
    ],
)
def test_a_text_is_taken_apart_where_sentences_name_categories(text: str, count: int) -> None:
    assert len(sentence_parts(text)) == count


@pytest.mark.parametrize(
    ("cell", "numbers"),
    [
        ("4", "4"),
        ("IV", "4"),
        ("4а", "4"),
        ("3-4", "34"),
        ("категория 2", "2"),
        ("EU TIRADS: 5", "5"),
        ("0", ""),
        ("6", ""),
        ("3.0", "3"),
        ("4,0", "4"),
        ("3; 4", "34"),
        ("EU-TIRADS 3; EU-TIRADS 5", "35"),
        ("4.05", ""),
        ("04.05.2020", ""),
    ],
)
def test_a_label_is_read_in_every_form(cell: str, numbers: str) -> None:
    assert cell_categories(cell) == tuple(f"EU-TIRADS {number}" for number in numbers)


def test_labels_that_are_no_tirads_are_spelled_as_most_rows_spell_them(tmp_path: Path) -> None:
    kinds = ["Киста", "киста ", "Киста", "Узел", "УЗЕЛ", "Узел"]
    rows = [{"text": f"Запись номер {at}.", "label": kinds[at % 6], "patient": str(at)} for at in range(60)]
    made = prepared(write(tmp_path / "table.csv", rows))
    assert made.rule == "field"
    assert made.codes == {"Киста": 0, "Узел": 1}
    assert {tuple(record["labels"]) for record in records(made)} == {("Киста",), ("Узел",)}


def feature(values: list[float], kind: str = "number", categories: tuple[str, ...] = ()) -> Feature:
    array = np.array(values)
    return Feature(name=kind, kind=kind, values=array, gaps=np.isnan(array), categories=categories)


NAN = float("nan")
TRAINING = np.array([True, True, True, True, True, False, False])
NUMBERS = feature([1, 2, 2, 9, NAN, NAN, 1000])  # of the training rows: median 2, most frequent 2
COLOURS = feature([0, 1, 1, 0, 1, NAN, 0], "category", ("a", "b"))


@pytest.mark.parametrize(("strategy", "number", "colour"), [("median", 2, 1), ("mode", 2, 1), ("constant", -1, 2)])
def test_what_is_missing_is_filled_from_the_training_rows_alone(strategy: str, number: float, colour: float) -> None:
    numbers, colours = impute([NUMBERS, COLOURS], TRAINING, strategy=strategy, fill=-1)
    assert numbers.values.tolist() == [1, 2, 2, 9, number, number, 1000]
    assert colours.values.tolist() == [0, 1, 1, 0, 1, colour, 0]
    assert colours.categories == (("a", "b", "missing") if strategy == "constant" else ("a", "b"))


def test_a_prediction_is_the_mean_of_the_five_nearest_and_the_category_of_most_of_them() -> None:
    """Ten rows of kind a near 10, ten of kind b near 50: who is of kind b is near 50, and the other way round."""
    size = feature([10.0 + at % 5 for at in range(10)] + [50.0 + at % 5 for at in range(10)] + [NAN, 52.0])
    kind = feature([0.0] * 10 + [1.0] * 10 + [1.0, NAN], "category", ("a", "b"))
    training = np.array([True] * 20 + [False] * 2)
    sizes, kinds = impute([size, kind], training, strategy="predicted")
    assert 50 <= sizes.values[20] <= 54
    assert kinds.values[21] == 1
    assert sizes.values[:20].tolist() == size.values[:20].tolist()


def test_rows_with_a_gap_are_dropped_where_that_is_asked_for(tmp_path: Path) -> None:
    rows = [report(number, age="" if number in (5, 9) else "40") for number in range(1, 61)]
    made = prepared(write(tmp_path / "table.csv", rows), missing="drop")
    assert [(e.row, e.reason) for e in made.ledger.entries] == [(6, "missing-value"), (10, "missing-value")]
    assert not any("imputed" in record for record in records(made))
