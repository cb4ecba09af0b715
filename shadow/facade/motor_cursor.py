"""Motor's cursors over a router. Only where a batch comes from is decided here."""

from __future__ import annotations

from typing import Any

from motor.core import AgnosticRawBatchCursor
from motor.motor_asyncio import AsyncIOMotorChangeStream as DriverChangeStream
from motor.motor_asyncio import AsyncIOMotorCursor as DriverCursor
from motor.motor_asyncio import AsyncIOMotorLatentCommandCursor as DriverLatentCursor
from motor.motor_asyncio import create_asyncio_class  # type: ignore[attr-defined]  # not in Motor's stubs
from pymongo.command_cursor import CommandCursor as DriverCommandCursor

from shadow.facade.aggregates import Delivered
from shadow.facade.altering import explain
from shadow.facade.delivery import NEW_CURSOR_ID, Delivery
from shadow.facade.futures import start
from shadow.facade.seat import Seat, given
from shadow.ops.distinct import DistinctOp
from shadow.ops.find import FindOp

DriverRawBatchCursor: Any = create_asyncio_class(AgnosticRawBatchCursor)


class AsyncIOMotorCursor(DriverCursor[Any]):
    """`motor.motor_asyncio.AsyncIOMotorCursor` over a router; the driver's own state and methods."""

    collection: Any
    _delivery: Delivery | None = None
    _direct = False

    @property  # a method in Motor's stubs
    def cursor_id(self) -> int | None:  # type: ignore[override]
        if self._delivery is not None and self._delivery.open_on_new:
            return NEW_CURSOR_ID
        cursor_id: int | None = self.delegate.cursor_id
        return cursor_id

    def _refresh(self) -> Any:
        seat: Seat = self.collection._seat
        if self._direct or (self._delivery is None and seat.quiet(self.delegate.session)):
            self._direct = True
            return super()._refresh()
        return start(self.get_io_loop(), self._routed(seat))

    async def _routed(self, seat: Seat) -> int:
        if self._delivery is None:
            core, plain = self.delegate, seat.driver.collection
            op = FindOp(seat.driver, core.session, core, lambda: DriverCursor(core.clone(), plain))
            self._delivery = await Delivery.begin(seat.router, core, op)
        return await self._delivery.more(super()._refresh)

    def explain(self) -> Any:
        seat: Seat = self.collection._seat
        if seat.quiet(self.delegate.session):
            return super().explain()
        return start(self.get_io_loop(), explain(seat, self.delegate, super().explain))

    def distinct(self, key: str) -> Any:
        seat: Seat = self.collection._seat
        core: Any = self.delegate
        if seat.quiet(core.session):
            return super().distinct(key)
        options = given(maxTimeMS=core._max_time_ms, comment=core._comment, collation=core._collation)
        return start(
            self.get_io_loop(), seat.read(DistinctOp, key, core._spec or None, session=core.session, **options)
        )

    async def close(self) -> None:
        if self._delivery is not None:
            await self._delivery.give_up()
        await super().close()

    def rewind(self) -> AsyncIOMotorCursor:
        super().rewind()
        if self._delivery is not None:
            start(self.get_io_loop(), self._delivery.give_up())
        self._delivery, self._direct = None, False
        return self


class CommandCursor(Delivered, DriverCommandCursor[Any]):
    """PyMongo's cursor inside Motor's, of an aggregation over a router."""


class AsyncIOMotorLatentCommandCursor(DriverLatentCursor[Any]):
    """`motor.motor_asyncio.AsyncIOMotorLatentCommandCursor` of an aggregation over a router."""

    delegate: Any

    def _refresh(self) -> Any:
        delivery: Delivery | None = getattr(self.delegate, "_delivery", None)
        if delivery is None:
            return super()._refresh()
        return start(self.get_io_loop(), delivery.more(super()._refresh))

    async def close(self) -> None:
        delivery: Delivery | None = getattr(self.delegate, "_delivery", None)
        if delivery is not None:
            await delivery.give_up()
        await super().close()


class AsyncIOMotorRawBatchCursor(DriverRawBatchCursor):  # type: ignore[misc]
    """Motor's cursor of raw batches, counted as not served by new."""

    _counted = False

    def _refresh(self) -> Any:
        seat: Seat = self.collection._seat
        if self._counted or seat.quiet(self.delegate.session):
            return super()._refresh()
        self._counted = True
        return start(self.get_io_loop(), seat.router.other("find_raw_batches", False, super()._refresh))


class AsyncIOMotorChangeStream(DriverChangeStream[Any]):
    """Motor's change stream of a collection, a database or a client, counted as not served by new."""

    _target: Any
    _framework: Any

    _counted = False

    async def _opened(self) -> None:
        self._counted = self._counted or await self._target._shadow_watch(self._open)

    async def _open(self) -> None:
        await self._framework.run_on_executor(self.get_io_loop(), self._lazy_init)

    async def try_next(self) -> Any:
        await self._opened()
        return await super().try_next()

    async def __aenter__(self) -> Any:
        await self._opened()
        return await super().__aenter__()
