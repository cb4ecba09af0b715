"""The whole interface of a cursor on the bare driver and through a façade: on legacy, directly, and on new."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry

from tests.journeys.facade_calls import SEED
from tests.journeys.facade_cursors import LEGACYS, WHOLE
from tests.journeys.facade_support import LegacyRouter, QuietRouter
from tests.journeys.facade_worlds import CLIENTS, Pair, both, pair_on_new
from tests.journeys.runtime_support import until

ROUTERS = {"legacy": LegacyRouter, "quiet": QuietRouter}


@pytest.fixture(params=["motor", "pymongo"])
async def on_new(request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    async with pair_on_new(request.param, mongo_uri, postgres_dsn) as made:
        yield made


async def differences(pair: Pair, calls: Any) -> dict[str, Any]:
    found = {}
    for name, call in calls.items():
        bare, facade = await both(pair, call)
        if bare != facade:
            found[name] = bare, facade
    return found


@pytest.mark.parametrize("shape", CLIENTS)
@pytest.mark.parametrize("router", ROUTERS)
async def test_a_whole_cursor_is_the_drivers(shape: str, router: str, mongo_uri: str) -> None:
    pair = Pair(shape, mongo_uri, ROUTERS[router]())
    await pair.seed()
    assert await differences(pair, {**WHOLE, **LEGACYS}) == {}
    assert {op.name for op in pair.router.seen} == (set() if router == "quiet" else {"find", "distinct"})
    await pair.close()


async def test_a_whole_cursor_is_the_drivers_on_new(on_new: Pair) -> None:
    await on_new.seed()
    assert await differences(on_new, WHOLE) == {}
    assert set(await differences(on_new, LEGACYS)) == set(LEGACYS)


class Unencodable:
    """What a caller's own decoder makes of a number, and nothing makes a number of again."""


class Decoder(TypeDecoder):
    bson_type = int

    def transform_bson(self, value: Any) -> Any:
        return Unencodable()


class ObservingRouter(LegacyRouter):
    """Compares what a cursor delivers."""

    def __init__(self) -> None:
        super().__init__()
        self.observed: list[Any] = []

    async def open(self, op: Any) -> Any:
        return SimpleNamespace(cursor=None, observe=lambda *told: self.observed.append(told), loop=None)


@pytest.mark.parametrize("shape", CLIENTS)
async def test_documents_without_a_way_back_are_delivered_and_not_compared(shape: str, mongo_uri: str) -> None:
    pair = Pair(shape, mongo_uri, ObservingRouter())
    await pair.seed()
    options = CodecOptions[Any](type_registry=TypeRegistry([Decoder()]))
    found = await pair.facade.with_options(codec_options=options).find({}, batch_size=2).to_list(None)
    assert len(found) == len(SEED) and isinstance(found[0]["a"], Unencodable)
    found = await (await _cursor_of(pair.facade.with_options(codec_options=options).aggregate([]))).to_list(None)
    assert len(found) == len(SEED) and isinstance(found[0]["a"], Unencodable)

    async def told() -> bool:  # not waited for where the loop is another thread's
        return pair.router.observed == [(None, False)] * 2

    await until(told, "what was delivered")
    await pair.close()


async def _cursor_of(made: Any) -> Any:
    """PyMongo's ``aggregate`` is awaited for its cursor, Motor's is one."""
    return await made if hasattr(made, "__await__") else made


@pytest.mark.parametrize("shape", CLIENTS)
async def test_legacy_explains_a_query_that_it_answers(shape: str, mongo_uri: str) -> None:
    pair = Pair(shape, mongo_uri, LegacyRouter())
    await pair.seed()
    assert "queryPlanner" in await pair.facade.find({"a": 2}).sort("_id", 1).explain()
    assert "queryPlanner" in await pair.facade.database.command({"explain": {"find": "routed", "filter": {"a": 2}}})
    assert [op.command()["explain"]["filter"] for op in pair.router.seen] == [{"a": 2}, {"a": 2}]
    await pair.close()


async def test_new_explains_a_query_that_it_answers(on_new: Pair) -> None:
    told = await on_new.facade.find({"a": {"$gt": 2}}).sort("_id", 1).limit(3).explain()
    assert told["command"]["sort"] == {"_id": 1} and told["parts"]
    told = await on_new.facade.database.command("explain", {"count": "routed", "query": {"a": 2}})
    assert told["queryPlanner"]["parsedQuery"] == {"a": 2}
    assert on_new.router.others == []
