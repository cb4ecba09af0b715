"""The same commands on the bare driver and through a façade, on legacy, bound to records, and on new."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.journeys.facade_commands import COMMANDS, ODD, SECANTUS, essence
from tests.journeys.facade_support import BindingRouter, LegacyRouter, QuietRouter, outcome
from tests.journeys.facade_worlds import CLIENTS, Pair, both, pair_on_new, stored

ROUTERS = {"legacy": LegacyRouter, "bound": BindingRouter, "quiet": QuietRouter}


@pytest.fixture(params=list(CLIENTS))
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["motor", "pymongo"])
async def on_new(request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    async with pair_on_new(request.param, mongo_uri, postgres_dsn) as made:
        yield made


async def differences(pair: Pair) -> dict[str, Any]:
    found = {}
    for name, call in COMMANDS.items():
        await pair.seed()
        bare, facade = await both(pair, call)
        records = await stored(pair.bare), await stored(pair.shown)
        if essence(bare) != essence(facade) or records[0] != records[1]:
            found[name] = bare, facade, *(records if records[0] != records[1] else ())
    return found


@pytest.mark.parametrize("router", ROUTERS)
async def test_every_command_is_the_drivers(shape: str, router: str, mongo_uri: str) -> None:
    pair = Pair(shape, mongo_uri, ROUTERS[router]())
    assert await differences(pair) == {}
    names = {op[0] if isinstance(op, tuple) else op.name for op in pair.router.seen}
    served = {"find", "aggregate", "count", "distinct", "insert", "update", "delete", "findAndModify"}
    assert names == (set() if router == "quiet" else served)
    await pair.close()


async def test_every_command_is_the_drivers_on_new(on_new: Pair) -> None:
    assert set(await differences(on_new)) == ODD | SECANTUS
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
