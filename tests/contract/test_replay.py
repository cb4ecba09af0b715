"""Cases replayed on real servers, alone and as the tests that `shadow samples --export` writes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shadow.cli.samples import as_test
from shadow.compare.case import Case
from shadow.compare.kinds import QUERY, RECORD, Call, Kind
from shadow.compare.replay import MONGO, POSTGRES, replay
from shadow_adapters.postgres.samples import StoredSample


@pytest.fixture(autouse=True)
def servers(monkeypatch: pytest.MonkeyPatch, mongo_server_uri: str, postgres_dsn: str) -> None:
    monkeypatch.setenv(MONGO, mongo_server_uri)
    monkeypatch.setenv(POSTGRES, postgres_dsn)


def case(legacy: list[Any], new: list[Any], call: Call = QUERY, authority: str = "legacy", **command: Any) -> str:
    asked = {"find": "case", "filter": {}, **command}
    return Case("find", "value", "n", call, asked, legacy, new, authority, revealed=False).dump()


async def replayed(text: str) -> Any:
    return await asyncio.to_thread(replay, text)


async def test_records_that_differ_are_told_as_they_were_seen() -> None:
    found = await replayed(case([{"_id": 1, "n": 1}], [{"_id": 1, "n": 2}], filter={"n": {"$gt": 0}}))
    assert (found.kind, found.path, found.authority["n"], found.follower["n"]) == (Kind.VALUE, "[].n", 1, 2)
    found = await replayed(case([{"_id": 1}], [], RECORD, "new", filter={"_id": 1}, limit=1, singleBatch=True))
    assert (found.kind, found.authority, found.follower) == (Kind.EXTRA, None, {"_id": 1})


async def test_equal_records_agree_and_nothing_is_left_behind() -> None:
    records = [{"_id": n, "n": n % 2} for n in range(5)]
    assert await replayed(case(records, records, filter={"n": 1}, sort={"_id": -1}, skip=1)) is None


async def test_a_query_that_both_refuse_alike_agrees() -> None:
    assert await replayed(case([{"_id": 1}], [{"_id": 1}], filter={"n": {"$in": 3}})) is None


@pytest.mark.parametrize("n", [1, 2])
async def test_the_exported_test_fails_while_the_stores_differ(n: int) -> None:
    text = case([{"_id": 1, "n": 1}], [{"_id": 1, "n": n}])
    names: dict[str, Any] = {}
    exec(as_test(StoredSample(1, "agents", 0.0, "find", "value", "confirmed", "n", None, "", None, text)), names)
    exported = asyncio.to_thread(names["test_both_stores_answer_alike"])
    if n == 1:
        await exported
        return
    with pytest.raises(AssertionError, match="mismatch: value"):
        await exported
