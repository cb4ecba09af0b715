"""Flags in the configuration file, while somebody edits it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shadow_flags.phases import Phase
from shadow_flags.sources.static import StaticSource

GOOD = """
[entities.agents]
phase = { shadow_read = 90, read_new = 10 }
sample_rate = 0.5

[entities.sessions]
legacy = { redis = "session:*" }
"""


class Changes:
    """Counts what a source tells."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@asynccontextmanager
async def watching(path: Path, on_change: Callable[[], None], *entities: str) -> AsyncIterator[StaticSource]:
    """A started source that looks at the file often."""
    source = StaticSource(path, entities or ("agents", "sessions"), poll_seconds=0.01)
    await source.start(on_change)
    try:
        yield source
    finally:
        await source.close()


def write(path: Path, text: str) -> None:
    """Replace the file's content, as an editor does."""
    path.write_text(text, encoding="utf-8")


def remove(path: Path) -> None:
    """Remove the file."""
    path.unlink()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds; an assertion fails when it never does."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never came to hold")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration file that is in order."""
    path = tmp_path / "shadow.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


async def test_phases_weights_and_settings_are_read(path: Path) -> None:
    async with watching(path, Changes()) as source:
        agents, sessions = source.snapshot("agents"), source.snapshot("sessions")
        assert (agents.known, agents.off, agents.problems) == (True, False, ())
        assert agents.routes.phases.count(Phase.READ_NEW) == 100
        assert agents.routes.settings == {"sample_rate": 0.5}
        assert set(sessions.routes.phases) == {Phase.LEGACY}
        assert sessions.aim(Phase.LEGACY) is Phase.LEGACY


async def test_a_change_is_taken_over_and_told_once(path: Path) -> None:
    changes = Changes()
    async with watching(path, changes) as source:
        write(path, GOOD.replace("{ shadow_read = 90, read_new = 10 }", '"read_new"'))
        await until(lambda: not source.snapshot("agents").routes.mixed)
        assert source.snapshot("agents").routes.aim is Phase.READ_NEW
        assert changes.count == 1


async def test_a_new_file_that_says_the_same_tells_nothing(path: Path) -> None:
    changes = Changes()
    async with watching(path, changes) as source:
        write(path, f"{GOOD}\n[flags]\n")
        await asyncio.sleep(0.1)
        write(path, GOOD.replace("90, read_new = 10", "80, read_new = 20"))
        await until(lambda: source.snapshot("agents").routes.phases.count(Phase.READ_NEW) == 200)
        assert changes.count == 1


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("[entities.agents\n", "shadow.toml cannot be read, the last good state stays"),
        ("entities = 3\n", "entities must be tables"),
        ("", "entities.agents: this table is missing"),
        ("[entities.agents]\nsample_rate = 1\n", "entities.agents.phase: is gone"),
        (GOOD.replace("read_new = 10", "raed_new = 10"), "entities.agents.phase: 'raed_new' is no phase"),
        (GOOD.replace("read_new = 10", "read_new = 20"), "entities.agents.phase: the weights make 110, not 100"),
    ],
)
async def test_a_broken_file_is_named_and_changes_nothing(path: Path, broken: str, says: str) -> None:
    async with watching(path, Changes()) as source:
        before = source.snapshot("agents").routes
        write(path, broken)
        await until(lambda: bool(source.snapshot("agents").problems))
        wanted = source.snapshot("agents")
        assert (wanted.routes, wanted.known) == (before, True)
        assert says in wanted.problems[0]
        write(path, GOOD)
        await until(lambda: not source.snapshot("agents").problems)
        assert source.snapshot("agents").routes == before


async def test_a_file_that_goes_away_keeps_its_state_and_ages(path: Path) -> None:
    async with watching(path, Changes()) as source:
        remove(path)
        await until(lambda: bool(source.snapshot("agents").problems))
        await until(lambda: source.snapshot("agents").age > 0.1)
        assert source.snapshot("agents").routes.aim is Phase.READ_NEW


async def test_every_mistake_is_reported_at_once_and_logged_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = '[entities.agents]\nphase = "on"\nsample_rate = 7\n[entities.sessions]\nphase = { x = 1, y = 2 }\n'
    write(path, broken)
    with caplog.at_level(logging.WARNING, "shadow_flags"):
        async with watching(path, Changes()) as source:
            assert len(source.snapshot("agents").problems) == 2
            assert len(source.snapshot("sessions").problems) == 2
            assert len(caplog.messages) == 4
            write(path, broken.replace('"on"', '"off"'))
            await until(lambda: "'off'" in source.snapshot("agents").problems[0])
    assert len(caplog.messages) == 5


async def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    async with watching(tmp_path / "none.toml", Changes()) as source:
        wanted = source.snapshot("agents")
        assert (wanted.known, wanted.aim(Phase.READ_NEW)) == (False, Phase.READ_NEW)
        assert set(wanted.routes.phases) == {Phase.DUAL_WRITE}
        assert "none.toml cannot be read" in wanted.problems[0]


async def test_an_entity_that_nobody_configured_is_an_error(path: Path) -> None:
    async with watching(path, Changes(), "agents") as source:
        with pytest.raises(KeyError, match="no flag is watched for 'agent'; entities are agents"):
            source.snapshot("agent")
