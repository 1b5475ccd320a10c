"""Every slug that the source can put behind an error, found by reading it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("audit", "lineages", "probes", "reports")
NO_ERRORS = "pictures"
"""A folder where ``slug`` is the name of a picture."""

Trees = dict[Path, ast.Module]


def trees() -> Trees:
    """The package's modules, parsed."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path: ast.parse(path.read_text("utf-8")) for path in files if path.parent.name != NO_ERRORS}


def slugs(modules: Trees) -> dict[str, str]:
    """Slug -> one place that raises it. A slug stands

    * behind ``slug=`` or in a variable or class attribute of that name;
    * where a function of the package that has a parameter ``slug`` is called with it by position;
    * at the end of a tuple that a function yields as a Complaint, or that is handed to ``problem(where, *…)``.
    """
    places = _takers(modules)
    found: dict[str, str] = {}
    for path, module in modules.items():
        for node in ast.walk(module):
            for value in _candidates(node, places):
                found.setdefault(value, f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")
    return found


def _candidates(node: ast.AST, places: dict[str, set[int]]) -> Iterator[str]:
    if isinstance(node, ast.Call):
        yield from _in_call(node, places)
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        yield from _in_assignment(node, node.value)
    elif isinstance(node, ast.FunctionDef) and "Complaint" in ast.dump(node.returns or ast.Pass()):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Yield) and isinstance(inner.value, ast.Tuple):
                yield from _strings(inner.value.elts[-1])


def _in_call(node: ast.Call, places: dict[str, set[int]]) -> Iterator[str]:
    for keyword in node.keywords:
        if keyword.arg == "slug":
            yield from _strings(keyword.value)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "add" and not isinstance(node.func, ast.Attribute):
        return  # a plain add(…) makes an option of a parser
    for place in places.get(name, ()):
        if len(node.args) > place:
            yield from _strings(node.args[place])


def _in_assignment(node: ast.Assign | ast.AnnAssign, value: ast.expr) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    if "slug" in names:
        yield from _strings(value)
    elif "complaint" in names and isinstance(value, ast.Tuple):
        yield from _strings(value.elts[-1])


def _takers(modules: Trees) -> dict[str, set[int]]:
    """Functions (a class by its own name) with a parameter ``slug`` -> its position in a call."""
    found: dict[str, set[int]] = {}
    for module in modules.values():
        for scope in ast.walk(module):
            for node in ast.iter_child_nodes(scope):
                if not isinstance(node, ast.FunctionDef):
                    continue
                names = [argument.arg for argument in node.args.args]
                if "slug" in names:
                    name = scope.name if node.name == "__init__" and isinstance(scope, ast.ClassDef) else node.name
                    found.setdefault(name, set()).add(names.index("slug") - (names[0] == "self"))
    return found


def _strings(node: ast.expr) -> Iterator[str]:
    """The constants that an expression can be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _strings(node.body)
        yield from _strings(node.orelse)
