"""A transaction of the application: one unit of marks, on one store from its first operation to its end.

On legacy the driver's own transaction does the work, and `MarkedUnit` marks what it writes. On new the unit is a
transaction of PostgreSQL on a connection of its own, whose outbox marks by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pymongo.errors import AutoReconnect, InvalidOperation, NetworkTimeout, OperationFailure, PyMongoError

from shadow.ops.base import Op, ReadOp, WriteOp
from shadow.ops.cursor import CursorRead
from shadow.ops.patience import Patience
from shadow.ops.replies import driver_error
from shadow.protocol.reads import write_fence
from shadow.protocol.unit import MarkedUnit
from shadow.protocol.view import View
from shadow.protocol.writes import Fate
from shadow.router.bind import named_keys, plan
from shadow.router.cursor import NewCursor, Opened
from shadow.router.lapsing import Guard
from shadow.router.monitoring import heard
from shadow.router.reading import Answered
from shadow.router.waits import answering, latest, taken, timed
from shadow.router.writing import FATES
from shadow.runtime.loops import Loop, LoopEntity
from shadow_adapters.contract import Fence, Key
from shadow_adapters.failures import CommandFailure, EpochMoved, OutcomeUnknown, OutOfTime
from shadow_adapters.mongo.outcomes import outcome_of
from shadow_adapters.postgres.call import Neighbour
from shadow_adapters.postgres.errors import mapped
from shadow_adapters.postgres.pool import Connection
from shadow_flags.phases import Store

if TYPE_CHECKING:
    from shadow.runtime.runtime import Runtime

R = TypeVar("R")

_TRANSIENT = {"errorLabels": ["TransientTransactionError"]}
_NOT_COMMITTED = 251  # NoSuchTransaction


class TransactionUnit:
    """The unit of one transaction."""

    def __init__(self, runtime: Callable[[], Runtime]) -> None:
        self._runtime = runtime
        self._store: Store | None = None
        self._entered: dict[str, tuple[LoopEntity, View]] = {}
        self._guards: dict[str, Guard] = {}
        self._marked = MarkedUnit()
        self._written: dict[str, list[Key]] = {}  # on new
        self._loop: Loop | None = None
        self._stack = AsyncExitStack()
        self._conn: Connection | None = None
        self._kept: set[str] = set()
        self._failed: PyMongoError | None = None

    async def read(self, op: ReadOp[R]) -> Answered[R]:
        """A read inside the transaction, on the unit's store."""
        here, view = await self._enter(op)
        if self._store is Store.NEW:
            return Answered(await self._on_new(op, view, None), "new", view.phase)
        self._guards[here.entity.name].read()
        return Answered(await op.on_legacy(), "legacy", view.phase)

    async def write(self, op: WriteOp[R]) -> Answered[R]:
        """A write inside the transaction."""
        here, view = await self._enter(op)
        if self._store is Store.NEW:
            result = await self._on_new(op, view, write_fence(view))
            self._written.setdefault(view.entity, []).extend(named_keys(op.targets()))
            return Answered(result, "new", view.phase)
        self._guards[here.entity.name].write()
        if view.marks:
            op = await self._mark(here, op)
        return Answered(await op.on_legacy(), "legacy", view.phase)

    async def open(self, op: CursorRead) -> Opened:
        """A cursor inside the transaction."""
        here, view = await self._enter(op)
        others = await self._others(here, op)
        if self._store is Store.LEGACY:
            self._guards[here.entity.name].read()
            return Opened(None, None)
        command = op.command()
        with _in_drivers_words():
            until = latest(op.patience, command)
            for each in (view, *(entered[1] for entered in others.values())):
                conn = await self._connection(each, until)
            neighbours = {name: Neighbour(entered[0].entity.layout, None) for name, entered in others.items()}
            with heard(op, None) as listening:
                cursor = await here.entity.engine.open(conn, command, None, neighbours.get)
            return Opened(NewCursor(AsyncExitStack(), conn, cursor, command, listening=listening), None)

    async def commit(self, on_legacy: Callable[[], Awaitable[Any]], patience: Patience | None = None) -> None:
        """Commit on the unit's store, then settle and sync its marks."""
        if self._store is Store.NEW:
            await self._commit_new(patience)
        else:
            for guard in self._guards.values():
                on_legacy = guard.writing(on_legacy)
            await self._marked.commit(on_legacy, _commit_fate)

    async def abort(self, on_legacy: Callable[[], Awaitable[Any]], patience: Patience | None = None) -> None:
        """Abort; what was marked was not changed."""
        if self._store is Store.NEW:
            await self._abort_new(patience)
            return
        try:
            await on_legacy()
        finally:
            self._marked.end(Fate.NOTHING)
            self._entered = {}

    async def _enter(self, op: Op[Any]) -> tuple[LoopEntity, View]:
        """Count the transaction as in flight for the entity, and hold it to the unit's store."""
        driver: Any = op
        return await self._enter_entity(self._runtime().entity_of(driver.driver.core.database.name, driver.driver.name))

    async def _others(self, here: LoopEntity, op: CursorRead) -> dict[str, tuple[LoopEntity, View]]:
        """The other configured collections that an operation reads, entered as its own is."""
        found = {}
        for collection in op.others:
            settings = self._runtime().settings.entity_for(here.entity.database, collection)
            if settings is not None and settings.name != here.entity.name:
                found[collection] = await self._enter_entity(settings.name)
        return found

    async def _enter_entity(self, name: str) -> tuple[LoopEntity, View]:
        found = self._entered.get(name)
        if found is None:
            self._loop = await self._runtime().loop()
            here = self._loop.add(self._runtime().entities[name])
            guard = Guard(here)
            found = (here, await here.handle.enter())
            self._entered[name] = found
            self._guards[name] = guard
            self._marked.enter(here.handle, found[1])
        authority = found[1].authority
        self._store = self._store or authority
        if authority is not self._store:
            raise InvalidOperation(
                f"one transaction cannot write {name}, whose authority is {authority}, together with entities whose "
                f"authority is {self._store}: move these entities to the same phase"
            )
        return found

    async def _mark(self, here: LoopEntity, op: WriteOp[R]) -> WriteOp[R]:
        assert self._loop is not None
        prepared = await plan(op, self._loop.node.terms.many_limit)
        keys = (None,) if prepared.too_many else prepared.keys
        await self._marked.mark(self._loop.lane, here.handle, keys)
        return prepared.op

    async def _on_new(self, op: Op[R], view: View, fence: Fence | None) -> R:
        command = timed(op.patience, op.command()) if isinstance(op, ReadOp) else op.command()
        with _in_drivers_words():
            until = latest(op.patience, command)
            conn = await self._connection(view, until)
            engine = self._entered[view.entity][0].entity.engine
            with heard(op, None) as listening, answering(conn, until):
                reply = await engine.execute(conn, command, fence=fence)
            listening.answered(reply)
            return op.result(reply)

    async def _connection(self, view: View, until: float | None) -> Connection:
        """The transaction's connection, begun when it is first needed.

        From an entity's first operation to the end, PostgreSQL itself keeps its authority where it is (rule 4), so that
        reads inside the transaction need no fence of their own: an epoch may move meanwhile, the term cannot.
        """
        assert self._loop is not None
        conn = self._conn
        if conn is None:
            conn = self._conn = await taken(self._stack, self._loop.pool, until)
            with answering(conn, until):
                await conn.execute("BEGIN")
        fence = write_fence(view)
        if fence is not None and fence.entity not in self._kept:
            with answering(conn, until):
                entered = await conn.fetchval("SELECT shadow.enter($1, $2)", fence.entity, fence.epoch)
            if not entered:
                raise EpochMoved(fence.entity)
            self._kept.add(fence.entity)
        return conn

    async def _commit_new(self, patience: Patience | None) -> None:
        if self._failed is not None:
            raise self._failed
        try:
            if self._conn is not None:
                with answering(self._conn, _latest_of_commit(patience)):
                    await _commit(self._conn)
                await self._give_back()
                await self._follow()
        except PyMongoError as error:
            self._failed = error  # a commit that is repeated must not pass for one that succeeded
            raise
        finally:
            await self._end_new()

    async def _follow(self) -> None:
        """Sync what was written, as after a single write on new."""
        assert self._loop is not None
        for name, keys in self._written.items():
            view = self._entered[name][0].handle.view()
            if view.follows and keys:
                await self._loop.lane.follow(view, keys)

    async def _abort_new(self, patience: Patience | None) -> None:
        """Roll back; a connection whose server does not answer in time is dropped, which comes to the same."""
        if self._conn is None or patience is None:
            await self._end_new()
            return
        with answering(self._conn, asyncio.get_running_loop().time() + max(0.0, patience.left)):
            await self._end_new()

    async def _end_new(self) -> None:
        """What was not committed is rolled back."""
        await self._give_back()
        self._entered, self._written = {}, {}
        self._marked.end(Fate.SOME)

    async def _give_back(self) -> None:
        await self._stack.aclose()
        self._conn = None


@contextmanager
def _in_drivers_words() -> Iterator[None]:
    """What PostgreSQL says inside a transaction, as the driver says it; nothing is committed where it is lost."""
    try:
        yield
    except CommandFailure:
        raise
    except EpochMoved as error:
        raise PyMongoError("the authority moved under the transaction", _TRANSIENT) from error
    except Exception as error:
        known = mapped(error, writing=False)
        if known is None:
            raise
        lost = NetworkTimeout if isinstance(known, OutOfTime | OutcomeUnknown) else AutoReconnect
        raise lost(f"PostgreSQL cannot be reached; the transaction may be repeated ({known})", _TRANSIENT) from error


def _latest_of_commit(patience: Patience | None) -> float | None:
    """As `latest`, in the driver's words."""
    try:
        return latest(patience, None)
    except CommandFailure as failure:
        raise driver_error(failure) from None


async def _commit(conn: Connection) -> None:
    """Commit on new.

    Raises `NetworkTimeout`, without a label that would have it repeated, where nobody knows whether it is committed.
    """
    try:
        said = await conn.execute("COMMIT")
    except Exception as error:
        known = mapped(error, writing=True)
        if known is None:
            raise
        if isinstance(known, OutcomeUnknown):
            raise NetworkTimeout(f"PostgreSQL did not say whether the transaction was committed ({known})") from error
        raise OperationFailure(f"the transaction was not committed: {known}", _NOT_COMMITTED, _TRANSIENT) from error
    if said != "COMMIT":  # PostgreSQL ends a transaction in which a statement failed, and calls that no error
        raise OperationFailure("the transaction was aborted by an earlier error", _NOT_COMMITTED, _TRANSIENT)


def _commit_fate(error: BaseException) -> Fate:
    if isinstance(error, PyMongoError) and error.has_error_label("UnknownTransactionCommitResult"):
        return Fate.UNKNOWN
    return FATES[outcome_of(error)]
