"""The pictures of docs/gallery.md: reports of the committed lineages, as a browser shows them.

    python benchmarks/gallery.py [--out docs/gallery] [--chromium FILE]

Audits four lineages, opens their report.html in a headless Chromium and writes what it shows as PNG files of few
colours. It needs ``playwright`` and ``pillow`` and an installed Chromium, and takes a minute or two. Fonts are the
machine's own, so on another machine the files differ in their bytes.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from collapse_audit import audit
from collapse_audit.reports import as_html

ROOT = Path(__file__).parents[1]
MOST = 1_500_000
"""Bytes that all pictures together must stay under."""
DESKTOP, PHONE = (1200, 900), (390, 844)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture: of which lineage, and what of its report."""

    file: str
    lineage: str
    show: str = ""
    """Selector of the element to show; empty: the top of the page."""
    open: str = ""
    """Selector of what is clicked first."""
    dark: bool = False
    size: tuple[int, int] = DESKTOP


SHOTS = (
    Shot(file="verdict", lineage="mistral_recursive"),
    Shot(file="verdict-dark", lineage="mistral_recursive", dark=True),
    Shot(file="phone", lineage="mistral_recursive", size=PHONE),
    Shot(file="matrix", lineage="llama_recursive", show="#matrix"),
    Shot(file="card", lineage="llama_recursive", open="td:nth-child(5) button.cell.fail"),
    Shot(file="statistics", lineage="mistral_recursive", show="#picture-statistics"),
    Shot(file="forest", lineage="smollm2_replace", show="#picture-forest"),
    Shot(file="histograms", lineage="smollm2_replace", show="#picture-histograms"),
    Shot(file="ridges", lineage="smollm2_replace", show="#picture-ridges"),
    Shot(file="divergence", lineage="llama_recursive", show="#picture-divergence"),
    Shot(file="unique", lineage="mistral_recursive", show="#picture-unique"),
    Shot(file="survival", lineage="llama_recursive", show="#picture-survival"),
    Shot(file="coverage", lineage="pydocs_ngram", show="#picture-coverage"),
    Shot(file="training", lineage="mistral_recursive", show="#picture-training"),
    Shot(file="examples", lineage="smollm2_replace", show="#examples details"),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Write every picture and say how large they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "gallery")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        for lineage in {shot.lineage: None for shot in SHOTS}:
            page = as_html.render(audit(ROOT / "lineages" / lineage, evidence="texts"))
            Path(folder, f"{lineage}.html").write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox", "--disable-gpu"])
        for shot in SHOTS:
            picture = taken(browser, Path(folder, f"{shot.lineage}.html"), shot)
            (options.out / f"{shot.file}.png").write_bytes(picture)
        browser.close()
    sizes = {shot.file: (options.out / f"{shot.file}.png").stat().st_size for shot in SHOTS}
    for name, size in sizes.items():
        print(f"{name}.png {size / 1000:.0f} kB")
    print(f"{sum(sizes.values()) / 1e6:.2f} MB of {MOST / 1e6:.1f} MB")


def taken(browser: Any, page: Path, shot: Shot) -> bytes:
    """What the browser shows, as PNG with 200 colours."""
    width, height = shot.size
    tab = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="dark" if shot.dark else "light",
        reduced_motion="reduce",
    )
    tab.goto(page.as_uri())
    if shot.show:  # pictures and examples are folded away at first
        tab.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    if shot.open:
        tab.locator(shot.open).first.click()
    shown = tab.locator(shot.show).first.screenshot() if shot.show else tab.screenshot()
    tab.close()
    written = io.BytesIO()
    image = Image.open(io.BytesIO(shown)).convert("RGB")
    image.quantize(200, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    return written.getvalue()


if __name__ == "__main__":
    main()
