"""Command monitoring: the application's listeners hear of every command, whichever store answers it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pymongo.collation import Collation
from pymongo.errors import DuplicateKeyError, OperationFailure
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from tests.journeys.facade_awaited import awaited
from tests.journeys.facade_worlds import CLIENTS, World, world_of

IGNORED = {"lsid", "$db", "$clusterTime", "txnNumber", "$readPreference", "cursor", "startTransaction", "autocommit"}
CONNECTION = ("postgresql", 0)
TOLD = ("n", "nModified", "value", "values", "code", "ok")


class Ear(CommandListener):
    """What a listener heard."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.events.append(event)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self.events.append(event)

    def failed(self, event: CommandFailedEvent) -> None:
        self.events.append(event)

    def heard(self) -> list[Any]:
        """The events without what differs from call to call; forgotten afterwards."""
        events, self.events = self.events, []
        return [_plain(event) for event in events if event.command_name not in ("endSessions", "hello", "ping")]


def _plain(event: Any) -> tuple[Any, ...]:
    kind = type(event).__name__
    if isinstance(event, CommandStartedEvent):
        command = {name: value for name, value in event.command.items() if name not in IGNORED}
        return kind, event.command_name, event.database_name, command
    reply = event.reply if isinstance(event, CommandSucceededEvent) else event.failure
    batch = reply.get("cursor", {}).get("firstBatch")
    codes = [error["code"] for error in reply.get("writeErrors", ())]
    return kind, event.command_name, {name: reply[name] for name in TOLD if name in reply}, batch, codes


class Two:
    """The same collection by the bare driver and by a façade, each with a listener."""

    def __init__(self, shape: str, uri: str, world: World, phase: str) -> None:
        self.ears = Ear(), Ear()
        self._clients = [make(uri, event_listeners=[ear]) for make, ear in zip(CLIENTS[shape], self.ears, strict=True)]
        bare, facade = (awaited(client)[world.bare.name] for client in self._clients)
        self.bare, self.facade = bare["heard"], facade[phase]

    async def close(self) -> None:
        for client in self._clients:
            closing = client.close()
            if closing is not None:
                await closing


@pytest.fixture(params=["motor", "pymongo", "sync"])
async def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def world(shape: str, mongo_uri: str, postgres_dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    # Without comparisons, which ask MongoDB through the caller's own client, whenever they come to it
    async with world_of(shape, mongo_uri, postgres_dsn, tmp_path, sample_rate=0.0) as made:
        yield made


CALLS: dict[str, Callable[[Any], Any]] = {
    "insert_one": lambda c: c.insert_one({"_id": 1, "a": "x"}, comment="why"),
    "insert_many": lambda c: c.insert_many([{"_id": 2, "a": "y"}, {"_id": 3, "a": "z"}]),
    "duplicate": lambda c: c.insert_one({"_id": 1}),
    "find_one by _id": lambda c: c.find_one({"_id": 1}),
    "find_one of none": lambda c: c.find_one({"_id": "none"}),
    "find_one": lambda c: c.find_one({"a": "Y"}, {"a": 1}, collation=Collation("en", strength=2)),
    "find": lambda c: c.find({"a": {"$gt": "x"}}, sort=[("_id", 1)], limit=2).to_list(None),
    "update_one": lambda c: c.update_one({"_id": 1}, {"$set": {"b": 1}}),
    "replace_one": lambda c: c.replace_one({"_id": 2}, {"c": 5}),
    "find_one_and_update": lambda c: c.find_one_and_update({"_id": 1}, {"$inc": {"b": 1}}),
    "distinct": lambda c: c.distinct("b", {"_id": 1}),
    "count_documents": lambda c: c.count_documents({}),
    "delete_one": lambda c: c.delete_one({"_id": 3}),
    "find bad": lambda c: c.find({"a": {"$nonsense": 1}}).to_list(None),
    "find_one bad": lambda c: c.find_one({"a": {"$nonsense": 1}}),
}


@pytest.mark.parametrize("phase", ["write_new", "new"])
async def test_listeners_hear_of_postgresqls_commands_as_of_mongodbs(
    shape: str, world: World, mongo_uri: str, phase: str
) -> None:
    two = Two(shape, mongo_uri, world, phase)
    await two.facade.find_one({})
    for ear in two.ears:
        ear.heard()
    for name, call in CALLS.items():
        heard = []
        for collection, ear in zip((two.bare, two.facade), two.ears, strict=True):
            try:
                await call(collection)
            except (DuplicateKeyError, OperationFailure):
                pass
            assert len({event.request_id for event in ear.events}) == 1, name
            if collection is two.facade:
                assert {event.connection_id for event in ear.events} == {CONNECTION}, name
            heard.append(ear.heard())
        for _, _, _, command in heard[0][:1]:
            command[next(iter(command))] = phase
        assert heard[1] == heard[0], name
    await two.close()


async def test_a_read_is_heard_of_once_whoever_answers(shape: str, world: World, mongo_uri: str) -> None:
    """In ``read_new`` PostgreSQL is asked first, and MongoDB where it may not answer."""
    two = Two(shape, mongo_uri, world, "read_new")
    await two.facade.insert_one({"_id": 1, "a": 1})
    ear = two.ears[1]
    ear.heard()
    answered = set()
    for number in range(20):
        await two.facade.update_one({"_id": 1}, {"$set": {"n": number}})
        ear.events = []
        assert (await two.facade.find_one({"_id": 1}))["n"] == number
        assert [type(event).__name__ for event in ear.events] == ["CommandStartedEvent", "CommandSucceededEvent"]
        answered.add(ear.events[0].connection_id == CONNECTION)
    assert True in answered, "PostgreSQL answered some"
    await two.close()


async def test_a_session_is_told_by_its_id(shape: str, world: World, mongo_uri: str) -> None:
    two = Two(shape, mongo_uri, world, "new")
    ear = two.ears[1]
    session = two.facade.database.client.start_session()
    session = await session if hasattr(session, "__await__") else session
    ear.heard()
    await two.facade.find_one({"_id": 1}, session=session)
    assert [event.command.get("lsid") for event in ear.events[:1]] == [session.session_id]
    ear.heard()
    for _ in range(2):
        await two.facade.find_one({"_id": 1})
    implicit = [event.command["lsid"] for event in ear.events[::2]]
    assert len({bytes(lsid["id"]) for lsid in implicit} | {bytes(session.session_id["id"])}) == 3
    ear.heard()
    transaction = session.start_transaction()
    async with await transaction if shape == "pymongo" else transaction:
        await two.facade.insert_one({"_id": 7}, session=session)
        assert await two.facade.find({}, session=session).to_list(None) == [{"_id": 7}]
    named = [(type(event).__name__, event.command_name) for event in ear.events[:4]]
    begun, done = "CommandStartedEvent", "CommandSucceededEvent"
    assert named == [(begun, "insert"), (done, "insert"), (begun, "find"), (done, "find")]
    await session.end_session()
    await two.close()


async def test_a_listener_that_fails_harms_nobody(
    shape: str, world: World, mongo_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Bad(Ear):
        def started(self, event: CommandStartedEvent) -> None:
            raise RuntimeError("a listener's own mistake")

    two = Two(shape, mongo_uri, world, "new")
    facade = awaited(CLIENTS[shape][1](mongo_uri, event_listeners=[Bad()]))[world.bare.name]["new"]
    assert await facade.find_one({"_id": 1}) is None
    assert "a command listener of the application" in caplog.text
    await two.close()
