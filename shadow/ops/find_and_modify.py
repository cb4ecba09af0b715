"""What ``find_one_and_update``, ``..._replace`` and ``..._delete`` share: the ``findAndModify`` command."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

from pymongo.collation import validate_collation_or_none
from pymongo.common import validate_is_mapping
from pymongo.errors import ConfigurationError
from pymongo.helpers_shared import _fields_list_to_dict, _index_document
from pymongo.write_concern import validate_boolean

from shadow.ops.base import Bound, Command, Reply, Target
from shadow.ops.driver import Driver, DriverWrite
from shadow.ops.replies import checked_write
from shadow.ops.targets import may_insert, narrowed, target_of


class FindAndModifyOp(DriverWrite[Any]):
    """One record, changed and returned.

    Arguments that the driver does not name travel in the command as they are (``maxTimeMS``).

    Args:
        change: ``{"update": ...}`` or ``{"remove": True}``, checked already.
        upsert: None for a delete, which knows none.
    """

    def __init__(
        self,
        driver: Driver,
        filter: Any,
        change: Mapping[str, Any],
        projection: Any,
        sort: Any,
        upsert: bool | None = None,
        return_document: bool = False,
        *,
        session: Any,
        options: dict[str, Any],
    ) -> None:
        super().__init__(driver, session, options)
        validate_is_mapping("filter", filter)
        if not isinstance(return_document, bool):
            raise TypeError(
                f"return_document must be ReturnDocument.BEFORE or ReturnDocument.AFTER, not {type(return_document)}"
            )
        if upsert is not None:
            validate_boolean("upsert", upsert)
        self.filter = filter
        self.projection, self.sort, self.upsert, self.return_document = projection, sort, upsert, return_document
        self._fields = self._optional_fields(dict(options), change)

    def _optional_fields(self, options: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
        collation = validate_collation_or_none(options.pop("collation", None))
        hint, array_filters = options.pop("hint", None), options.pop("array_filters", None)
        if "let" in options:
            validate_is_mapping("let", options["let"])
        fields = {"new": self.return_document, **options, **change}
        if self.projection is not None:
            fields["fields"] = _fields_list_to_dict(self.projection, "projection")
        if self.sort is not None:
            fields["sort"] = _index_document(self.sort)
        if array_filters is not None:
            if not self.acknowledged:
                raise ConfigurationError("arrayFilters is unsupported for unacknowledged writes.")
            fields["arrayFilters"] = list(array_filters)
        if hint is not None:
            fields["hint"] = hint if isinstance(hint, str) else _index_document(hint)
        if collation is not None:
            fields["collation"] = collation
        return fields

    @cached_property
    def _command(self) -> Command:
        command = {"findAndModify": self.driver.name, "query": self.filter, **self._fields}
        if self.upsert is not None:
            command["upsert"] = self.upsert
        wire: Command = self.driver.wire(command)
        return wire

    def command(self) -> Command:
        return self._command

    def result(self, reply: Reply) -> Any:
        value = checked_write(reply).get("value")
        return None if value is None else self.driver.native(value)

    def observed(self, result: Any) -> Any:
        return None if result is None else self.driver.wire_document(result)

    def targets(self) -> Sequence[Target]:
        statement = {**self._command, "q": self._command["query"], "u": self._command.get("update")}
        return [target_of(statement, self._command.get("let"))]

    def bind(self, bound: Sequence[Bound]) -> Self:
        same = copy.copy(self)
        target = self.targets()[0]
        same.filter = narrowed(self.filter, target, bound[0])
        if self.upsert is not None:
            same.upsert = may_insert(self.upsert, target, bound[0])
        same.__dict__.pop("_command", None)
        return same

    def changed(self, result: Any) -> bool:
        """None means that nothing matched, or that a record was made of which there was nothing before."""
        return result is not None or bool(self.upsert)

    def missed(self, result: Any) -> bool:
        return result is None and not self.upsert


class FindOneAndChangeOp(FindAndModifyOp):
    """One that leaves a record behind: ``change`` is the update or the replacement."""

    def __init__(
        self,
        driver: Driver,
        filter: Any,
        change: Any,
        projection: Any = None,
        sort: Any = None,
        upsert: bool = False,
        return_document: bool = False,
        *,
        session: Any = None,
        **options: Any,
    ) -> None:
        self.change = self.validated(change, options)
        update = {"update": self.change}
        super().__init__(
            driver, filter, update, projection, sort, upsert, return_document, session=session, options=options
        )

    @abstractmethod
    def validated(self, change: Any, options: Mapping[str, Any]) -> Any:
        """The change as it is sent. Raises the driver's own `TypeError` or `ValueError`."""

    async def on_legacy(self) -> Any:
        positional = (self.projection, self.sort, self.upsert, self.return_document)
        return await self.call(self.filter, self.change, *positional)
