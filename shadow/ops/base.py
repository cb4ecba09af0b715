"""What the router needs to know of an operation, and nothing of how the façade was called.

A façade's method makes an operation and hands it to its collection's router. The operation knows four things: the
command that the wire would carry, how to run itself on legacy (the driver's own method with the caller's own
arguments), how to turn new's reply into the driver's own result or exception, and what of a result is compared.
A write knows in addition which records it touches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from shadow.ops.patience import Patience
from shadow_adapters.contract import Key, Record

if TYPE_CHECKING:
    from shadow.protocol.unit import Unit

R = TypeVar("R")
Document = Mapping[str, Any]
Command = dict[str, Any]
Reply = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Named:
    """The operation itself names the record: an insert, or a filter that fixes ``_id`` by equality."""

    id: Any


@dataclass(frozen=True, slots=True)
class Chosen:
    """The server picks at most one record by a filter; ``upsert`` may create one instead.

    ``upsert_id``: the ``_id`` of the record that an upsert creates, where the call itself says it.
    ``let``: the variables that the filter may use.
    """

    filter: Document
    sort: Any = None
    collation: Any = None
    upsert: bool = False
    hint: Any = None
    upsert_id: Named | None = None
    let: Any = None


@dataclass(frozen=True, slots=True)
class Many:
    """Every record that matches the filter; ``upsert`` may create one if none does. Fields as in `Chosen`."""

    filter: Document
    collation: Any = None
    upsert: bool = False
    hint: Any = None
    upsert_id: Named | None = None
    let: Any = None


Target = Named | Chosen | Many


@dataclass(frozen=True, slots=True)
class Bound:
    """What a target came to on the authority: the ``_id``s found, or the ``_id`` that an upsert is given.

    ``ids`` empty and no ``upsert_id`` means that nothing matched.
    """

    ids: tuple[Any, ...] = ()
    upsert_id: Any = None
    has_upsert_id: bool = False


class LedByNew(Exception):
    """What legacy alone can do, of a collection whose authority is new: nothing was done."""


class Op(ABC, Generic[R]):
    """One call of the application on a configured collection.

    Attributes:
        name: the method's name, for metrics, logs and samples (``update_one``).
        unit: the transaction that the call belongs to, if any.
        patience: how long the caller waits for new's answer; None where it waits as long as it takes.
    """

    name: ClassVar[str]
    unit: Unit | None = None
    patience: Patience | None = None

    @abstractmethod
    def command(self) -> Command:
        """The command document as the wire would carry it, collection name first, without ``$db`` and ``lsid``."""

    @abstractmethod
    async def on_legacy(self) -> R:
        """Run the driver's own method with the caller's own arguments."""

    @abstractmethod
    def result(self, reply: Reply) -> R:
        """New's reply as the driver's own result; raises the driver's own exception where the reply is an error."""

    def observed(self, result: R) -> Any:
        """What of a result two stores must agree on: documents, counts. Values stay BSON types."""
        return result


class ReadOp(Op[R]):
    """A read that answers at once: ``find_one``, ``count_documents``."""

    def record_id(self) -> Named | None:
        """The ``_id`` where the call asks for one whole record by ``_id``, and for nothing else."""
        return None

    def of_record(self, record: Record | None) -> R:
        """The driver's own result for the record of `record_id`."""
        raise NotImplementedError(f"{self.name} is not a read of one record")

    def as_record(self, result: R) -> Record | None:
        """The record that a result of `record_id` stands for; raises what encoding it raises."""
        raise NotImplementedError(f"{self.name} is not a read of one record")

    @abstractmethod
    def id(self) -> Any | None:
        """The ``_id`` (wrapped in `Named`) if the filter fixes it by equality, else None."""


class WriteOp(Op[R]):
    """A write of one collection."""

    acknowledged: bool = True  # False for w:0, whose outcome nobody learns

    @abstractmethod
    def targets(self) -> Sequence[Target]:
        """One target for each statement, in order."""

    @abstractmethod
    def bind(self, bound: Sequence[Bound]) -> WriteOp[R]:
        """The same write, narrowed to the records found: ``_id`` is added to each filter, beside what it says.

        An upsert gets its ``_id`` from the filter too; one whose record was found may only update it, since no other
        record is marked. Nothing else is touched.
        """

    def whole(self) -> Mapping[Key, Record | None] | None:
        """The records after the write where the write itself fixes them (insert, delete by ``_id``), else None."""
        return None

    def changed(self, result: R) -> bool:
        """False where the result proves that nothing was changed, so that no sync is owed."""
        return True

    def missed(self, result: R) -> bool:
        """True where a bound write met none of its records: what it was bound to has stopped matching."""
        return False


class Cursor(Protocol):
    """A stream of documents in batches, from either store."""

    async def batch(self, patience: Patience | None = None) -> list[dict[str, Any]]:
        """The next documents; an empty list at the end. ``patience``: how long the caller waits for them."""

    async def close(self) -> None: ...
