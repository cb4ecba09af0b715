"""The other collections that a read needs: where they are, and the terms under which new may read them too.

All of them must have the authority of the collection that is asked, or the read is refused by name: no store has both
truths. Each is counted as being read, so that its authority cannot move under the read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

from shadow.protocol.reads import behind, read_fence
from shadow.protocol.settings import Terms
from shadow.protocol.view import View
from shadow.runtime.loops import LoopEntity
from shadow_adapters.contract import Fence
from shadow_adapters.failures import CommandFailure, NotReadable
from shadow_adapters.postgres.call import Neighbour, Neighbours
from shadow_flags.phases import Store

T = TypeVar("T")

_ILLEGAL_OPERATION = 20


class Company:
    """The collections that a read needs beside its own.

    Args:
        members: by name; None for one that is not configured, whose authority is legacy for ever.
    """

    def __init__(self, members: Mapping[str, LoopEntity | None], terms: Terms) -> None:
        self._members = dict(sorted(members.items()))
        self._terms = terms

    async def on_legacy(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read on legacy. Raises `CommandFailure` with ``unsupported`` where it has not the truth of a member."""
        async with self._entered(Store.LEGACY):
            return await read()

    async def on_new(self, authority: Store, read: Callable[[Neighbours], Awaitable[T]]) -> T:
        """Read on new, every member under terms of its own.

        Raises `NotReadable` where new may not answer for a member, though legacy may; `CommandFailure` as `on_legacy`.
        """
        while True:
            async with self._entered(authority) as views:
                stale = next((name for name, view in views.items() if not view.reads_new), None)
                if stale is not None:
                    raise NotReadable(stale)
                fences = {name: read_fence(view, self._terms) for name, view in views.items()}
                try:
                    return await read(self.neighbours(fences))
                except NotReadable as error:
                    late = next((name for name, view in views.items() if view.entity == error.args[0]), None)
                    if authority is Store.LEGACY or late is None:
                        raise
            here = self._members[late]
            assert here is not None
            await behind(here.handle, views[late], self._terms)

    def neighbours(self, fences: Mapping[str, Fence | None]) -> Neighbours:
        """The members for new's engine, under these terms (none where one is not named)."""

        def find(name: str) -> Neighbour | None:
            here = self._members.get(name)
            return None if here is None else Neighbour(here.entity.layout, fences.get(name))

        return find

    @asynccontextmanager
    async def _entered(self, authority: Store) -> AsyncIterator[dict[str, View]]:
        """The members' views while the read runs; those that are not configured are left out."""
        entered: list[tuple[LoopEntity, View]] = []
        try:
            views: dict[str, View] = {}
            for name, here in self._members.items():
                if here is None:
                    self._check(name, Store.LEGACY, authority)
                    continue
                view = await here.handle.enter()
                entered.append((here, view))
                self._check(name, view.authority, authority)
                views[name] = view
            yield views
        finally:
            for here, view in entered:
                here.handle.leave(view)

    def _check(self, name: str, found: Store, authority: Store) -> None:
        if found is not authority:
            raise CommandFailure(
                _ILLEGAL_OPERATION,
                f"{name}, whose authority is {found}, cannot be read together with a collection whose authority is "
                f"{authority}: move them to the same phase",
                unsupported=f"aggregate across stores with {name}",
            )
