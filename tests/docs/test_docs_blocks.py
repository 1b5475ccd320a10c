"""Every block of README, CONTRIBUTING and the docs is run, and prints what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import workplace
from docs.blocks import ROOT, WrongError, blocks, run

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
    )
    if "```" in path.read_text("utf-8")
)


@pytest.fixture(scope="session")
def shelf_of_readers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has, made once; every page gets a copy."""
    return workplace.make(tmp_path_factory.mktemp("reader"))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, shelf_of_readers: Path, tmp_path: Path) -> None:
    place = workplace.copy(shelf_of_readers, tmp_path / "place")
    text = (ROOT / page).read_text("utf-8")
    assert run(text, place, name=page) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("```\nls\n```\n", "does not say what the block is"),
        ("```sh\nfalse\n```\n", "exit code 1"),
        ("```sh\ncollapse-audit nowhere\ntrue\n```\n", "exit code 4"),
        ("```console\n$ echo 2\n3\n```\n", "prints\n2"),
        ("```console\n$ echo 2\n```\n", "prints\n2"),
        ("```console\n$ true\nmore\n```\n", "not what stands in the page"),
        ("```console\nls\n```\n", "begins with a command"),
        ("```console\n$ exit 3\n$ echo 2\n2\n```\n", "ended early"),
        ("```text\ncollapse-audit runs\n```\n", "nobody runs"),
        ("```toml\na = \n```\n", "no toml"),
        ("```yaml\na: [\n```\n", "no yaml"),
        ("<!-- not-run: long -->\n```sh\ncollapse-audit runs --no-such-option\n```\n", "no such command line"),
        ("<!-- not-run: long -->\n```sh\nx | collapse-lineage simulat x > y\n```\n", "no such command line"),
        ("<!-- not-run: long -->\n```sh\nif\n```\n", "exit code 2"),
        ("<!-- main-command -->\n```sh\n.venv/bin/collapse-audit --nothing x && true\n```\n", "no such command line"),
        ("```python\nraise SystemExit(7)\n```\n", "exit code 7"),
    ],
)
def test_a_page_that_is_wrong_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(WrongError) as caught:
        run(f"# Title\n\n{text}", tmp_path, name="page.md")
    assert words in str(caught.value)
    assert str(caught.value).startswith("page.md:")


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ echo 2; exit_code() { return 3; }; exit_code\n2\n$ echo $?\n3\n```\n",
        "```console\n$ seq 5\n1\n…\n5\n```\n",
        "```console\n$ echo it took 3.2 s\nit took … s\n```\n",
        "```console\n$ echo a \\\n>   b\na b\n```\n",
        "<!-- file: a/b.txt -->\n```text\nwords\n```\n\n```console\n$ cat a/b.txt\nwords\n```\n",
        "<!-- setup: echo 5 > five -->\n```console\n$ cat five\n5\n```\n",
        "<!-- not-run: long -->\n```sh\ncollapse-audit runs --seed 3 -q && rm -rf / | tee x\n```\n",
        "<!-- main-command -->\n```sh\ntrue && .venv/bin/collapse-audit runs\n```\n",
        "1. First\n\n   ```sh\n   true\n   ```\n",
    ],
)
def test_a_page_that_is_right_stays_as_it_is(text: str, tmp_path: Path) -> None:
    assert run(text, tmp_path) == text


def test_update_puts_in_what_is_printed_and_keeps_what_matches(tmp_path: Path) -> None:
    page = "```console\n$ seq 3\n9\n$ seq 4\n1\n…\n4\n```\n\n```console\n$ echo\n$ echo 7\n```\n"
    wanted = "```console\n$ seq 3\n1\n2\n3\n$ seq 4\n1\n…\n4\n```\n\n```console\n$ echo\n$ echo 7\n7\n```\n"
    assert run(page, tmp_path, update=True) == wanted


def test_marks_belong_to_the_next_block_only() -> None:
    first, second = blocks("<!-- not-run: x -->\n<!-- file: f -->\n```sh\na\n```\n\nwords\n\n```sh\nb\n```\n")
    assert (first.marks, second.marks) == ({"not-run": "x", "file": "f"}, {})
    assert (first.line, second.line) == (4, 10)
