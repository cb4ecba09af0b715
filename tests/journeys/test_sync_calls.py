"""Synchronous calls as applications make them: in threads, beside a loop, under time-outs, interrupted, forked, at the
end of a process. On real servers, in phases that were settled before."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import AutoReconnect, DuplicateKeyError, ExecutionTimeout, NetworkTimeout

from shadow.pymongo import MongoClient
from shadow.runtime.portal import Portal
from tests.journeys.runtime_support import ENTITY, PATIENCE, Site, environment, running, until


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, postgres_dsn: str) -> Site:
    made = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn)
    await made.prepare()
    return made


@pytest.fixture
async def things(request: pytest.FixtureRequest, site: Site) -> AsyncIterator[Any]:
    """The synchronous façade's collection, settled in the phase that the test names."""
    await site.settled_in(request.param)
    async with running(site):
        with MongoClient[dict[str, Any]](site.mongo) as client:
            made = client[site.database][ENTITY]

            async def served() -> bool:
                try:
                    made.find_one({})
                except AutoReconnect:  # a machine that is very slow may not have reached PostgreSQL yet
                    return False
                return True

            await until(served, "the first answer")
            yield made


in_phases = pytest.mark.parametrize("things", ["dual_write", "read_new", "write_new"], indirect=True)
in_dual_write = pytest.mark.parametrize("things", ["dual_write"], indirect=True)


@in_phases
async def test_many_threads_at_once(site: Site, things: Any) -> None:
    def calls(thread: int) -> None:
        for number in range(30):
            mine = f"{thread}-{number}"
            things.insert_one({"_id": mine, "thread": thread})
            assert things.update_one({"_id": mine}, {"$inc": {"n": 1}}).modified_count == 1
            assert things.find_one({"_id": mine}) == {"_id": mine, "thread": thread, "n": 1}
            things.update_one({"_id": "shared"}, {"$inc": {"n": 1}}, upsert=True)
            with pytest.raises(DuplicateKeyError):
                things.insert_one({"_id": mine})

    things.insert_one({"_id": "shared", "n": 0})
    with ThreadPoolExecutor(8) as threads:
        await asyncio.gather(*(asyncio.wrap_future(threads.submit(calls, thread)) for thread in range(8)))
    assert things.find_one({"_id": "shared"})["n"] == 240
    assert things.count_documents({}) == 241
    await site.quiet()
    assert len(await site.equal()) == 241


@in_dual_write
async def test_an_iterator_of_the_caller_runs_in_the_callers_thread(things: Any) -> None:
    things.insert_many([{"_id": n} for n in range(3)])

    def copies() -> Any:
        for each in things.find({}):  # a call in the middle of a call
            yield {"_id": f"copy of {each['_id']}", "by": threading.get_ident()}

    assert len(things.insert_many(copies()).inserted_ids) == 3
    assert {each["by"] for each in things.find({"by": {"$exists": True}})} == {threading.get_ident()}


@in_phases
async def test_a_call_inside_a_running_loop_is_made(things: Any) -> None:
    assert asyncio.get_running_loop().is_running()
    things.insert_one({"_id": 1})
    assert [each["_id"] for each in things.find({})] == [1]


@in_phases
async def test_cursors_that_are_forgotten_give_back_what_they_hold(things: Any) -> None:
    things.insert_many([{"_id": n} for n in range(300)])
    for _ in range(40):  # more than there are connections
        next(things.find({}, batch_size=2))
    assert things.count_documents({}) == 300


@in_dual_write
async def test_a_time_out_of_the_caller_is_the_drivers_and_nobody_elses(site: Site, things: Any) -> None:
    with pymongo.timeout(5):
        things.update_one({"_id": 1}, {"$set": {"n": 1}}, upsert=True)
    with pymongo.timeout(0.000001), pytest.raises((ExecutionTimeout, NetworkTimeout)):
        things.update_one({"_id": 1}, {"$set": {"n": 2}})
    assert things.find_one({"_id": 1})["n"] in {1, 2}
    await site.quiet()
    await site.equal()


class Slow:
    """Holds the driver's call of one thread until it is interrupted."""

    def __init__(self, seconds: float = 60) -> None:
        self.began = threading.Event()
        self._seconds = seconds

    def update_one(self, things: Any, *args: Any, **kwargs: Any) -> Any:
        made = pymongo.collection.Collection.update_one(things, *args, **kwargs)
        self.began.set()
        time.sleep(self._seconds)
        return made

    def interrupt(self) -> None:
        self.began.wait(PATIENCE)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)


@in_dual_write
async def test_ctrl_c_in_a_write_leaves_it_marked_until_it_is_synced(site: Site, things: Any) -> None:
    things.insert_one({"_id": 1, "n": 1})
    await site.quiet()
    slow = Slow()
    plain = things._seat.driver.core
    plain.update_one = lambda *args, **kwargs: slow.update_one(type(plain)(plain.database, plain.name), *args, **kwargs)
    threading.Thread(target=slow.interrupt).start()
    loops = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        things.update_one({"_id": 1}, {"$set": {"n": 2}})
    signal.signal(signal.SIGINT, loops)
    del plain.update_one
    assert things.find_one({"_id": 1}) == {"_id": 1, "n": 2}
    await site.quiet()
    await site.equal()


@pytest.mark.parametrize("things", ["legacy"], indirect=True)
async def test_legacy_alone_never_leaves_the_callers_thread(things: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Portal, coroutine: Any) -> Any:
        coroutine.close()
        raise AssertionError("the caller's thread was left")

    things.insert_one({"_id": 0})  # by now the runtime is known
    monkeypatch.setattr(Portal, "run", refuse)
    calls: list[Callable[[], Any]] = [
        lambda: things.insert_one({"_id": 1}),
        lambda: things.update_one({"_id": 1}, {"$set": {"a": 1}}),
        lambda: things.find_one({"_id": 1}),
        lambda: list(things.find({}).sort("_id", 1)),
        lambda: things.bulk_write([pymongo.DeleteOne({"_id": 1})]),
        lambda: things.distinct("a"),
        lambda: things.create_index("a"),
        lambda: list(things.aggregate([{"$match": {}}])),
        lambda: things.database.command("ping"),
        lambda: things.database.command({"count": ENTITY}),
    ]
    for call in calls:
        call()


SCRIPT = """
import atexit, os, sys, time
from pymongo.errors import AutoReconnect
from shadow.config import load
from shadow.pymongo import MongoClient

settings = load()
client = MongoClient(settings.stores.mongo.get_secret_value())
database, _, name = settings.entities["things"].legacy.mongo.partition(".")
things = client[database][name]

def work(key, n):
    while True:
        try:
            things.update_one({"_id": key}, {"$set": {"n": n}}, upsert=True)
            break
        except AutoReconnect:  # a machine that is very slow may not have reached PostgreSQL yet
            time.sleep(0.1)
    assert things.find_one({"_id": key}) == {"_id": key, "n": n}
    assert [each["n"] for each in things.find({"_id": key})] == [n]

parent = os.getpid()
atexit.register(lambda: work("parent's end" if os.getpid() == parent else f"end of {os.getpid()}", 1))
work("parent", 0)
opened = things.find({}, batch_size=1)
for number in range(1, 5):
    work("parent", number)
    child = os.fork()
    if child == 0:
        work(f"child {number}", number)
        if number % 2:
            os._exit(0)
        sys.exit(0)
    work("parent", -number)
    assert os.waitpid(child, 0)[1] == 0
    work("parent", number)
assert len(list(opened)) > 0
"""


UNCHANGED = """
import os, threading, time
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect

client = MongoClient(os.environ["URI"])
things = client.get_default_database().things
assert isinstance(things, Collection)
while True:
    try:
        things.find_one({})
        break
    except AutoReconnect:  # a machine that is very slow may not have reached PostgreSQL yet
        time.sleep(0.1)

def both(session, thread):
    things.insert_one({"_id": thread, "n": 0}, session=session)
    things.update_one({"_id": thread}, {"$inc": {"n": 1}}, session=session)

def work(thread):
    with client.start_session() as session:
        session.with_transaction(lambda inside: both(inside, thread))
    things.with_options().find_one_and_update({"_id": thread}, {"$inc": {"n": 1}})
    if things.find_one({"_id": thread})["n"] == 2:
        print(thread, flush=True)

threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("phase", ["legacy", "dual_write", "write_new"])
async def test_an_unchanged_application_is_routed(site: Site, phase: str) -> None:
    await site.settled_in(phase)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shadow", "run", "--config", str(site.config), "--", sys.executable, "-c", UNCHANGED),
        env={**environment(), "URI": site.mongo},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    assert (process.returncode, sorted(said.split())) == (0, [b"0", b"1", b"2", b"3"])
    async with running(site) as found:
        found.start()
        await site.quiet()
    legacy, new = await site.stores()
    assert (len(legacy), len(new)) == (4, 0 if phase == "legacy" else 4)


LATE = """
import atexit, time
from pymongo.errors import AutoReconnect
atexit.register(lambda: tell(lambda: things.insert_one({"_id": "too late"})))
from shadow.config import load
from shadow.pymongo import MongoClient
atexit.register(lambda: tell(lambda: things.insert_one({"_id": "in time"})))

def tell(call):
    try:
        print("made", call().inserted_id, flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)

settings = load()
client = MongoClient(settings.stores.mongo.get_secret_value())
database, _, name = settings.entities["things"].legacy.mongo.partition(".")
things = client[database][name]
while True:
    try:
        things.find_one({})
        break
    except AutoReconnect:
        time.sleep(0.1)
"""


@pytest.mark.parametrize("phase", ["legacy", "dual_write", "write_new"])
async def test_calls_at_the_end_of_a_process_are_made_or_refused(site: Site, phase: str) -> None:
    """Those that come after the goodbye would be nobody's to wait for."""
    await site.settled_in(phase)
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LATE),
        env={**environment(), "SHADOW_CONFIG": str(site.config)},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await done.communicate()
    assert said.decode().splitlines() == ["made in time", "AutoReconnect"]
    assert done.returncode == 0


ENDED = """
import os, time, threading
from shadow.config import load
from shadow.pymongo import MongoClient

settings = load()
client = MongoClient(settings.stores.mongo.get_secret_value())
database, _, name = settings.entities["things"].legacy.mongo.partition(".")
things = client[database][name]

def work():
    while True:
        things.update_one({"_id": 1}, {"$inc": {"n": 1}}, upsert=True)
        print(os.getpid(), flush=True)
        time.sleep(0.05)

threading.Thread(target=work, daemon=True).start()
time.sleep(600)
"""


async def test_sigterm_is_a_goodbye_though_no_call_was_made_by_the_main_thread(site: Site) -> None:
    await site.settled_in("dual_write")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ENDED),
        env={**environment(), "SHADOW_CONFIG": str(site.config)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        pid = int(await process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == -signal.SIGTERM
    async with site.sql() as conn:
        assert await conn.fetchval("SELECT gone_why FROM shadow.process WHERE pid = $1", pid) == "goodbye"


@pytest.mark.parametrize("phase", ["dual_write", "read_new", "write_new"])
async def test_children_have_their_own_and_leave_their_parents_alone(site: Site, phase: str) -> None:
    await site.settled_in(phase)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore:MongoClient opened before fork", "-c", SCRIPT),
        env={**environment(), "SHADOW_CONFIG": str(site.config)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    assert process.returncode == 0 and b"Exception ignored" not in said, said.decode()
    async with running(site) as found:  # what the processes left marked is for another one
        found.start()
        await site.quiet()
    assert len(await site.equal()) == 1 + 4 + 1 + 2
