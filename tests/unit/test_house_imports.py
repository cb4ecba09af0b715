"""Imports go one way: the trunk may use the leaves, a leaf uses neither the trunk nor the other leaf."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "shadow": (ROOT / "shadow", {"shadow", "shadow_adapters", "shadow_flags"}),
    "shadow_adapters": (ROOT / "adapters" / "shadow_adapters", {"shadow_adapters"}),
    "shadow_flags": (ROOT / "flags" / "shadow_flags", {"shadow_flags"}),
}


def imported(source: str) -> Iterator[str]:
    """The top-level names that a module imports, wherever in it; a relative import is its own package's."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant):
                yield str(name.value).partition(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    folder, allowed = PACKAGES[package]
    modules = sorted(folder.rglob("*.py"))
    assert modules
    wrong = {
        f"{module.relative_to(ROOT)} imports {name}"
        for module in modules
        for name in imported(module.read_text("utf-8"))
        if (name in PACKAGES and name not in allowed) or name == "tests"
    }
    assert not wrong


@pytest.mark.parametrize(
    "source",
    ["import shadow.config", "def f():\n from shadow import x", "importlib.import_module('shadow.x')"],
)
def test_a_wrong_import_is_seen_wherever_it_stands(source: str) -> None:
    assert "shadow" in set(imported(source))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is_for(package: str) -> None:
    folder, _ = PACKAGES[package]
    silent = [
        str(module.relative_to(ROOT))
        for module in folder.rglob("*.py")
        if (text := module.read_text("utf-8")).strip() and ast.get_docstring(ast.parse(text)) is None
    ]
    assert not silent
