"""A client's ``bulk_write`` over several collections: what concerns configured ones goes through their routers.

It runs in runs of one router each, or of none: an ordered bulk in the caller's order, an unordered one a collection
after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, cast

from pymongo.asynchronous.client_bulk import _AsyncClientBulk
from pymongo.common import validate_list
from pymongo.errors import BulkWriteError, ClientBulkWriteException, InvalidOperation, PyMongoError
from pymongo.results import ClientBulkWriteResult, DeleteResult, InsertOneResult, UpdateResult

from shadow.facade.elsewhere import pass_through, reach_of_bulk
from shadow.facade.seat import Seat, given
from shadow.ops.bulk import INSERT, UPDATE
from shadow.ops.bulk_write import BulkWriteOp
from shadow.ops.driver import Driver
from shadow.ops.statements import Statement, parts_of, statements_of

_COUNTS = {
    "nInserted": "nInserted",
    "nUpserted": "nUpserted",
    "nMatched": "nMatched",
    "nModified": "nModified",
    "nDeleted": "nRemoved",
}
_VERBS = ("insert", "update", "delete")
_RESULTS = ("insertResults", "updateResults", "deleteResults")


@dataclass
class ClientBulk:
    """One bulk under way. Arguments as in `pymongo.asynchronous.mongo_client.AsyncMongoClient.bulk_write`.

    Args:
        client: the façade's.
        directly: the driver's own ``bulk_write``, to be awaited.
    """

    client: Any
    directly: Callable[..., Awaitable[Any]]
    models: Any
    session: Any = None
    ordered: bool = True
    verbose_results: bool = False
    bypass_document_validation: bool | None = None
    comment: Any = None
    let: Any = None
    write_concern: Any = None
    _details: dict[str, Any] = field(init=False)
    _ops: list[Any] = field(init=False)

    async def run(self) -> ClientBulkWriteResult:
        """Raises `pymongo.errors.ClientBulkWriteException` with the details of all that ran."""
        if not isinstance(self.models, list):
            return cast("ClientBulkWriteResult", await self._on_driver())  # which refuses it
        seats = [self._seat(model) for model in self.models]
        for seat in dict.fromkeys(seats):
            if seat is not None:
                await seat.router.meet()  # once it is taken apart it stays so
        if all(seat is None or seat.quiet(self.session) for seat in seats):
            reach = reach_of_bulk(self.models)
            quiet = await pass_through(self.client, reach, self._on_driver, self.session)
            return cast("ClientBulkWriteResult", quiet)
        self._begin()
        numbered = list(enumerate(zip(seats, self.models, strict=True)))
        if not self.ordered:
            numbered.sort(key=lambda entry: id(entry[1][0]))
        for seat, run in groupby(numbered, lambda entry: entry[1][0]):
            places = [(place, model) for place, (_, model) in run]
            try:
                await (self._run_driver(places) if seat is None else self._run_routed(seat, places))
            except PyMongoError as error:
                self._details["error"] = error
            if self._details["error"] or (self.ordered and self._details["writeErrors"]):
                break
        return self._result()

    def _seat(self, model: Any) -> Seat | None:
        database, _, collection = str(getattr(model, "_namespace", "")).partition(".")
        return getattr(self.client[database][collection], "_seat", None) if database and collection else None

    def _begin(self) -> None:
        """Let the driver check the models. Raises what it raises."""
        concern = self.write_concern or self.client.write_concern
        if not concern.acknowledged and (self.verbose_results or self.ordered):
            refused = "verbose results" if self.verbose_results else "ordered writes"
            raise InvalidOperation(f"Cannot request unacknowledged write concern and {refused}")
        validate_list("models", self.models)
        bulk = _AsyncClientBulk(self.client, self.write_concern, self.ordered, verbose_results=self.verbose_results)
        for model in self.models:
            try:
                model._add_to_client_bulk(bulk)
            except AttributeError:
                raise TypeError(f"{model!r} is not a valid request") from None
        spaces = list(dict.fromkeys(bulk.namespaces))
        self._ops = [
            {verb: spaces.index(space) if verb in _VERBS else value for verb, value in op.items()}
            for (_, op), space in zip(bulk.ops, bulk.namespaces, strict=True)
        ]
        self._details = {"anySuccessful": False, "error": None, "writeErrors": [], "writeConcernErrors": []}
        self._details |= dict.fromkeys(_COUNTS, 0) | {name: {} for name in _RESULTS}

    async def _on_driver(self, models: Sequence[Any] | None = None) -> Any:
        options = given(
            bypass_document_validation=self.bypass_document_validation,
            comment=self.comment,
            let=self.let,
            write_concern=self.write_concern,
        )
        options |= {"ordered": self.ordered, "verbose_results": self.verbose_results}
        return await self.directly(self.models if models is None else models, session=self.session, **options)

    async def _run_driver(self, places: Sequence[tuple[int, Any]]) -> None:
        try:
            result = await self._on_driver([model for _, model in places])
        except ClientBulkWriteException as error:
            self._add_drivers(places, error.details)
        else:
            self._add_drivers(places, result.bulk_api_result if result.acknowledged else {})

    def _add_drivers(self, places: Sequence[tuple[int, Any]], part: Any) -> None:
        details = self._details
        for count in _COUNTS:
            details[count] += part.get(count, 0)
        for name in _RESULTS:
            for index, result in part.get(name, {}).items():
                place = places[index][0]
                details[name][place] = result
                if not isinstance(result, InsertOneResult):
                    result.raw_result["idx"] = place
        for error in part.get("writeErrors", ()):
            details["writeErrors"].append({**error, "idx": places[error["idx"]][0]})
        details["writeConcernErrors"] += part.get("writeConcernErrors", ())
        details["error"] = part.get("error")
        details["anySuccessful"] = details["anySuccessful"] or part.get("anySuccessful", True)

    async def _run_routed(self, seat: Seat, places: Sequence[tuple[int, Any]]) -> None:
        driver = seat.driver
        if self.write_concern is not None:
            collection = driver.collection.with_options(write_concern=self.write_concern)
            driver = Driver(collection, driver.core.with_options(write_concern=self.write_concern))
        statements = statements_of(driver, [model for _, model in places], self.ordered, self.let)
        parts = [[each] for each in statements] if self.verbose_results else parts_of(statements)
        options = given(bypass_document_validation=self.bypass_document_validation, comment=self.comment, let=self.let)
        for part in parts:
            op = BulkWriteOp(driver, part, self.ordered, self.session, options)
            try:
                result = await seat.routed_write(op)
            except BulkWriteError as error:
                self._add(places, part, dict(error.details))
            else:
                self._add(places, part, result.bulk_api_result if result.acknowledged else {})
            if self.ordered and self._details["writeErrors"]:
                break

    def _add(self, places: Sequence[tuple[int, Any]], part: Sequence[Statement], told: dict[str, Any]) -> None:
        details = self._details
        for count, theirs in _COUNTS.items():
            details[count] += told.get(theirs, 0)
        failed = told.get("writeErrors", [])
        for error in failed:
            place = places[part[error["index"]].place][0]
            kept = {name: value for name, value in error.items() if name not in ("index", "op")}
            details["writeErrors"].append({"ok": 0.0, "idx": place, "n": 0, **kept, "op": self._ops[place]})
        details["writeConcernErrors"] += told.get("writeConcernErrors", ())
        details["anySuccessful"] = details["anySuccessful"] or len(failed) < len(part)
        if self.verbose_results and not failed:
            self._tell(places[part[0].place][0], part[0], told)

    def _tell(self, place: int, statement: Statement, told: dict[str, Any]) -> None:
        """The result of one statement."""
        details = self._details
        if statement.kind == INSERT:
            details["insertResults"][place] = InsertOneResult(statement.wire["_id"], True)
        elif statement.kind == UPDATE:
            raw = {"ok": 1.0, "idx": place, "n": told["nMatched"] + told["nUpserted"], "nModified": told["nModified"]}
            for entry in told["upserted"]:
                raw["upserted"] = {"_id": entry["_id"]}
            details["updateResults"][place] = UpdateResult(raw, True, in_client_bulk=True)
        else:
            details["deleteResults"][place] = DeleteResult({"ok": 1.0, "idx": place, "n": told["nRemoved"]}, True)

    def _result(self) -> ClientBulkWriteResult:
        details = self._details
        if details["error"] or details["writeErrors"] or details["writeConcernErrors"]:
            details["writeErrors"].sort(key=lambda error: error["idx"])
            error = ClientBulkWriteException(details, self.verbose_results)
            raise error from details["error"]
        acknowledged = self.write_concern is None or self.write_concern.acknowledged
        return ClientBulkWriteResult(details, acknowledged, self.verbose_results)
