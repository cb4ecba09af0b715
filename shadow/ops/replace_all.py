"""What a ``$out`` does to its target: these documents instead of all that it has, at once or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from bson.objectid import ObjectId
from pymongo.errors import PyMongoError
from pymongo.operations import IndexModel

from shadow.ops.alter import AlterOp
from shadow.ops.base import Command, Reply
from shadow.ops.driver import Driver
from shadow.ops.replies import checked, driver_error
from shadow_adapters.failures import CommandFailure

_OF_THE_SERVER = ("v", "ns")


class ReplaceAllOp(AlterOp[None]):
    """On new one transaction; on legacy as MongoDB's own ``$out``: a collection beside it, which then takes its name.

    Args:
        driver: the target's, whose documents are in the wire's form.
        documents: each with its ``_id``.
        beside: the driver's own collection, for coroutines, of another name in the target's database.
    """

    name: ClassVar[str] = "replace_all"
    empties: ClassVar[bool] = True

    def __init__(self, driver: Driver, documents: Sequence[Any], beside: Callable[[str], Any], session: Any) -> None:
        super().__init__(driver, session, {})
        self.documents = documents
        self.beside = beside

    def _command(self) -> Command:
        return {"replaceAll": self.driver.name, "documents": self.documents}

    def command(self) -> Command:
        return self._command()  # in the wire's form already, and perhaps large

    async def on_legacy(self) -> None:
        """Raises what the driver raises; then the target is as it was."""
        target, inside = self.driver.collection, {"session": self.session}
        if await target.options(**inside):
            text = "$out into a collection of MongoDB's that has options (a validator, a collation) is not served"
            raise driver_error(CommandFailure(115, text, unsupported="$out into a collection with options"))
        indexes = await target.index_information(**inside)
        made = self.beside(f"tmp.agg_out.shadow.{ObjectId()}")
        try:
            await made.create_indexes(_models(indexes), **inside)
            if self.documents:
                await made.insert_many(self.documents, **inside)
            await made.rename(self.driver.name, dropTarget=True, **inside)
        except BaseException:
            with suppress(PyMongoError):
                await made.drop(**inside)
            raise

    async def follow(self) -> None:
        """The records go by their marks, and the indexes stay."""

    def result(self, reply: Reply) -> None:
        checked(reply)


def _models(indexes: dict[str, Any]) -> list[IndexModel]:
    """A collection's indexes, to be made again. That of ``_id`` is among them, so that the collection is made too."""
    models = [IndexModel([("_id", 1)], name="_id_")]
    for name, index in indexes.items():
        if name != "_id_":
            options = {option: value for option, value in index.items() if option not in ("key", *_OF_THE_SERVER)}
            models.append(IndexModel(list(index["key"]), name=name, **options))
    return models
