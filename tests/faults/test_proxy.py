"""The fault proxy does what it says, towards a real PostgreSQL."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.faults.proxy import TcpProxy

BROKEN = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)


async def test_cut_breaks_and_refuses_until_resumed(postgres_dsn: str) -> None:
    async with TcpProxy(postgres_dsn) as proxy:
        connection = await asyncpg.connect(proxy.uri)
        proxy.cut()
        with pytest.raises(BROKEN):
            await connection.execute("SELECT 1")
        with pytest.raises(BROKEN):
            await asyncpg.connect(proxy.uri)
        proxy.resume()
        connection = await asyncpg.connect(proxy.uri)
        proxy.cut(once=True)
        connection = await asyncpg.connect(proxy.uri)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


async def test_stall_lets_nothing_pass_and_loses_nothing(postgres_dsn: str) -> None:
    async with TcpProxy(postgres_dsn) as proxy:
        connection = await asyncpg.connect(proxy.uri)
        proxy.stall()
        answer = asyncio.create_task(connection.fetchval("SELECT 1"))
        done, _ = await asyncio.wait([answer], timeout=0.3)
        assert not done
        proxy.resume()
        assert await answer == 1
        await connection.close()


async def test_delay_holds_a_reply_back(postgres_dsn: str) -> None:
    async with TcpProxy(postgres_dsn) as proxy:
        connection = await asyncpg.connect(proxy.uri)
        proxy.delay(0.3)
        began = asyncio.get_running_loop().time()
        await connection.execute("SELECT 1")
        assert asyncio.get_running_loop().time() - began >= 0.3
        proxy.resume()
        await connection.close()


@pytest.mark.parametrize("cut", [False, True])
async def test_a_write_whose_reply_is_lost_was_made(postgres_dsn: str, cut: bool) -> None:
    direct = await asyncpg.connect(postgres_dsn)
    await direct.execute("CREATE TABLE made (n int)")
    async with TcpProxy(postgres_dsn) as proxy:
        connection = await asyncpg.connect(proxy.uri)
        proxy.drop_replies(cut=cut)
        with pytest.raises(BROKEN if cut else TimeoutError):
            await connection.execute("INSERT INTO made VALUES (1)", timeout=1)
        assert await direct.fetchval("SELECT count(*) FROM made") == 1
        proxy.resume()
    await direct.close()
