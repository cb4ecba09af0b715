"""Façades over routers that the tests can see through, and outcomes that can be compared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bson.objectid import ObjectId
from pymongo.errors import BulkWriteError, OperationFailure

from shadow.facade.plain import plain_database
from shadow.facade.unrouted import OpenedOnLegacy
from shadow.metrics.tally import Tally
from shadow.ops.base import Bound, Chosen, Named


class LegacyRouter:
    """Sends everything to legacy as an operation, never directly. ``seen`` names what passed."""

    quiet = False

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.direct = Tally()

    async def meet(self) -> None:
        """Nothing has to be learned."""

    def met(self, loop: Any) -> bool:
        return True

    def begin(self, loop: Any = None) -> Any:
        raise AssertionError("only a quiet router is asked")

    async def read(self, op: Any) -> Any:
        self.seen.append(op)
        op.command(), op.id()
        return await op.on_legacy()

    async def write(self, op: Any) -> Any:
        self.seen.append(op)
        op.command(), op.targets(), op.whole()
        return await op.on_legacy()

    async def open(self, op: Any) -> Any:
        self.seen.append(op)
        return OpenedOnLegacy()

    async def alter(self, op: Any) -> Any:
        self.seen.append(op)
        op.command()
        return await op.on_legacy()

    async def apart(self, call: Callable[[], Awaitable[Any]]) -> Any:
        return await call()

    async def on_legacy(self, writes: bool, call: Callable[[], Awaitable[Any]]) -> Any:
        self.seen.append(("on legacy", writes))
        return await call()

    async def other(self, name: str, writes: bool, on_legacy: Callable[[], Awaitable[Any]]) -> Any:
        self.seen.append((name, writes))
        return await on_legacy()


class BindingRouter(LegacyRouter):
    """Resolves each write's targets on legacy and runs it narrowed to the records found."""

    async def write(self, op: Any) -> Any:
        self.seen.append(op)
        bounds = [await self._bound(op, target) for target in op.targets()]
        return await op.bind(bounds).on_legacy()

    async def _bound(self, op: Any, target: Any) -> Bound:
        if isinstance(target, Named):
            return Bound((target.id,))
        chosen = {}
        if isinstance(target, Chosen):
            chosen = {"sort": list((target.sort or {"$natural": 1}).items()), "limit": 1}
        cursor = op.driver.collection.find(target.filter, {"_id": 1}, collation=target.collation, **chosen)
        ids = tuple([document["_id"] for document in await cursor.to_list(None)])
        if ids or not target.upsert:
            return Bound(ids)
        return Bound((), target.upsert_id.id if target.upsert_id else ObjectId(), True)


class QuietRouter(LegacyRouter):
    """Lets everything go directly, and counts the writes that do."""

    quiet = True

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.ended: list[BaseException | None] = []

    def begin(self, loop: Any = None) -> Any:
        self.begun += 1
        return self.begun

    def end(self, begun: Any, error: BaseException | None) -> None:
        self.ended.append(error)


class FakeUnit:
    def __init__(self) -> None:
        self.ended: list[str] = []

    async def commit(self, on_legacy: Callable[[], Awaitable[Any]], patience: Any) -> None:
        self.ended.append("commit")
        await on_legacy()

    async def abort(self, on_legacy: Callable[[], Awaitable[Any]], patience: Any) -> None:
        self.ended.append("abort")
        await on_legacy()


class FakeBinding:
    """Collections whose name starts with ``routed`` are configured, all with one router."""

    def __init__(self, client: Any, router: Any) -> None:
        self.client = client
        self.routed = router
        self.units: list[FakeUnit] = []
        self.led: dict[str, bool] = {}

    def router(self, database: str, collection: str) -> Any:
        return self.routed if collection.startswith("routed") else None

    def below(self, database: str, collection: str) -> bool:
        return collection == "leads"

    async def databases(self) -> set[str]:
        return {self.client.get_default_database().name}

    async def led_by_new(self, database: str) -> dict[str, bool]:
        return self.led

    async def collections(self, database: str) -> list[str]:
        found = plain_database(self.client, database).list_collection_names()
        names: list[str] = await found if hasattr(found, "__await__") else found
        return names

    def unit(self, driver_session: Any) -> FakeUnit:
        self.units.append(FakeUnit())
        return self.units[-1]


def bind(client: Any, router: Any) -> FakeBinding:
    """Tie a façade's client to a router instead of to the runtime."""
    binding = client.__dict__["_shadow_binding"] = FakeBinding(client, router)
    return binding


async def outcome(call: Callable[[], Any]) -> Any:
    """What a call came to, in a form that can be compared: results by content, exceptions by class, code, details."""
    try:
        made = call()
        return plain(await made if hasattr(made, "__await__") else made)
    except BulkWriteError as error:
        return type(error).__name__, error.code, plain(error.details)
    except OperationFailure as error:
        return type(error).__name__, error.code, error.details.get("keyValue") if error.details else None
    except Exception as error:
        said = str(error)  # of which the older drivers that are supported leave out the type that was given
        return type(error).__name__, said.partition(", not <class ")[0] if isinstance(error, TypeError) else said


def plain(result: Any) -> Any:
    """A result without what differs from run to run."""
    if isinstance(result, ObjectId):
        return ObjectId
    if isinstance(result, dict):
        return [(key, plain(value)) for key, value in result.items() if key not in _PER_RUN]
    if isinstance(result, list | tuple):
        return [plain(value) for value in result]
    slots = [name for name in dir(type(result)) if name in _RESULT_FIELDS]
    if slots:
        return type(result).__name__, [(name, _field(result, name)) for name in slots]
    return type(result).__name__, result if not hasattr(result, "document") else None


def _field(result: Any, name: str) -> Any:
    try:
        value = getattr(result, name)
        return plain(dict(sorted(value.items())) if name == "raw_result" else value)
    except Exception as error:
        return type(error).__name__, str(error)


_PER_RUN = {"ok", "opTime", "electionId", "$clusterTime", "operationTime", "errmsg", "errInfo"}
_RESULT_FIELDS = {
    "acknowledged",
    "inserted_id",
    "inserted_ids",
    "matched_count",
    "modified_count",
    "upserted_id",
    "raw_result",
    "deleted_count",
    "bulk_api_result",
    "upserted_ids",
}
