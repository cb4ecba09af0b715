"""Stages that read other collections: ``$lookup $graphLookup $unionWith``, and ``$documents``."""

from __future__ import annotations

from typing import Any

import pytest
from bson.int64 import Int64
from bson.regex import Regex

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.pipeline import Reading, compile_pipeline
from shadow_adapters.failures import CommandFailure
from tests.unit.pipelines import Collections, run

Document = dict[str, Any]

ITEMS: list[Document] = [
    {"_id": 1, "sku": "a", "n": 5},
    {"_id": 2, "sku": "b", "n": 7},
    {"_id": 3, "sku": ["a", "c"], "n": 1},
    {"_id": 4, "sku": None, "n": 2},
    {"_id": 5, "n": 3},
    {"_id": 6, "sku": {"x": 1}, "n": 4},
    {"_id": 7, "sku": 1.0, "n": 6},
]
PEOPLE: list[Document] = [
    {"_id": 1, "name": "ann", "boss": None},
    {"_id": 2, "name": "bob", "boss": "ann"},
    {"_id": 3, "name": "cid", "boss": ["bob", "dan"]},
    {"_id": 4, "name": "dan", "boss": "cid"},
    {"_id": 5, "boss": "ann"},
]


def _sources() -> Collections:
    return Collections({"items": ITEMS, "people": PEOPLE})


def _joined(document: Document, **lookup: Any) -> list[int]:
    """The ``_id``s that are found for a document."""
    stage = {"$lookup": {"from": "items", "as": "found.here", **lookup}}
    (found,) = run([stage], [document], sources=_sources())
    return [each["_id"] for each in found["found"]["here"]]


@pytest.mark.parametrize(
    ("document", "ids"),
    [
        ({"k": "a"}, [1, 3]),
        ({"k": ["b", "c"]}, [2, 3]),
        ({"k": None}, [4, 5]),
        ({}, [4, 5]),
        ({"k": {"x": 1}}, [6]),
        ({"k": Int64(1)}, [7]),
        ({"k": "z"}, []),
        ({"k": ["b", None]}, [2, 4, 5]),
        ({"k": Regex("^a")}, []),
    ],
    ids=str,
)
def test_lookup_by_equality(document: Document, ids: list[int]) -> None:
    assert _joined({"_id": 1, **document}, localField="k", foreignField="sku") == ids


def test_lookup_through_documents_in_arrays() -> None:
    assert _joined({"_id": 1, "k": [{"s": "b"}, {"s": "c"}, {}]}, localField="k.s", foreignField="sku") == [2, 3]


def test_a_batch_is_asked_for_at_once() -> None:
    sources = _sources()
    stage = {"$lookup": {"from": "items", "as": "f", "localField": "k", "foreignField": "sku"}}
    documents: list[Document] = [{"_id": n, "k": key} for n, key in enumerate(["a", "b", "a", "c"])]
    found = run([stage], documents, sources=sources, batch=4)
    assert [[each["_id"] for each in document["f"]] for document in found] == [[1, 3], [2], [1, 3], [3]]
    assert sources.asked == [{"sku": {"$in": ["a", "b", "c"]}}]


def test_lookup_by_a_pipeline() -> None:
    pipeline = [{"$match": {"$expr": {"$gt": ["$n", "$$least"]}}}, {"$sort": {"n": -1}}, {"$limit": 2}]
    assert _joined({"_id": 1, "k": 3}, let={"least": "$k"}, pipeline=pipeline) == [2, 7]
    assert _joined({"_id": 1, "k": 6}, let={"least": "$k"}, pipeline=pipeline) == [2]
    assert _joined({"_id": 1}, pipeline=[{"$match": {"n": {"$lt": 3}}}]) == [3, 4]
    assert _joined({"_id": 1}, pipeline=[]) == [1, 2, 3, 4, 5, 6, 7]


def test_chance_decides_once() -> None:
    sources = Collections({"items": [{"_id": n} for n in range(2_000)]})
    stage = {
        "$lookup": {"from": "items", "pipeline": [{"$match": {"_id": {"$gte": 0}, "$sampleRate": 0.5}}], "as": "i"}
    }
    found = run([stage], [{"_id": 1}], sources=sources)
    assert sources.asked == [{"$and": [{"_id": {"$gte": 0}}]}]
    assert 800 < len(found[0]["i"]) < 1_200


def test_an_equality_with_a_variable_is_asked_for() -> None:
    sources = _sources()
    match = {"$match": {"n": {"$gt": 0}, "$expr": {"$and": [{"$eq": ["$sku", "$$k"]}, {"$lt": ["$n", 6]}]}}}
    stage = {"$lookup": {"from": "items", "as": "f", "let": {"k": "$k"}, "pipeline": [match]}}
    found = run([stage], [{"_id": 1, "k": "a"}, {"_id": 2, "k": ["a", "c"]}], sources=sources)
    assert [[each["_id"] for each in document["f"]] for document in found] == [[1], [3]]
    assert sources.asked == [{"$and": [{"n": {"$gt": 0}}, {"sku": {"$eq": "a"}}]}, {"$and": [{"n": {"$gt": 0}}]}]


def test_lookup_by_both() -> None:
    match = {"$match": {"$expr": {"$lt": ["$n", "$$most"]}}}
    options = {"localField": "k", "foreignField": "sku", "let": {"most": "$most"}, "pipeline": [match]}
    assert _joined({"_id": 1, "k": "a", "most": 5}, **options) == [3]
    assert _joined({"_id": 1, "k": "a", "most": 6}, **options) == [1, 3]


def test_a_pipeline_without_variables_reads_once() -> None:
    sources = _sources()
    stage = {"$lookup": {"from": "items", "as": "f", "pipeline": [{"$match": {"n": 5}}, {"$project": {"_id": 1}}]}}
    found = run([stage], [{"_id": 1}, {"_id": 2}, {"_id": 3}], sources=sources)
    assert [document["f"] for document in found] == [[{"_id": 1}]] * 3
    assert len(sources.asked) == 1


def test_lookups_in_lookups_and_in_facets() -> None:
    inner = {"$lookup": {"from": "people", "localField": "n", "foreignField": "_id", "as": "p"}}
    outer = {"$lookup": {"from": "items", "localField": "k", "foreignField": "sku", "as": "f", "pipeline": [inner]}}
    pipeline = compile_pipeline([outer, {"$facet": {"x": [{"$unionWith": "others"}]}}])
    assert pipeline.reads == (
        Reading("$lookup", "items"),
        Reading("$lookup", "people"),
        Reading("$unionWith", "others"),
    )
    (found,) = run([outer], [{"_id": 1, "k": "b"}], sources=_sources())
    assert found["f"] == [{**ITEMS[1], "p": []}]


def _reached(start: Any, **options: Any) -> list[tuple[Any, Any]]:
    graph = {"from": "people", "startWith": start, "connectFromField": "boss", "connectToField": "name", "as": "chain"}
    stage = {"$graphLookup": {**graph, "depthField": "far.off", **options}}
    (found,) = run([stage], [{"_id": 9, "boss": "cid"}], sources=_sources())
    return sorted((each["_id"], each["far"]["off"]) for each in found["chain"])


def test_graph_lookup() -> None:
    assert _reached("$boss") == [(1, 2), (2, 1), (3, 0), (4, 1)]
    assert _reached("$boss", maxDepth=0) == [(3, 0)]
    assert _reached("$boss", maxDepth=1.0) == [(2, 1), (3, 0), (4, 1)]
    assert _reached(["ann", "zed"]) == [(1, 0)]
    assert _reached("$none") == []
    assert _reached("$boss", restrictSearchWithMatch={"name": {"$ne": "bob"}}) == [(3, 0), (4, 1)]
    restrict = {"$expr": {"$lt": ["$_id", {"$literal": 4}]}}
    assert _reached("$boss", restrictSearchWithMatch=restrict) == [(1, 2), (2, 1), (3, 0)]


def test_graph_lookup_from_null_meets_null_and_not_missing() -> None:
    options = {"connectFromField": "name", "connectToField": "boss"}
    assert _reached({"$literal": None}, maxDepth=0, **options) == [(1, 0)]
    assert _reached({"$literal": None}, maxDepth=0, connectToField="name") == []


def test_depths_are_long() -> None:
    graph = {"from": "people", "startWith": "ann", "connectFromField": "none", "connectToField": "name", "as": "c"}
    (found,) = run([{"$graphLookup": {**graph, "depthField": "d"}}], [{"_id": 1}], sources=_sources())
    assert encode(found) == encode({"_id": 1, "c": [{**PEOPLE[0], "d": Int64(0)}]})


def test_union_with() -> None:
    documents: list[Document] = [{"_id": 1}]
    assert run([{"$unionWith": "people"}], documents, sources=_sources()) == documents + PEOPLE
    stage = {"$unionWith": {"coll": "people", "pipeline": [{"$match": {"name": "bob"}}]}}
    assert run([stage, {"$count": "n"}], documents, sources=_sources()) == [{"n": 2}]
    assert run([stage, {"$limit": 1}], documents, sources=_sources()) == documents
    own = {"$unionWith": {"pipeline": [{"$documents": [{"x": 1}, {"x": 2}]}, {"$match": {"x": 2}}]}}
    assert run([own], documents) == [*documents, {"x": 2}]


def test_documents_need_no_collection() -> None:
    pipeline = compile_pipeline([{"$documents": [{"x": 1}]}], collection=False)
    assert pipeline.reads == ()
    with pytest.raises(CommandFailure) as caught:
        compile_pipeline([{"$documents": [{"x": 1}]}])
    assert caught.value.code == 73
    with pytest.raises(CommandFailure) as caught:
        run([{"$unionWith": {"pipeline": [{"$documents": [1]}]}}])
    assert caught.value.code == 40228


LOOKUP: Document = {"from": "items", "as": "f", "localField": "a", "foreignField": "b"}
GRAPH: Document = {"from": "items", "as": "f", "startWith": 1, "connectFromField": "a", "connectToField": "b"}


@pytest.mark.parametrize(
    ("stage", "code", "unsupported"),
    [
        ({"$lookup": 1}, 9, None),
        ({"$lookup": {**LOOKUP, "x": 1}}, 9, None),
        ({"$lookup": {**LOOKUP, "as": 1}}, 9, None),
        ({"$lookup": {**LOOKUP, "let": {}}}, 9, None),
        ({"$lookup": {**LOOKUP, "let": 1, "pipeline": []}}, 9, None),
        ({"$lookup": {**LOOKUP, "pipeline": 1}}, 9, None),
        ({"$lookup": {"from": "items", "as": "f"}}, 9, None),
        ({"$lookup": {"from": "items", "as": "f", "localField": "a"}}, 9, None),
        ({"$lookup": {"as": "f", "localField": "a", "foreignField": "b"}}, 9, None),
        ({"$lookup": {"as": "f", "pipeline": []}}, 9, None),
        ({"$lookup": {"from": "items", "pipeline": []}}, 9, None),
        ({"$lookup": {**LOOKUP, "from": {"db": "x", "coll": "y"}}}, 115, "$lookup from db"),
        ({"$lookup": {"from": "i", "as": "f", "pipeline": [{"$foo": 1}]}}, 40324, None),
        ({"$lookup": {"from": "i", "as": "f", "pipeline": [{"$out": "x"}]}}, 51047, None),
        ({"$lookup": {"from": "i", "as": "f", "pipeline": [{"$merge": "x"}]}}, 51047, None),
        ({"$unionWith": {"coll": "x", "pipeline": [{"$merge": "x"}]}}, 31441, None),
        ({"$lookup": {"from": "i", "as": "f", "pipeline": [], "let": {"X": 1}}}, 9, None),
        ({"$lookup": {"from": "i", "as": "f", "pipeline": [{"$set": {"a": "$$x"}}]}}, 17276, None),
        ({"$graphLookup": 1}, 9, None),
        ({"$graphLookup": {}}, 9, None),
        ({"$graphLookup": {**GRAPH, "maxDepth": "x"}}, 40100, None),
        ({"$graphLookup": {**GRAPH, "maxDepth": -1}}, 40101, None),
        ({"$graphLookup": {**GRAPH, "maxDepth": 1.5}}, 40102, None),
        ({"$graphLookup": {**GRAPH, "as": 1}}, 40103, None),
        ({"$graphLookup": {**GRAPH, "x": 1}}, 40104, None),
        ({"$graphLookup": {"from": "items"}}, 40105, None),
        ({"$graphLookup": {**GRAPH, "restrictSearchWithMatch": 1}}, 40185, None),
        ({"$unionWith": 1}, 9, None),
        ({"$unionWith": {"pipeline": []}}, 9, None),
        ({"$unionWith": {"coll": "x", "x": 1}}, 40415, None),
    ],
    ids=str,
)
def test_refused(stage: Document, code: int, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_pipeline([stage])
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)


def test_pipelines_inside_each_other_end_somewhere() -> None:
    stages: list[Document] = []
    for _ in range(22):
        stages = [{"$unionWith": {"coll": "x", "pipeline": stages}}]
    with pytest.raises(CommandFailure) as caught:
        compile_pipeline(stages)
    assert caught.value.code == 232
