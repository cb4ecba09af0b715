"""A query whose answers are shifted by one record in flight: the mark of either side's record excuses it."""

from __future__ import annotations

from typing import Any

import pytest

from shadow.compare.judge import Judge
from shadow.compare.kinds import Call, Shape, State
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Key

NEWEST = Call(Shape.DOCUMENTS, sort=(("at", -1),), chosen=True)
AUTHORITY = [{"_id": "a", "at": 9}, {"_id": "c", "at": 7}]  # b has left, and its sync is under way
FOLLOWER = [{"_id": "a", "at": 9}, {"_id": "b", "at": 8}]


async def judged(marked: set[Key]) -> State | None:
    async def is_open(key: Key | None) -> bool:
        return key in marked

    async def reread() -> tuple[Any, Any]:
        return AUTHORITY, FOLLOWER

    judge = Judge(is_open=is_open, expiring=lambda _: False, pause=0.0)
    return (await judge.verdict(NEWEST, None, AUTHORITY, FOLLOWER, reread)).state


@pytest.mark.parametrize("marked", ["b", "c"])
async def test_record_in_flight_on_either_side_excuses_order(marked: str) -> None:
    assert await judged({key_of(marked)}) is State.IN_FLIGHT


async def test_order_without_marks_is_confirmed() -> None:
    assert await judged({key_of("a")}) is State.CONFIRMED
