"""``-k EXPR``: against Python's own ``and``, ``or`` and ``not``, and what it says of what it cannot read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.errors import UsageError
from collapse_audit.settings.keyword import keyword, names_in

NAMES = ("diversity", "label", "ca101", "generation-1", "tail-mass")
TEXTS = (
    "diversity CA302 generation-1",
    "label-coverage CA203 generation-10",
    "token-divergence CA101 seed-0-generation-2",
    "tail-mass CA201 generation-1",
)

expressions = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: st.one_of(
        inner.map(lambda one: f"not {one}"),
        inner.map(lambda one: f"({one})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
    ),
    max_leaves=12,
)


def by_python(expression: str, text: str) -> bool:
    """The expression as Python reads it, each name replaced by whether the text contains it."""
    tokens = expression.replace("(", " ( ").replace(")", " ) ").split()
    grammar = {"and", "or", "not", "(", ")"}
    return bool(eval(" ".join(t if t in grammar else str(t in text.lower()) for t in tokens)))


@given(expressions)
def test_expressions_mean_what_they_mean_in_python(expression: str) -> None:
    match = keyword(expression)
    for text in TEXTS:
        assert match(text) == by_python(expression, text)


def test_a_name_matches_where_it_is_contained_whatever_the_case() -> None:
    assert keyword("DIV")("diversity CA302 generation-1")
    assert keyword("ca302")("diversity CA302 generation-1")
    assert not keyword("diversities")("diversity CA302 generation-1")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "-k needs an expression, such as 'diversity or label-coverage'"),
        ("   ", "-k needs an expression, such as 'diversity or label-coverage'"),
        ("a b", "-k 'a b': unexpected 'b'; allowed: names, and, or, not, ( )"),
        ("a and", "-k 'a and': a name is missing at its end; allowed: names, and, or, not, ( )"),
        ("or a", "-k 'or a': a name is missing before 'or'; allowed: names, and, or, not, ( )"),
        ("(a", "-k '(a': a ) is missing; allowed: names, and, or, not, ( )"),
        ("a)", "-k 'a)': unexpected ')'; allowed: names, and, or, not, ( )"),
        ("not", "-k 'not': a name is missing at its end; allowed: names, and, or, not, ( )"),
        ("()", "-k '()': a name is missing before ')'; allowed: names, and, or, not, ( )"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(expression: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        keyword(expression)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("expression", "asked_for"),
    [
        ("diversity", {"diversity"}),
        ("Diversity or CA101", {"diversity", "ca101"}),
        ("not perplexity", set()),
        ("diversity and not perplexity", {"diversity"}),
        ("not (perplexity or label-coverage)", set()),
        ("not (perplexity and not diversity)", {"diversity"}),
        ("not not perplexity", {"perplexity"}),
        ("(not a) and b", {"b"}),
    ],
)
def test_names_are_asked_for_unless_a_not_excludes_them(expression: str, asked_for: set[str]) -> None:
    assert names_in(expression) == asked_for


@given(st.text("ab()notr ", max_size=30))
def test_asking_for_names_never_breaks_on_an_expression_that_pytest_will_refuse(expression: str) -> None:
    names_in(expression)
