"""What applications take for granted of a driver's objects: the bare driver and a façade answer alike."""

from __future__ import annotations

import copy
import datetime
import decimal
import inspect
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import motor.motor_asyncio
import pymongo
import pytest
from bson import DBRef, ObjectId
from bson.binary import Binary, UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion, TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128
from bson.raw_bson import RawBSONDocument
from bson.son import SON
from pymongo import ReadPreference, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure
from pymongo.monitoring import CommandListener
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

import shadow.motor
import shadow.pymongo
from tests.journeys.facade_support import LegacyRouter, bind
from tests.journeys.facade_worlds import CLIENTS, Pair, pair_on, pair_on_new

PARENTS: dict[str, tuple[type, type, type]] = {
    "motor": (
        motor.motor_asyncio.AsyncIOMotorClient,
        motor.motor_asyncio.AsyncIOMotorDatabase,
        motor.motor_asyncio.AsyncIOMotorCollection,
    ),
    "pymongo": (pymongo.AsyncMongoClient, AsyncDatabase, AsyncCollection),
}


class DecimalCodec(TypeCodec):
    python_type = decimal.Decimal
    bson_type = Decimal128

    def transform_python(self, value: Any) -> Any:
        return Decimal128(value)

    def transform_bson(self, value: Any) -> Any:
        return value.to_decimal()


ASKED: dict[str, Callable[[Any], Any]] = {
    "bool of a database": lambda c: bool(c.database),
    "bool of a collection": lambda c: bool(c),
    "bool of a client": lambda c: bool(c.database.client),
    "a collection is not called": lambda c: c(),
    "a database is not called": lambda c: c.database(),
    "a made up method is not called": lambda c: c.find_everything(),
    "a private attribute": lambda c: c._private,
    "a private attribute of a database": lambda c: c.database._private,
    "a private attribute of a client": lambda c: c.database.client._private,
    "a sub-collection": lambda c: (c.sub.name.partition(".")[2], c["a.b"].name.partition(".")[2]),
    "a sub-collection of a database": lambda c: c.database.get_io.name,
    "a bad name": lambda c: c.database["a$b"],
    "an empty name": lambda c: c.database[""],
    "a database with a bad name": lambda c: c.database.client["a b"],
    "iterating a collection": lambda c: next(iter(c)),
    "iterating a database": lambda c: next(iter(c.database)),
    "iterating a client": lambda c: next(iter(c.database.client)),
    "a name that is none": lambda c: c.database[5],
    "a sub-collection that is none": lambda c: c[5].name.partition(".")[2],
    "a database that is none": lambda c: c.database.client[5],
    "full name": lambda c: c.full_name.partition(".")[0] == c.database.name,
    "equality": lambda c: (
        c == c.database[c.name],
        c != c.database["x"],
        c.database == c.database.client[c.database.name],
    ),
    "hash": lambda c: hash(c) == hash(c.database[c.name]) and {c.database: 1}[c.database.client[c.database.name]],
    "equality of clients": lambda c: c.database.client == c.database.client,
    "options": lambda c: (c.codec_options, c.read_preference, c.write_concern, c.read_concern),
    "options of a database": lambda c: (c.database.codec_options, c.database.write_concern),
    "ping": lambda c: c.database.command("ping"),
    "server_info": lambda c: c.database.client.server_info(),
    "buildInfo": lambda c: c.database.command({"buildInfo": 1}),
    "an unknown command": lambda c: c.database.command("nonsense", 1),
    "an unknown command, allowed": lambda c: c.database.command("nonsense", 1, check=False),
    "a command of a wrong type": lambda c: c.database.command(5),
    "list_collection_names": lambda c: _names(
        c.database.list_collection_names(authorizedCollections=True, nameOnly=True)
    ),
    "list_collection_names, filtered": lambda c: c.database.list_collection_names(filter={"name": "nobody"}),
    "list_database_names": lambda c: _among(c.database.client.list_database_names(), c.database.name),
    "dereference": lambda c: c.database.dereference(DBRef(c.name, 1)),
    "dereference elsewhere": lambda c: c.database.dereference(DBRef(c.name, 1, "elsewhere")),
    "dereference nothing": lambda c: c.database.dereference(5),
    "get_default_database": lambda c: c.database.client.get_default_database().name == c.database.name,
    "get_database without a name": lambda c: c.database.client.get_database().name == c.database.name,
    "nodes": lambda c: len(c.database.client.nodes),
    "dereference with a projection": lambda c: c.database.dereference(DBRef(c.name, 1), projection={"a": 1}),
    "validate_collection": lambda c: _valid(c.database.validate_collection(c)),
    "validate_collection of nothing": lambda c: c.database.validate_collection(5),
}


async def _names(names: Any) -> bool:
    return "bare" in await names


async def _valid(reply: Any) -> bool:
    return bool((await reply)["valid"])


async def _among(names: Any, name: str) -> bool:
    return name in await names


@pytest.fixture(params=["motor", "pymongo"])
async def pair(request: pytest.FixtureRequest, mongo_uri: str) -> AsyncIterator[Pair]:
    async with pair_on(request.param, mongo_uri, LegacyRouter()) as made:
        yield made


@pytest.fixture(params=["motor", "pymongo"])
async def on_new(request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    async with pair_on_new(request.param, mongo_uri, postgres_dsn) as made:
        yield made


async def told(call: Callable[[], Any]) -> Any:
    """What a call came to: a value without clocks, or an exception by its class and what it says of the names used."""
    try:
        value = call()
        value = await value if inspect.isawaitable(value) else value
    except Exception as error:
        return type(error).__name__, str(error).replace("routed", "bare").replace("shadow.", "").partition("{")[0]
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if key not in ("operationTime", "$clusterTime", "localTime")}
    return value


async def test_what_is_taken_for_granted_is_the_drivers(pair: Pair) -> None:
    differences = {}
    for name, asked in ASKED.items():
        bare, facade = [await told(lambda c=c, asked=asked: asked(c)) for c in (pair.bare, pair.facade)]
        if bare != facade:
            differences[name] = bare, facade
    assert differences == {}
    names = [seen if isinstance(seen, tuple) else seen.name for seen in pair.router.seen]
    assert names == ["find_one", "find_one", ("validate", False)], "what reads the collection went through the router"


@pytest.mark.parametrize("shape", ["motor", "pymongo"])
async def test_a_clients_class_is_subclassed_and_subscripted(shape: str, mongo_uri: str) -> None:
    driver, facade = CLIENTS[shape]

    class Mine(facade):  # type: ignore[misc, valid-type]
        own = 1

    for client in (Mine(mongo_uri), facade[Any](mongo_uri), facade[dict[str, Any]](mongo_uri)):
        bind(client, LegacyRouter())
        assert isinstance(client, driver) and isinstance(client, facade)
        database = client.get_default_database()
        collection = database["routed"]
        for each, parent in zip((client, database, collection), PARENTS[shape], strict=True):
            assert isinstance(each, parent)
            assert type(each).__module__.startswith("shadow.") or type(each) is Mine
        assert await collection.count_documents({}) == 0
        if hasattr(driver, "__aenter__"):
            async with client as opened:
                assert opened is client
        else:
            client.close()
    for name in ("Database", "Collection", "Cursor"):
        module = shadow.motor if shape == "motor" else shadow.pymongo
        made_class = getattr(module, f"AsyncIOMotor{name}" if shape == "motor" else f"Async{name}")
        assert made_class[Any] is not None


async def test_everything_is_a_context_as_the_drivers(pair: Pair) -> None:
    client = pair.clients[1]
    session = client.start_session()
    async with await session if inspect.isawaitable(session) else session as opened:
        assert await pair.facade.count_documents({}, session=opened) == 4
    async with pair.facade.find({}, batch_size=1) as cursor:
        assert (await cursor.next())["_id"]
    assert not cursor.alive


async def test_a_view_is_made_beside_configured_collections(pair: Pair) -> None:
    for client, name in zip(pair.clients, ("bare", "routed"), strict=True):
        database = client.get_default_database()
        view = {"create": f"of_{name}", "viewOn": name, "pipeline": [{"$match": {"a": 2}}]}
        assert (await database.command(view))["ok"] == 1
        listed = await database.list_collections(filter={"name": f"of_{name}"})
        assert [each["type"] async for each in listed] == ["view"]
        assert await database[f"of_{name}"].count_documents({}) == 2


CODECS: dict[str, tuple[CodecOptions[Any], dict[str, Any]]] = {
    "time zones": (
        CodecOptions(tz_aware=True, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        {"at": datetime.datetime(2024, 1, 2, 3, 4, 5, 678901, datetime.UTC)},
    ),
    "naive times": (CodecOptions(), {"at": datetime.datetime(2024, 1, 2, 3, 4, 5, 678901)}),
    "times as milliseconds": (
        CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS),
        {"at": datetime.datetime(1, 1, 1)},
    ),
    "UUIDs": (CodecOptions(uuid_representation=UuidRepresentation.STANDARD), {"u": uuid.UUID(int=7)}),
    "UUIDs of old": (CodecOptions(uuid_representation=UuidRepresentation.PYTHON_LEGACY), {"u": uuid.UUID(int=7)}),
    "UUIDs of Java": (
        CodecOptions(uuid_representation=UuidRepresentation.JAVA_LEGACY),
        {"u": uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")},
    ),
    "UUIDs unspecified": (CodecOptions(), {"u": uuid.UUID(int=7)}),
    "types of one's own": (CodecOptions(type_registry=TypeRegistry([DecimalCodec()])), {"d": decimal.Decimal("1.50")}),
    "a fallback": (CodecOptions(type_registry=TypeRegistry(fallback_encoder=str)), {"f": frozenset([1])}),
    "documents in order": (CodecOptions(document_class=SON), {"b": {"z": 1, "a": 2}}),
    "documents undecoded": (CodecOptions(document_class=RawBSONDocument), {"b": {"a": [1]}}),
    "odd text": (CodecOptions(unicode_decode_error_handler="ignore"), {"t": "é\0", "b": Binary(b"\xff", 128)}),
    "references": (CodecOptions(), {"r": DBRef("x", ObjectId(b"a" * 12), "y", extra=1)}),
}


async def _with_codec(collection: Any, options: CodecOptions[Any], fields: dict[str, Any]) -> list[Any]:
    """What a collection with the options says of a document, in every way that returns one."""
    typed = collection.with_options(codec_options=options)
    await collection.delete_many({})
    (name, value), *_ = fields.items()
    calls: list[Callable[[], Any]] = [
        lambda: _inserted(typed, {"_id": 1, **copy.deepcopy(fields)}),
        lambda: typed.find_one({"_id": 1}),
        lambda: typed.find_one({name: value}),
        lambda: typed.find({}).to_list(None),
        lambda: typed.distinct(name),
        lambda: typed.count_documents({name: value}),
        lambda: typed.find_one_and_update({"_id": 1}, {"$set": {"v": [value]}}, return_document=True),
        lambda: typed.find_one_and_delete({"_id": 1}),
        lambda: _upserted(typed, None if isinstance(value, DBRef) else value),  # which SecantusDB takes for no _id
        lambda: _upserted_in_bulk(typed, None if isinstance(value, DBRef) else {"of": value}),
    ]
    return [await _shown(call) for call in calls]


async def _inserted(collection: Any, document: Any) -> Any:
    return (await collection.insert_one(document)).inserted_id


async def _upserted(collection: Any, id: Any) -> Any:
    return (await collection.update_one({"_id": id}, {"$set": {"a": 1}}, upsert=True)).upserted_id


async def _upserted_in_bulk(collection: Any, id: Any) -> Any:
    made = await collection.bulk_write([UpdateOne({"_id": id}, {"$set": {"a": 1}}, upsert=True)])
    return made.upserted_ids


async def _shown(call: Callable[[], Any]) -> Any:
    try:
        value = await call()
    except Exception as error:
        return type(error).__name__, str(error)[:30]
    return _form(value)


def _form(value: Any) -> Any:
    """A value with its types, down to the bytes of a document that is not decoded."""
    if isinstance(value, RawBSONDocument):
        return value.raw
    if isinstance(value, dict):
        return type(value), [(key, _form(each)) for key, each in value.items()]
    return [_form(each) for each in value] if isinstance(value, list) else (type(value), repr(value))


async def _codec_differences(pair: Pair) -> dict[str, Any]:
    differences = {}
    for name, (options, fields) in CODECS.items():
        bare, facade = [await _with_codec(c, options, fields) for c in (pair.bare, pair.facade)]
        if bare != facade:
            differences[name] = [each for each in zip(bare, facade, strict=True) if each[0] != each[1]]
    return differences


async def test_codec_options_mean_the_same(pair: Pair) -> None:
    assert await _codec_differences(pair) == {}


async def test_codec_options_mean_the_same_on_new(on_new: Pair) -> None:
    assert await _codec_differences(on_new) == {}


@pytest.mark.parametrize("shape", ["motor", "pymongo"])
async def test_options_of_a_client_reach_its_collections(shape: str, mongo_uri: str) -> None:
    uri = f"{mongo_uri}{'&' if '?' in mongo_uri else '?'}uuidRepresentation=standard&w=1&readConcernLevel=local"
    made = [kind(uri, tz_aware=True, document_class=SON, readPreference="nearest") for kind in CLIENTS[shape]]
    bind(made[1], LegacyRouter())
    seen = []
    for client in made:
        routed = client.get_default_database()["routed"]
        await routed.delete_many({})
        await routed.insert_one({"_id": uuid.UUID(int=3), "at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)})
        found = await routed.find_one({})
        seen.append((type(found), found, routed.read_preference, routed.write_concern, routed.read_concern))
        closing = client.close()
        if closing is not None:
            await closing
    assert seen[0] == seen[1]


async def test_concerns_and_preferences_are_kept(pair: Pair) -> None:
    options: dict[str, Any] = {
        "read_preference": ReadPreference.SECONDARY_PREFERRED,
        "write_concern": WriteConcern(w=0),
        "read_concern": ReadConcern("local"),
    }
    for collection in (pair.bare, pair.facade):
        database = collection.database
        for made in (
            collection.with_options(**options),
            database.get_collection(collection.name, **options),
            database.with_options(**options)[collection.name],
            database.client.get_database(database.name, **options)[collection.name],
        ):
            assert {option: getattr(made, option) for option in options} == options
            result = await made.insert_one({"w": 0})
            assert not result.acknowledged
            assert type(made) is type(collection)


class Heard(CommandListener):
    """Names of the commands that a client has begun and ended."""

    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []

    def started(self, event: Any) -> None:
        self.names.append(("started", event.command_name))

    def succeeded(self, event: Any) -> None:
        self.names.append(("succeeded", event.command_name))

    def failed(self, event: Any) -> None:
        self.names.append(("failed", event.command_name))


@pytest.mark.parametrize("shape", ["motor", "pymongo"])
async def test_listeners_hear_what_goes_to_legacy(shape: str, mongo_uri: str) -> None:
    heard = [Heard(), Heard()]
    clients = [kind(mongo_uri, event_listeners=[each]) for kind, each in zip(CLIENTS[shape], heard, strict=True)]
    bind(clients[1], LegacyRouter())
    for client in clients:
        collection = client.get_default_database()["routed"]
        await collection.delete_many({})
        await collection.insert_one({"_id": 1})
        await collection.distinct("a")
        await collection.find({}).to_list(None)
        await collection.estimated_document_count()
        await collection.create_index("a")
        await collection.database.command("count", "routed")
        with pytest.raises(OperationFailure):
            await collection.update_one({"_id": 1}, {"$bad": 1})
        await collection.drop()
        closing = client.close()
        if closing is not None:
            await closing
    assert heard[0].names == heard[1].names
    assert ("failed", "update") in heard[1].names or ("succeeded", "update") in heard[1].names
