"""Operations on a collection itself: its indexes, made, dropped and listed, and its end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import bson
from bson.codec_options import CodecOptions
from bson.son import SON
from pymongo.collation import validate_collation_or_none
from pymongo.errors import CollectionInvalid
from pymongo.helpers_shared import _gen_index_name
from pymongo.operations import IndexModel

from shadow.ops.base import Command, Op, Reply
from shadow.ops.driver import Driver, R
from shadow.ops.replies import checked
from shadow_adapters.bson.codec import encode

_IN_ORDER: CodecOptions[Any] = CodecOptions(document_class=SON)
_OF_THE_COMMAND = ("maxTimeMS", "comment")
_EXISTS = 48


class AlterOp(Op[R]):
    """What is done to a collection and not to a record of it.

    Attributes:
        changes: whether it does more than look.
        empties: whether the collection's records go with it.
    """

    changes: ClassVar[bool] = True
    empties: ClassVar[bool] = False

    def __init__(self, driver: Driver, session: Any, options: dict[str, Any]) -> None:
        self.driver = driver
        self.session = session
        self.options = options
        self.unit = driver.joined(session)
        self.patience = driver.patience()

    @abstractmethod
    def _command(self) -> Command: ...

    def command(self) -> Command:
        command: Command = self.driver.wire(self._command())
        return command

    def unserved(self) -> Sequence[str]:
        """Names of what new cannot do, where legacy has done it."""
        return ()

    async def follow(self) -> None:
        """Do the same on legacy, where that is the follower."""
        await self.on_legacy()

    async def call(self, *args: Any) -> R:
        """Run the driver's method of this operation's name."""
        result: R = await getattr(self.driver.collection, self.name)(*args, session=self.session, **self.options)
        return result


class CreateIndexesOp(AlterOp[list[str]]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.create_indexes`."""

    name: ClassVar[str] = "create_indexes"

    def __init__(self, driver: Driver, indexes: Any, *, session: Any = None, **options: Any) -> None:
        super().__init__(driver, session, options)
        if not isinstance(indexes, list):
            raise TypeError(f"indexes must be a list, not {type(indexes)}")
        for index in indexes:
            if not isinstance(index, IndexModel):
                raise TypeError(f"{index!r} is not an instance of pymongo.operations.IndexModel")
        self.indexes = indexes

    def _command(self) -> Command:
        specs = [index.document for index in self.indexes]
        return {"createIndexes": self.driver.name, "indexes": specs, **self.options}

    async def on_legacy(self) -> list[str]:
        return await self.call(self.indexes)

    def result(self, reply: Reply) -> list[str]:
        checked(reply)
        return [index.document["name"] for index in self.indexes]


class CreateIndexOp(AlterOp[str]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.create_index`."""

    name: ClassVar[str] = "create_index"

    def __init__(self, driver: Driver, keys: Any, *, session: Any = None, **options: Any) -> None:
        super().__init__(driver, session, options)
        self.keys = keys
        self.more: dict[str, Any] = {name: options[name] for name in _OF_THE_COMMAND if name in options}
        kept = {name: value for name, value in options.items() if name not in self.more}
        self.index = IndexModel(keys, **kept)

    def _command(self) -> Command:
        return {"createIndexes": self.driver.name, "indexes": [self.index.document], **self.more}

    async def on_legacy(self) -> str:
        return await self.call(self.keys)

    def result(self, reply: Reply) -> str:
        checked(reply)
        return str(self.index.document["name"])


class DropIndexOp(AlterOp[None]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.drop_index`."""

    name: ClassVar[str] = "drop_index"

    def __init__(self, driver: Driver, index_or_name: Any, *, session: Any = None, **options: Any) -> None:
        super().__init__(driver, session, options)
        self.index_or_name = index_or_name
        self.index = _gen_index_name(index_or_name) if isinstance(index_or_name, list) else index_or_name
        if not isinstance(self.index, str):
            raise TypeError(f"index_or_name must be an instance of str or list, not {type(index_or_name)}")

    def _command(self) -> Command:
        return {"dropIndexes": self.driver.name, "index": self.index, **self.options}

    async def on_legacy(self) -> None:
        await self.call(self.index_or_name)

    def result(self, reply: Reply) -> None:
        checked(reply)


class DropIndexesOp(AlterOp[None]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.drop_indexes`."""

    name: ClassVar[str] = "drop_indexes"

    def __init__(self, driver: Driver, *, session: Any = None, **options: Any) -> None:
        super().__init__(driver, session, options)

    def _command(self) -> Command:
        return {"dropIndexes": self.driver.name, "index": "*", **self.options}

    async def on_legacy(self) -> None:
        await self.call()

    def result(self, reply: Reply) -> None:
        checked(reply)


class ListIndexesOp(AlterOp[Any]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.list_indexes`.

    Args:
        legacy: the driver's own way to its cursor.
        cursor: makes the driver's cursor of a reply's.
    """

    name: ClassVar[str] = "list_indexes"
    changes: ClassVar[bool] = False

    def __init__(
        self,
        driver: Driver,
        legacy: Callable[[], Awaitable[Any]],
        cursor: Callable[[Mapping[str, Any]], Any],
        session: Any,
        **options: Any,
    ) -> None:
        super().__init__(driver, session, options)
        self.legacy = legacy
        self.cursor = cursor

    def _command(self) -> Command:
        return {"listIndexes": self.driver.name, "cursor": {}, **self.options}

    async def on_legacy(self) -> Any:
        return await self.legacy()

    def result(self, reply: Reply) -> Any:
        cursor = checked(reply)["cursor"]
        return self.cursor({**cursor, "firstBatch": _specifications(reply)})


class IndexInformationOp(AlterOp[dict[str, Any]]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.index_information`."""

    name: ClassVar[str] = "index_information"
    changes: ClassVar[bool] = False

    def __init__(self, driver: Driver, *, session: Any = None, **options: Any) -> None:
        super().__init__(driver, session, options)

    def _command(self) -> Command:
        return {"listIndexes": self.driver.name, "cursor": {}, **self.options}

    async def on_legacy(self) -> dict[str, Any]:
        return await self.call()

    def result(self, reply: Reply) -> dict[str, Any]:
        information = {}
        for specification in _specifications(reply):
            index = {**specification, "key": list(specification["key"].items())}
            information[index.pop("name")] = index
        return information


class CreateOp(AlterOp[None]):
    """The beginning of the collection. ``legacy``: the driver's own ``create_collection``."""

    name: ClassVar[str] = "create_collection"

    def __init__(
        self,
        driver: Driver,
        legacy: Callable[[], Awaitable[Any]],
        session: Any,
        check_exists: bool,
        options: dict[str, Any],
    ) -> None:
        if "collation" in options:
            options = {**options, "collation": validate_collation_or_none(options["collation"])}
        super().__init__(driver, session, options)
        self.legacy = legacy
        self.check_exists = check_exists

    def _command(self) -> Command:
        return {"create": self.driver.name, **self.options}

    def unserved(self) -> Sequence[str]:
        return [f"create {option}" for option, value in self.options.items() if value]

    async def on_legacy(self) -> None:
        await self.legacy()

    async def follow(self) -> None:
        with suppress(CollectionInvalid):
            await self.legacy()

    def result(self, reply: Reply) -> None:
        if reply.get("code") == _EXISTS and self.check_exists:
            raise CollectionInvalid(f"collection {self.driver.name} already exists")
        checked(reply)


class ExplainOp(AlterOp[Any]):
    """How the authority runs a query.

    Args:
        explained: the query's command.
        legacy: the driver's own way to ask.
    """

    name: ClassVar[str] = "explain"
    changes: ClassVar[bool] = False

    def __init__(self, driver: Driver, session: Any, explained: Command, legacy: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(driver, session, {})
        self.explained = explained
        self.legacy = legacy

    def _command(self) -> Command:
        return {"explain": self.explained}

    async def on_legacy(self) -> Any:
        return await self.legacy()

    def result(self, reply: Reply) -> Any:
        return self.driver.native(checked(reply))


class DropOp(AlterOp[dict[str, Any]]):
    """The end of the collection. ``legacy``: the driver's own ``drop_collection``."""

    name: ClassVar[str] = "drop"
    empties: ClassVar[bool] = True

    def __init__(self, driver: Driver, legacy: Callable[[], Awaitable[Any]], session: Any) -> None:
        super().__init__(driver, session, {})
        self.legacy = legacy

    def _command(self) -> Command:
        return {"drop": self.driver.name}

    async def on_legacy(self) -> dict[str, Any]:
        reply: dict[str, Any] = await self.legacy()
        return reply

    async def follow(self) -> None:
        """Only the indexes: the records go by their marks, and newer ones may have come meanwhile."""
        await self.driver.collection.drop_indexes()

    def result(self, reply: Reply) -> dict[str, Any]:
        return checked(reply)


def _specifications(reply: Reply) -> Sequence[Any]:
    """Index specifications as the driver returns them."""
    return [bson.decode(encode(index), _IN_ORDER) for index in checked(reply)["cursor"]["firstBatch"]]
