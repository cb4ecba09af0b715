"""PyMongo Async's cursors over a router. Only where a batch comes from is decided here."""

from __future__ import annotations

from typing import Any, Self

from pymongo.asynchronous.command_cursor import AsyncCommandCursor as DriverCommandCursor
from pymongo.asynchronous.cursor import AsyncCursor as DriverCursor
from pymongo.asynchronous.cursor import AsyncRawBatchCursor as DriverRawBatchCursor

from shadow.facade.aggregates import Delivered
from shadow.facade.altering import explain, show_explained
from shadow.facade.delivery import NEW_CURSOR_ID, Delivery
from shadow.facade.like import D
from shadow.facade.seat import Seat
from shadow.ops.find import FindOp


class AsyncCursor(DriverCursor[D]):
    """`pymongo.asynchronous.cursor.AsyncCursor` over a router; the driver's own state and methods."""

    _delivery: Delivery | None = None
    _direct = False

    @property
    def cursor_id(self) -> int | None:
        open_on_new = self._delivery is not None and self._delivery.open_on_new
        return NEW_CURSOR_ID if open_on_new else super().cursor_id

    async def _refresh(self) -> int:
        if len(self._data) or self._killed:
            return len(self._data)
        if self._delivery is None and not self._direct:
            self._delivery = await self._open(self._collection._seat)
        if self._delivery is None:
            return await super()._refresh()
        return await self._delivery.more(super()._refresh)

    async def _open(self, seat: Seat) -> Delivery | None:
        if seat.quiet(self._session):
            self._direct = True
            return None
        if self._explain:
            self._direct = True
            show_explained(self, await explain(seat, self, super()._refresh))
            return None
        legacy: DriverCursor[Any] = self._clone(False, DriverCursor(seat.driver.collection, session=self.session))
        op = FindOp(seat.driver, self._session, self, legacy.clone)
        return await Delivery.begin(seat.router, self, op)

    async def close(self) -> None:
        if self._delivery is not None:
            await self._delivery.give_up()
        await super().close()

    async def rewind(self) -> Self:
        await super().rewind()
        self._delivery, self._direct = None, False
        return self


class AsyncCommandCursor(Delivered, DriverCommandCursor[D]):
    """`pymongo.asynchronous.command_cursor.AsyncCommandCursor` of an aggregation over a router."""

    async def _refresh(self) -> int:
        delivery = self._waiting
        return await super()._refresh() if delivery is None else await delivery.more(super()._refresh)

    async def close(self) -> None:
        if self._delivery is not None:
            await self._delivery.give_up()
        await super().close()


class AsyncRawBatchCursor(DriverRawBatchCursor[Any]):
    """`pymongo.asynchronous.cursor.AsyncRawBatchCursor`, counted as not served by new."""

    _counted = False

    async def _refresh(self) -> int:
        seat: Seat = self._collection._seat
        if self._counted or seat.quiet(self._session):
            return await super()._refresh()
        self._counted = True
        return await seat.router.other("find_raw_batches", False, super()._refresh)
