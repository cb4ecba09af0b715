"""The Unleash source while the server is away: what was last known stays, over a restart of the process, too."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from shadow.embedded import HOST, free_port
from shadow.embedded_unleash import UnleashHandle, UnleashServer
from shadow_flags.phases import Phase
from shadow_flags.sources.unleash import UnleashSource
from shadow_flags.sources.unleash_admin import AdminError, UnleashAdmin
from tests.contract.unleash_fixtures import admin, entity, source_of, stoppable, unleash, until

__all__ = ["admin", "entity", "stoppable", "unleash"]

CANARY = {Phase.SHADOW_READ: 90.0, Phase.READ_NEW: 10.0}


async def test_killed_midway_the_state_stays_and_ages_and_follows_again_afterwards(
    unleash: UnleashHandle, stoppable: UnleashServer, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    admin.want(entity, CANARY)
    async with source_of(unleash, tmp_path, entity) as source:
        await until(lambda: source.snapshot(entity).routes.aim is Phase.READ_NEW)
        before = source.snapshot(entity)
        stoppable.kill()
        try:
            await until(lambda: source.snapshot(entity).age > 3)  # three polls have failed
            during = source.snapshot(entity)
            assert (during.routes, during.known, during.off) == (before.routes, True, False)
        finally:
            stoppable.start()
        admin.want(entity, {Phase.SHADOW_READ: 100})
        await until(lambda: source.snapshot(entity).routes.aim is Phase.SHADOW_READ)
        await until(lambda: source.snapshot(entity).age < 3)


async def test_away_at_start_the_cached_state_holds(
    unleash: UnleashHandle, stoppable: UnleashServer, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    admin.want(entity, CANARY)
    async with source_of(unleash, tmp_path, entity) as source:
        await until(lambda: source.snapshot(entity).routes.aim is Phase.READ_NEW)
        before = source.snapshot(entity).routes
    stoppable.kill()
    try:
        async with source_of(unleash, tmp_path, entity) as source:
            wanted = source.snapshot(entity)
            assert (wanted.routes, wanted.known) == (before, True)
            assert wanted.age > 0
    finally:
        stoppable.start()


async def test_away_at_start_without_a_cache_nothing_is_known_until_it_comes(
    unleash: UnleashHandle, stoppable: UnleashServer, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    admin.want(entity, CANARY)
    stoppable.kill()
    try:
        async with source_of(unleash, tmp_path, entity) as source:
            wanted = source.snapshot(entity)
            assert not wanted.known
            assert "it did not answer" in wanted.problems[0]
            assert wanted.aim(Phase.WRITE_NEW) is Phase.WRITE_NEW
            stoppable.start()
            await until(lambda: source.snapshot(entity).known)
            assert source.snapshot(entity).problems == ()
            assert source.snapshot(entity).routes.aim is Phase.READ_NEW
    finally:
        stoppable.start()


async def test_a_cache_of_another_environment_is_not_used(
    unleash: UnleashHandle, stoppable: UnleashServer, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    admin.want(entity, CANARY)
    async with source_of(unleash, tmp_path, entity, environment="production") as source:
        await until(lambda: source.snapshot(entity).known)
    stoppable.kill()
    try:
        async with source_of(unleash, tmp_path, entity, environment="staging") as source:
            assert not source.snapshot(entity).known
    finally:
        stoppable.start()


async def test_a_server_that_accepts_and_never_answers_does_not_hold_the_start(
    tmp_path: Path, entity: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = asyncio.Event()

    async def swallow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.sleep(3600)
        writer.close()

    async with await asyncio.start_server(swallow, HOST, 0) as server:
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        source = UnleashSource(url, "*:development.s3cret", [entity], start_seconds=0.2, cache=tmp_path)
        await source.start(lambda: None)
        await asked.wait()
        assert not source.snapshot(entity).known
        assert "did not answer in 0.2 s" in caplog.text
        await source.close()


async def test_a_wrong_token_is_said_without_the_token(
    unleash: UnleashHandle, entity: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = "*:development.0123456789abcdef0123456789abcdef"
    with caplog.at_level(logging.DEBUG):
        async with source_of(unleash, tmp_path, entity, token=token) as source:
            wanted = source.snapshot(entity)
    assert not wanted.known
    assert "it answered 401" in wanted.problems[0]
    assert token.partition(".")[2] not in caplog.text + repr(wanted)


async def test_the_admin_client_says_what_failed_without_the_token(entity: str) -> None:
    token = "*:*.0123456789abcdef0123456789abcdef"
    admin = UnleashAdmin(f"http://{HOST}:{free_port()}", token)
    with pytest.raises(AdminError, match="cannot be reached for POST") as refused:
        admin.want(entity, CANARY)
    assert token.partition(".")[2] not in str(refused.value)
