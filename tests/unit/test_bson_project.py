"""Projections: what is kept, what is left out, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from shadow_adapters.bson.project import compile_projection
from shadow_adapters.failures import CommandFailure

DOCUMENT: dict[str, Any] = {"_id": 1, "b": {"c": 1, "d": 2}, "a": [1, {"c": 3, "d": 4}, [{"c": 5}], []], "e": None}


@pytest.mark.parametrize(
    ("spec", "result"),
    [
        ({}, DOCUMENT),
        (None, DOCUMENT),
        ({"e": 1, "b": 1}, {"_id": 1, "b": {"c": 1, "d": 2}, "e": None}),
        ({"e": True, "_id": False}, {"e": None}),
        ({"_id": 1}, {"_id": 1}),
        ({"_id": 0}, {name: value for name, value in DOCUMENT.items() if name != "_id"}),
        ({"b.c": 1}, {"_id": 1, "b": {"c": 1}}),
        ({"b": {"c": 1}}, {"_id": 1, "b": {"c": 1}}),
        ({"a.c": 1}, {"_id": 1, "a": [{"c": 3}, [{"c": 5}], []]}),
        ({"e.c": 1, "b.x": 1}, {"_id": 1, "b": {}}),
        ({"a": 0, "b.c": 0}, {"_id": 1, "b": {"d": 2}, "e": None}),
        ({"a.c": 0, "b": 0, "_id": 1}, {"_id": 1, "a": [1, {"d": 4}, [{}], []], "e": None}),
        ({"e.c": 0, "a": 0, "b": 0}, {"_id": 1, "e": None}),
        ({"x": 1}, {"_id": 1}),
    ],
)
def test_projected(spec: Any, result: dict[str, Any]) -> None:
    projected = compile_projection(spec)(DOCUMENT)
    assert projected == result
    assert list(projected) == list(result)


@pytest.mark.parametrize(
    ("spec", "code", "unsupported"),
    [
        ({"a": 1, "b": 0}, 31254, None),
        ({"a": 0, "b": 1}, 31253, None),
        ({"a": 1, "a.b": 1}, 31249, None),
        ({"a.b": 1, "a": 1}, 31250, None),
        ({"a": {}}, 51270, None),
        ({"a": {"$slice": 1}}, 2, "projection $slice"),
        ({"a": {"$elemMatch": {"b": 1}}}, 2, "projection $elemMatch"),
        ({"a": {"$meta": "textScore"}}, 2, "projection $meta"),
        ({"a.$": 1}, 2, "projection $"),
        ({"a": "$b"}, 2, "projection expression"),
        ({"$a": 1}, 16410, None),
        ({"a..b": 1}, 15998, None),
        ({"a.": 1}, 40353, None),
    ],
)
def test_refused(spec: Any, code: int, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_projection(spec)
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)
