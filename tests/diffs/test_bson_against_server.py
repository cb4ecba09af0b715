"""Matching, sorting, projecting and updating in memory against a real server.

The server of the tests is SecantusDB, which is not MongoDB. Where the two part, MongoDB's rule is built here, and the
table below names the difference: each of its lines must still be true of SecantusDB, and nothing else may differ.
With SHADOW_TEST_MONGO naming a MongoDB nothing may differ at all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pymongo
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import HealthCheck, given, settings
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from shadow_adapters.bson.codec import CODEC, decode, encode
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.order import sort_documents
from shadow_adapters.bson.projection import compile_projection
from shadow_adapters.bson.update import apply_update, upsert_seed
from shadow_adapters.failures import CommandFailure
from tests.unit.test_bson_matching import FILTERS
from tests.unit.test_bson_update import SEEDS

Document = dict[str, Any]
Outcome = frozenset[int] | bytes | int
"""``_id``s matched, the record after an update, or the code of the error."""


@dataclass
class Server:
    """A collection of the test's own, and whether the server is SecantusDB."""

    collection: Collection[Document]
    secantus: bool

    def fill(self, documents: list[Document]) -> None:
        self.collection.delete_many({})
        self.collection.insert_many([dict(document) for document in documents])


@pytest.fixture
def server(mongo_uri: str) -> Iterator[Server]:
    with pymongo.MongoClient[Document](mongo_uri) as client:
        collection = client.get_default_database().get_collection("values", codec_options=CODEC)
        yield Server(collection, "secantusVersion" in client.server_info())


def _documents(values: list[Any]) -> list[Document]:
    """One document for each value of the field ``a``, as a store holds it; ... is a missing field."""
    made: list[Document] = [{"_id": n} if value is ... else {"_id": n, "a": value} for n, value in enumerate(values)]
    return [decode(encode(document)) for document in made]


VALUES: list[Any] = [..., None, 0, 1, -1, 2.5, -0.0, math.nan, math.inf, Int64(2**53 + 1), 2.0**53]
VALUES += [Decimal128("1.00"), Decimal128("NaN"), True, False, "", "a", "b", "B", "é", "a\0b", "5" * 24]
VALUES += [{}, {"x": 1}, {"x": 1, "y": 2}, {"y": 2, "x": 1}, {"b": 1}, {"b": None}, {"b": [1, 2]}, {"b": {"c": 1}}]
VALUES += [{"0": 1}, {"1": 5}, {"b": [{"c": 1}, {"c": 2}]}, [], [None], [1], [1, 2], [2, 1], [[1]], [[1, 2], 3]]
VALUES += [[5, 10], ["a", 1], [{}], [{"b": 1}], [{"b": 1}, {}], [{"b": [1, 5]}], [{"b": {"c": 1}}], [[{"b": 1}]]]
VALUES += [[0, 5], [{"1": 5}], [[0, 5]], [math.nan], [MinKey()], [{"b": [{"c": 3}]}], b"x", b"zz", b"aaa"]
VALUES += [Binary(b"x", 5), ObjectId("5" * 24), DatetimeMS(0), Timestamp(1, 1), Regex("^a", "i"), Code("a")]
VALUES += [MinKey(), MaxKey()]
PATHS = ["a", "a.b", "a.0", "a.1", "a.b.c"]
OPERAND_PATHS = ["a", "a.b", "a.1"]
ORDERED = ["$gt", "$gte", "$lt", "$lte"]
CONDITIONS: list[Any] = [{"$exists": True}, {"$exists": False}, {"$size": 0}, {"$size": 1}, {"$size": 2}]
CONDITIONS += [{"$not": {"$gt": 0}}, {"$not": {"$size": 1}}, {"$not": {"$regex": "^a"}}, {"$regex": "^a"}]
CONDITIONS += [{"$elemMatch": {"b": 1}}, {"$elemMatch": {"$gt": 4, "$lt": 6}}, {"$elemMatch": {}}]
CONDITIONS += [{"$not": {"$elemMatch": {"b": 1}}}, {"$all": [{"$elemMatch": {"b": 1}}]}]
CONDITIONS += [{"$type": asked} for asked in ("array", "string", "number", "null", "object", 5, 127, [16, "long"])]
CONDITIONS += [{"$not": {"$type": "array"}}, {"$elemMatch": {"$type": "int"}}, {"$elemMatch": {"$mod": [2, 1]}}]
CONDITIONS += [{"$bitsAllSet": 1}, {"$bitsAnySet": [0, 1]}, {"$bitsAllClear": 2}, {"$bitsAnyClear": [1]}]
CONDITIONS += [{"$mod": [5, 0]}, {"$mod": [2, 1]}, {"$mod": [-3, -1]}, {"$mod": [2.5, 1]}]
CONDITIONS += [{"$in": [Regex("^a")]}, {"$nin": [Regex("^a")]}]


def _filters() -> Iterator[tuple[str, Any]]:
    """Paths and what they are asked for."""
    yield from itertools.product(PATHS, CONDITIONS)
    for path, value in itertools.product(OPERAND_PATHS, VALUES[1:]):
        yield path, value
        yield from ((path, {operator: value}) for operator in ["$eq", "$ne", *ORDERED])
        yield from ((path, condition) for condition in ({"$in": [value, 1]}, {"$nin": [value]}, {"$all": [value]}))
        if not isinstance(value, Regex | list | dict):
            yield path, {"$elemMatch": {"$gte": value}}


def _operand(condition: Any, *operators: str) -> Any:
    """What stands beside one of the operators, without the array around it; ... if none does."""
    if not isinstance(condition, dict):
        return condition if "$eq" in operators else ...
    found = [value for name, value in condition.items() if name in operators]
    operand = found[0] if found else ...
    return operand[0] if operand is not ... and {"$in", "$nin", "$all"} & set(condition) else operand


FILTER_DIFFERENCES: dict[str, Callable[[str, Any], bool]] = {
    "$mod looks at an array in an array, and at a long as at a double": lambda _, condition: "$mod" in str(condition),
    "$all with null or with an array finds only elements": lambda _, condition: (
        _operand(condition, "$all") is None or isinstance(_operand(condition, "$all"), list)
    ),
    "$all with a regex finds code, and not the same regex": lambda _, condition: isinstance(
        _operand(condition, "$all"), Regex
    ),
    "binaries are ordered without looking at their length first": lambda _, condition: isinstance(
        _operand(condition, *ORDERED), bytes
    ),
    "an index beyond an array's end counts as null": lambda path, condition: (
        path == "a.1"
        and (
            _operand(condition, "$eq", "$ne", "$gte", "$lte", "$in", "$nin", "$all") is None
            or isinstance(_operand(condition, *ORDERED), MinKey | MaxKey)
        )
    ),
}


def _server_matches(server: Server, filter: Document) -> Outcome:
    try:
        return frozenset(document["_id"] for document in server.collection.find(filter, {"_id": 1}))
    except OperationFailure as error:
        return error.code or 0


def _memory_matches(documents: list[Document], filter: Document) -> Outcome:
    try:
        matches = compile_filter(filter).matches
    except CommandFailure as failure:
        return failure.code
    return frozenset(document["_id"] for document in documents if matches(document))


def _check_explained(server: Server, differing: list[Any], explained: dict[str, list[Any]]) -> None:
    """Nothing may differ that the table does not name; and each line must still be true of SecantusDB."""
    assert differing == []
    if server.secantus:
        assert [name for name, found in explained.items() if not found] == []
    else:
        assert [found for found in explained.values() if found] == []


def test_filters(server: Server) -> None:
    documents = _documents(VALUES)
    server.fill(documents)
    differing: list[Any] = []
    explained: dict[str, list[Any]] = {name: [] for name in FILTER_DIFFERENCES}
    for path, condition in _filters():
        filter = {path: condition}
        if _server_matches(server, filter) != _memory_matches(documents, filter):
            names = [name for name, applies in FILTER_DIFFERENCES.items() if applies(path, condition)]
            (explained[names[0]] if names else differing).append(filter)
    _check_explained(server, differing, explained)


def _is_plain(value: Any) -> bool:
    """Whether no part of a drawn filter touches what SecantusDB does otherwise, or cannot hold."""
    if isinstance(value, dict):
        return (
            not {"$all", "$mod"} & set(value)
            and all(map(_is_plain, value.values()))
            and all("\0" not in name for name in value)
        )
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, DatetimeMS):
        return abs(int(value)) < 10**14  # SecantusDB refuses dates that Python's datetime cannot hold
    return not isinstance(value, bytes | Decimal128 | MinKey | MaxKey | Code | Regex | type(None))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filter=FILTERS.filter(_is_plain))
def test_drawn_filters(server: Server, filter: Document) -> None:
    documents = _documents(VALUES)
    if server.collection.estimated_document_count() != len(documents):
        server.fill(documents)
    assert _server_matches(server, filter) == _memory_matches(documents, filter)


SORTS: list[Document] = [{path: direction} for path in PATHS for direction in (1, -1)]
SORTED_OTHERWISE: list[Any] = [Binary(b"x", 5), [{"b": 1}, {}]]
"""SecantusDB does not look at a binary's subtype, and passes over elements without the field, which are null."""


def _ids(documents: list[Document]) -> list[Any]:
    return [document["_id"] for document in documents]


def test_sorts(server: Server) -> None:
    documents = _documents([value for value in VALUES if not server.secantus or value not in SORTED_OTHERWISE])
    server.fill(documents)
    for spec in SORTS:
        full = {**spec, "_id": 1}
        assert _ids(list(server.collection.find({}, sort=full))) == _ids(sort_documents(documents, full)), spec


@pytest.mark.parametrize(
    ("values", "spec"), [([b"x", Binary(b"x", 5)], {"a": -1}), ([{"b": 0}, [{"b": 1}, {}]], {"a.b": 1})]
)
def test_what_is_sorted_otherwise_still_is(server: Server, values: list[Any], spec: Document) -> None:
    documents = _documents(values)
    server.fill(documents)
    same = _ids(list(server.collection.find({}, sort=spec))) == _ids(sort_documents(documents, spec))
    assert same is not server.secantus


PROJECTED: list[Document] = [
    {"_id": 1, "b": {"c": 1, "d": 2}, "a": [1, {"c": 3, "d": 4}, [{"c": 5}], []], "e": None},
    {"_id": 2, "a": {"b": {"c": 1, "d": [{"x": 1, "y": 2}, 3]}}},
    {"_id": {"x": 1, "y": 2}, "a": 5},
    {"_id": 4, "e": 1, "a": [], "b": [{"c": {"d": 1}}, {"c": 2}]},
]
PROJECTIONS: list[Any] = [{"e": 1, "b": 1}, {"e": True, "_id": False}, {"_id": 1}, {"_id": 0}, {"b.c": 1}]
PROJECTIONS += [{"b": {"c": 1}}, {"a.c": 1}, {"e.c": 1, "b.x": 1}, {"a": 0, "b.c": 0}, {"a.c": 0, "b": 0, "_id": 1}]
PROJECTIONS += [{"a.b.d.x": 1}, {"a.b.d.x": 0}, {"_id.x": 0}, {"a.0": 1}, {"b.c.d": 1}, {"b.c.d": 0}, {"a": 1.5}]
PROJECTIONS += [{"a": 1, "b": 0}, {"a": 0, "b": 1}, {"a": 1, "a.b": 1}, {"a.b": 1, "a": 1}, {"a": {}}]
PROJECTIONS += [{"a": {"$slice": 1}}, {"a": {"$slice": [1, 2]}}, {"a": {"$slice": -1}, "_id": 0}]
PROJECTIONS += [{"a": {"$slice": 1}, "e": 1}, {"a": {"$slice": 1}, "_id": 1}, {"a": {"$slice": 2}, "e": 0}]
PROJECTIONS += [{"a.b.d": {"$slice": 1}}, {"a": {"$elemMatch": {"c": 3}}}]
PROJECTIONS += [{"b": {"$elemMatch": {"c": 2}}, "_id": 0}, {"x": "text"}]
PROJECTIONS += [{"x": {"$add": [1, 2]}, "e": 1}, {"x": {"$literal": 1}}, {"x": ["$e", 1]}]
PROJECTIONS += [{"a": 0, "x": "$b"}, {"a": 0, "x": {"$add": [1]}}]
PROJECTIONS += [{"a": {"$elemMatch": 1}}, {"a": {"$slice": [1, -1]}}, {"x": None}]
PROJECTED_OTHERWISE: list[Any] = [{"_id.x": 1}, {"_id.x": 1, "a": 1}, {"a..b": 1}, {"a.": 1}, {"$a": 1}]
PROJECTED_OTHERWISE += [{"e": "$b.c"}, {"a": {"$elemMatch": {"$gte": 1}}, "e": 1}, {"b": {"x": "$e"}}]
PROJECTED_OTHERWISE += [{"a": {"$elemMatch": {"c": 3}}, "e": 0}, {"a.b": {"$elemMatch": {"c": 1}}}]
PROJECTED_OTHERWISE += [{"x": "$b", "a": 0}, {"a": {"$foo": 1}}]
"""SecantusDB keeps an ``_id`` that is no document where a field of it is asked for, and lets bad paths pass. A path in
an expression does not go into arrays there. What ``$elemMatch`` chooses stays in its place, must not stand beside
fields that are left out, and may be of a path. An expression inside of what is missing makes nothing. Other codes tell
that inclusion and exclusion are mixed, and that an operator is none.
"""


def _server_projects(server: Server, spec: Document) -> list[bytes] | int:
    try:
        return [encode(document) for document in server.collection.find({}, spec, sort={"_id": 1})]
    except OperationFailure as error:
        return error.code or 0


def _memory_projects(documents: list[Document], spec: Document) -> list[bytes] | int:
    try:
        project = compile_projection(spec)
        return [encode(project.apply(document)) for document in documents]
    except CommandFailure as failure:
        return failure.code


def test_projections(server: Server) -> None:
    server.fill(PROJECTED)
    documents = list(server.collection.find({}, sort={"_id": 1}))
    specs = [*PROJECTIONS, *PROJECTED_OTHERWISE]
    differing = [spec for spec in specs if _server_projects(server, spec) != _memory_projects(documents, spec)]
    assert differing == (PROJECTED_OTHERWISE if server.secantus else [])


UPDATED: list[Any] = [..., None, 1, 2.5, Int64(7), Decimal128("1.5"), "a", True, {}, {"b": 1}, {"b": {"c": 1}}]
UPDATED += [{"b": [1, 2]}, {"0": 5}, [], [1], [3, 1, 2], [None, "a"], [[1], 2], [{"b": 1}, {"b": 2}]]
UPDATED += [DatetimeMS(5), 2**31 - 1, Int64(2**63 - 1)]
UPDATE_PATHS = ["a", "a.b", "a.0", "c"]
PLAIN: list[Any] = [None, 1, 2.5, "a", {"b": 1}, [1]]
NUMBERS: list[Any] = [None, 1, 2.5, Int64(2), Decimal128("0.5"), "a", True]
PUSHED: list[Any] = [1, {"b": 1}, [1, 2], {"$each": [1, 9]}, {"$each": [4, 0], "$sort": 1}]
PUSHED += [{"$each": [5], "$position": 0, "$slice": 2}, {"$each": [{"b": 0}], "$sort": {"b": -1}}]
PULLED: list[Any] = [None, 1, {"b": 1}, [1], {"$gte": 2}, {"$in": [1, "a"]}, {"b": {"$gt": 1}}, {"$each": [1]}]
ARGUMENTS: dict[str, list[Any]] = {
    "$set": PLAIN,
    "$unset": [1],
    "$min": PLAIN,
    "$max": PLAIN,
    "$inc": NUMBERS,
    "$mul": NUMBERS,
    "$push": PUSHED,
    "$addToSet": PUSHED,
    "$pull": PULLED,
    "$pullAll": [1, [1, 2], [{"b": 1}], []],
    "$pop": [1, -1, 2, "a"],
    "$rename": ["d", "a.d", "d.e"],
    "$bit": [{"and": 6}, {"or": Int64(1)}, {"xor": 3, "and": 5}, {"and": 1.0}, {"not": 1}, {}, 1],
}


def _updates() -> Iterator[tuple[str, str, Any]]:
    """Operators, paths and arguments."""
    for operator, arguments in ARGUMENTS.items():
        yield from itertools.product([operator], UPDATE_PATHS, arguments)
    yield "$rename", "a.0.b", "d"


def _clauses(argument: Any) -> set[str]:
    return {name for name in argument if name.startswith("$")} if isinstance(argument, dict) else set()


UPDATE_DIFFERENCES: dict[str, Callable[[str, str, Any], bool]] = {
    "$bit makes an int of a long where it fits": lambda operator, *_: operator == "$bit",
    "$pullAll of no array is error 9, not 2": lambda operator, _, argument: (
        operator == "$pullAll" and not isinstance(argument, list)
    ),
    "$pull takes unknown operators for a value": lambda operator, _, argument: (
        operator == "$pull" and "$each" in _clauses(argument)
    ),
    "$addToSet ignores what stands beside $each": lambda operator, _, argument: (
        operator == "$addToSet" and len(_clauses(argument)) > 1
    ),
    "$push sorts scalars by value where a field is asked for": lambda operator, _, argument: (
        operator == "$push" and "$sort" in _clauses(argument) and argument["$sort"] != 1
    ),
    "$rename passes over scalars in an array on its way, elsewhere they are an error": lambda operator, path, _: (
        (operator, path) == ("$rename", "a.0.b")
    ),
}


def _server_updates(server: Server, documents: list[Document], updates: list[Document]) -> list[Outcome]:
    """What each document became by each update, or the error's code: one command with a statement for each."""
    copies = [{**document, "_id": number} for number, (_, document) in enumerate(itertools.product(updates, documents))]
    server.fill(copies)
    statements = [
        {"q": {"_id": number}, "u": update} for number, (update, _) in enumerate(itertools.product(updates, documents))
    ]
    command = {"update": server.collection.name, "updates": statements, "ordered": False}
    reply = server.collection.database.command(command)
    codes = {error["index"]: error["code"] for error in reply.get("writeErrors", ())}
    after = server.collection.find({}, sort={"_id": 1})
    return [codes.get(number, encode({**document, "_id": 0})) for number, document in enumerate(after)]


def _memory_update(document: Document, update: Document) -> Outcome:
    try:
        return encode(apply_update({**document, "_id": 0}, update, inserting=False, now=DatetimeMS(0)))
    except CommandFailure as failure:
        return failure.code


def test_updates(server: Server) -> None:
    documents = _documents(UPDATED)
    differing: list[Any] = []
    explained: dict[str, list[Any]] = {name: [] for name in UPDATE_DIFFERENCES}
    for _, group in itertools.groupby(_updates(), key=lambda update: update[0]):
        parts = list(group)
        updates = [{operator: {path: argument}} for operator, path, argument in parts]
        outcomes = iter(_server_updates(server, documents, updates))
        for (operator, path, argument), update in zip(parts, updates, strict=True):
            memory = [_memory_update(document, update) for document in documents]
            if memory != list(itertools.islice(outcomes, len(documents))):
                names = [name for name, applies in UPDATE_DIFFERENCES.items() if applies(operator, path, argument)]
                (explained[names[0]] if names else differing).append((operator, path, argument))
    _check_explained(server, differing, explained)


SEEDED_OTHERWISE = ["78-regex"]
"""SecantusDB takes a regex for a value to start from."""


def test_seeds_of_upserts(server: Server) -> None:
    differing = []
    for name, filter, _ in SEEDS:
        server.collection.delete_many({})
        server.collection.update_one(filter, {"$setOnInsert": {"_id": filter.get("_id", 1)}}, upsert=True)
        made = server.collection.find_one() or {}
        if encode(made) != encode({"_id": made.get("_id"), **upsert_seed(filter)}):
            differing.append(name)
    assert differing == (SEEDED_OTHERWISE if server.secantus else [])
