"""What the source tree says of itself: modules, imports, docstrings; parsed, never imported."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("manifests", "models", "pipeline", "stages")
TOPLEVEL = ROOT / "pipeline" / "toplevel"  # the package scoremix itself, and no part of pipeline


@cache
def modules() -> Mapping[str, Path]:
    """Every module by its dotted name without scoremix; a package is its __init__."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.is_relative_to(TOPLEVEL):
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def is_package(module: str) -> bool:
    return modules()[module].name == "__init__.py"


def packages() -> list[str]:
    return [module for module in modules() if is_package(module)]


def members(package: str) -> set[str]:
    """Names of the modules and packages directly inside a package."""
    inside = (name.rpartition(".") for name in modules())
    return {last for parent, _, last in inside if parent == package}


def imports(module: str) -> Iterator[str]:
    """Our modules that a module imports, wherever: inside functions and for types alone as well."""
    own = module.split(".") if is_package(module) else module.split(".")[:-1]
    for node in ast.walk(tree_of(modules()[module])):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = [*own[: len(own) - node.level + 1], *(node.module or "").split(".")]
            names = [".".join(filter(None, [*base, alias.name])) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            found = _module_of(name.removeprefix("scoremix."))
            if found and found != module:
                yield found


def _module_of(name: str) -> str | None:
    """The module that a dotted name lies in; None where it is none of ours."""
    while name and name not in modules():
        name = name.rpartition(".")[0]
    return name or None


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Some circle of a graph, its nodes in order; empty where there is none."""
    finished: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return path[path.index(node) :]
        if node in finished:
            return []
        for other in sorted(graph.get(node, set())):
            if found := walk(other, [*path, node]):
                return found
        finished.add(node)
        return []

    return next((found for node in sorted(graph) if (found := walk(node, []))), [])
