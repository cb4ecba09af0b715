"""One real Unleash server for all tests of a session that import `unleash`, and what those tests share."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shadow.embedded import EmbeddedError
from shadow.embedded_unleash import GIVEN, UnleashHandle, UnleashServer, install, unleash_server
from shadow_flags.sources.unleash import UnleashSource
from shadow_flags.sources.unleash_admin import UnleashAdmin

_running: dict[str, UnleashHandle] = {}
WAIT_SECONDS = 30.0


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def unleash(request: pytest.FixtureRequest) -> AsyncIterator[UnleashHandle]:
    """The session's Unleash; pytest makes this fixture once for each module that imports it, the server only once."""
    if not os.environ.get(GIVEN):
        try:
            await asyncio.to_thread(install)
        except EmbeddedError as error:
            pytest.skip(str(error))
    if handle := _running.get(GIVEN):
        yield handle
        return
    async with unleash_server(request.getfixturevalue("postgres_server_dsn")) as handle:
        _running[GIVEN] = handle
        yield handle
        del _running[GIVEN]


@pytest.fixture
def admin(unleash: UnleashHandle) -> UnleashAdmin:
    """The admin API of the session's Unleash."""
    return UnleashAdmin(unleash.url, unleash.admin_token)


@pytest.fixture
def entity() -> str:
    """A name that no other test uses."""
    return f"e{uuid.uuid4().hex[:12]}"


@pytest.fixture
def stoppable(unleash: UnleashHandle) -> UnleashServer:
    """The server itself, to kill; the test starts it again."""
    if unleash.server is None:
        pytest.skip(f"{GIVEN} names a server that is not ours to kill")
    return unleash.server


@asynccontextmanager
async def source_of(
    unleash: UnleashHandle, cache: Path, *entities: str, **options: Any
) -> AsyncIterator[UnleashSource]:
    """A started source that polls every second, closed at the end."""
    options = {"refresh_seconds": 1, "cache": cache, "url": unleash.url, "token": unleash.client_token, **options}
    source = UnleashSource(entities=entities, **options)
    await source.start(lambda: None)
    try:
        yield source
    finally:
        await source.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds; an assertion fails when it never does."""
    for _ in range(int(WAIT_SECONDS / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("never came to hold")
