"""What an aggregation's pipeline, not yet compiled, says of itself: what it reads beside, and what it promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shadow.compare.kinds import COMPUTED, GATHERED, RESULT, Call

_IN_ANY_ORDER: Final = frozenset(("$sum", "$avg", "$min", "$max", "$count"))
"""Accumulators that are what they are in whatever order the documents come."""
_CHANGES: Final = frozenset(("$match", "$project", "$addFields", "$set", "$unset", "$redact", "$unwind"))
"""Stages that take each document by itself."""
_SHUFFLED: Final = ("$sample", "$rand", "$$NOW", "$$CLUSTER_TIME")
"""What makes each run another."""


def collections_read(pipeline: Any) -> tuple[str, ...]:
    """The other collections of the database that a pipeline reads, without those that it names wrongly."""
    return tuple(dict.fromkeys(_read(pipeline)))


def _read(pipeline: Any) -> Iterator[str]:
    for name, spec in _stages(pipeline):
        if name == "$facet" and isinstance(spec, Mapping):
            for inner in spec.values():
                yield from _read(inner)
        elif name in ("$lookup", "$graphLookup", "$unionWith"):
            options = spec if isinstance(spec, Mapping) else {}
            place = spec if isinstance(spec, str) else options.get("coll" if name == "$unionWith" else "from")
            if isinstance(place, str):
                yield place
            yield from _read(options.get("pipeline"))


def _stages(pipeline: Any) -> Iterator[tuple[str, Any]]:
    for stage in pipeline if isinstance(pipeline, list | tuple) else ():
        if isinstance(stage, Mapping):
            yield from stage.items()


def writes(pipeline: Any) -> bool:
    """Whether the pipeline's last stage writes its result somewhere."""
    last = pipeline[-1] if isinstance(pipeline, list | tuple) and pipeline else None
    return isinstance(last, Mapping) and ("$out" in last or "$merge" in last)


def promised(pipeline: Any) -> Call | None:
    """What two stores must agree on; None where chance, or an order that nobody asked for, decides the result."""
    if _mentions(pipeline, _SHUFFLED):
        return None
    walk = _Walk()
    return walk.promise() if all(walk.takes(name, spec) for name, spec in _stages(pipeline)) else None


class _Walk:
    """What is known of the documents between two stages.

    ``ordered``: in a certain order. ``unique``: no two have the same ``_id``. ``gathered``: made of many.
    """

    def __init__(self) -> None:
        self.ordered = False
        self.unique = True
        self.gathered = False

    def takes(self, name: str, spec: Any) -> bool:
        """Go on behind a stage; False where its result is not certain."""
        if name in ("$skip", "$limit"):
            return self.ordered
        if name == "$sort":
            self.ordered = self.unique and isinstance(spec, Mapping) and "_id" in spec
        elif name in ("$replaceRoot", "$replaceWith"):
            self.unique = False
        elif name in _CHANGES:
            self.unique = self.unique and name != "$unwind" and not _changes_id(name, spec)
        elif name == "$count":
            self.ordered = self.unique = True
        elif name in ("$group", "$bucket", "$bucketAuto", "$sortByCount"):
            certain = self.ordered or all(_certain(each) for each in _outputs(name, spec))
            self.ordered, self.unique, self.gathered = False, True, True
            return certain
        else:
            return False
        return True

    def promise(self) -> Call:
        if self.gathered:
            return GATHERED
        return RESULT if self.ordered else COMPUTED


def _changes_id(name: str, spec: Any) -> bool:
    return name != "$match" and isinstance(spec, Mapping) and any(path.partition(".")[0] == "_id" for path in spec)


def _outputs(name: str, spec: Any) -> list[Any]:
    fields = spec if isinstance(spec, Mapping) else {}
    outputs = fields if name == "$group" else fields.get("output", {})
    return [value for field, value in outputs.items() if field != "_id"] if isinstance(outputs, Mapping) else []


def _certain(accumulator: Any) -> bool:
    return isinstance(accumulator, Mapping) and all(name in _IN_ANY_ORDER for name in accumulator)


def _mentions(value: Any, names: tuple[str, ...]) -> bool:
    """Whether a name is in the value, as a field or at the beginning of a text."""
    if isinstance(value, str):
        return value.startswith(names)
    if isinstance(value, Mapping):
        return any(_mentions(each, names) for pair in value.items() for each in pair)
    return isinstance(value, list | tuple) and any(_mentions(each, names) for each in value)
