"""The map of the house: made from imports, on small houses written by hand, and held against this one."""

from __future__ import annotations

import re
from pathlib import Path

from docs.architecture import PAGE, ROOT, House, page


def write(root: Path, **files: str) -> House:
    """A house of these files; ``__`` in a name stands for a slash."""
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for part in ("audit", "probes", "lineages", "reports"):
        (root / part).mkdir(exist_ok=True)
    return House(root)


def test_this_house_keeps_its_rules_and_its_page_is_up_to_date() -> None:
    house = House(ROOT)
    assert list(house.complaints()) == []
    text = PAGE.read_text("utf-8")
    assert page(text, house) == text


def test_imports_in_functions_and_for_the_type_checker_count(tmp_path: Path) -> None:
    late = "def f():\n    from collapse_audit.probes.b import x\n"
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from collapse_audit.probes.a import y\n"
    house = write(tmp_path, probes__a=late, probes__b=typed)
    assert house.arrows == 2
    (circle,) = house.circles
    assert set(circle.split(" -> ")) == {"collapse_audit.probes.a", "collapse_audit.probes.b"}


def test_a_module_imported_from_its_package_is_that_module(tmp_path: Path) -> None:
    house = write(tmp_path, audit__a="from collapse_audit.probes import b\n", probes__b="x = 1\n")
    assert house.modules["collapse_audit.a"].imports == {"collapse_audit.probes.b"}
    assert house.folders == {"audit": {"probes"}, "probes": frozenset()}
    assert (house.chain, house.widest.name) == (2, "collapse_audit.a")


def test_a_docstring_is_no_line_of_its_function_and_a_long_function_is_named(tmp_path: Path) -> None:
    told = '    """' + "\n    ".join(["words"] * 80) + '"""\n'
    body = "".join(f"    a{k} = {k}\n" for k in range(59))
    house = write(tmp_path, probes__a=f"def fine():\n{told}    return 1\n", probes__b=f"def long():\n{told}{body}")
    assert list(house.complaints()) == [
        "collapse_audit.probes.b.long: 60 lines besides its docstring; allowed: under 60"
    ]


def test_a_file_of_four_hundred_lines_is_named(tmp_path: Path) -> None:
    house = write(tmp_path, reports__a="x = 1\n" * 400, reports__b="x = 1\n" * 399)
    assert list(house.complaints()) == ["collapse_audit.reports.a: 400 lines; allowed: under 400"]


def test_the_pages_of_the_house_name_only_files_that_exist() -> None:
    """Paths in code marks of CONTRIBUTING, the map's page and the guide to lineages."""
    for name in ("CONTRIBUTING.md", "docs/architecture.md", "lineages/README.md"):
        text = (ROOT / name).read_text("utf-8")
        for path in re.findall(r"`((?:audit|probes|lineages|reports|docs|tests|ci|\.ci|examples)/[\w./*-]*)`", text):
            assert any(ROOT.glob(path.rstrip("/"))), f"{name}: {path}"
