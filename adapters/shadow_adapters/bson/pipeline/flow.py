"""What a stage is: something that documents flow through, a batch at a time.

A compiled `Stage` is started once for each run and then is a `Flow`: batches are pushed in, what comes of them is
handed on, and at the end the flow gives what it had held back. Pushing, rather than pulling, lets one input feed many
pipelines (``$facet``) without holding it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shadow_adapters.bson.pipeline.memory import Memory

Document = dict[str, Any]
Batch = list[Document]

BATCH = 200
"""How many documents a flow hands on at once where it makes batches of its own."""


class Sources(Protocol):
    """The other collections of the database, for stages that read them."""

    def check(self, stage: str, collection: str) -> None:
        """Raises `CommandFailure` with ``unsupported`` where the collection cannot be read by this stage."""

    def find(self, collection: str, filter: Mapping[str, Any], variables: Mapping[str, Any]) -> AsyncGenerator[Batch]:
        """The documents of a collection that match. ``variables``: what ``$expr`` sees. To be closed (`aclosing`)."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a run has beside its documents.

    ``variables``: ``NOW`` and the command's ``let``, by name. ``disk``: ``allowDiskUse``, without which a stage that
    holds more than `memory.LIMIT` fails. ``check``: raises once the run's time is up; None where that has no limit.
    """

    variables: Mapping[str, Any]
    sources: Sources
    disk: bool = True
    check: Callable[[], None] | None = None

    def memory(self, stage: str) -> Memory:
        """A count of what a stage holds."""
        return Memory(stage, bounded=not self.disk)


class Flow:
    """One stage at work in one run.

    Attributes:
        done: it wants no more input; what comes before it need not go on.
    """

    done = False

    async def push(self, batch: Batch) -> Batch:
        """Take a batch; what can be handed on now."""
        raise NotImplementedError

    async def end(self) -> AsyncGenerator[Batch]:
        """What was held back, when nothing more comes."""
        return
        yield  # makes it a generator


class Each(Flow):
    """A stage that makes of each batch another one, and holds nothing.

    Attributes:
        change: from a batch to what becomes of it.
    """

    def __init__(self, change: Callable[[Batch], Batch]) -> None:
        self.change = change

    async def push(self, batch: Batch) -> Batch:
        return self.change(batch)


class Chain(Flow):
    """Stages in the place of one."""

    def __init__(self, running: Any) -> None:
        self._running = running

    async def push(self, batch: Batch) -> Batch:
        found: Batch = await self._running.push(batch)
        return found

    async def end(self) -> AsyncGenerator[Batch]:
        async for batch in self._running.end():
            yield batch


@dataclass(frozen=True, slots=True)
class Reading:
    """A collection that a stage reads."""

    stage: str
    collection: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A compiled stage.

    ``reads``: the other collections that it, or a pipeline in it, reads.
    """

    name: str
    start: Callable[[Context], Flow]
    reads: tuple[Reading, ...] = ()


def slices(documents: Batch) -> list[Batch]:
    """A long list as batches."""
    return [documents[at : at + BATCH] for at in range(0, len(documents), BATCH)]
