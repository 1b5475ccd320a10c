"""Labels of documents: from the records' field, from EU-TIRADS mentions, or from a pattern."""

from __future__ import annotations

import pyarrow as pa
import pytest
from builders import sample

from collapse_audit.errors import UsageError
from collapse_audit.probes.text.eu_tirads import CATEGORIES, UNLABELLED_MENTION
from collapse_audit.probes.text.labels import EU_TIRADS, LabelRule, Labels, label_rule


def rule(name: str, **details: tuple[str, ...]) -> LabelRule:
    found = label_rule(name, **details)
    assert found is not None
    return found


def carried(labels: Labels) -> list[set[str]]:
    return [{name for name, has in zip(labels.names, row, strict=True) if has} for row in labels.carried.toarray()]


def of_texts(name: str, *texts: str) -> list[set[str]]:
    return carried(rule(name).apply(pa.array(texts), None))


def test_the_field_of_the_records_is_read_as_it_stands() -> None:
    marked = sample(["a", "b", "c", "d"], labels=[["x", "y"], ["y"], [], None])
    labels = marked.labels(rule("field"))
    assert labels.names == ("x", "y")
    assert carried(labels) == [{"x", "y"}, {"y"}, set(), set()]
    assert labels.categories == ("x", "y")
    assert labels.carried.shape == (4, 2)


def test_a_label_given_twice_counts_once() -> None:
    assert carried(sample(["a"], labels=[["x", "x"]]).labels(rule("field"))) == [{"x"}]


def test_records_without_a_field_carry_no_label() -> None:
    labels = sample(["a", "b"]).labels(rule("field"))
    assert labels.carried.shape == (2, 0)
    assert labels.names == ()


def test_the_declared_classes_are_categories_even_if_nobody_carries_them() -> None:
    labels = sample(["a"], labels=[["x"]]).labels(rule("field", classes=("x", "y")))
    assert labels.names == ("x", "y")
    assert labels.categories == ("x", "y")


def test_a_mention_without_a_number_is_a_label_but_no_category() -> None:
    labels = EU_TIRADS.apply(pa.array(["EU-TIRADS 4", "EU-TIRADS", "no system"]), None)
    assert carried(labels) == [{"EU-TIRADS 4"}, {UNLABELLED_MENTION}, set()]
    assert set(labels.categories) == set(CATEGORIES)
    assert set(labels.names) == {*CATEGORIES, UNLABELLED_MENTION}


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"grade \d", "grade 1, then grade 2", {"grade 1", "grade 2"}),
        (r"grade (\d)", "grade 1, then grade 2, grade 1", {"1", "2"}),
        (r"(a)(b)", "ab", {"a"}),
        (r"x|(y)", "x y", {"y"}),  # a group that took no part is no label
        (r"z*", "abc", set()),  # nor is an empty match
        (r"(?i)sure", "SURE sure", {"SURE", "sure"}),
        (r"zzz", "abc", set()),
    ],
)
def test_a_pattern_labels_with_its_first_group_or_its_whole_match(pattern: str, text: str, expected: set[str]) -> None:
    assert of_texts(f"regex:{pattern}", text) == [expected]


def test_a_rule_is_applied_once_a_sample() -> None:
    calls = []

    def extract(text: str) -> list[str]:
        calls.append(text)
        return ["x"]

    mine = LabelRule(name="counted", extract=extract)
    marked = sample(["a", "b"])
    assert marked.labels(mine) is marked.labels(mine)
    assert calls == ["a", "b"]


def test_no_rule_is_none() -> None:
    assert label_rule("none") is None


@pytest.mark.parametrize("name", ["", "auto", "eu_tirads", "Field", "regexp:x"])
def test_an_unknown_rule_is_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(UsageError, match="allowed: auto, eu-tirads, field, regex:PATTERN, none"):
        label_rule(name)


def test_a_broken_pattern_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="not a regular expression"):
        label_rule("regex:(unclosed")
