"""PyMongo's synchronous cursors over a router. Only where a batch comes from is decided here."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

from pymongo.command_cursor import CommandCursor as DriverCommandCursor
from pymongo.cursor import Cursor as DriverCursor
from pymongo.cursor import RawBatchCursor as DriverRawBatchCursor

from shadow.facade.aggregates import Delivered
from shadow.facade.altering import explain, show_explained
from shadow.facade.delivery import NEW_CURSOR_ID, Delivery
from shadow.facade.like import D
from shadow.facade.posted import PostedCursor
from shadow.facade.seat import Seat
from shadow.facade.waiting import as_awaited, at_once
from shadow.ops.find import FindOp
from shadow.runtime.portal import in_callers_thread


class Cursor(DriverCursor[D]):
    """`pymongo.cursor.Cursor` over a router; the driver's own state and methods."""

    _delivery: Delivery | None = None
    _direct = False

    @property
    def cursor_id(self) -> int | None:
        open_on_new = self._delivery is not None and self._delivery.open_on_new
        return NEW_CURSOR_ID if open_on_new else super().cursor_id

    def _refresh(self) -> int:
        if len(self._data) or self._killed:
            return len(self._data)
        refresh = super()._refresh
        if self._delivery is None and not self._direct:
            self._delivery = self._open(self._collection._seat)
        if self._delivery is None:
            return refresh()
        return at_once(self._delivery.more(as_awaited(refresh)))

    def _open(self, seat: Seat) -> Delivery | None:
        if seat.quiet(self._session):
            self._direct = True
            return None
        if self._explain:
            self._direct = True
            show_explained(self, at_once(explain(seat, self, partial(in_callers_thread, super()._refresh))))
            return None
        legacy: DriverCursor[Any] = self._clone(False, DriverCursor(seat.driver.core, session=self.session))
        op = FindOp(seat.driver, self._session, self, lambda: PostedCursor(legacy.clone()))
        return at_once(Delivery.begin(seat.router, self, op))

    def close(self) -> None:
        if self._delivery is not None:
            at_once(self._delivery.give_up())
        super().close()

    def rewind(self) -> Self:
        super().rewind()
        self._delivery, self._direct = None, False
        return self


class CommandCursor(Delivered, DriverCommandCursor[D]):
    """`pymongo.command_cursor.CommandCursor` of an aggregation over a router."""

    def _refresh(self) -> int:
        delivery, refresh = self._waiting, super()._refresh
        return refresh() if delivery is None else at_once(delivery.more(as_awaited(refresh)))

    def close(self) -> None:
        if self._delivery is not None:
            at_once(self._delivery.give_up())
        super().close()


class RawBatchCursor(DriverRawBatchCursor[Any]):
    """`pymongo.cursor.RawBatchCursor`, counted as not served by new."""

    _counted = False

    def _refresh(self) -> int:
        seat: Seat = self._collection._seat
        refresh = super()._refresh
        if self._counted or seat.quiet(self._session):
            return refresh()
        self._counted = True
        return at_once(seat.router.other("find_raw_batches", False, as_awaited(refresh)))
