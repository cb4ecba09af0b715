"""Embedded servers: they keep their data over a kill, freeze and thaw, and never outlive whoever started them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pymongo
import pytest
from secantus.transactions import TransactionRegistry

from shadow import watchdog
from shadow.embedded import EmbeddedError, MongoServer, PostgresServer

STARTER = """
import sys, threading
from shadow.embedded import MongoServer, PostgresServer
servers = [MongoServer(), PostgresServer(durable=False)]
threads = [threading.Thread(target=server.start) for server in servers]
for thread in threads: thread.start()
for thread in threads: thread.join()
if "paused" in sys.argv: [server.pause() for server in servers]
for server in servers: print(server.pid, server.folder, flush=True)
sys.stdin.read()
"""


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("state", ["running", "paused"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_servers_and_their_folders_go_with_a_killed_starter(end: signal.Signals, state: str) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, state], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    lines = [starter.stdout.readline().split() for _ in range(2)]
    servers, folders = [int(line[0]) for line in lines], [Path(line[1]) for line in lines]
    pids = [pid for server in servers for pid in watchdog.tree(server)]
    assert len(pids) > 2, "PostgreSQL runs more than one process"
    assert all(watchdog.identity(pid) for pid in servers) and all(folder.exists() for folder in folders)

    starter.send_signal(end)
    starter.communicate(timeout=30)

    assert within(20, lambda: not any(watchdog.identity(pid) for pid in pids))
    assert within(20, lambda: not any(folder.exists() for folder in folders))


def test_servers_go_with_a_starter_that_ends_by_itself() -> None:
    starter = subprocess.run([sys.executable, "-c", STARTER], input="", capture_output=True, text=True, check=True)
    pids = [int(line.split()[0]) for line in starter.stdout.splitlines()]
    assert len(pids) == 2
    assert not any(watchdog.identity(pid) for pid in pids)


async def test_postgres_keeps_what_was_committed_over_kill_and_restart(own_postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(own_postgres.dsn)
    await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
    own_postgres.kill()
    with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
        await connection.execute("SELECT 1")
    own_postgres.start()
    own_postgres.restart()
    connection = await asyncpg.connect(own_postgres.dsn)
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.execute("CREATE EXTENSION vector")
    await connection.close()


def test_mongo_keeps_its_data_over_kill_and_serves_transactions(own_mongo: MongoServer) -> None:
    client = pymongo.MongoClient[dict[str, object]](own_mongo.uri)
    with client, client.start_session() as session, session.start_transaction():
        client.app.kept.insert_one({"_id": 7}, session=session)
    own_mongo.kill()
    own_mongo.start()
    with pymongo.MongoClient[dict[str, object]](own_mongo.uri_for("app")) as client:
        assert client.get_default_database().kept.find_one() == {"_id": 7}


async def test_a_paused_postgres_answers_nobody_until_it_is_resumed(own_postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(own_postgres.dsn)
    own_postgres.pause()
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT 1", timeout=0.3)
    own_postgres.resume()
    again = await asyncpg.connect(own_postgres.dsn)
    assert await again.fetchval("SELECT 1") == 1
    await again.close()


def test_a_server_that_does_not_come_up_names_a_log_that_is_kept() -> None:
    with pytest.raises(EmbeddedError, match="did not come up; its log is kept at") as failure:
        PostgresServer(options={"shared_buffers": "nonsense"}).start()
    log = Path(str(failure.value).rpartition(" ")[2])
    assert "shared_buffers" in log.read_text()
    log.unlink()
    log.parent.rmdir()


def test_what_is_replaced_in_the_stand_in_for_mongodb_is_there() -> None:
    """Else it would look at thousands of remembered writes at each write, and only be slow."""
    assert callable(TransactionRegistry._prune_retryable_locked)
