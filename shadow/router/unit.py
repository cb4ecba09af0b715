"""A transaction of the application: one unit of marks, on one store from its first operation to its end.

On legacy the driver's own transaction does the work; every key that it writes is marked before, and the marks stay in
use until the transaction has ended, so that no sync can close them before its state can be read. On new the unit is a
transaction of PostgreSQL on a connection of its own, whose outbox marks by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from pymongo.errors import InvalidOperation, PyMongoError

from shadow.ops.base import Op, ReadOp, WriteOp
from shadow.ops.find import FindOp
from shadow.protocol.marks import Held
from shadow.protocol.reads import write_fence
from shadow.protocol.view import View
from shadow.router.answers import driver_exception
from shadow.router.bind import plan
from shadow.router.cursor import Opened
from shadow.router.reading import Answered
from shadow.runtime.loops import Loop, LoopEntity
from shadow_adapters.contract import NewDebt
from shadow_adapters.failures import EpochMoved, StoreError
from shadow_adapters.mongo.outcomes import Outcome, outcome_of
from shadow_adapters.postgres.pool import Connection
from shadow_flags.phases import Store

if TYPE_CHECKING:
    from shadow.runtime.runtime import Runtime

R = TypeVar("R")


class TransactionUnit:
    """The unit of one transaction."""

    def __init__(self, runtime: Callable[[], Runtime]) -> None:
        self._runtime = runtime
        self._store: Store | None = None
        self._entered: dict[str, tuple[LoopEntity, View]] = {}
        self._marks: list[Held] = []
        self._loop: Loop | None = None
        self._stack = AsyncExitStack()
        self._conn: Connection | None = None

    async def read(self, op: ReadOp[R]) -> Answered[R]:
        """A read inside the transaction, on the unit's store."""
        _, view = await self._enter(op)
        if self._store is Store.NEW:
            return Answered(await self._on_new(op, view), "new", view.phase)
        return Answered(await op.on_legacy(), "legacy", view.phase)

    async def write(self, op: WriteOp[R]) -> Answered[R]:
        """A write inside the transaction."""
        here, view = await self._enter(op)
        if self._store is Store.NEW:
            return Answered(await self._on_new(op, view), "new", view.phase)
        if view.marks:
            op = await self._mark(here, op)
        return Answered(await op.on_legacy(), "legacy", view.phase)

    async def open(self, op: FindOp) -> Opened:
        """A cursor inside the transaction."""
        here, view = await self._enter(op)
        if self._store is Store.LEGACY:
            return Opened(None, None)
        conn = await self._connection()
        return Opened(await here.entity.engine.open(conn, op.command(), write_fence(view)), None)

    async def commit(self, on_legacy: Callable[[], Awaitable[Any]]) -> None:
        """Commit on the unit's store, then settle and sync its marks."""
        if self._store is Store.NEW:
            await self._end_new("COMMIT")
            return
        try:
            await on_legacy()
        except BaseException as error:
            self._finish(_commit_outcome(error))
            raise
        self._finish(Outcome.SOME)

    async def abort(self, on_legacy: Callable[[], Awaitable[Any]]) -> None:
        """Abort; what was marked was not changed."""
        if self._store is Store.NEW:
            await self._end_new("ROLLBACK")
            return
        try:
            await on_legacy()
        finally:
            self._finish(Outcome.NOTHING)

    async def _enter(self, op: Op[Any]) -> tuple[LoopEntity, View]:
        """Count the transaction as in flight for the entity, and hold it to the unit's store."""
        driver: Any = op
        name = self._runtime().entity_of(driver.driver.core.database.name, driver.driver.name)
        found = self._entered.get(name)
        if found is None:
            self._loop = await self._runtime().loop()
            here = self._loop.add(self._runtime().entities[name])
            found = (here, await here.handle.enter())
            self._entered[name] = found
        authority = found[1].authority
        self._store = self._store or authority
        if authority is not self._store:
            raise InvalidOperation(
                f"one transaction cannot write {name}, whose authority is {authority}, together with entities whose "
                f"authority is {self._store}: give them one group, so that they move as one"
            )
        return found

    async def _mark(self, here: LoopEntity, op: WriteOp[R]) -> WriteOp[R]:
        assert self._loop is not None
        prepared = await plan(op, self._loop.node.terms.many_limit)
        if prepared.too_many:
            debt = NewDebt(here.entity.name, f"{op.name} of many records", settle=self._loop.node.terms.settle)
            await self._loop.control.owe([debt])
            return op
        self._marks += await self._loop.lane.marker.mark(here.handle.view, prepared.keys)
        return prepared.op

    async def _on_new(self, op: Op[R], view: View) -> R:
        conn = await self._connection()
        engine = self._entered[view.entity][0].entity.engine
        try:
            return op.result(await engine.execute(conn, op.command(), fence=write_fence(view)))
        except EpochMoved as error:
            raise PyMongoError(
                "the authority moved under the transaction", {"errorLabels": ["TransientTransactionError"]}
            ) from error
        except StoreError as error:
            raise driver_exception(error) from error

    async def _connection(self) -> Connection:
        """The transaction's connection, begun when it is first needed."""
        assert self._loop is not None
        if self._conn is None:
            try:
                self._conn = await self._stack.enter_async_context(self._loop.pool.connection())
                await self._conn.execute("BEGIN")
            except StoreError as error:
                raise driver_exception(error) from error
        return self._conn

    async def _end_new(self, how: str) -> None:
        try:
            if self._conn is not None:
                await self._conn.execute(how)
        finally:
            await self._stack.aclose()
            self._conn = None
            self._finish(Outcome.SOME)

    def _finish(self, outcome: Outcome) -> None:
        """Settle the marks, queue their syncs, and leave every entity."""
        marks, self._marks = self._marks, []
        loop = self._loop
        if loop is not None and marks:
            lane = loop.lane
            if outcome is Outcome.NOTHING:
                lane.drop(marks)
            else:
                until = lane.settled_at() if outcome is Outcome.UNKNOWN else 0.0
                for held in marks:
                    lane.book.unsettle(held, until)
                lane.enqueue(marks)
        entered, self._entered = self._entered, {}
        for here, view in entered.values():
            if outcome is Outcome.UNKNOWN and not view.marks:
                here.handle.leave_later(view)
            else:
                here.handle.leave(view)


def _commit_outcome(error: BaseException) -> Outcome:
    if isinstance(error, PyMongoError) and error.has_error_label("UnknownTransactionCommitResult"):
        return Outcome.UNKNOWN
    return outcome_of(error)
