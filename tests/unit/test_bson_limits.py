"""MongoDB's limits of a document are errors here too."""

from __future__ import annotations

from typing import Any

import pytest

from shadow_adapters.bson.limits import MAX_BYTES, check_depth, checked_record
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.update import check_update
from shadow_adapters.failures import CommandFailure


def _nested(levels: int, *, arrays: bool) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels):
        value = [value] if arrays else {"a": value}
    return {"a": value}


@pytest.mark.parametrize("arrays", [False, True])
def test_a_hundred_levels_are_the_limit(arrays: bool) -> None:
    assert checked_record(_nested(100, arrays=arrays))
    with pytest.raises(CommandFailure) as caught:
        checked_record(_nested(101, arrays=arrays))
    assert caught.value.code == 15


def test_filters_and_updates_are_not_compiled_when_too_deep() -> None:
    for compiled in (compile_filter, check_update):
        with pytest.raises(CommandFailure) as caught:
            compiled(_nested(5_000, arrays=False))
        assert caught.value.code == 15


def test_sixteen_megabytes_are_the_limit() -> None:
    overhead = len(checked_record({"a": b""}))
    assert len(checked_record({"a": bytes(MAX_BYTES - overhead)})) == MAX_BYTES
    with pytest.raises(CommandFailure) as caught:
        checked_record({"a": bytes(MAX_BYTES - overhead + 1)})
    assert caught.value.code == 10334
    assert str(MAX_BYTES + 1) in caught.value.message


def test_scalars_have_no_depth() -> None:
    check_depth("x")


@pytest.mark.parametrize("bad", [{"$a": 1}, {"a": {"$b": 1}}])
def test_no_name_in_an_id_begins_with_a_dollar(bad: Any) -> None:
    assert checked_record({"_id": {"a.b": 1, "c": {"$ref": "x", "$id": 1}}, "$a": 1, "a": {"$b": 1}})
    with pytest.raises(CommandFailure) as caught:
        checked_record({"_id": bad})
    assert caught.value.code == 52
