"""Digests against published values and by hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from collapse_audit.lineages.files.digest import canonical_json, file_digest, json_digest

# FIPS 180-2, appendix B.1 (the message "abc"); NIST CAVP, SHA256ShortMsg, Len = 0 (the empty message).
ABC = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(("data", "digest"), [(b"abc", ABC), (b"", EMPTY)])
def test_a_file_has_the_published_digest_of_its_bytes(tmp_path: Path, data: bytes, digest: str) -> None:
    (tmp_path / "a").write_bytes(data)
    assert file_digest(tmp_path / "a") == digest


def test_equal_values_have_one_spelling() -> None:
    assert canonical_json({"b": [1, None, "Узел"], "a": {"d": 0.1, "c": True}}) == (
        '{"a":{"c":true,"d":0.1},"b":[1,null,"Узел"]}'.encode()
    )
    assert json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1}) != json_digest({"a": 2, "b": 1})


def test_dates_of_toml_and_names_that_are_no_unicode_have_digests_too() -> None:
    assert canonical_json({"d": dt.date(2026, 1, 2)}) == b'{"d":"2026-01-02"}'
    assert canonical_json("\udcff") == b'"\xed\xb3\xbf"'  # how a file name that is not UTF-8 reaches Python
