"""The loop thread of synchronous calls: who runs what, and what becomes of a call that is interrupted or left."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, InvalidOperation

from shadow.runtime import portal as portals
from shadow.runtime.portal import Portal, in_callers_thread, portal

ROOT = Path(__file__).parents[2]
WHOSE = contextvars.ContextVar("whose", default="nobody's")


@pytest.fixture
def made() -> Iterator[Portal]:
    yield portal()
    portals.close()


async def in_turn(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def test_a_call_answers_what_its_coroutine_does(made: Portal) -> None:
    error = ZeroDivisionError("mine")

    async def fails() -> None:
        raise error

    assert made.run(in_turn(7)) == 7
    with pytest.raises(ZeroDivisionError) as raised:
        made.run(fails())
    assert raised.value is error
    assert portal() is made


def test_what_is_posted_is_done_by_the_caller_and_in_its_context(made: Portal) -> None:
    WHOSE.set("the caller's")

    async def both() -> tuple[Any, ...]:
        posted = await in_callers_thread(lambda: (threading.get_ident(), WHOSE.get()))
        return posted, (threading.get_ident(), WHOSE.get())

    posted, coroutine = made.run(both())
    assert posted == (threading.get_ident(), "the caller's")
    assert coroutine[0] != threading.get_ident() and coroutine[1] == "nobody's"


def test_without_a_loop_it_is_done_at_once(made: Portal) -> None:
    coroutine = in_callers_thread(threading.get_ident)
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value == threading.get_ident()


def test_an_error_of_what_is_posted_is_the_coroutines(made: Portal) -> None:
    async def tries() -> str:
        try:
            await in_callers_thread(lambda: 1 / 0)
        except ZeroDivisionError:
            return "caught"
        return "missed"

    assert made.run(tries()) == "caught"


def test_what_is_posted_may_make_calls_of_its_own(made: Portal) -> None:
    async def outer() -> Any:
        return await in_callers_thread(lambda: made.run(in_turn("inner")))

    assert made.run(outer()) == "inner"


def test_nobody_waits_for_tasks_that_a_call_has_started(made: Portal) -> None:
    async def starts() -> asyncio.Task[int]:
        return asyncio.get_running_loop().create_task(in_callers_thread(threading.get_ident))

    async def done(task: asyncio.Task[int]) -> int:
        return await task

    assert made.run(done(made.run(starts()))) != threading.get_ident()


def test_many_threads_at_once_get_their_own_answers(made: Portal) -> None:
    async def asks(number: int) -> tuple[int, int]:
        return number, await in_callers_thread(threading.get_ident)

    def calls(first: int) -> bool:
        return all(made.run(asks(n)) == (n, threading.get_ident()) for n in range(first, first + 100))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(calls, range(0, 1600, 100)))


def test_the_thread_is_made_once(made: Portal) -> None:
    portals.close()
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: portal(), range(64)))) == 1


def test_the_loops_own_thread_cannot_wait_for_itself(made: Portal) -> None:
    async def waits() -> None:
        made.run(in_turn(1))

    with pytest.raises(InvalidOperation, match="cannot wait for itself"):
        made.run(waits())


class Interrupted:
    """A coroutine that is on its way when Ctrl-C comes, and tells what it saw of it."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.cancelled = threading.Event()
        self.after: int | None = None

    async def waiting(self) -> None:
        self.began.set()
        await self._until_cancelled(asyncio.sleep(60))

    async def posting(self) -> None:
        await self._until_cancelled(in_callers_thread(self._slow))

    async def _until_cancelled(self, what: Any) -> None:
        try:
            await what
        except asyncio.CancelledError:
            self.after = await in_callers_thread(threading.get_ident)
            self.cancelled.set()
            raise

    def _slow(self) -> None:
        self.began.set()
        time.sleep(60)

    def interrupt(self) -> None:
        self.began.wait(10)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C is KeyboardInterrupt, even where a shell has started the tests in its background, deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("where", ["waiting", "posting"])
def test_ctrl_c_cancels_the_call_and_is_raised(made: Portal, where: str) -> None:
    call = Interrupted()
    threading.Thread(target=call.interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        made.run(getattr(call, where)())
    assert call.cancelled.wait(10)
    assert call.after not in {None, threading.get_ident()}, "nobody waits any more, so the pool's threads do it"
    assert made.run(in_turn("on")) == "on"


def test_a_call_that_waits_when_the_process_ends_is_told(made: Portal) -> None:
    call = Interrupted()
    told: list[BaseException] = []

    def waits() -> None:
        try:
            made.run(call.waiting())
        except AutoReconnect as error:
            told.append(error)

    thread = threading.Thread(target=waits)
    thread.start()
    call.began.wait(10)
    portals.close()
    thread.join(10)
    assert "whether the call has had an effect is not known" in str(told[0])
    with pytest.raises(AutoReconnect, match="has ended in this process"):
        made.run(in_turn(1))
    assert portal() is not made
    assert portal().run(in_turn(2)) == 2


def in_child(child: Any) -> None:
    """Fork; the child must come to its end without an error."""
    pid = os.fork()
    if pid == 0:
        try:
            child()
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_makes_its_own_and_leaves_its_parents_alone(made: Portal) -> None:
    assert made.run(in_turn(1)) == 1

    def child() -> None:
        assert portal() is not made
        assert portal().run(in_turn(2)) == 2
        with pytest.raises(AutoReconnect, match="forked from"):
            made.run(in_turn(3))
        portals.close()

    for _ in range(3):
        in_child(child)
        assert portal() is made and made.run(in_turn(4)) == 4


@pytest.mark.parametrize(
    ("module", "question"), [("gevent.monkey", "is_module_patched"), ("eventlet.patcher", "is_monkey_patched")]
)
def test_greenlets_are_refused_by_name(monkeypatch: pytest.MonkeyPatch, module: str, question: str) -> None:
    portals.close()
    patched = types.ModuleType(module)
    monkeypatch.setitem(sys.modules, module, patched)
    monkeypatch.setattr(patched, question, lambda what: what in {"thread", "threading"}, raising=False)
    with pytest.raises(InvalidOperation, match=module.partition(".")[0]):
        portal()
    monkeypatch.setattr(patched, question, lambda what: False)
    assert portal().run(in_turn(1)) == 1
    portals.close()


def python(code: str) -> str:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), str(ROOT / "flags")])
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_process_ends_with_calls_in_its_last_moments() -> None:
    said = python(
        """
import asyncio, atexit
from shadow.runtime.portal import in_callers_thread, portal

async def last():
    await asyncio.sleep(0.01)
    return await in_callers_thread(lambda: "last words")

portal()
atexit.register(lambda: print(portal().run(last())))
"""
    )
    assert said == "last words\n"


def test_a_process_ends_though_a_thread_still_waits() -> None:
    python(
        """
import asyncio, threading, time
from shadow.runtime.portal import portal

began = threading.Event()
async def for_ever():
    began.set()
    await asyncio.sleep(600)

threading.Thread(target=lambda: portal().run(for_ever()), daemon=True).start()
began.wait()
"""
    )
