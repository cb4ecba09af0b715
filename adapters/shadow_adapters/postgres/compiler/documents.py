"""Conditions on the documents layout: byte keys for ``_id``, the projection ``q`` for everything else."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128

from shadow_adapters.bson import keys
from shadow_adapters.bson.paths import has_index
from shadow_adapters.postgres.compiler.resolver import FALSE, Args, Condition, Resolver
from shadow_adapters.postgres.layouts.projection import NAN, TYPED, atom

RANGED: Final = frozenset(
    (
        keys.TAG_NUMBER,
        keys.TAG_STRING,
        keys.TAG_BINARY,
        keys.TAG_OBJECT_ID,
        keys.TAG_DATE,
        keys.TAG_TIMESTAMP,
    )
)
"""Types whose values a range compares with each other only."""

_SYMBOLS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_NOT_STRICT = {"$gt": ">=", "$gte": ">=", "$lt": "<=", "$lte": "<="}


class DocumentsResolver(Resolver):
    """Fields of `DocumentsLayout`."""

    def ids(self, values: Sequence[Any], args: Args) -> Condition:
        found = [keys.encode(value) for value in values]
        if len(found) == 1:
            return Condition(f"t.k = {args.add(found[0])}", True)
        return Condition(f"t.k = ANY({args.add(found)}::bytea[])", True) if found else FALSE

    def id_range(self, operator: str, value: Any, args: Args) -> Condition | None:
        key = keys.encode(value)
        if key[0] not in RANGED or key == keys.NAN:
            return None
        # NaN is the least number in order, and no number is above or below it in a filter
        low = keys.NAN + b"\x00" if key[0] == keys.TAG_NUMBER else key[:1]
        symbol = _SYMBOLS[operator]
        other = f"t.k < {args.add(bytes((key[0] + 1,)))}" if symbol[0] == ">" else f"t.k >= {args.add(low)}"
        return Condition(f"(t.k {symbol} {args.add(key)} AND {other})", True)

    def equals(self, path: str, value: Any, args: Args) -> Condition | None:
        if has_index(path):  # the projection leaves positions out
            return None
        return Condition(f"t.q @> {args.add(json.dumps({path: [atom(value)]}, ensure_ascii=False))}::jsonb")

    def compares(self, path: str, operator: str, value: Any, args: Args) -> Condition | None:
        if has_index(path) or not _orderable(value):
            return None
        projected = atom(value)
        if projected == NAN:
            return None
        step = ""
        if isinstance(value, DatetimeMS):
            step, projected = '."$d"', projected["$d"]
        # Projecting is monotone, not strictly: what is above may project to the same atom
        where = f"{json.dumps(projected, ensure_ascii=False)}"
        jsonpath = f"$.{json.dumps(path, ensure_ascii=False)}[*]{step} ? (@ {_NOT_STRICT[operator]} {where})"
        return Condition(f"t.q @? {args.add(jsonpath)}::jsonpath")

    def exists(self, path: str, args: Args) -> Condition | None:
        return None if has_index(path) else Condition(f"t.q ? {args.add(path)}")

    def atoms(self, path: str) -> str | None:
        if "." in path or path == "_id" or path == TYPED:
            return None
        quoted = path.replace("'", "''")
        return f"t.q -> '{quoted}'"

    def tells(self) -> str:
        return f"t.q ? '{TYPED}'"

    def id_order(self, descending: bool) -> str | None:
        return "t.k DESC" if descending else "t.k"


def _orderable(value: Any) -> bool:
    kind = type(value)
    if kind is float:
        return not math.isnan(value)
    return kind is not bool and (kind in (str, DatetimeMS, Decimal128) or isinstance(value, int))
