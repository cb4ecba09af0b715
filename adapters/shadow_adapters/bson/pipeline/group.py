"""``$group``: one document for each value of an expression, with what is accumulated over its documents."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from shadow_adapters.bson.accumulators import compile_accumulator
from shadow_adapters.bson.codec import encode as encode_document
from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.bson.pipeline.flow import Batch, Context, Document, Flow, Stage, slices
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.failures import CommandFailure

_FIRST_WEIGHING: Final = 10_000


def group(name: str, spec: Any, scope: Scope) -> Stage:
    """``$group``. Raises `CommandFailure`: 15947, 15955, 40234 to 40238, and what accumulators raise."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(15947, "a group's fields must be specified in an object")
    if "_id" not in spec:
        raise CommandFailure(15955, "a group specification must include an _id")
    by = compile_expression(spec["_id"], scope.names)
    outputs = compile_outputs({field: value for field, value in spec.items() if field != "_id"}, scope)
    return Stage(name, lambda context: _Group(by, Groups(name, outputs, context), context))


def compile_outputs(spec: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Accumulators by field, each a function that makes one. Raises `CommandFailure`."""
    outputs = {}
    for field, accumulator in spec.items():
        if "." in field:
            raise CommandFailure(40235, f"The field name '{field}' cannot contain '.'")
        if field.startswith("$"):
            raise CommandFailure(40236, f"The field name '{field}' cannot be an operator name")
        if not isinstance(accumulator, Mapping) or not accumulator:
            raise CommandFailure(40234, f"The field '{field}' must be an accumulator object")
        if len(accumulator) != 1:
            raise CommandFailure(40238, f"The field '{field}' must specify one accumulator")
        outputs[field] = compile_accumulator(accumulator, scope.names)
    return outputs


class Groups:
    """Documents by key, accumulated.

    Args:
        stage: name of the stage, for errors.
        outputs: accumulators by field.
    """

    def __init__(self, stage: str, outputs: Mapping[str, Any], context: Context) -> None:
        self._fields = list(outputs)
        self._factories = list(outputs.values())
        self._variables = context.variables
        self._memory = context.memory(stage)
        self._groups: dict[bytes, tuple[Any, list[Any]]] = {}
        self._seen = 0
        self._weigh_at = _FIRST_WEIGHING

    def add(self, key: Any, document: Document) -> None:
        """Accumulate a document under a key. Keys that are equal in BSON are one; the first stands for all."""
        encoded = encode(key)
        found = self._groups.get(encoded)
        if found is None:
            found = self._groups[encoded] = key, [make() for make in self._factories]
        for accumulator in found[1]:
            accumulator.add(document, self._variables)

    def weigh(self, count: int) -> None:
        """Say that so many documents were added; now and then, what is held is weighed. Raises `CommandFailure` 292."""
        self._seen += count
        if self._memory.bounded and self._seen >= self._weigh_at:
            self._weigh_at = 2 * self._seen
            self._memory.hold(sum(len(encode_document(document)) for document in self.documents()))

    def documents(self) -> list[Document]:
        """A document for each key, in the order in which they were met."""
        return [
            {"_id": key} | {field: each.result() for field, each in zip(self._fields, accumulators, strict=True)}
            for key, accumulators in self._groups.values()
        ]


class _Group(Flow):
    def __init__(self, by: Expression, groups: Groups, context: Context) -> None:
        self._by = by
        self._groups = groups
        self._variables = context.variables

    async def push(self, batch: Batch) -> Batch:
        evaluate, add, variables = self._by.evaluate, self._groups.add, self._variables
        for document in batch:
            key = evaluate(document, variables)
            add(None if key is MISSING else key, document)
        self._groups.weigh(len(batch))
        return []

    async def end(self) -> AsyncGenerator[Batch]:
        for batch in slices(self._groups.documents()):
            yield batch
