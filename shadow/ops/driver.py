"""The driver's own collection behind a façade, and the two ways across: to the wire's form and back to the caller's.

An application chooses its BSON options per collection: document class, time zones, UUID representation, custom types.
What leaves for a store is encoded with them, what comes back is decoded with them, so that nobody can see which store
answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import bson
from bson.codec_options import CodecOptions, TypeRegistry
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.client_session import ClientSession
from pymongo.errors import InvalidOperation
from pymongo.monitoring import CommandListener

from shadow.ops.base import ReadOp, WriteOp
from shadow.ops.patience import Patience, Patient
from shadow_adapters.bson.codec import CODEC, encode

if TYPE_CHECKING:
    from shadow.protocol.unit import Unit

R = TypeVar("R")

_SESSIONS = (AsyncClientSession, ClientSession)


def unit_of(session: Any) -> Unit | None:
    """The unit of the transaction that a session has started last.

    It travels on the driver's own session (Motor's ``delegate``), where a cursor finds it too.
    """
    return getattr(getattr(session, "delegate", session), "_shadow_unit", None)


class Driver:
    """One collection object of the driver.

    Args:
        collection: the driver's own collection, Motor's or PyMongo Async's; its methods are the legacy side of a call.
        core: PyMongo's collection that holds the options and does no I/O by itself: ``collection`` again, or Motor's
            ``delegate``.
    """

    __slots__ = (
        "_bound_session",
        "_patient",
        "_reply_codec",
        "codec",
        "collection",
        "core",
        "listeners",
        "name",
        "writes_acknowledged",
    )

    def __init__(self, collection: Any, core: Any) -> None:
        self.collection = collection
        self.core = core
        self.name: str = core.name
        self.codec: CodecOptions[Any] = core.codec_options
        # As the driver reads the reply of a write: the caller's document class and types are for documents.
        self._reply_codec = self.codec.with_options(
            document_class=dict, unicode_decode_error_handler="replace", type_registry=TypeRegistry()
        )
        self._patient = Patient(core.database.client)
        listening = core.database.client.options.event_listeners
        self.listeners = tuple(each for each in listening if isinstance(each, CommandListener))
        self.writes_acknowledged: bool = core.write_concern.acknowledged
        # Sessions that are bound to a context came with PyMongo 4.17.
        self._bound_session: Callable[[], Any] | None = getattr(core.database.client, "_get_bound_session", None)

    def unit(self, session: Any) -> Unit | None:
        """The transaction that a call with this ``session`` argument belongs to, if any.

        What is no session has none: whether it is a mistake is the driver's to say.
        """
        session = self._used(session)
        if session is None or not getattr(session, "in_transaction", False):
            return None
        return unit_of(session)

    def joined(self, session: Any) -> Unit | None:
        """`unit` of a call that may never reach the driver.

        Raises what the driver does (PyMongo 4.20, ``_tmp_session``, ``validate_session``, ``_check_ended``):
        ``ValueError`` for what is no session, `pymongo.errors.InvalidOperation` for another client's or an ended one.
        """
        used = self._used(session)
        if used is None:
            return None
        self._check(getattr(used, "delegate", used))
        return self.unit(used)

    def _used(self, session: Any) -> Any:
        """The session of a call: its own, or the one that is bound to its context."""
        return self._bound_session() if session is None and self._bound_session is not None else session

    def _check(self, session: Any) -> None:
        kind = "an AsyncClientSession" if isinstance(self.core, AsyncCollection) else "a ClientSession"
        if not isinstance(session, _SESSIONS):
            raise ValueError(f"'session' argument must be {kind} or None, not {type(session)}")
        if session._client is not self.core.database.client:
            started = type(session._client).__name__
            raise InvalidOperation(f"Can only use session with the {started} that started it")
        if session.has_ended:
            raise InvalidOperation("Cannot use ended session")

    def patience(self) -> Patience | None:
        """How long the caller waits for the answer of a call that begins now."""
        return self._patient.now()

    def wire(self, value: Any) -> Any:
        """The value as a store receives it. Raises `bson.errors.InvalidDocument` as the driver would."""
        return bson.decode(bson.encode({"v": value}, codec_options=self.codec), CODEC)["v"]

    def wire_document(self, document: Any) -> dict[str, Any]:
        """A whole document as a store receives it, ``_id`` first."""
        return bson.decode(bson.encode(document, codec_options=self.codec), CODEC)

    def native(self, document: Any) -> Any:
        """A store's document as the caller's options want it."""
        return bson.decode(encode(document), self.codec)

    def natives(self, documents: Iterable[Any]) -> list[Any]:
        """A store's documents as the caller's options want them, all at once, as the driver decodes a batch."""
        return bson.decode_all(b"".join(map(encode, documents)), self.codec)

    def told(self, value: Any) -> Any:
        """A value of a write's reply (an ``_id``) as the driver tells it."""
        return bson.decode(encode({"v": value}), self._reply_codec)["v"]

    def native_value(self, value: Any) -> Any:
        """Any value of a store's reply as the caller's options want it."""
        return self.native({"v": value})["v"]


class DriverRead(ReadOp[R], Generic[R]):
    """A read that was called with a session, or none."""

    def __init__(self, driver: Driver, session: Any) -> None:
        self.driver = driver
        self.session = session
        self.unit = driver.joined(session)
        self.patience = driver.patience()


class DriverWrite(WriteOp[R], Generic[R]):
    """A write that was called with a session, or none, and with ``options`` that only the wire looks at."""

    def __init__(self, driver: Driver, session: Any, options: dict[str, Any]) -> None:
        self.driver = driver
        self.session = session
        self.options = options
        self.unit = driver.joined(session)
        self.patience = driver.patience()
        # A transaction has its own write concern, as the driver has it.
        self.acknowledged = driver.writes_acknowledged or self.unit is not None

    def common(self) -> dict[str, Any]:
        """The fields that every write command may carry, in the driver's order."""
        fields = {"let": "let", "comment": "comment", "bypass_document_validation": "bypassDocumentValidation"}
        return {wire: self.options[option] for option, wire in fields.items() if option in self.options}

    def wired_common(self) -> dict[str, Any]:
        """`common` as a store receives it."""
        fields = self.common()
        wire: dict[str, Any] = self.driver.wire(fields) if fields else fields
        return wire

    async def call(self, *args: Any) -> R:
        """Run the driver's method of this operation's name."""
        result: R = await getattr(self.driver.collection, self.name)(*args, session=self.session, **self.options)
        return result
