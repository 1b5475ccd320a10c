"""The door for files that strangers wrote: what it lets in, every later step can hold; the rest is one message."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineages.files.door import (
    Limits,
    Refused,
    limits,
    parse_json,
    parse_toml,
    read_bytes,
    reading,
    stay_inside,
)

texts = st.text(st.characters(codec="utf-8"))
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
)


@given(plain)
def test_what_every_program_writes_is_let_in_unchanged(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1" + "0" * 400, "a whole number of 401 digits, more than 64 bits hold"),
        (str(2**63), "a whole number of 19 digits"),
        ("-" + "9" * 5000, "a whole number of 5000 digits"),
        ("1e999", "the number 1e999, which is beyond what a double holds"),
        ("NaN", "NaN, which is no number in JSON"),
        ("[-Infinity]", "-Infinity, which is no number in JSON"),
        ('"\\ud800"', "half of a surrogate pair"),
        ('{"\\udfff": 1}', "half of a surrogate pair"),
        ("[" * 100 + "]" * 100, "values nested more than 64 deep"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested"),
    ],
)
def test_what_nothing_behind_it_can_hold_is_refused(text: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_json(text)
    assert told in str(refused.value)


def test_a_whole_pair_of_surrogates_is_a_character() -> None:
    assert parse_json('"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = 0x" + "f" * 40, "a whole number of more than 64 bits"),
        ("a = " + "1" * 5000, "a number that cannot be held"),
        ("a = " + "[" * 5000 + "]" * 5000, "nested"),
        ("a = " + "[" * 80 + "]" * 80, "values nested more than 64 deep"),
        (".".join("a" * 200_000) + " = 1", "more than 100,000 keys"),
    ],
)
def test_settings_that_are_made_to_break_a_parser_are_refused(text: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_toml(text)
    assert told in str(refused.value)


def test_toml_that_is_none_says_so_as_ever() -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        parse_toml("a b")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused, match="neither a file nor a folder, but a device or a pipe"):
        read_bytes(tmp_path / "pipe", most=10)
    with pytest.raises(Refused, match="neither a file nor a folder, but a device or a pipe"):
        read_bytes(Path(os.devnull), most=10)


def test_a_file_beyond_its_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "ten").write_bytes(b"0123456789")
    assert read_bytes(tmp_path / "ten", most=10) == b"0123456789"
    with pytest.raises(Refused, match="a file of more than 9 bytes"):
        read_bytes(tmp_path / "ten", most=9)


def test_links_stay_inside_their_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "own").write_text("x")
    (tmp_path / "secret").write_text("x")
    (inside / "link").symlink_to("own")
    (inside / "out").symlink_to(tmp_path / "secret")
    (inside / "zero").symlink_to("/dev/zero")
    stay_inside(inside / "own", inside)
    stay_inside(inside / "link", inside)
    stay_inside(inside / "nothing", inside)
    for name in ("out", "zero"):
        with pytest.raises(Refused, match=f"{name}, a link to a place outside the folder"):
            stay_inside(inside / name, inside)


@pytest.mark.parametrize("error", [ValueError("x"), OverflowError("x"), RecursionError(), MemoryError(), KeyError("k")])
def test_whatever_a_parser_raises_is_one_message_that_names_the_file(error: Exception) -> None:
    with pytest.raises(InputError, match=r"gen_1/x\.bin: found .*; expected an x"), reading("gen_1/x.bin", "an x", "x"):
        raise error


def test_a_message_that_is_worded_already_stays_as_it_is() -> None:
    with pytest.raises(UsageError, match="mine"), reading("f", "x", "x"):
        raise UsageError("mine")


def test_limits_are_raised_by_the_user_alone() -> None:
    assert limits("") == Limits()
    assert limits("line=1e9, generations=500") == Limits(line=10**9, generations=500)
    for wrong in ("lines=3", "line", "line=-1", "line=x", "line=nan"):
        with pytest.raises(UsageError, match="expected NAME=NUMBER, NAME one of"):
            limits(wrong)
