"""What of an answer two stores must agree on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import shadow.runtime  # noqa: F401 - which the router's modules are parts of
from shadow.router.answers import promise


@pytest.mark.parametrize(
    ("sort", "promised"),
    [
        ({"s": {"$meta": "textScore"}}, ()),
        ({"s": {"$meta": "textScore"}, "a": 1}, ()),
        ({"a": -1, "s": {"$meta": "textScore"}, "b": 1}, (("a", -1),)),
    ],
)
def test_an_order_by_score_is_not_compared(sort: dict[str, Any], promised: tuple[tuple[str, int], ...]) -> None:
    op: Any = SimpleNamespace(command=lambda: {"find": "c", "sort": sort})
    call = promise(op, False)
    assert call is not None and call.sort == promised
