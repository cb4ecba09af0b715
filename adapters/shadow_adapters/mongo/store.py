"""A MongoDB collection as the protocol sees it: records by key, read from the primary.

Records come and go as raw BSON: nothing is decoded but ``_id``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient, DeleteOne, ReadPreference, ReplaceOne
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from shadow_adapters.bson.codec import CODEC, decode, encode
from shadow_adapters.bson.keys import decode as decode_key
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Key, Record
from shadow_adapters.failures import Refused
from shadow_adapters.mongo.outcomes import bulk_refusals, store_error

_RAW: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument,
    uuid_representation=CODEC.uuid_representation,
    datetime_conversion=CODEC.datetime_conversion,
)

_NOT_FOUND = 26  # NamespaceNotFound

ARMED = "shadow_armed"
"""The collection in which an entity's database says that the authority may be elsewhere."""

# MongoDB's comparison order of types, as numbers for `$type`; types that share a place share a line.
_TYPES: tuple[tuple[int, ...], ...] = (
    (-1,),  # MinKey
    (10,),  # null
    (1, 16, 18, 19),  # numbers
    (2, 14),  # string, symbol
    (3,),  # object
    (5,),  # binary
    (7,),  # ObjectId
    (8,),  # bool
    (9,),  # date
    (17,),  # timestamp
    (127,),  # MaxKey
)


class MongoStore:
    """One collection.

    Args:
        client: of this event loop; its own options do not matter.
        entity: the name under which the collection is armed.
    """

    def __init__(self, client: AsyncMongoClient[Any], database: str, collection: str, entity: str) -> None:
        self._client = client
        self._entity = entity
        self._database = client.get_database(database)
        self._records = self._database.get_collection(
            collection,
            codec_options=_RAW,
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("local"),
            write_concern=WriteConcern("majority"),
        )

    async def indexes(self) -> list[dict[str, Any]]:
        """The specifications of all indexes, if there is a collection. Raises `pymongo.errors.PyMongoError`."""
        listing = {"listIndexes": self._records.name}
        reply = await self._database.command(listing, codec_options=CODEC, allowable_errors=[_NOT_FOUND])
        return reply["cursor"]["firstBatch"] if reply["ok"] else []

    async def read(self, keys: Sequence[Key]) -> dict[Key, Record]:
        """The records of the keys that exist. Raises `StoreDown`."""
        async with _translated():
            found = await self._records.find({"_id": {"$in": [decode_key(key) for key in keys]}}).to_list(None)
        return dict(map(_keyed, found))

    async def put(self, states: Mapping[Key, Record | None]) -> dict[Key, Refused]:
        """Replace, insert or delete each, in one command; the refused ones.

        Raises `StoreDown`, `OutcomeUnknown`, or `Refused` where the driver does not say which record is at fault.
        """
        keys = list(states)
        async with _translated():
            try:
                await self._records.bulk_write([_put(key, states[key]) for key in keys], ordered=False)
            except BulkWriteError as error:
                refused = bulk_refusals(error)
                return {keys[index]: refusal for index, refusal in refused.items()}
        return {}

    async def scan(self, after: Key | None, limit: int) -> list[tuple[Key, Record]]:
        """The next records in the order of their byte keys. Raises `StoreDown`."""
        async with _translated():
            cursor = self._records.find(_beyond(after)).sort("_id", 1).limit(limit)
            return [_keyed(record) for record in await cursor.to_list(limit)]

    async def identity(self) -> str:
        """The election id; changes with every election. Raises `StoreDown`."""
        async with _translated():
            hello = await self._client.admin.command("hello")
        return f"{hello.get('setName', '')}/{hello.get('electionId', '')}"

    async def arm(self) -> None:
        """Say in the entity's own database that the authority may be elsewhere."""
        async with _translated():
            armed = self._database.get_collection(ARMED, write_concern=WriteConcern("majority"))
            await armed.update_one({"_id": self._entity}, {"$set": {"armed": True}}, upsert=True)

    async def armed(self) -> bool:
        """Whether the authority may be elsewhere. Raises `StoreDown`."""
        async with _translated():
            armed = self._database.get_collection(ARMED, read_preference=ReadPreference.PRIMARY)
            return await armed.find_one({"_id": self._entity}) is not None


def _put(key: Key, record: Record | None) -> DeleteOne | ReplaceOne[RawBSONDocument]:
    if record is None:
        return DeleteOne({"_id": decode_key(key)})
    document = RawBSONDocument(record, _RAW)
    return ReplaceOne({"_id": document["_id"]}, document, upsert=True)


def _beyond(after: Key | None) -> dict[str, Any]:
    """The filter of what comes after a key. ``$gt`` sees only one type, so the later types are named beside it."""
    if after is None:
        return {}
    value = decode_key(after)
    place = next(i for i, types in enumerate(_TYPES) if _type_number(value) in types)
    later = [number for types in _TYPES[place + 1 :] for number in types]
    return {"$or": [{"_id": {"$gt": value}}, *([{"_id": {"$type": later}}] if later else [])]}


def _type_number(value: Any) -> int:
    """The BSON type number of a value: the byte that its element begins with."""
    number = encode({"": value})[4]
    return -1 if number == 255 else number


def _keyed(document: RawBSONDocument) -> tuple[Key, Record]:
    identity, record = document["_id"], bytes(document.raw)
    if isinstance(identity, RawBSONDocument):
        identity = decode(bytes(identity.raw))
    return key_of(identity), record


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise store_error(error) from error
