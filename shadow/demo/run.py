"""Puts the demo together: servers, records, the application under load, the operator's walk, the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
from motor.motor_asyncio import AsyncIOMotorClient as DriverClient

from shadow import runtime
from shadow.config import load
from shadow.demo.application import COLLECTIONS, Application
from shadow.demo.board import Board
from shadow.demo.configuration import DATABASE, Configuration
from shadow.demo.corpus import docstrings
from shadow.demo.ledger import Ledger
from shadow.demo.measure import Recorder
from shadow.demo.plant import Plant
from shadow.demo.screen import Screen
from shadow.demo.seed import FEATURED, knowledge_count, records_of, seed
from shadow.demo.tally import Tally
from shadow.demo.traffic import Seat, Traffic
from shadow.demo.verdict import Verdict, lost, records_in_legacy, records_in_new
from shadow.demo.walk import PHASES, Stuck, Walk
from shadow.embedded import MongoServer, PostgresServer
from shadow.motor import AsyncIOMotorClient
from shadow.runtime import Runtime
from shadow.schema import apply
from shadow_flags.phases import Phase

_TWIN = "orchestra_twin"
_SEED = 7
_KEPT_BACK = 400  # documents of the knowledge collection that the application adds itself
_NAMED = 5  # of each kind of problem, so many are told

Document = dict[str, Any]
Records = dict[str, list[Document]]


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that the demo plays on."""

    mongo: MongoServer
    postgres: PostgresServer
    configuration: Configuration


async def demo(screen: Screen, records: int) -> tuple[Verdict, Board]:
    """Run the whole demo.

    Args:
        screen: where it is shown.
        records: about how many records there are before anything begins.

    Returns:
        The verdict, and the board with everything that was seen on the way. Raises `EmbeddedError`.
    """
    began = time.monotonic()
    rng = Random(_SEED)
    screen.say("starting MongoDB and PostgreSQL, reading the standard library's docstrings")
    reading = asyncio.create_task(asyncio.to_thread(docstrings, knowledge_count(records) + _KEPT_BACK))
    async with _stage() as stage:
        knowledge = await reading
        known, fresh = knowledge[:-_KEPT_BACK], knowledge[-_KEPT_BACK:]
        there = records_of(records, known, rng)
        screen.say(f"writing {sum(map(len, there.values())):,} records to MongoDB, twice")
        verdict, board = await _play(stage, there, fresh, rng, screen)
    verdict.seconds = time.monotonic() - began
    return verdict, board


@contextlib.asynccontextmanager
async def _stage() -> AsyncIterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="shadow-demo-") as folder:
        mongo, postgres = MongoServer(), PostgresServer(durable=False)
        try:
            await asyncio.gather(asyncio.to_thread(mongo.start), asyncio.to_thread(postgres.start))
            configuration = Configuration(Path(folder), mongo.uri, postgres.dsn)
            configuration.want(Phase.LEGACY)
            yield Stage(mongo, postgres, configuration)
        finally:
            mongo.close()
            postgres.close()


async def _play(
    stage: Stage, there: Records, fresh: list[Document], rng: Random, screen: Screen
) -> tuple[Verdict, Board]:
    settings = load(stage.configuration.path)
    connection = await asyncpg.connect(stage.postgres.dsn)
    driver: Any = DriverClient(stage.mongo.uri)
    tally = Tally()
    try:
        await connection.execute(files("shadow.demo").joinpath("orchestra.sql").read_text("utf-8"))
        await apply(settings, connection)
        ledgers = await seed(driver[DATABASE], there), await seed(driver[_TWIN], there)
        shadow = runtime.install(settings, [tally])
        client: Any = AsyncIOMotorClient(stage.mongo.uri)
        featured = [agent["_id"] for agent in there["agents"][:FEATURED]]
        plant = Plant(connection, there["agents"][0])
        board = _board(shadow, stage, plant, tally, {name: len(each) for name, each in there.items()})
        seats = [
            Seat("shadow", Application(client, DATABASE), ledgers[0], board.recorder, rng, featured, list(fresh)),
            Seat("bare", Application(driver, _TWIN), ledgers[1], board.recorder, rng, featured, list(fresh)),
        ]
        problems = await _perform(board, Traffic(seats[0], seats[1], rng), client, screen)
        return await _judge(board, shadow, plant, ledgers[0], stage, driver, problems), board
    finally:
        driver.close()
        await asyncio.to_thread(runtime.uninstall)
        await connection.close()


def _board(shadow: Runtime, stage: Stage, plant: Plant, tally: Tally, totals: Mapping[str, int]) -> Board:
    board: Board
    walk = Walk(shadow, stage.configuration, plant, sum(totals.values()), lambda text: board.note(text))
    recorder = Recorder(walk.view, walk.label)
    board = Board(recorder, tally, walk, lambda: shadow.control.told.backfills, totals)
    return board


async def _perform(board: Board, traffic: Traffic, client: Any, screen: Screen) -> list[str]:
    """Walk under traffic; what went wrong on the way."""
    await client[DATABASE]["agents"].find_one({})  # the first call starts Shadow in this loop
    board.recorder.began = time.perf_counter()
    showing = asyncio.create_task(screen.show(board))
    problems = []
    traffic.start()
    try:
        await board.walk.run()
    except Stuck as stuck:
        problems.append(str(stuck))
    except BaseException:
        await traffic.abandon()
        raise
    await traffic.stop()
    board.note("traffic has ended; every record is held against what the application was told")
    showing.cancel()
    await asyncio.gather(showing, return_exceptions=True)
    return problems


async def _judge(
    board: Board, shadow: Runtime, plant: Plant, ledger: Ledger, stage: Stage, driver: Any, problems: list[str]
) -> Verdict:
    new_rules = all(board.walk.view(name).authority == "new" for name in COLLECTIONS)
    reading = records_in_new(shadow.entities, stage.postgres.dsn) if new_rules else records_in_legacy(driver[DATABASE])
    wrong = lost(ledger, await reading)
    recorder, walk, tally = board.recorder, board.walk, board.tally
    verdict = Verdict(
        compared=sum(counts.get("compared", 0) for counts in walk.verified.values()),
        lost=len(wrong),
        caller_errors=sum(recorder.errors.values()),
        mismatches=tally.by_kind(),
        found=plant.found,
        repaired=plant.repaired,
        fence_ms=recorder.fence_ms,
        phases=recorder.ratios(PHASES),
        problems=problems,
    )
    verdict.problems += _counted(wrong) + [f"{count} x {what}" for what, count in recorder.errors.items()]
    verdict.problems += await _unexplained(shadow, walk, tally, plant)
    return verdict


async def _unexplained(shadow: Runtime, walk: Walk, tally: Tally, plant: Plant) -> list[str]:
    """What nothing that the demo did accounts for."""
    found = []
    if not (plant.found and plant.repaired):
        found.append("the planted divergence was not found and repaired")
    found += await plant.strangers(tally.confirmed())
    for name, counts in walk.verified.items():
        wrong = {what: counts.get(what, 0) for what in ("missing", "extra", "different", "refused", "failed")}
        found += [f"{name}: verify found {count} {what}" for what, count in wrong.items() if count]
    for name, entity in shadow.entities.items():
        found += [f"{name}: new does not serve {call} ({n} x)" for call, n in entity.unsupported.items()]
    return found


def _counted(wrong: list[str]) -> list[str]:
    kinds: dict[str, int] = {}
    for what in wrong:
        kinds[what] = kinds.get(what, 0) + 1
    named = [f"{count} x {what}" for what, count in list(kinds.items())[:_NAMED]]
    return named if len(kinds) <= _NAMED else [*named, f"... and {len(kinds) - _NAMED} more kinds"]
