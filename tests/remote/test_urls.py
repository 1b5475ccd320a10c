"""What is taken as a URL, and what of one is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.errors import InputError
from collapse_audit.lineages.files.urls import is_url, parse_url, redacted, shown_url


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("https://h/a.jsonl", True),
        ("s3://b/a/*.parquet", True),
        ("ftp://h/a.jsonl", True),
        ("file:///etc/passwd", True),
        ("https:/h/a.jsonl", True),
        ("C:/texts/a.jsonl", False),
        ("runs/a.jsonl", False),
        ("a:b.jsonl", False),
        ("2024-01-01T10:00/a.jsonl", False),
    ],
)
def test_a_url_is_known_by_its_beginning(name: str, answer: bool) -> None:
    assert is_url(name) is answer


@pytest.mark.parametrize(
    "name",
    [
        *("ftp://h/a.jsonl", "file:///etc/passwd", "memory://a/b.jsonl", "zip://a.jsonl::https://h/b.zip"),
        *("https:/h/a.jsonl", "https:///a.jsonl", "https://h:port/a.jsonl", "https://h:99999/a.jsonl"),
        *("https://h/a b.jsonl", "https://h/a\n.jsonl", "s3:///a.jsonl", "s3://key:word@bucket/a.jsonl"),
        *("simplecache::s3://b/a.jsonl", "s3://b/a.jsonl::zip://c"),
    ],
)
def test_what_is_no_url_that_is_read_is_refused(name: str) -> None:
    if name.startswith("simplecache"):
        assert not is_url(name)  # and no such file is there
        return
    with pytest.raises(InputError, match=r"\[bad-url\]") as refused:
        parse_url(name)
    assert "word" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "https://h/a.jsonl",
            "http://127.0.0.1:80/a.jsonl",
            "https://[::1]:8080/a.jsonl",
            "https://bücher.example/a.jsonl",
        ),
        *("s3://arn:aws:s3:eu-west-1:1:accesspoint/texts/a.jsonl", "hf://datasets/me/texts@main/a.jsonl"),
        *("gs://bucket_1.example/a.jsonl", "S3://Bucket/a.jsonl"),
    ],
)
def test_urls_that_are_read_are_let_in(name: str) -> None:
    assert parse_url(name).name == "a.jsonl"


def test_credentials_are_not_shown() -> None:
    url = parse_url("HTTPS://user:geheim@host:8080/a%20b/c.jsonl?token=geheim#geheim")
    assert url.shown == "https://host:8080/a%20b/c.jsonl"
    assert url.name == "c.jsonl"
    assert url.host == "host:8080"
    assert "geheim" not in repr(url) + url.identity
    assert url.full == "https://user:geheim@host:8080/a%20b/c.jsonl?token=geheim"


def test_two_queries_are_two_files() -> None:
    one, other = (parse_url(f"https://h/a.jsonl?version={number}").identity for number in (1, 2))
    assert one != other
    assert parse_url("https://h/a.jsonl").identity == "https://h/a.jsonl"


secrets = st.text("abcdefghijklmnopqrstuvwxyz0123456789%&=+:/?@-_.~", min_size=4).map(lambda text: f"SECRET{text}")


@given(query=secrets, scheme=st.sampled_from(["https", "http", "ftp", "HTTPS"]))
def test_no_query_and_no_password_is_left_in_a_message(query: str, scheme: str) -> None:
    password = query.translate({ord(mark): "x" for mark in "/?#@"})
    text = f"cannot read {scheme}://user:{password}@host/a.jsonl?sig={query}, and 'https://h/b?{query}'"
    assert "SECRET" not in redacted(text)
    assert "SECRET" not in shown_url(f"{scheme}://user:{password}@host/a.jsonl?sig={query}")


def test_a_set_of_shards_lies_beside_its_first_with_the_same_query() -> None:
    url = parse_url("https://u:p@h/x/a-00000-of-00002.jsonl?k=a-00000-of-00002.jsonl")
    other = url.beside("a-00001-of-00002.jsonl")
    assert other.full == "https://u:p@h/x/a-00001-of-00002.jsonl?k=a-00000-of-00002.jsonl"
    assert other.shown == "https://h/x/a-00001-of-00002.jsonl"


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("https://h/a.jsonl?x=*", False),
        ("https://h/*.jsonl", True),
        ("https://[::1]/a.jsonl", False),
        ("s3://b/gen_?.jsonl", True),
        ("s3://b/gen_[12].jsonl", True),
        ("gs://b/gen_1.jsonl", False),
    ],
)
def test_a_pattern_is_one_where_the_scheme_has_patterns(name: str, pattern: bool) -> None:
    assert parse_url(name).is_pattern is pattern
