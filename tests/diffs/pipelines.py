"""Small pipelines and the documents that they run over, whose results no chance decides.

``$skip`` and ``$limit`` stand behind a sort by ``_id``, while ``_id`` still tells documents apart, and so do the
accumulators that see an order.
"""

from __future__ import annotations

from typing import Any

from bson.int64 import Int64
from hypothesis import strategies as st

Document = dict[str, Any]
Stages = list[Document]

VALUES: list[Any] = [None, 0, 1, 2, -1, 2.5, 1.0, Int64(7), "", "a", "b", [], [1], [1, 2], ["a", 1], [None]]
VALUES += [{"x": 1}, {"x": 2, "y": "a"}, {"y": None}, {}]
FIELDS = ("a", "b", "t")
PATHS = ("$a", "$b", "$t", "$a.x", "$none")

documents = st.lists(
    st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(VALUES), max_size=3), min_size=1, max_size=8
).map(lambda made: [{"_id": n, **each} for n, each in enumerate(made)])

_numbers = st.sampled_from([0, 1, 2, 2.5, "a", None])
_condition = st.one_of(
    st.sampled_from(VALUES),
    st.builds(lambda op, value: {op: value}, st.sampled_from(["$eq", "$gt", "$gte", "$lt", "$lte", "$ne"]), _numbers),
    st.builds(lambda values: {"$in": values}, st.lists(_numbers, max_size=3)),
    st.sampled_from([{"$exists": True}, {"$exists": False}, {"$size": 1}]),
)
_filter = st.dictionaries(st.sampled_from(["a", "b", "a.x", "_id"]), _condition, max_size=2)
_expression = st.one_of(
    st.sampled_from(PATHS),
    st.builds(lambda path: {"$ifNull": [path, "none"]}, st.sampled_from(PATHS)),
    st.builds(lambda path, value: {"$eq": [path, value]}, st.sampled_from(PATHS), _numbers.filter(lambda v: v != "a")),
    st.builds(lambda path: {"$isArray": [path]}, st.sampled_from(PATHS)),
    st.builds(lambda one, two: {"x": one, "z": two}, st.sampled_from(PATHS), st.sampled_from(PATHS)),
    st.builds(lambda path: {"$cond": [{"$gt": [path, 1]}, path, {"$literal": "few"}]}, st.sampled_from(PATHS)),
)
_accumulator = st.builds(
    lambda name, path: {name: path}, st.sampled_from(["$sum", "$min", "$max", "$avg"]), st.sampled_from(PATHS)
)
_ordered = st.builds(
    lambda name, path: {name: path}, st.sampled_from(["$first", "$last", "$push"]), st.sampled_from(PATHS)
)

_each = st.one_of(
    st.builds(lambda filter: {"$match": filter}, _filter),
    st.builds(lambda path: {"$match": {"$expr": {"$gte": [path, 1]}}}, st.sampled_from(PATHS)),
    st.builds(lambda one, value: {"$addFields": {"n": one, "b": value}}, _expression, _expression),
    st.builds(lambda value: {"$set": {"d.e": {"$ifNull": [value, "none"]}}}, _expression),
    st.builds(lambda value: {"$project": {"a": 1, "t": 1, "c": value}}, _expression),
    st.sampled_from([{"$project": {"b": 0}}, {"$project": {"a.x": 1, "b": 1}}, {"$unset": ["a.x", "t"]}]),
)
_sorted = st.sampled_from([{"$sort": {"_id": 1}}, {"$sort": {"a": -1, "_id": 1}}, {"$sort": {"a.x": 1, "_id": -1}}])
_window = st.sampled_from([{"$skip": 1}, {"$skip": 3}, {"$limit": 2}, {"$limit": 5}])
_unwind = st.sampled_from(
    [{"$unwind": "$t"}, {"$unwind": "$a"}, {"$unwind": {"path": "$t", "preserveNullAndEmptyArrays": True}}]
)
_outputs = st.dictionaries(st.sampled_from(["p", "q"]), _accumulator, max_size=2)
_gathering = st.one_of(
    st.builds(lambda by, outputs: {"$group": {"_id": by, "n": {"$sum": 1}, **outputs}}, _expression, _outputs),
    st.builds(lambda outputs: {"$group": {"_id": None, **outputs}}, _outputs),
    st.builds(lambda by: {"$sortByCount": by}, st.sampled_from(PATHS)),
    st.just({"$count": "n"}),
)


@st.composite
def pipelines(draw: Any) -> Stages:
    """A pipeline: stages for each document, a window, the elements of arrays, groups, and something behind them."""
    stages: Stages = draw(st.lists(_each, max_size=2))
    if draw(st.booleans()):
        stages += [draw(_sorted), *draw(st.lists(_window, max_size=2))]
        if draw(st.booleans()):
            return [*stages, {"$group": {"_id": None, "v": draw(_ordered), "n": {"$sum": 1}}}]
    if draw(st.booleans()):
        stages.append(draw(_unwind))
    if draw(st.booleans()):
        stages += [draw(_gathering), *draw(st.lists(_each, max_size=1))]
    return stages
