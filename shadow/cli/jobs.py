"""``shadow backfill`` and ``shadow verify``: long work with progress, which may be stopped and run again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from shadow import config
from shadow.cli.options import Config, Entity
from shadow.protocol.verify import Report
from shadow.runtime.runtime import Runtime
from shadow.stores import mongo_client
from shadow_adapters.contract import EntityState
from shadow_adapters.failures import StoreDown
from shadow_flags.phases import Phase

T = TypeVar("T")

_JOIN_SECONDS = 10.0
_STEP_SECONDS = 30.0


def backfill(entity: Entity, path: Config = None) -> None:
    """Copy an entity's records into new. It must be in dual_write; an interrupted run goes on where it stopped."""
    settings = config.load(path)
    with _Member(settings, entity) as member:
        state = member.run(member.marking())
        if state.backfill == "done":
            typer.echo(f"{entity}: the backfill is done already")
            return
        if state.backfill != "running":
            raise typer.BadParameter(f"{entity} is in {state.phase}: want dual_write first (`shadow advance {entity}`)")
        total = asyncio.run(_count(settings, entity))
        member.follow(f"backfill {entity}", total, member.node.jobs.backfill(entity), lambda: member.copied())
    typer.echo(f"{entity}: {member.copied()} records copied, and both stores verified")


def verify(
    entity: Entity,
    path: Config = None,
    repair: bool = typer.Option(True, help="Sync what differs."),
) -> None:
    """Compare every record of both stores. Exit code 1 when something differed that no mark covered."""
    settings = config.load(path)
    with _Member(settings, entity) as member:
        total = asyncio.run(_count(settings, entity))
        job = member.node.jobs.verify(entity, repair=repair)
        member.follow(f"verify {entity}", total, job, lambda: member.report.compared)
    report = member.report
    typer.echo(
        f"{entity}: {report.compared} compared, {report.missing} missing, {report.extra} extra, "
        f"{report.different} different, {report.in_flight} in flight, {report.repaired} repaired, "
        f"{report.refused} refused"
    )
    raise typer.Exit(0 if report.clean else 1)


async def _count(settings: config.Settings, entity: str) -> int:
    configured = settings.entity_named(entity)
    assert configured is not None
    where = configured.legacy.mongo or ""
    database, _, collection = where.partition(".")
    async with mongo_client(settings) as client:
        return await client[database][collection].estimated_document_count()


class _Member:
    """This command as a member of the fleet, for as long as its work takes."""

    def __init__(self, settings: config.Settings, entity: str) -> None:
        configured = settings.entity_named(entity)
        if configured is None or configured.legacy.is_pattern:
            raise typer.BadParameter(f"no entity {entity!r}; configured are {', '.join(settings.entities)}")
        self._entity = entity
        self._runtime = Runtime(settings)
        self._runtime.entities[entity]  # one of a pattern's is made when it is asked for
        self.report = Report()

    def __enter__(self) -> _Member:
        self._runtime.start()
        if not self._runtime.control.ready.wait(_JOIN_SECONDS):
            raise StoreDown("Shadow's control thread did not start")
        if self._runtime.control.failure is not None:
            raise self._runtime.control.failure
        self.node = self._runtime.control.node
        self.run(self._joined())
        return self

    def __exit__(self, *exc: object) -> None:
        self._runtime.stop()
        self.report = self._runtime.control.told.reports.get(self._entity, self.report)

    def copied(self) -> int:
        """Records that the backfill has copied so far."""
        progress = self._runtime.control.told.backfills.get(self._entity)
        return 0 if progress is None else progress.records

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work in the control loop."""
        assert self._runtime.control.loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._runtime.control.loop).result()

    def follow(self, title: str, total: int, work: Coroutine[Any, Any, Any], done: Any) -> None:
        """Run work, showing how far it is and how long it will take."""
        assert self._runtime.control.loop is not None
        future = asyncio.run_coroutine_threadsafe(work, self._runtime.control.loop)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
            task = progress.add_task(title, total=total)
            while not future.done():
                self.report = self._runtime.control.told.reports.get(self._entity, self.report)
                progress.update(task, completed=done())
                try:
                    future.result(0.2)
                except TimeoutError:
                    continue
            progress.update(task, completed=total)
        future.result()

    async def marking(self) -> EntityState:
        """The entity's state, once a step to dual_write that is wanted has been taken."""
        limit = asyncio.get_running_loop().time() + _STEP_SECONDS
        wanted = self._runtime.entities[self._entity].wanted
        while True:
            state = (await self.node.membership.look()).entities[self._entity]
            if state.backfill != "none" or wanted.aim(Phase(state.phase)) is Phase.LEGACY:
                return state
            if asyncio.get_running_loop().time() > limit:
                return state
            await asyncio.sleep(0.1)

    async def _joined(self) -> None:
        limit = asyncio.get_running_loop().time() + _JOIN_SECONDS
        while self.node.membership.fleet is None or not self.node.views[self._entity].known:
            if asyncio.get_running_loop().time() > limit:
                raise StoreDown("PostgreSQL's control schema cannot be reached (was `shadow schema` run?)")
            await asyncio.sleep(0.05)
