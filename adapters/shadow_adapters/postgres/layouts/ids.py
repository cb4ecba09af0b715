"""The key column of a real table: which ``_id``s it can hold, and its rows in the order of byte keys.

One kind for each family of column types. BSON orders numbers, strings, UUIDs and ObjectIds one after another; a
``uuid`` column holds the last two, so its rows are read in two scans.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from bson.binary import UUID_SUBTYPE, Binary
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId

from shadow_adapters.bson import keys
from shadow_adapters.contract import Key
from shadow_adapters.postgres.layouts import embedding
from shadow_adapters.postgres.layouts.base import ScanPart
from shadow_adapters.postgres.layouts.columns import IntegerCodec, UuidCodec

_LEAST_UUID = keys.encode(Binary(bytes(16), UUID_SUBTYPE))


class IdColumn(ABC):
    """A key column. ``column`` is its quoted name with the table's alias."""

    type: str

    def __init__(self, column: str) -> None:
        self.column = column

    @abstractmethod
    def of(self, key: Key) -> Any:
        """The column's value for a key; None where it cannot hold one."""

    @abstractmethod
    def key(self, held: Any) -> Key:
        """The key of a value."""

    @abstractmethod
    def parse(self, text: str) -> Any:
        """A value as PostgreSQL prints it."""

    @abstractmethod
    def parts(self, after: Key | None) -> list[ScanPart]:
        """See `Layout.scan_parts`."""

    @abstractmethod
    def order(self, descending: bool) -> str:
        """ORDER BY that is the byte keys' order."""

    @abstractmethod
    def above(self, value: Any) -> tuple[str, Any] | None:
        """What is compared, and with what, to find ``_id``s beyond a value of its type; None where SQL cannot tell."""


def _direction(column: str, descending: bool) -> str:
    return f"{column} DESC" if descending else column


class TextId(IdColumn):
    type: str = "text"

    def of(self, key: Key) -> str | None:
        value = keys.decode(key) if key[0] == keys.TAG_STRING else None
        return value if value is not None and "\0" not in value else None

    def key(self, held: str) -> Key:
        return keys.encode(held)

    def parse(self, text: str) -> str:
        return text

    def parts(self, after: Key | None) -> list[ScanPart]:
        order = self.order(False)
        if after is None or after[0] < keys.TAG_STRING:
            return [ScanPart("true", order)]
        if after[0] > keys.TAG_STRING:
            return []
        value: str = keys.decode(after)
        return [ScanPart("true", order, (value.partition("\0")[0],))]

    def order(self, descending: bool) -> str:
        return _direction(f'{self.column} COLLATE "C"', descending)

    def above(self, value: Any) -> tuple[str, Any] | None:
        return (self.order(False), value) if type(value) is str and "\0" not in value else None


class IntegerId(IdColumn):
    type: str = "bigint"

    def __init__(self, column: str, codec: IntegerCodec) -> None:
        super().__init__(column)
        self._limit = codec.limit

    def of(self, key: Key) -> int | None:
        value = keys.decode(key) if key[0] == keys.TAG_NUMBER else None
        return int(value) if isinstance(value, int) and -self._limit <= value < self._limit else None

    def key(self, held: int) -> Key:
        return keys.encode(held)

    def parse(self, text: str) -> int:
        return int(text)

    def parts(self, after: Key | None) -> list[ScanPart]:
        if after is None or after[0] < keys.TAG_NUMBER:
            return [ScanPart("true", self.column)]
        if after[0] > keys.TAG_NUMBER:
            return []
        value = keys.decode(after)
        number = value.to_decimal() if isinstance(value, Decimal128) else Decimal(value)
        if number.is_nan() or number < -self._limit:
            return [ScanPart("true", self.column)]
        return [] if number >= self._limit else [ScanPart("true", self.column, (math.floor(number),))]

    def order(self, descending: bool) -> str:
        return _direction(self.column, descending)

    def above(self, value: Any) -> tuple[str, Any] | None:
        held = isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63
        return (self.column, int(value)) if held else None


class UuidId(IdColumn):
    type: str = "uuid"
    _codec: ClassVar = UuidCodec()

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self._embedded = embedding.is_embedded_sql(column)

    def of(self, key: Key) -> UUID | None:
        if key[0] not in (keys.TAG_OBJECT_ID, keys.TAG_BINARY):
            return None
        held: UUID | None = self._codec.put(keys.decode(key))[0]
        return held

    def key(self, held: UUID) -> Key:
        return keys.encode(self._codec.get(held))

    def parse(self, text: str) -> UUID:
        return UUID(text)

    def parts(self, after: Key | None) -> list[ScanPart]:
        own, embedded = f"NOT {self._embedded}", self._embedded
        whole = ScanPart(embedded, self.column)
        if after is None or after < _LEAST_UUID:
            return [ScanPart(own, self.column), whole]
        if after[0] == keys.TAG_OBJECT_ID:
            return [ScanPart(embedded, self.column, (self.of(after),))]
        if after[0] > keys.TAG_OBJECT_ID:
            return []
        # An application's UUID that looks like an embedding is in no row, but it still is a position
        if after[: len(_LEAST_UUID) - 16] != _LEAST_UUID[:-16]:
            return [whole]
        return [ScanPart(own, self.column, (UUID(bytes=after[-16:]),)), whole]

    def order(self, descending: bool) -> str:
        return f"{_direction(self._embedded, descending)}, {_direction(self.column, descending)}"

    def above(self, value: Any) -> tuple[str, Any] | None:
        return (self.column, embedding.to_uuid(value)) if type(value) is ObjectId else None
