"""``$group`` in SQL, where a layout tells what fields are: int32 numbers, strings, booleans, null or nothing.

SQL groups by the fields' own form and computes over what is told; whether all was told, it says for each group. If not,
its answer is no answer, and the documents are grouped in memory. Sums of int32 are exact; the least and the greatest
are found for each type, and then among those by BSON's order. Doubles are never told: the order in which they are added
decides their sum's last digits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shadow_adapters.bson.expression.totals import Average, Extreme, Sum
from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.numbers import fits_int
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.postgres.call import Call, Gate
from shadow_adapters.postgres.compiler.resolver import Resolver
from shadow_adapters.postgres.query import Document, Query

_COUNT: Final = "count(*)"

Read = Callable[[Sequence[Any]], None]


@dataclass
class _Fields:
    """The fields that a ``$group`` uses, each an output ``f0``, ``f1``, ... of the inner select."""

    resolver: Resolver
    sql: dict[str, str] = field(default_factory=dict)

    def name(self, expression: Any) -> str | None:
        """The output of a path such as ``$a``; None where the layout does not tell it."""
        if not isinstance(expression, str) or not expression.startswith("$") or expression.startswith("$$"):
            return None
        atoms = self.resolver.atoms(expression[1:])
        if atoms is None or "\0" in atoms:
            return None
        if atoms not in self.sql:
            self.sql[atoms] = f"f{len(self.sql)}"
        return self.sql[atoms]


@dataclass(frozen=True)
class _Output:
    """One output: its columns, the condition that all of it is told, and what makes its state and feeds it a row."""

    columns: tuple[str, ...]
    told: str | None
    state: Callable[[], Any]
    take: Callable[[Any, Sequence[Any], int], None]  # state, columns, number of documents


def _number(name: str) -> str:
    told = f"typed AND {name} -> 1 IS NULL AND jsonb_typeof({name} -> 0) = 'number'"
    return f"CASE WHEN {told} THEN ({name} -> 0)::int END"


def _sum(name: str) -> _Output:
    def take(total: Sum, columns: Sequence[Any], _: int) -> None:
        total.whole += int(columns[0] or 0)

    return _Output((f"sum({_number(name)})",), f"{name} -> 1 IS NULL", Sum, take)


def _average(name: str) -> _Output:
    def take(average: Average, columns: Sequence[Any], _: int) -> None:
        average.whole += int(columns[0] or 0)
        average.count += columns[1]

    columns = (f"sum({_number(name)})", f"count({_number(name)})")
    return _Output(columns, f"{name} -> 1 IS NULL", Average, take)


def _constant(number: int) -> _Output:
    def take(total: Sum, _: Sequence[Any], documents: int) -> None:
        total.whole += number * documents

    return _Output((), None, Sum, take)


def _extreme(name: str, *, greatest: bool) -> _Output:
    function, every = ("max", "bool_or") if greatest else ("min", "bool_and")
    alone = f"typed AND {name} -> 1 IS NULL AND jsonb_typeof({name} -> 0)"
    columns = (
        f"{function}(CASE WHEN {alone} = 'number' THEN ({name} -> 0)::int END)",
        f"{function}((CASE WHEN {alone} = 'string' THEN {name} ->> 0 END) COLLATE \"C\")",
        f"{every}(CASE WHEN {alone} = 'boolean' THEN ({name} -> 0)::boolean END)",
    )
    told = f"({name} IS NULL OR ({name} -> 1 IS NULL AND jsonb_typeof({name} -> 0) <> 'object'))"

    def take(extreme: Extreme, columns: Sequence[Any], _: int) -> None:
        for value in columns:
            extreme.take(value)

    return _Output(columns, told, lambda: Extreme(greatest=greatest), take)


def _output(accumulator: Mapping[str, Any], fields: _Fields) -> _Output | None:
    ((function, argument),) = accumulator.items()
    if function == "$count" or (function == "$sum" and type(argument) is int and fits_int(argument)):
        return _constant(1 if function == "$count" else argument)
    if function not in ("$sum", "$avg", "$min", "$max"):
        return None
    name = fields.name(argument)
    if name is None:
        return None
    if function in ("$sum", "$avg"):
        return _sum(name) if function == "$sum" else _average(name)
    return _extreme(name, greatest=function == "$max")


class Grouping:
    """A ``$group`` as a statement.

    Attributes:
        sql: the statement, whose parameters are the query's; each row is a group, behind the gate's word.
    """

    def __init__(self, sql: str, by: Mapping[str, int] | int | None, outputs: Mapping[str, _Output]) -> None:
        self.sql = sql
        self._by = by
        self._outputs = outputs

    def documents(self, rows: Iterable[Iterable[Any]]) -> list[Document] | None:
        """The groups; None where SQL was not told all of it."""
        groups: dict[bytes, tuple[Any, list[Any]]] = {}
        keys = 0 if self._by is None else 1 if isinstance(self._by, int) else len(self._by)
        for _, *row in rows:
            told, number = row[keys : keys + 2]
            if not number:
                continue
            key = self._key(row) if told else _UNTOLD
            if key is _UNTOLD:
                return None
            states = groups.setdefault(encode(key), (key, [output.state() for output in self._outputs.values()]))[1]
            at = keys + 2
            for output, state in zip(self._outputs.values(), states, strict=True):
                output.take(state, row[at : at + len(output.columns)], number)
                at += len(output.columns)
        return [
            {"_id": key} | {name: state.result() for name, state in zip(self._outputs, states, strict=True)}
            for key, states in groups.values()
        ]

    def _key(self, row: Sequence[Any]) -> Any:
        """A group's ``_id``, or `_UNTOLD`."""
        if self._by is None:
            return None
        if isinstance(self._by, int):
            value = _value(row[0])
            return None if value is MISSING else value
        values = {name: _value(row[at]) for name, at in self._by.items()}
        if any(value is _UNTOLD for value in values.values()):
            return _UNTOLD
        return {name: value for name, value in values.items() if value is not MISSING}


_UNTOLD: Final = object()


def _value(atoms: str | None) -> Any:
    """The value that a list of atoms tells."""
    if atoms is None:
        return MISSING
    found = json.loads(atoms)
    return found[0] if len(found) == 1 and not isinstance(found[0], dict) else _UNTOLD


def compile_grouping(call: Call, gate: Gate, query: Query, spec: Mapping[str, Any]) -> Grouping | None:
    """The statement for a ``$group`` (compiled, and so checked, already) of what a query finds, if there is one."""
    fields = _Fields(call.layout.resolver)
    by, names = _keys(spec["_id"], fields)
    outputs = {name: _output(value, fields) for name, value in spec.items() if name != "_id"}
    known = {name: output for name, output in outputs.items() if output is not None}
    if by is False or not query.condition.exact or len(known) < len(outputs):
        return None
    told = ["typed", *dict.fromkeys(output.told for output in known.values() if output.told)]
    by_text = [f"{name}::text" for name in names]  # which is compared in less time
    columns = [*by_text, f"bool_and({' AND '.join(told)})", _COUNT]
    columns += [column for output in known.values() for column in output.columns]
    select = _select(call, gate, query, fields) + (f" GROUP BY {', '.join(by_text)}" if names else "")
    select = f"SELECT {', '.join(f'{column} AS c{at}' for at, column in enumerate(columns))} FROM {select}"
    if not gate.args:
        return Grouping(f"SELECT true, x.* FROM ({select}) AS x", by, known)
    ok = f"WITH r AS MATERIALIZED (SELECT {gate.sql} AS ok)"
    return Grouping(f"{ok} SELECT r.ok, x.* FROM r LEFT JOIN LATERAL ({select}) AS x ON true", by, known)


def _select(call: Call, gate: Gate, query: Query, fields: _Fields) -> str:
    """The fields of the rows; behind OFFSET 0, so that each is taken out of its row once."""
    tells = f"{call.layout.resolver.tells()} AS typed"
    inner = ", ".join([*(f"{sql} AS {name}" for sql, name in fields.sql.items()), tells])
    condition = f"r.ok AND ({query.condition.sql})" if gate.args else query.condition.sql
    return f"(SELECT {inner} FROM {call.layout.table} AS t WHERE {condition} OFFSET 0) AS s"


def _keys(by: Any, fields: _Fields) -> tuple[Any, list[str]]:
    """How ``_id`` is made (False: not in SQL), and the columns to group by."""
    if by is None:
        return None, []
    if isinstance(by, Mapping):
        names = {name: fields.name(value) for name, value in by.items()}
        found = [name for name in names.values() if name is not None]
        if not names or len(found) < len(names) or any(name.startswith("$") for name in names):
            return False, []
        return {name: at for at, name in enumerate(names)}, found
    name = fields.name(by)
    return (False, []) if name is None else (0, [name])
