"""The map of the house, made from its imports: ``python -m docs.architecture`` writes it, ``--check`` holds it, and
``--figures`` prints its numbers.

Every import counts: those inside functions, and those for the type checker alone. The check fails where files import
each other in a circle, a file reaches 400 lines, a function 60 (its docstring aside), or the page is out of date.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from docs.markdown import inline, table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PARTS = {"audit": "collapse_audit", **{part: f"collapse_audit.{part}" for part in ("probes", "lineages", "reports")}}
"""Folders of the repository that are the package, and what they are imported as."""
MOST_LINES, MOST_OF_A_FUNCTION = 400, 60
_START, _END = "<!-- map: made by docs/architecture.py -->\n", "<!-- map: end -->"


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the package."""

    name: str
    """As it is imported."""
    folder: str
    """Of the repository."""
    lines: int
    imports: frozenset[str]
    """Modules of the package, by their names."""
    longest: tuple[int, str]
    """Lines of its longest function, the docstring aside, and the function's name."""


@dataclass(frozen=True)
class House:
    """All files of the package below ``root``."""

    root: Path

    @cached_property
    def modules(self) -> dict[str, Module]:
        """By name. Packages that hold nothing but a docstring are no modules."""
        files = {_name(path.relative_to(self.root)): path for part in PARTS for path in _sources(self.root / part)}
        return {name: _module(name, path, self.root, files) for name, path in files.items()}

    @cached_property
    def circles(self) -> list[str]:
        """One circle of imports in words, if there is any."""
        try:
            TopologicalSorter(self._graph).prepare()
        except CycleError as error:
            return [" -> ".join(error.args[1])]
        return []

    @property
    def _graph(self) -> dict[str, frozenset[str]]:
        return {name: module.imports for name, module in self.modules.items()}

    @property
    def arrows(self) -> int:
        """How many imports of one file by another there are."""
        return sum(len(module.imports) for module in self.modules.values())

    @property
    def widest(self) -> Module:
        """The file that imports most others."""
        return max(self.modules.values(), key=lambda module: (len(module.imports), module.name))

    @cached_property
    def chain(self) -> int:
        """Files of the longest chain of imports."""
        return max(_levels(self._graph).values())

    @cached_property
    def folders(self) -> dict[str, frozenset[str]]:
        """Folders, and which others each imports from."""
        found: dict[str, set[str]] = {}
        for module in self.modules.values():
            into = found.setdefault(module.folder, set())
            into |= {self.modules[name].folder for name in module.imports} - {module.folder}
        return {folder: frozenset(into) for folder, into in sorted(found.items())}

    def complaints(self) -> Iterator[str]:
        """What the house rules do not allow, a line each."""
        for circle in self.circles:
            yield f"a circle of imports: {circle}; move what they share below both"
        for module in self.modules.values():
            if module.lines >= MOST_LINES:
                yield f"{module.name}: {module.lines} lines; allowed: under {MOST_LINES}"
            lines, function = module.longest
            if lines >= MOST_OF_A_FUNCTION:
                yield f"{module.name}.{function}: {lines} lines besides its docstring; allowed: under 60"


def _sources(folder: Path) -> list[Path]:
    """Python files below ``folder`` that hold more than a docstring; committed lineages hold none."""
    files = sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)
    return [path for path in files if path.name != "__init__.py" or len(ast.parse(path.read_text("utf-8")).body) > 1]


def _name(path: Path) -> str:
    parts = [PARTS[path.parts[0]], *path.with_suffix("").parts[1:]]
    return ".".join(parts).removesuffix(".__init__")


def _module(name: str, path: Path, root: Path, known: Mapping[str, Path]) -> Module:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return Module(
        name=name,
        folder=path.parent.relative_to(root).as_posix(),
        lines=text.count("\n"),
        imports=frozenset(_imported(tree, known) - {name}),
        longest=max(((_length(each), each.name) for each in functions), default=(0, "")),
    )


def _imported(tree: ast.Module, known: Mapping[str, Path]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= below & known.keys() or {node.module}
    return {name for name in found if name in known}


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        whole -= (first.end_lineno or first.lineno) - first.lineno + 1
    return whole


def _levels(graph: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """For each node, how many stand on the longest way down from it, itself included."""
    levels: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        levels[name] = 1 + max((levels[below] for below in graph.get(name, ())), default=0)
    return levels


# ---------------------------------------------------------------------------------------------------------------- page


def map_of(house: House) -> str:
    """Every folder: what it holds in its own words, and which folders it imports from."""
    rows = [(f"`{folder}`", _holds(house.root / folder), _listed(below)) for folder, below in house.folders.items()]
    return table(("folder", "holds", "imports from"), rows)


def _holds(folder: Path) -> str:
    file = folder / "__init__.py"
    doc = ast.get_docstring(ast.parse(file.read_text("utf-8"))) if file.is_file() else None
    return inline((doc or "").split("\n")[0].rstrip(".:"))


def _listed(folders: frozenset[str]) -> str:
    return ", ".join(f"`{folder}`" for folder in sorted(folders))


def figures_of(house: House) -> str:
    """The numbers of the house as it stands."""
    widest = house.widest
    longest = max((module.longest, module.name) for module in house.modules.values())
    largest = max(house.modules.values(), key=lambda module: module.lines)
    rows = [
        ("files", f"{len(house.modules)}"),
        ("lines", f"{sum(module.lines for module in house.modules.values()):,}"),
        ("imports of one file by another", f"{house.arrows}"),
        ("circles", f"{len(house.circles)}"),
        ("files of the longest chain of imports", f"{house.chain}"),
        ("most imports of one file", f"{len(widest.imports)} (`{_short(widest.name)}`)"),
        ("largest file, lines", f"{largest.lines} (`{_short(largest.name)}`)"),
        ("longest function, lines", f"{longest[0][0]} (`{_short(longest[1])}`)"),
    ]
    return "".join(f"{what}: {number}\n" for what, number in rows)


def _short(name: str) -> str:
    return name.removeprefix("collapse_audit.")


def page(text: str, house: House) -> str:
    """``text`` of the page with its map as the code has it."""
    before, _, rest = text.partition(_START)
    after = rest.partition(_END)[2]
    return f"{before}{_START}\n{map_of(house).strip()}\n\n{_END}{after}"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page, or with ``--check`` hold house and page against the rules."""
    parser = argparse.ArgumentParser(prog="python -m docs.architecture", description="Make the map of the house.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a rule does not hold")
    parser.add_argument("--figures", action="store_true", help="write nothing; print the numbers of the house")
    options = parser.parse_args(argv)
    check, house = options.check, House(ROOT)
    if options.figures:
        sys.stdout.write(figures_of(house))
        return 0
    found = list(house.complaints())
    before = PAGE.read_text("utf-8")
    if not house.circles:
        after = page(before, house)
        if check and after != before:
            found.append("docs/architecture.md is out of date; run python -m docs.architecture")
        if not check:
            PAGE.write_text(after, encoding="utf-8")
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
