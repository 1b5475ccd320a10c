"""The site builds without a warning, asks nobody for anything, and its generated pages are those of the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from collapse_audit.probes.registry import BUILTIN
from docs import generate

ROOT = Path(__file__).parents[2]
LOADS = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
}
"""Elements whose address a browser fetches by itself."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "docs", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    assert done.returncode == 0, done.stderr
    return out


def test_generated_pages_are_up_to_date() -> None:
    assert not generate.outdated(), "run: python -m docs.generate"


def test_check_says_what_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    (tmp_path / "reference").mkdir()
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    page = tmp_path / "probes" / "tail-mass.md"
    page.write_text(page.read_text("utf-8").replace("0.8", "0.9"), "utf-8")
    (tmp_path / "probes" / "gone.md").write_text("a probe that is no more", "utf-8")
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "docs/probes/tail-mass.md: out of date",
        "docs/probes/gone.md: out of date",
    ]
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert not (tmp_path / "probes" / "gone.md").exists()


@pytest.mark.parametrize("probe", BUILTIN, ids=lambda probe: probe.name)
def test_a_probes_page_says_what_the_gate_does(probe: generate.Probe) -> None:
    page = (ROOT / "docs" / "probes" / f"{probe.name}.md").read_text("utf-8")
    for title in ("What it measures", "Formula and unit", "Why it signals collapse", "When it misleads", "Source"):
        assert f"## {title}" in page
    for gate in probe.gates:
        assert f"`{gate.statistic}`" in page
        assert f"margin = {gate.margin:g}" in page
        assert gate.unit in page


def test_every_page_is_built_and_reached(site: Path) -> None:
    sources = [path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")]
    front = (site / "index.html").read_text("utf-8")
    for source in sources:
        assert (site / source.with_suffix(".html")).is_file()
        if source.parts[0] != "probes" and source.name != "index":
            assert f'href="{source}.html"' in front, "not in the table of contents"


class _Loaded(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "link" and "stylesheet" not in (told.get("rel") or "") and "icon" not in (told.get("rel") or ""):
            return
        address = told.get(LOADS.get(tag, ""))
        if address:
            self.addresses.append(address)


def test_no_page_asks_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        parser = _Loaded()
        parser.feed(page.read_text("utf-8"))
        assert not [address for address in parser.addresses if urlsplit(address).netloc]
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", style.read_text("utf-8"))


def test_what_a_page_loads_is_noticed() -> None:
    parser = _Loaded()
    parser.feed('<link rel="stylesheet" href="https://fonts.example/x.css"><a href="https://example.org">a</a>')
    parser.feed('<link rel="canonical" href="https://example.org/"><script src="//cdn.example/x.js"></script>')
    assert parser.addresses == ["https://fonts.example/x.css", "//cdn.example/x.js"]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_front_pages_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text("utf-8"))
    assert links or page == "CONTRIBUTING.md"
    for link in links:
        if not urlsplit(link).scheme:
            assert (ROOT / link).exists(), link
