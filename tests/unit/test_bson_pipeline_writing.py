"""``$out`` and ``$merge`` as they are read: where, how, and what MongoDB refuses."""

from __future__ import annotations

from typing import Any

import pytest

from shadow_adapters.bson.pipeline.writing import Merge, Out, Place, last_stage
from shadow_adapters.failures import CommandFailure

HERE = Place("d", "c")


def read(stage: Any, *names: str) -> Any:
    return last_stage([{"$match": {}}, stage], "d", names)


@pytest.mark.parametrize(
    ("stage", "place"),
    [
        ({"$out": "c"}, HERE),
        ({"$out": "a.b"}, Place("d", "a.b")),
        ({"$out": {"db": "e", "coll": "c"}}, Place("e", "c")),
        ({"$merge": "c"}, HERE),
        ({"$merge": {"into": "c"}}, HERE),
        ({"$merge": {"into": {"coll": "c"}}}, HERE),
        ({"$merge": {"into": {"db": "e", "coll": "c"}}}, Place("e", "c")),
    ],
    ids=str,
)
def test_where(stage: Any, place: Place) -> None:
    assert read(stage).place == place


def test_how() -> None:
    assert read({"$out": "c"}) == Out(HERE)
    assert read({"$merge": "c"}) == Merge(HERE, None, "merge", "insert", (), {})
    fields = {"on": ["a", "b.c"], "whenMatched": "keepExisting", "whenNotMatched": "insert"}
    assert read({"$merge": {"into": "c", **fields}}) == Merge(HERE, ("a", "b.c"), "keepExisting", "insert", (), {})


def test_the_variables_of_a_pipeline() -> None:
    update = [{"$set": {"a": "$$v"}}]
    options = {"into": "c", "whenMatched": update, "let": {"v": {"$add": ["$a", "$$w"]}}}
    merge = read({"$merge": options}, "w")
    assert (merge.matched, merge.pipeline) == ("pipeline", update)
    values = {name: let.evaluate({"a": 1}, {"w": 2}) for name, let in merge.let.items()}
    assert values == {"v": 3, "new": {"a": 1}}
    assert list(read({"$merge": {"into": "c", "whenMatched": update}}).let) == ["new"]
    assert list(read({"$merge": {**options, "let": {"new": "$$ROOT"}}}).let) == ["new"]


def merge(**options: Any) -> dict[str, Any]:
    return {"$merge": {"into": "c", **options}}


@pytest.mark.parametrize(
    ("stage", "code", "unsupported"),
    [
        ({"$out": "c", "$match": {}}, 40323, None),
        ({"$out": 1}, 16990, None),
        ({"$out": None}, 16990, None),
        ({"$out": {}}, 40414, None),
        ({"$out": {"coll": "c"}}, 40414, None),
        ({"$out": {"db": "d"}}, 40414, None),
        ({"$out": {"db": "d", "coll": "c", "x": 1}}, 40415, None),
        ({"$out": {"db": 1, "coll": "c"}}, 14, None),
        ({"$out": {"db": "d", "coll": "c", "timeseries": {"timeField": "t"}}}, 115, "$out timeseries"),
        ({"$out": ""}, 73, None),
        ({"$out": "a$b"}, 73, None),
        ({"$out": ".a"}, 73, None),
        ({"$out": {"db": "a.b", "coll": "c"}}, 73, None),
        ({"$out": "system.users"}, 17385, None),
        ({"$out": {"db": "local", "coll": "c"}}, 31321, None),
        ({"$merge": 1}, 14, None),
        ({"$merge": {}}, 40414, None),
        ({"$merge": ""}, 73, None),
        ({"$merge": "system.x"}, 31319, None),
        (merge(x=1), 40415, None),
        (merge(into=1), 51178, None),
        (merge(into=""), 5786800, None),
        (merge(into={}), 5786801, None),
        (merge(into={"coll": ""}), 5786801, None),
        (merge(into={"coll": "c", "x": 1}), 40415, None),
        (merge(into={"coll": 1}), 14, None),
        (merge(into={"db": "admin", "coll": "c"}), 31320, None),
        (merge(on=1), 51186, None),
        (merge(on=[]), 51187, None),
        (merge(on=[1]), 51134, None),
        (merge(on=["a", "a"]), 31465, None),
        (merge(on="a..b"), 15998, None),
        (merge(on="$a"), 16410, None),
        (merge(whenMatched=1), 51191, None),
        (merge(whenMatched="x"), 2, None),
        (merge(whenMatched="pipeline"), 2, None),
        (merge(whenMatched=[1]), 14, None),
        (merge(whenNotMatched=1), 14, None),
        (merge(whenNotMatched="x"), 2, None),
        (merge(whenMatched="keepExisting", whenNotMatched="discard"), 51181, None),
        (merge(whenMatched="keepExisting", whenNotMatched="fail"), 51181, None),
        (merge(whenMatched="fail", whenNotMatched="fail"), 51181, None),
        (merge(let=1), 14, None),
        (merge(let={}), 51199, None),
        (merge(whenMatched="replace", let={"a": 1}), 51199, None),
        (merge(whenMatched=[], let={"new": "$a"}), 51273, None),
        (merge(whenMatched=[], let={"A": 1}), 9, None),
        (merge(whenMatched=[], let={"a": "$$b"}), 17276, None),
    ],
    ids=str,
)
def test_refused(stage: Any, code: int, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        read(stage)
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)


def test_only_the_last_stage_writes() -> None:
    with pytest.raises(CommandFailure) as caught:
        last_stage([{"$out": "a"}, {"$merge": "b"}], "d", ())
    assert caught.value.code == 40601
