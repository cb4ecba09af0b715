"""The other collections of a read: one authority for all of them, which cannot move under the read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

import shadow.runtime.loops
from shadow.protocol.handle import Handle
from shadow.protocol.settings import Terms
from shadow.protocol.view import View, view_of
from shadow.router.company import Company
from shadow_adapters.contract import EntityState, Fence
from shadow_adapters.failures import CommandFailure, NotReadable, StoreDown
from shadow_adapters.postgres.call import Neighbours
from shadow_flags.phases import Store

TERMS = Terms(fence_limit=0.2)


def view(entity: str, phase: str, epoch: int = 1, stage: str | None = None) -> View:
    step = "write_new" if stage else None
    return view_of(EntityState(entity, phase, epoch, step=step, stage=stage, backfill="done"))


class Members:
    """Collections by the name of their entity, each in a phase."""

    def __init__(self, **phases: str) -> None:
        self.views = {name: view(name, phase) for name, phase in phases.items()}
        self.handles = {name: Handle(name, self.views, TERMS) for name in phases}

    def company(self, *strangers: str) -> Company:
        return Company({name: self._here(name) for name in self.handles} | dict.fromkeys(strangers), TERMS)

    def _here(self, name: str) -> shadow.runtime.loops.LoopEntity | Any:
        return SimpleNamespace(handle=self.handles[name], entity=SimpleNamespace(layout=f"layout of {name}"))

    def running(self) -> bool:
        """Whether a read is counted anywhere."""
        return any(handle.older(99) for handle in self.handles.values())


async def found(neighbours: Neighbours) -> Any:
    return {name: neighbours(name) for name in ("b", "c", "stranger")}


async def nothing() -> str:
    return "read"


@pytest.mark.parametrize(
    ("phases", "strangers", "legacy", "new"),
    [
        ({}, (), True, True),
        ({"b": "legacy", "c": "read_new"}, ("stranger",), True, False),
        ({"b": "write_new", "c": "new"}, (), False, True),
        ({"b": "write_new"}, ("stranger",), False, False),
        ({"b": "read_new", "c": "new"}, (), False, False),
    ],
    ids=str,
)
async def test_one_authority_for_all(phases: dict[str, str], strangers: Any, legacy: bool, new: bool) -> None:
    members = Members(**phases)
    company = members.company(*strangers)
    calls = {Store.LEGACY: company.on_legacy(nothing), Store.NEW: company.on_new(Store.NEW, lambda _: nothing())}
    for store, served in ((Store.LEGACY, legacy), (Store.NEW, new)):
        if served:
            assert await calls[store] == "read"
        else:
            with pytest.raises(CommandFailure) as caught:
                await calls[store]
            assert caught.value.code == 20
            assert "aggregate across stores with" in str(caught.value.unsupported)
        assert not members.running()


async def test_each_is_read_under_its_own_terms() -> None:
    members = Members(b="read_new", c="read_new")
    seen = await members.company("stranger").on_new(Store.LEGACY, found)
    assert seen["b"].fence == Fence("b", 1, TERMS.sync_timeout)
    assert seen["c"].layout == "layout of c"
    assert seen["stranger"] is None
    free = await Members(b="write_new", c="new").company().on_new(Store.NEW, found)
    assert (free["b"].fence, free["c"].fence) == (Fence("b", 1, None), None)


async def test_new_does_not_answer_for_one_that_it_may_not_read() -> None:
    members = Members(b="read_new", c="dual_write")
    with pytest.raises(NotReadable):
        await members.company().on_new(Store.LEGACY, found)
    assert not members.running()


async def test_no_authority_moves_under_a_read() -> None:
    members = Members(b="read_new")
    counted: list[bool] = []

    async def read() -> None:
        counted.append(members.handles["b"].older(2))

    await members.company().on_legacy(read)
    assert counted == [True]
    assert not members.running()


async def test_a_fence_holds_the_read_until_it_is_moved_or_lifted() -> None:
    members = Members(b="read_new")
    members.views["b"] = view("b", "read_new", 2, "fence")
    reading = asyncio.create_task(members.company().on_legacy(nothing))
    await asyncio.sleep(0.02)
    assert not reading.done()
    members.views["b"] = view("b", "read_new", 3)
    assert await reading == "read"
    members.views["b"] = view("b", "read_new", 4, "fence")
    reading = asyncio.create_task(members.company().on_legacy(nothing))
    await asyncio.sleep(0.02)
    members.views["b"] = view("b", "write_new", 5)
    with pytest.raises(CommandFailure):
        await reading
    assert not members.running()


async def test_where_new_is_the_authority_it_waits_for_the_view_of_a_member_that_moved_on() -> None:
    members = Members(b="write_new")
    tried: list[int] = []

    async def read(neighbours: Neighbours) -> str:
        there = neighbours("b")
        assert there is not None and there.fence is not None
        tried.append(there.fence.epoch)
        if there.fence.epoch == 1:
            raise NotReadable("b")
        return "read"

    reading = asyncio.create_task(members.company().on_new(Store.NEW, read))
    await asyncio.sleep(0.02)
    members.views["b"] = view("b", "write_new", 2)
    assert await reading == "read"
    assert tried == [1, 2]
    members.views["b"] = view("b", "write_new", 1)
    with pytest.raises(StoreDown):
        await members.company().on_new(Store.NEW, read)
    assert not members.running()


async def test_what_its_own_collection_may_not_answer_is_not_its_members() -> None:
    async def read(_: Neighbours) -> None:
        raise NotReadable("a")

    for authority, phase in ((Store.NEW, "write_new"), (Store.LEGACY, "read_new")):
        with pytest.raises(NotReadable):
            await Members(b=phase).company().on_new(authority, read)
