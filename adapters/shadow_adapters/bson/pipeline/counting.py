"""``$skip``, ``$limit``, ``$count``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from shadow_adapters.bson.numbers import INT, INT64_LIMIT, integer, whole
from shadow_adapters.bson.pipeline.flow import Batch, Flow, Stage
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.types import is_number
from shadow_adapters.failures import CommandFailure


def skip(name: str, spec: Any, scope: Scope) -> Stage:
    """``$skip``: pass over the first documents. Raises `CommandFailure` 5107200 for what is no count."""
    count = skip_count(spec)
    return Stage(name, lambda _: _Skip(count))


def limit(name: str, spec: Any, scope: Scope) -> Stage:
    """``$limit``: end after so many documents. Raises `CommandFailure` 5107201, and 15958 for zero."""
    count = limit_count(spec)
    return Stage(name, lambda _: _Limit(count))


def skip_count(spec: Any) -> int:
    """The argument of ``$skip``."""
    return _whole("$skip", spec, 5107200)


def limit_count(spec: Any) -> int:
    """The argument of ``$limit``."""
    count = _whole("$limit", spec, 5107201)
    if count == 0:
        raise CommandFailure(15958, "the limit must be positive")
    return count


def _whole(name: str, spec: Any, code: int) -> int:
    if not is_number(spec):
        raise CommandFailure(code, f"invalid argument to {name} stage: Expected a number in: {name}")
    number = whole(spec)
    if number is None or abs(number) >= INT64_LIMIT:
        raise CommandFailure(code, f"invalid argument to {name} stage: Expected an integer: {name}: {spec}")
    if number < 0:
        raise CommandFailure(
            code, f"invalid argument to {name} stage: Expected a non-negative number in: {name}: {number}"
        )
    return number


class _Skip(Flow):
    def __init__(self, left: int) -> None:
        self._left = left

    async def push(self, batch: Batch) -> Batch:
        if not self._left:
            return batch
        rest = batch[self._left :]
        self._left = max(0, self._left - len(batch))
        return rest


class _Limit(Flow):
    def __init__(self, left: int) -> None:
        self._left = left

    async def push(self, batch: Batch) -> Batch:
        taken = batch[: self._left]
        self._left -= len(taken)
        self.done = not self._left
        return taken


def count(name: str, spec: Any, scope: Scope) -> Stage:
    """``$count``: one document with the number of documents; none where there are none.

    Raises `CommandFailure` 40156 to 40160 for a field name that cannot be one.
    """
    field = count_field(spec)
    return Stage(name, lambda _: _Count(field))


def count_field(spec: Any) -> str:
    """The argument of ``$count``."""
    if not isinstance(spec, str) or not spec:
        raise CommandFailure(
            40156 if not isinstance(spec, str) else 40157, "the count field must be a non-empty string"
        )
    if spec.startswith("$"):
        raise CommandFailure(40158, "the count field cannot be a $-prefixed path")
    if "\0" in spec:
        raise CommandFailure(40159, "the count field cannot contain a null byte")
    if "." in spec:
        raise CommandFailure(40160, "the count field cannot contain '.'")
    return spec


class _Count(Flow):
    def __init__(self, field: str) -> None:
        self._field = field
        self._count = 0

    async def push(self, batch: Batch) -> Batch:
        self._count += len(batch)
        return []

    async def end(self) -> AsyncGenerator[Batch]:
        if self._count:
            yield [{self._field: integer(self._count, INT)}]
