"""Conditions on the table layout: columns where the mapping has one, and the rows whose rest may say otherwise.

What a column does not give back identical lies in ``_rest``, under the field's first name. So a condition on a column
selects too little only among rows whose rest has that name; they are selected too, and rechecked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId

from shadow_adapters.bson import keys, paths
from shadow_adapters.postgres.compiler.resolver import FALSE, Args, Condition, FieldOrder, Resolver
from shadow_adapters.postgres.layouts import columns
from shadow_adapters.postgres.layouts.base import literal, quoted
from shadow_adapters.postgres.layouts.ids import IdColumn
from shadow_adapters.postgres.layouts.rest import Tree, escaped

_SYMBOLS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_NOT_STRICT = {"$gt": ">=", "$gte": ">=", "$lt": "<=", "$lte": "<="}
_EXACT = 1 << 53  # beyond it a double's shortest decimal form, which jsonb has, is not its value
_LEAST, _GREATEST = -(1 << 63), (1 << 63) - 1
_MS = timedelta(milliseconds=1)

_SORTABLE = (columns.IntegerCodec, columns.TextCodec, columns.TimestampCodec, columns.BooleanCodec)

Test = Callable[[str, str, Any, Any, Args], str | None]
"""From column, operator (``$eq`` or a range), operand and codec to SQL; None where the column cannot tell."""


class TableResolver(Resolver):
    """Fields of `TableLayout`, once its column types are known."""

    def __init__(self, id: IdColumn, tree: Tree, codecs: Mapping[str, columns.Codec], names: Sequence[str]) -> None:
        self._id = id
        self._tree = tree
        self._columns = {
            path: (f"t.{quoted(name)}", codec) for (path, codec), name in zip(codecs.items(), names, strict=True)
        }

    def ids(self, values: Sequence[Any], args: Args) -> Condition:
        held = [id for value in values if (id := self._id.of(keys.encode(value))) is not None]
        if len(values) == 1:
            return Condition(f"{self._id.column} = {args.add(held[0])}", True) if held else FALSE
        return Condition(f"{self._id.column} = ANY({args.add(held)}::{self._id.type}[])", True) if values else FALSE

    def id_range(self, operator: str, value: Any, args: Args) -> Condition | None:
        compared = self._id.above(value)
        if compared is None:
            return None
        column, operand = compared
        return Condition(f"{column} {_SYMBOLS[operator]} {args.add(operand)}")

    def id_order(self, descending: bool) -> str | None:
        return self._id.order(descending)

    def field_order(self, sort: Mapping[str, Any]) -> FieldOrder | None:
        """Columns of one type each sort as BSON does; a row whose rest has one of the fields may not."""
        terms, tops = [], []
        for path, direction in sort.items():
            name, codec = self._columns.get(path, ("", None))
            if path == "_id":
                terms.append(self._id.order(direction == -1))
                break  # no two are equal
            if not isinstance(codec, _SORTABLE):
                return None
            collated = f'{name} COLLATE "C"' if isinstance(codec, columns.TextCodec) else name
            terms.append(f"{collated} {'DESC NULLS LAST' if direction == -1 else 'ASC NULLS FIRST'}")
            tops.append(literal(escaped(path.partition(".")[0])))
        return FieldOrder(", ".join(terms), f"(t._rest ?| ARRAY[{', '.join(tops)}]) IS TRUE")

    def equals(self, path: str, value: Any, args: Args) -> Condition | None:
        return self._test(path, "$eq", value, args)

    def compares(self, path: str, operator: str, value: Any, args: Args) -> Condition | None:
        return self._test(path, operator, value, args)

    def exists(self, path: str, args: Args) -> Condition | None:
        top = path.partition(".")[0]
        in_rest = f"t._rest ? {args.add(escaped(top))}"
        if path in self._columns:
            return Condition(f"({self._columns[path][0]} IS NOT NULL OR {in_rest})")
        return Condition(in_rest) if top not in self._tree else None

    def _test(self, path: str, operator: str, value: Any, args: Args) -> Condition | None:
        column, inner = self._column_of(path)
        if column is None:
            return Condition(f"t._rest ? {args.add(escaped(path.partition('.')[0]))}")
        name, codec = self._columns[column]
        if inner and not isinstance(codec, columns.JsonbCodec):
            return Condition(f"t._rest ? {args.add(escaped(path.partition('.')[0]))}")
        mark = len(args.values)
        if isinstance(codec, columns.JsonbCodec):
            sql = _jsonb(name, operator, value, inner, args)
        else:
            sql = _TESTS[type(codec)](name, operator, value, codec, args)
        if sql is None:
            del args.values[mark:]
            return None
        return Condition(f"({sql} OR t._rest ? {args.add(escaped(path.partition('.')[0]))})")

    def _column_of(self, path: str) -> tuple[str | None, list[str]]:
        """The mapped path that the path is, or goes through, and the parts behind it."""
        parts = path.split(".")
        for end in range(len(parts), 0, -1):
            if (outer := ".".join(parts[:end])) in self._columns:
                return outer, parts[end:]
        return None, []


def _text(column: str, operator: str, value: Any, codec: Any, args: Args) -> str | None:
    if type(value) is not str or "\0" in value:
        return None
    if operator == "$eq":
        return f"{column} = {args.add(value)}"
    return f'{column} COLLATE "C" {_SYMBOLS[operator]} {args.add(value)}'


def _uuid(column: str, operator: str, value: Any, codec: Any, args: Args) -> str | None:
    held, _ = codec.put(value)
    if held is None or (operator != "$eq" and type(value) is not ObjectId):
        return None
    return f"{column} {'=' if operator == '$eq' else _SYMBOLS[operator]} {args.add(held)}"


def _integer(column: str, operator: str, value: Any, codec: Any, args: Args) -> str | None:
    number = value.to_decimal() if type(value) is Decimal128 else value
    if isinstance(number, bool) or not _is_finite(number):
        return None
    if operator == "$eq":
        return f"{column} = {args.add(int(number))}::bigint" if _LEAST <= number <= _GREATEST else None
    bound = math.floor(number) if operator in ("$gt", "$gte") else math.ceil(number)
    return f"{column} {_NOT_STRICT[operator]} {args.add(max(_LEAST, min(_GREATEST, bound)))}::bigint"


def _is_finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except (TypeError, ValueError, OverflowError):
        return False


def _double(column: str, operator: str, value: Any, codec: Any, args: Args) -> str | None:
    number = value.to_decimal() if type(value) is Decimal128 else value
    if isinstance(number, bool) or not _is_finite(number):
        return None
    return f"{column} {_NOT_STRICT.get(operator, '=')} {args.add(float(number))}::double precision"


def _numeric(column: str, operator: str, value: Any, codec: Any, args: Args) -> str | None:
    number = value.to_decimal() if type(value) is Decimal128 else value
    if isinstance(number, bool | float) or not _is_finite(number):
        return None
    return f"{column} {_SYMBOLS.get(operator, '=')} {args.add(number)}::numeric"


def _boolean(column: str, operator: str, value: Any, codec: Any, args: Args) -> str | None:
    return f"{column} = {args.add(value)}" if operator == "$eq" and type(value) is bool else None


def _timestamp(column: str, operator: str, value: Any, codec: Any, args: Args) -> str | None:
    """A column's microseconds, which SQL may have written, count as their millisecond."""
    held, _ = codec.put(value) if type(value) is DatetimeMS else (None, False)
    if held is None or int(value) >= codec.greatest:
        return None
    if operator == "$eq":
        return f"({column} >= {args.add(held)} AND {column} < {args.add(held + _MS)})"
    if operator in ("$gt", "$gte"):
        return f"{column} >= {args.add(held + _MS if operator == '$gt' else held)}"
    return f"{column} < {args.add(held + _MS if operator == '$lte' else held)}"


def _texts(column: str, operator: str, value: Any, codec: Any, args: Args) -> str | None:
    if operator != "$eq" or type(value) is not str or "\0" in value:
        return None
    return f"{args.add(value)} = ANY({column})"


def _jsonb(column: str, operator: str, value: Any, inner: Sequence[str], args: Args) -> str | None:
    """A jsonpath in lax mode, which looks into arrays as MongoDB does, and deeper."""
    if any(paths.is_index(part) for part in inner):
        return None
    if type(value) is str:
        if "\0" in value:
            return None
    elif not isinstance(value, int | float) or not -_EXACT <= value <= _EXACT:
        return None
    if isinstance(value, bool) and operator != "$eq":
        return None
    steps = "".join(f".{json.dumps(part, ensure_ascii=False)}" for part in inner)
    literal = json.dumps(value, ensure_ascii=False)
    jsonpath = f"${steps} ? (@ {_NOT_STRICT.get(operator, '==')} {literal})"
    return f"{column} @? {args.add(jsonpath)}::jsonpath"


def _never(column: str, operator: str, value: Any, codec: Any, args: Args) -> str | None:
    return None


_TESTS: Mapping[type, Test] = {
    columns.TextCodec: _text,
    columns.UuidCodec: _uuid,
    columns.IntegerCodec: _integer,
    columns.DoubleCodec: _double,
    columns.NumericCodec: _numeric,
    columns.BooleanCodec: _boolean,
    columns.TimestampCodec: _timestamp,
    columns.TextArrayCodec: _texts,
    columns.BytesCodec: _never,
}
