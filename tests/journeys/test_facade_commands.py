"""The same commands on the bare driver and through a façade, on legacy, bound to records, and on new."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.journeys.facade_calls import SEED
from tests.journeys.facade_commands import COMMANDS
from tests.journeys.facade_new import NewRouter
from tests.journeys.facade_support import BindingRouter, LegacyRouter, QuietRouter, outcome
from tests.journeys.test_facade_behaviour import Pair, both, stored

ROUTERS = {"legacy": LegacyRouter, "bound": BindingRouter, "quiet": QuietRouter}


ODD = {
    "insert nothing",
    "insert oddly",
    "update oddly",
    "update by nothing",
    "delete oddly",
    "findAndModify oddly",
}
"""Commands that MongoDB refuses for their form, and Shadow, where new is the authority, by their name."""
SECANTUS = {"find unknown field", "findAndModify, in small letters"}
"""What SecantusDB, which is not MongoDB, answers otherwise."""


@pytest.fixture(params=["motor", "pymongo", "sync"])
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["motor", "pymongo"])
async def on_new(request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    router = await NewRouter.make(postgres_dsn, "routed", "d.routed")
    made = Pair(request.param, mongo_uri, router)
    yield made
    await made.close()
    await router.pool.close()


def essence(told: Any) -> Any:
    """A reply without the name of the collection, the order of distinct values, and the fields of one server."""
    if isinstance(told, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in told):
        kept = {name: essence(value) for name, value in told if name not in ("ns", "codeName", "id")}
        return sorted(kept.items(), key=lambda pair: pair[0])
    return [essence(each) for each in told] if isinstance(told, list) else told


async def differences(pair: Pair, refill: Any) -> dict[str, Any]:
    found = {}
    for name, call in COMMANDS.items():
        await refill()
        bare, facade = await both(pair, call)
        records = await stored(pair.bare), await stored(pair.facade if isinstance(pair.router, NewRouter) else pair.raw)
        if essence(bare) != essence(facade) or records[0] != records[1]:
            found[name] = bare, facade, *(records if records[0] != records[1] else ())
    return found


@pytest.mark.parametrize("router", ROUTERS)
async def test_every_command_is_the_drivers(shape: str, router: str, mongo_uri: str) -> None:
    pair = Pair(shape, mongo_uri, ROUTERS[router]())
    assert await differences(pair, pair.seed) == {}
    names = {op[0] if isinstance(op, tuple) else op.name for op in pair.router.seen}
    served = {"find", "aggregate", "count", "distinct", "insert", "update", "delete", "findAndModify"}
    assert names == (set() if router == "quiet" else served)
    await pair.close()


async def test_every_command_is_the_drivers_on_new(on_new: Pair) -> None:
    async def refill() -> None:
        for collection in (on_new.bare, on_new.facade):
            await collection.delete_many({})
            await collection.insert_many(copy.deepcopy(SEED))

    assert set(await differences(on_new, refill)) == ODD | SECANTUS
    assert on_new.router.others == ["insert", "insert", "update", "update", "delete", "findAndModify"]


async def test_documents_get_their_id_before_they_are_sent(shape: str, mongo_uri: str) -> None:
    pair = Pair(shape, mongo_uri, LegacyRouter())
    given = {"a": 1}
    await pair.facade.database.command({"insert": "routed", "documents": [given]})
    assert given == {"a": 1}
    (target,) = pair.router.seen[0].targets()
    assert await pair.raw.find_one({"_id": target.id}) == {"_id": target.id, "a": 1}
    await pair.close()


async def test_the_batches_of_a_cursor_stay_on_legacy(shape: str, mongo_uri: str) -> None:
    pair = Pair(shape, mongo_uri, LegacyRouter())
    await pair.seed()
    database = pair.facade.database
    opened = await database.command({"find": "routed", "batchSize": 1})
    id = opened["cursor"]["id"]
    more = await database.command({"getMore": id, "collection": "routed", "batchSize": 1})
    assert len(more["cursor"]["nextBatch"]) == 1
    assert (await outcome(lambda: database.command({"killCursors": "routed", "cursors": [id]})))[0]
    assert [op.name for op in pair.router.seen] == ["find"]
    await pair.close()
