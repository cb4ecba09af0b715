"""``$out`` and ``$merge``: the result of an aggregation, written into a collection that may be anywhere.

Where everything is MongoDB's, the driver's own call does it: where the target follows, too, as far as that is a
``$out``, which replaces everything anyhow. Otherwise the pipeline in front of the last stage is read where its
collection is led, as a whole and before anything is written, and the target gets ordinary writes through a router of
its own: those of one key each that a ``$merge`` of MongoDB's makes, or all documents at once.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from bson.objectid import ObjectId
from bson.regex import Regex
from pymongo import InsertOne, ReadPreference, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, WriteConcernError, WriteError
from pymongo.mongo_client import MongoClient
from pymongo.write_concern import WriteConcern

from shadow.facade.elsewhere import Reach, pass_through, written_by
from shadow.facade.forward import pass_by
from shadow.facade.methods import RoutedMethods
from shadow.facade.plain import plain_database
from shadow.facade.posted import PostedCollection
from shadow.facade.seat import Seat, given
from shadow.ops.aggregate import AggregateOp
from shadow.ops.base import LedByNew
from shadow.ops.pipelines import collections_read
from shadow.ops.replace_all import ReplaceAllOp
from shadow.ops.replies import driver_error
from shadow_adapters.bson.codec import CODEC, encode
from shadow_adapters.bson.expression import evaluate_let
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.bson.pipeline.memory import LIMIT
from shadow_adapters.bson.pipeline.writing import FAIL, INSERT, KEEP, MERGE, PIPELINE, Merge, Out, last_stage
from shadow_adapters.failures import CommandFailure

_READ_AT_ONCE: Final = 1000
_WRITTEN_AT_ONCE: Final = 1000
_ATTEMPTS: Final = 5
"""How often a document that is not there is looked for again, where another one inserts it meanwhile."""
_NO_MATCH: Final = 13113  # MergeStageNoMatchingDocument
_IMMUTABLE: Final = 66

Legacy = Callable[[], Awaitable[Any]]
Documents = list[dict[str, Any]]


async def write_result(collection: Any, legacy: Legacy, pipeline: Any, session: Any, options: dict[str, Any]) -> Any:
    """What the driver's ``aggregate`` comes to: its cursor, or None where the target was written otherwise.

    Args:
        collection: the façade's, which is read.
        legacy: the driver's own call.
        options: of the call.

    Raises what the driver raises.
    """
    try:
        return await _written(collection, legacy, pipeline, session, options)
    except CommandFailure as failure:
        raise driver_error(failure) from None


async def _written(collection: Any, legacy: Legacy, pipeline: Any, session: Any, options: dict[str, Any]) -> Any:
    directly = partial(_directly, collection, legacy, pipeline, session)
    if await _is_the_drivers(collection, pipeline):
        try:
            return await directly()
        except LedByNew:
            pass
    seat: Seat = collection._seat
    name = "$out" if "$out" in pipeline[-1] else "$merge"
    if seat.driver.unit(session) is not None:
        raise CommandFailure(263, f"{name} cannot be used in a transaction")
    if seat.driver.core.read_concern.level == "linearizable":
        raise CommandFailure(72, f"{name} cannot be used with a 'linearizable' read concern level")
    run = _Run(collection, seat.driver.wire(pipeline), session, options)
    await run.prepare()
    try:
        documents = await run.read()
    except _TooMuchError:
        try:
            return await directly()
        except LedByNew:
            text = f"Exceeded memory limit for {name}: the result is read as a whole before it is written"
            raise CommandFailure(292, text, unsupported=f"{name} of more than {LIMIT} bytes") from None
    await run.write(documents)
    return None


async def _is_the_drivers(collection: Any, pipeline: Any) -> bool:
    """Whether the driver's own call is to be tried first: nothing is marked, or all of the target at once."""
    if "$out" in pipeline[-1]:
        return True
    for database, name in written_by(collection.database.name, pipeline):
        router = collection.database.client._shadow_binding.router(database, name) if database and name else None
        if router is not None:
            seat: Seat = collection.database.client[database][name]._seat
            await seat.router.meet()
            return seat.router.quiet
    return True


async def _directly(collection: Any, legacy: Legacy, pipeline: Any, session: Any) -> Any:
    """The driver's own call. Raises `LedByNew` where new leads one of the collections."""
    database = collection.database.name
    read = tuple((database, name) for name in (collection.name, *collections_read(pipeline)))
    reach = Reach("aggregate", read, written_by(database, pipeline))
    return await pass_through(collection.database.client, reach, legacy, session, pass_by)


class _TooMuchError(Exception):
    """The result is larger than is held."""


class _Run:
    """One aggregation whose target is written by Shadow. Arguments as of `write_result`, the pipeline as it is sent."""

    def __init__(self, collection: Any, pipeline: Any, session: Any, options: dict[str, Any]) -> None:
        wire = collection._seat.driver.wire
        self._client = collection.database.client
        self._made = type(collection)
        self._session = session
        self._options = {"session": session} | given(
            bypass_document_validation=options.get("bypassDocumentValidation"), comment=options.get("comment")
        )
        self._collation = options.get("collation")
        concern = collection._seat.driver.core.write_concern
        self._concern = concern if concern.acknowledged else WriteConcern()
        reads = {name: value for name, value in options.items() if name != "bypassDocumentValidation"}
        if "let" in reads:
            reads["let"] = wire(reads["let"])
        source = self._made(
            collection.database,
            collection.name,
            codec_options=CODEC,
            read_preference=ReadPreference.PRIMARY,
            read_concern=collection._seat.driver.core.read_concern,
        )
        self._source: Seat = source._seat
        self._op = AggregateOp(self._source.driver, pipeline[:-1], session=session, **reads)
        self._variables = evaluate_let(reads.get("let"), {"NOW": DatetimeMS(int(time.time() * 1000))})
        self._let = {name: value for name, value in self._variables.items() if name != "NOW"}
        self._into = last_stage(pipeline, collection.database.name, tuple(self._variables))
        place = self._into.place
        database = collection.database if place.database == collection.database.name else self._client[place.database]
        self._target = self._made(database, place.collection, codec_options=CODEC, write_concern=self._concern)
        self._sparse = False

    async def prepare(self) -> None:
        """Raises `CommandFailure` 51183 where no unique index has the fields by which documents are merged."""
        into = self._into
        if not isinstance(into, Merge) or into.on in (None, ("_id",)):
            return
        indexes = await RoutedMethods.index_information(self._target, session=self._session)
        found = [index for index in indexes.values() if _is_unique_over(index, into.on or (), self._collation)]
        if not found:
            raise CommandFailure(51183, "Cannot find index to verify that join fields will be unique")
        self._sparse = all(index.get("sparse") for index in found)

    async def read(self) -> Documents:
        """The result. Raises `_TooMuchError`, `CommandFailure`, and what the driver raises."""
        opened = await self._source.router.open(self._op)
        documents: Documents = []
        held = 0
        more: Callable[[], Awaitable[Documents]]
        if opened.cursor is None:
            cursor = await self._op.cursor_on_legacy()
            more, close = partial(cursor.to_list, _READ_AT_ONCE), getattr(cursor, "close", None)
        else:
            more, close = opened.cursor.batch, opened.cursor.close
        try:
            while batch := await more():
                held += sum(len(encode(document)) for document in batch)
                if held > LIMIT:
                    raise _TooMuchError
                documents += batch
        finally:
            if close is not None:
                await close()
        if opened.observe is not None:
            opened.observe(list(documents), True)
        return documents

    async def write(self, documents: Documents) -> None:
        """Raises what the driver raises for an aggregation that fails."""
        if isinstance(self._into, Out):
            await self._replace([document if "_id" in document else _named(document) for document in documents])
            return
        for at in range(0, len(documents), _WRITTEN_AT_ONCE):
            await self._merge(self._into, documents[at : at + _WRITTEN_AT_ONCE])

    async def _replace(self, documents: Documents) -> None:
        seat: Seat = self._target._seat
        await seat.router.meet()
        op = ReplaceAllOp(seat.driver, documents, self._beside, self._session)
        begun = seat.begin(self._session)
        if begun is not None:
            await seat.counted(begun, op.on_legacy())
        else:
            await seat.altered(op)

    def _beside(self, name: str) -> Any:
        database = plain_database(self._client, self._into.place.database)
        plain = database.get_collection(name, codec_options=CODEC, write_concern=self._concern)
        return PostedCollection(plain) if isinstance(self._client, MongoClient) else plain

    async def _merge(self, into: Merge, documents: Documents) -> None:
        on = into.on or ("_id",)
        named = [document if "_id" in document or "_id" not in on else _named(document) for document in documents]
        filters = [{field: self._key(document, field) for field in on} for document in named]
        pairs = list(zip(filters, named, strict=True))
        if into.matched == PIPELINE:
            matched = sum([await self._change(into, filter, document) for filter, document in pairs])
        else:
            matched = await self._bulk([_request(into, filter, document) for filter, document in pairs])
        if into.not_matched == FAIL and matched < len(documents):
            raise CommandFailure(
                _NO_MATCH,
                "$merge could not find a matching document in the target collection for at least one document in the "
                "source collection",
            )

    def _key(self, document: Mapping[str, Any], path: str) -> Any:
        """The value by which a document is found, as a filter has it."""
        value: Any = document
        for field in path.split("."):
            value = value.get(field, MISSING) if isinstance(value, Mapping) else MISSING
            if isinstance(value, list):
                raise CommandFailure(51185, f"$merge write error: 'on' field '{path}' is an array")
        if value is MISSING or value is None:
            if self._sparse:
                raise CommandFailure(
                    51132,
                    f"$merge write error: 'on' field '{path}' cannot be missing, null or undefined if supporting index "
                    "is sparse",
                )
            return None
        return {"$eq": value} if isinstance(value, Regex | Mapping) else value

    async def _bulk(self, requests: Sequence[Any]) -> int:
        """How many documents were matched. In no order, as MongoDB writes them."""
        try:
            result = await RoutedMethods.bulk_write(self._target, requests, ordered=False, **self._options)
        except BulkWriteError as error:
            raise _first(error) from None
        return result.matched_count

    async def _change(self, into: Merge, filter: dict[str, Any], document: dict[str, Any]) -> int:
        """Merge by a pipeline; whether the document was there."""
        values = {name: let.evaluate(document, self._variables) for name, let in into.let.items()}
        let = {name: _constant(value) for name, value in (self._let | values).items()}
        try:
            for _ in range(_ATTEMPTS):
                result = await RoutedMethods.update_one(self._target, filter, into.pipeline, let=let, **self._options)
                if result.matched_count or into.not_matched != INSERT or await self._insert(document):
                    return result.matched_count
            await RoutedMethods.insert_one(self._target, document, **self._options)
            return 0
        except WriteError as error:
            raise _refused(dict(error.details or {})) from None

    async def _insert(self, document: dict[str, Any]) -> bool:
        """Insert a document that was not there; whether it is still so."""
        try:
            await RoutedMethods.insert_one(self._target, document, **self._options)
        except DuplicateKeyError:
            return False
        return True


def _constant(value: Any) -> Any:
    """The expression that is always this value."""
    return "$$REMOVE" if value is MISSING else {"$literal": value}


def _named(document: dict[str, Any]) -> dict[str, Any]:
    return {"_id": ObjectId(), **document}


def _request(into: Merge, filter: dict[str, Any], document: dict[str, Any]) -> Any:
    """The write of one document, as MongoDB's stage makes it."""
    if into.matched == FAIL:
        return InsertOne(document)
    upsert = into.not_matched == INSERT
    if into.matched == MERGE:
        return UpdateOne(filter, {"$set": document}, upsert=upsert)
    if into.matched == KEEP:
        return UpdateOne(filter, {"$setOnInsert": document}, upsert=upsert)
    return ReplaceOne(filter, document, upsert=upsert)


def _is_unique_over(index: Mapping[str, Any], fields: Sequence[str], collation: Any) -> bool:
    """Whether an index, as the driver tells of it, holds documents apart by these fields."""
    if not index.get("unique") or "partialFilterExpression" in index:
        return False
    if {field for field, _ in index["key"]} != set(fields):
        return False
    asked = dict(getattr(collation, "document", collation) or {})
    own = index.get("collation") or {}
    return asked.items() <= dict(own).items() if asked else not own


def _refused(told: Mapping[str, Any]) -> Exception:
    """The error of one write, as that of the aggregation."""
    code, text = told["code"], told["errmsg"]
    if code == _IMMUTABLE:
        text = (
            "$merge failed to update the matching document, did you attempt to modify the _id or the shard key? "
            f":: caused by :: {text}"
        )
    more = {name: told[name] for name in ("keyPattern", "keyValue", "errInfo") if name in told}
    return driver_error(CommandFailure(code, text, details=more))


def _first(error: BulkWriteError) -> Exception:
    """What an aggregation says of writes that were refused: the first of them."""
    details = error.details or {}
    for told in details.get("writeErrors", ()):
        return _refused(told)
    for told in details.get("writeConcernErrors", ()):
        return WriteConcernError(told.get("errmsg", ""), told.get("code"), told)
    return error
