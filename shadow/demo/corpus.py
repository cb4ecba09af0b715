"""Real documents for the demo: the docstrings of the Python standard library, read from its source files."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

_NOT_READ = frozenset({"test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "__pycache__"})
_KINDS = {ast.Module: "module", ast.ClassDef: "class", ast.FunctionDef: "function", ast.AsyncFunctionDef: "function"}

Document = dict[str, Any]


def docstrings(count: int) -> list[Document]:
    """So many documents, or as many as there are (some 7,000).

    Each has the qualified name as its ``_id``, the module, the kind of thing documented, the text and its words.
    """
    return list(islice(_documents(), count))


def _documents() -> Iterator[Document]:
    seen: set[str] = set()
    for module, path in _modules():
        for document in _of_module(module, path):
            if document["_id"] not in seen:  # a function may be defined twice, by platform
                seen.add(document["_id"])
                yield document


def _modules() -> Iterator[tuple[str, Path]]:
    """The library's modules, packages' own included, in an order that is always the same."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted([*root.glob("[a-z]*.py"), *root.glob("[a-z]*/**/*.py")]):
        parts = path.relative_to(root).with_suffix("").parts
        if not _NOT_READ & set(parts):
            yield ".".join(part for part in parts if part != "__init__"), path


def _of_module(module: str, path: Path) -> Iterator[Document]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return
    yield from _of_node(tree, module, module)


def _of_node(node: ast.AST, name: str, module: str) -> Iterator[Document]:
    kind = _KINDS.get(type(node))
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        text = ast.get_docstring(node)
        if kind and text:
            words = len(text.split())
            yield {"_id": name, "module": module, "kind": kind, "text": text, "words": words, "views": 0, "notes": []}
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _of_node(child, f"{name}.{child.name}", module)
