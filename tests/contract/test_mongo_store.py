"""A MongoDB collection by key, as a sync puts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Key, Record
from shadow_adapters.failures import OutcomeUnknown, StoreDown
from shadow_adapters.mongo.store import MongoStore
from tests.faults.proxy import TcpProxy


@pytest.fixture
async def client(mongo_uri: str) -> AsyncIterator[AsyncMongoClient[Any]]:
    async with AsyncMongoClient(mongo_uri) as found:
        yield found


@pytest.fixture
def store(client: AsyncMongoClient[Any]) -> MongoStore:
    return MongoStore(client, client.get_default_database().name, "things", "things")


def states(*documents: dict[str, Any]) -> dict[Key, Record | None]:
    return {key_of(document["_id"]): encode(document) for document in documents}


async def test_a_put_replaces_inserts_and_deletes(store: MongoStore) -> None:
    assert await store.put(states({"_id": 1, "n": 1}, {"_id": 2, "n": 1})) == {}
    gone: dict[Key, Record | None] = {key_of(2): None, key_of(4): None}
    assert await store.put(states({"_id": 1, "n": 2}, {"_id": 3, "n": 1}) | gone) == {}
    found = await store.read([key_of(n) for n in range(5)])
    assert found == states({"_id": 1, "n": 2}, {"_id": 3, "n": 1})


async def test_what_the_server_refuses_is_named_and_holds_up_nothing_else(
    store: MongoStore, client: AsyncMongoClient[Any]
) -> None:
    await client.get_default_database()["things"].create_index("name", unique=True)
    await store.put(states({"_id": 0, "name": "taken"}))
    refused = await store.put(
        states({"_id": 1, "name": "a"}, {"_id": 2, "name": "taken"}, {"_id": 3, "name": "b"}) | {key_of(9): None}
    )
    assert {key: why.kind for key, why in refused.items()} == {key_of(2): "unique"}
    assert "taken" not in refused[key_of(2)].reason
    assert [decode(record)["_id"] for _, record in await store.scan(None, 10)] == [0, 1, 3]


async def test_a_put_that_was_cut_may_still_be_applied(mongo_uri: str) -> None:
    async with TcpProxy(mongo_uri) as proxy, AsyncMongoClient(proxy.uri, retryWrites=False) as client:
        store = MongoStore(client, client.get_default_database().name, "things", "things")
        await store.put(states({"_id": 1}))
        proxy.drop_replies(cut=True)
        with pytest.raises(OutcomeUnknown):
            await store.put(states({"_id": 1, "n": 1}, {"_id": 2}))


async def test_a_put_without_a_server_will_never_be_applied() -> None:
    async with AsyncMongoClient("mongodb://127.0.0.1:9/x", serverSelectionTimeoutMS=50) as client:
        with pytest.raises(StoreDown):
            await MongoStore(client, "x", "things", "things").put(states({"_id": 1}))
