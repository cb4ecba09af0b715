"""The routed methods of a collection, with the driver's own signatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import ConfigurationError
from pymongo.results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from shadow.facade.bulk import run_bulk, run_careless
from shadow.facade.like import documented_as
from shadow.facade.seat import Seat, given
from shadow.ops.alter import CreateIndexesOp, CreateIndexOp, DropIndexesOp, DropIndexOp, IndexInformationOp
from shadow.ops.bulk_write import bulk_parts
from shadow.ops.count_documents import CountDocumentsOp
from shadow.ops.delete_many import DeleteManyOp
from shadow.ops.delete_one import DeleteOneOp
from shadow.ops.distinct import DistinctOp
from shadow.ops.estimated_document_count import EstimatedDocumentCountOp
from shadow.ops.find_one import FindOneOp
from shadow.ops.find_one_and_delete import FindOneAndDeleteOp
from shadow.ops.find_one_and_replace import FindOneAndReplaceOp
from shadow.ops.find_one_and_update import FindOneAndUpdateOp
from shadow.ops.insert_many import InsertManyOp
from shadow.ops.insert_one import InsertOneOp
from shadow.ops.replace_one import ReplaceOneOp
from shadow.ops.update_many import UpdateManyOp
from shadow.ops.update_one import UpdateOneOp

if TYPE_CHECKING:
    from pymongo.operations import IndexModel
    from pymongo.typings import _CollationIn, _Pipeline

    Hint = str | Sequence[str | tuple[str, int | str | Mapping[str, Any]]] | Mapping[str, Any]
    Sort = Sequence[str | tuple[str, int | str | Mapping[str, Any]]] | Mapping[str, Any]
    Projection = Mapping[str, Any] | Iterable[str]
    Change = Mapping[str, Any] | _Pipeline


@documented_as(AsyncCollection)
class RoutedMethods:
    """Arguments, results and exceptions are those of `pymongo.asynchronous.collection.AsyncCollection`."""

    _seat: Seat

    async def find_one(self, filter: Any | None = None, *args: Any, **kwargs: Any) -> Any:
        session = kwargs.pop("session", None)
        return await self._seat.read(FindOneOp, filter, *args, session=session, **kwargs)

    async def count_documents(
        self, filter: Mapping[str, Any], session: Any | None = None, comment: Any | None = None, **kwargs: Any
    ) -> int:
        return await self._seat.read(CountDocumentsOp, filter, session=session, **given(comment=comment), **kwargs)

    async def estimated_document_count(self, comment: Any | None = None, **kwargs: Any) -> int:
        if "session" in kwargs:
            raise ConfigurationError("estimated_document_count does not support sessions")
        return await self._seat.read(EstimatedDocumentCountOp, session=None, **given(comment=comment), **kwargs)

    async def distinct(
        self,
        key: str,
        filter: Mapping[str, Any] | None = None,
        session: Any | None = None,
        comment: Any | None = None,
        hint: Hint | None = None,
        **kwargs: Any,
    ) -> list[Any]:
        options = given(comment=comment, hint=hint) | kwargs
        return await self._seat.read(DistinctOp, key, filter, session=session, **options)

    async def insert_one(
        self,
        document: Any,
        bypass_document_validation: bool | None = None,
        session: Any | None = None,
        comment: Any | None = None,
    ) -> InsertOneResult:
        options = given(bypass_document_validation=bypass_document_validation, comment=comment)
        return await self._seat.write(InsertOneOp, document, session=session, **options)

    async def insert_many(
        self,
        documents: Iterable[Any],
        ordered: bool = True,
        bypass_document_validation: bool | None = None,
        session: Any | None = None,
        comment: Any | None = None,
    ) -> InsertManyResult:
        options = given(bypass_document_validation=bypass_document_validation, comment=comment)
        return await self._seat.write(InsertManyOp, documents, ordered, session=session, **options)

    async def update_one(
        self,
        filter: Mapping[str, Any],
        update: Change,
        upsert: bool = False,
        bypass_document_validation: bool | None = None,
        collation: _CollationIn | None = None,
        array_filters: Sequence[Mapping[str, Any]] | None = None,
        hint: Hint | None = None,
        session: Any | None = None,
        let: Mapping[str, Any] | None = None,
        sort: Mapping[str, Any] | None = None,
        comment: Any | None = None,
    ) -> UpdateResult:
        options = given(
            bypass_document_validation=bypass_document_validation,
            collation=collation,
            array_filters=array_filters,
            hint=hint,
            let=let,
            sort=sort,
            comment=comment,
        )
        return await self._seat.write(UpdateOneOp, filter, update, upsert, session=session, **options)

    async def update_many(
        self,
        filter: Mapping[str, Any],
        update: Change,
        upsert: bool = False,
        array_filters: Sequence[Mapping[str, Any]] | None = None,
        bypass_document_validation: bool | None = None,
        collation: _CollationIn | None = None,
        hint: Hint | None = None,
        session: Any | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any | None = None,
    ) -> UpdateResult:
        options = given(
            array_filters=array_filters,
            bypass_document_validation=bypass_document_validation,
            collation=collation,
            hint=hint,
            let=let,
            comment=comment,
        )
        return await self._seat.write(UpdateManyOp, filter, update, upsert, session=session, **options)

    async def replace_one(
        self,
        filter: Mapping[str, Any],
        replacement: Mapping[str, Any],
        upsert: bool = False,
        bypass_document_validation: bool | None = None,
        collation: _CollationIn | None = None,
        hint: Hint | None = None,
        session: Any | None = None,
        let: Mapping[str, Any] | None = None,
        sort: Mapping[str, Any] | None = None,
        comment: Any | None = None,
    ) -> UpdateResult:
        options = given(
            bypass_document_validation=bypass_document_validation,
            collation=collation,
            hint=hint,
            let=let,
            sort=sort,
            comment=comment,
        )
        return await self._seat.write(ReplaceOneOp, filter, replacement, upsert, session=session, **options)

    async def delete_one(
        self,
        filter: Mapping[str, Any],
        collation: _CollationIn | None = None,
        hint: Hint | None = None,
        session: Any | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any | None = None,
    ) -> DeleteResult:
        options = given(collation=collation, hint=hint, let=let, comment=comment)
        return await self._seat.write(DeleteOneOp, filter, session=session, **options)

    async def delete_many(
        self,
        filter: Mapping[str, Any],
        collation: _CollationIn | None = None,
        hint: Hint | None = None,
        session: Any | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any | None = None,
    ) -> DeleteResult:
        options = given(collation=collation, hint=hint, let=let, comment=comment)
        return await self._seat.write(DeleteManyOp, filter, session=session, **options)

    async def find_one_and_update(
        self,
        filter: Mapping[str, Any],
        update: Change,
        projection: Projection | None = None,
        sort: Sort | None = None,
        upsert: bool = False,
        return_document: bool = False,
        array_filters: Sequence[Mapping[str, Any]] | None = None,
        hint: Hint | None = None,
        session: Any | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any | None = None,
        **kwargs: Any,
    ) -> Any:
        options = given(array_filters=array_filters, hint=hint, let=let, comment=comment) | kwargs
        args = (filter, update, projection, sort, upsert, return_document)
        return await self._seat.write(FindOneAndUpdateOp, *args, session=session, **options)

    async def find_one_and_replace(
        self,
        filter: Mapping[str, Any],
        replacement: Mapping[str, Any],
        projection: Projection | None = None,
        sort: Sort | None = None,
        upsert: bool = False,
        return_document: bool = False,
        hint: Hint | None = None,
        session: Any | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any | None = None,
        **kwargs: Any,
    ) -> Any:
        options = given(hint=hint, let=let, comment=comment) | kwargs
        args = (filter, replacement, projection, sort, upsert, return_document)
        return await self._seat.write(FindOneAndReplaceOp, *args, session=session, **options)

    async def find_one_and_delete(
        self,
        filter: Mapping[str, Any],
        projection: Projection | None = None,
        sort: Sort | None = None,
        hint: Hint | None = None,
        session: Any | None = None,
        let: Mapping[str, Any] | None = None,
        comment: Any | None = None,
        **kwargs: Any,
    ) -> Any:
        options = given(hint=hint, let=let, comment=comment) | kwargs
        return await self._seat.write(FindOneAndDeleteOp, filter, projection, sort, session=session, **options)

    async def create_index(
        self, keys: Hint, session: Any | None = None, comment: Any | None = None, **kwargs: Any
    ) -> str:
        return await self._seat.alter(CreateIndexOp, keys, session=session, **given(comment=comment), **kwargs)

    async def create_indexes(
        self, indexes: Sequence[IndexModel], session: Any | None = None, comment: Any | None = None, **kwargs: Any
    ) -> list[str]:
        return await self._seat.alter(CreateIndexesOp, indexes, session=session, **given(comment=comment), **kwargs)

    async def drop_index(
        self, index_or_name: Hint, session: Any | None = None, comment: Any | None = None, **kwargs: Any
    ) -> None:
        await self._seat.alter(DropIndexOp, index_or_name, session=session, **given(comment=comment), **kwargs)

    async def drop_indexes(self, session: Any | None = None, comment: Any | None = None, **kwargs: Any) -> None:
        await self._seat.alter(DropIndexesOp, session=session, **given(comment=comment), **kwargs)

    async def index_information(self, session: Any | None = None, comment: Any | None = None) -> dict[str, Any]:
        return await self._seat.look(IndexInformationOp, session=session, **given(comment=comment))

    async def bulk_write(
        self,
        requests: Sequence[Any],
        ordered: bool = True,
        bypass_document_validation: bool | None = None,
        session: Any | None = None,
        comment: Any | None = None,
        let: Mapping[str, Any] | None = None,
    ) -> BulkWriteResult:
        options = given(bypass_document_validation=bypass_document_validation, comment=comment, let=let)
        seat = self._seat
        # Once it is taken apart it stays so, and is not what the caller's listeners would expect.
        await seat.router.meet()
        begun = seat.begin(session)
        if begun is not None:
            direct = seat.driver.collection.bulk_write(requests, ordered, session=session, **options)
            result: BulkWriteResult = await seat.counted(begun, direct)
            return result
        if not seat.driver.writes_acknowledged and seat.driver.unit(session) is None:
            return await run_careless(seat, requests, ordered, session, options)
        parts = bulk_parts(seat.driver, requests, ordered, session=session, **options)
        return await run_bulk(seat.router, parts, ordered)
