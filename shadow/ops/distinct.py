"""``distinct``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

from pymongo.collation import validate_collation_or_none
from pymongo.errors import ConfigurationError
from pymongo.helpers_shared import _index_document

from shadow.ops.base import Command, Reply
from shadow.ops.driver import Driver, DriverRead
from shadow.ops.replies import checked
from shadow.ops.targets import fixed_id
from shadow_adapters.bson import keys
from shadow_adapters.bson.collation import compile_collation
from shadow_adapters.failures import CommandFailure


def as_set(values: Iterable[Any], collation: Mapping[str, Any] | None = None) -> list[Any]:
    """Values as a set: in an order of their own, and of equal ones (1, 1.0) no matter which.

    ``collation``: under which texts are equal, as far as it is known here.
    """
    found = list(values)
    try:
        equal = compile_collation(collation).equal
        unique = {equal(value) for value in found}
    except CommandFailure:
        unique = {keys.encode(value) for value in found}
    return [keys.decode(key) for key in sorted(unique)]


class DistinctOp(DriverRead[list[Any]]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.distinct`."""

    name: ClassVar[str] = "distinct"

    def __init__(self, driver: Driver, key: Any, filter: Any = None, *, session: Any = None, **options: Any) -> None:
        super().__init__(driver, session)
        if not isinstance(key, str):
            raise TypeError(f"key must be an instance of str, not {type(key)}")
        if filter is not None and "query" in options:
            raise ConfigurationError("can't pass both filter and query")
        self.key = key
        self.filter = filter
        self.options = options

    @cached_property
    def _command(self) -> Command:
        options = dict(self.options)
        collation = validate_collation_or_none(options.pop("collation", None))
        if "hint" in options and not isinstance(options["hint"], str):
            options["hint"] = _index_document(options["hint"])
        command = {"distinct": self.driver.name, "key": self.key, **options}
        if self.filter is not None:
            command["query"] = self.filter
        if collation is not None:
            command["collation"] = collation
        wire: Command = self.driver.wire(command)
        return wire

    def command(self) -> Command:
        return self._command

    async def on_legacy(self) -> list[Any]:
        values: list[Any] = await self.driver.collection.distinct(
            self.key, self.filter, session=self.session, **self.options
        )
        return values

    def result(self, reply: Reply) -> list[Any]:
        values: list[Any] = self.driver.native_value(checked(reply)["values"])
        return values

    def observed(self, result: list[Any]) -> list[Any]:
        return as_set(self.driver.wire(result), self._command.get("collation"))

    def id(self) -> Any | None:
        query = self._command.get("query")
        return fixed_id(query, self._command.get("collation")) if isinstance(query, Mapping) else None
