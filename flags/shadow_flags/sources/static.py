"""Flags written in the configuration file, read again when the file changes.

``[entities.agents] phase = "shadow_read"``, or weights: ``phase = { shadow_read = 90, read_new = 10 }``.

An editor that saves in two steps shows an empty or a half file for a moment. So a change is read only when the file
has kept still from one look to the next, a file that does not parse changes nothing, and an entity or a phase that was
there before and is missing now keeps its last state.
"""

from __future__ import annotations

import asyncio
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from shadow_flags.phases import Phase
from shadow_flags.routes import compile_routes
from shadow_flags.settings import SETTINGS, read_settings
from shadow_flags.sources.base import Wanted
from shadow_flags.sources.board import Board, Said
from shadow_flags.weights import read_phase

Signature = tuple[int, int, int]


class StaticSource:
    """A `Source` over the ``entities`` table of a TOML file.

    Args:
        path: the file.
        entities: names of the entities; other tables of the file are none of its business.
        poll_seconds: how often the file's time stamp is looked at.
    """

    def __init__(self, path: Path, entities: Iterable[str], *, poll_seconds: float = 0.5) -> None:
        self._path = path
        self._board = Board(entities)
        self._poll_seconds = poll_seconds
        self._read_at: Signature | None = None
        self._readable = False
        self._given: set[str] = set()  # entities that had a phase written
        self._task: asyncio.Task[None] | None = None

    async def start(self, on_change: Callable[[], object]) -> None:
        """Read the file and watch it from a task of the running loop, on which ``on_change`` is called."""
        self._read_at = _signature(self._path)
        self._read()
        self._task = asyncio.create_task(self._watch(on_change))

    def snapshot(self, entity: str) -> Wanted:
        """See `Source.snapshot`."""
        return self._board.snapshot(entity)

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self, on_change: Callable[[], object]) -> None:
        seen = self._read_at
        while True:
            await asyncio.sleep(self._poll_seconds)
            now = _signature(self._path)
            still, seen = now == seen, now
            if still and now != self._read_at:
                self._read_at = now
                if self._read():
                    on_change()
            elif still and self._readable:
                self._board.confirm(time.time())

    def _read(self) -> bool:
        """Read the file onto the board. True if anything changed."""
        try:
            tables = _entity_tables(self._path)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
            self._readable = False
            problem = (f"{self._path.name} cannot be read, the last good state stays: {error}",)
            return self._board.post({entity: Said(problems=problem) for entity in self._board.entities})
        self._readable = True
        self._board.confirm(time.time())
        return self._board.post({entity: self._said(entity, tables) for entity in self._board.entities})

    def _said(self, entity: str, tables: Mapping[str, Any]) -> Said:
        where = f"entities.{entity}"
        table = tables.get(entity)
        if not isinstance(table, Mapping):
            return Said(problems=(f"{where}: this table is missing; the last good state stays",))
        if "phase" in table:
            self._given.add(entity)
        elif entity in self._given:
            return Said(problems=(f"{where}.phase: is gone; the last good state stays until a phase is written",))
        return read_entity(table, where)


def read_entity(table: Mapping[str, Any], where: str) -> Said:
    """What an entity's table says: its phase (``legacy`` when there is none) and its settings."""
    phases, problems = read_phase(table.get("phase", Phase.LEGACY.value), f"{where}.phase")
    settings, more = read_settings({name: table[name] for name in SETTINGS if name in table}, where)
    routes = compile_routes(phases, settings) if phases else None
    return Said(routes=routes, problems=(*problems, *more))


def _entity_tables(path: Path) -> Mapping[str, Any]:
    tables = tomllib.loads(path.read_text(encoding="utf-8")).get("entities", {})
    if not isinstance(tables, Mapping):
        raise TypeError("entities must be tables, such as [entities.agents]")
    return tables


def _signature(path: Path) -> Signature | None:
    """What changes when the file does; None when it is not there."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
