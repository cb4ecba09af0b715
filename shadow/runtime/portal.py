"""Shadow's own event loop, for callers that have none: a daemon thread that synchronous calls are run in.

A synchronous call is a coroutine on this loop, for which the caller's thread waits. What the coroutine asks of the
legacy driver is done by the thread that waits, not by the loop: the driver's sessions, time-outs and context variables
are the caller's. So a caller, while it waits, runs what is posted to it.

The thread is made by the first call that needs it, is one for the process, and ends with the runtime. A child after a
fork has its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from pymongo.errors import AutoReconnect, InvalidOperation

R = TypeVar("R")

_GREEN = (("gevent.monkey", "is_module_patched", "threading"), ("eventlet.patcher", "is_monkey_patched", "thread"))
"""Who may have put greenlets in the place of threads: the module, and how it is asked."""

_LATER_THREADS = 4
_END_SECONDS = 5.0


class Portal:
    """One process's loop thread. `portal` gives it.

    Attributes:
        loop: the thread's event loop; coroutines given to `run` run in it.
    """

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._waiting: set[_Call[Any]] = set()
        self._calls: dict[asyncio.Task[Any], _Call[Any]] = {}
        self._ended = False
        self._later = ThreadPoolExecutor(_LATER_THREADS, "shadow-later")
        self.loop: asyncio.AbstractEventLoop
        self._ending: asyncio.Event
        self._thread = threading.Thread(target=self._work, name="shadow-portal", daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def here(self) -> bool:
        """Whether the running thread is the loop's."""
        return threading.get_ident() == self._thread.ident

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine in the loop; the calling thread waits, and runs meanwhile what the coroutine posts to it.

        Raises:
            What the coroutine raises. Where the waiting itself is interrupted (Ctrl-C, an exception of a signal
            handler), the coroutine is cancelled, and that is raised.
            AutoReconnect: the process is ending.
        """
        if self.here:
            coroutine.close()
            raise InvalidOperation("Shadow's own thread cannot wait for itself: code that it runs made this call")
        call = _Call(self, coroutine)
        try:
            self._begin(call)
            return call.serve()
        except BaseException:
            self.soon(call.cancel)
            raise
        finally:
            with self._lock:
                self._waiting.discard(call)

    async def post(self, work: Callable[[], R]) -> R:
        """Have ``work`` done by the thread that waits for the running coroutine, else by a thread of a small pool.

        Nobody waits for a comparison that is made after the call was answered, nor for tasks that a call has started.
        """
        task = asyncio.current_task()
        call = None if task is None else self._calls.get(task)
        if call is None:
            return await asyncio.get_running_loop().run_in_executor(self._later, work)
        result: R = await call.post(work)
        return result

    def posted(self, work: Callable[[], R]) -> Callable[[], Awaitable[R]]:
        """``work`` for a coroutine to call and await."""
        return functools.partial(self.post, work)

    def soon(self, work: Callable[..., object], *args: Any) -> bool:
        """Have the loop call this; nobody waits for it. False where the loop has ended.

        Nothing of the caller's context is taken: what is begun (workers, pools) outlives it, and its time-outs.
        """
        if self._ended:
            return False
        try:
            self.loop.call_soon_threadsafe(functools.partial(work, *args), context=contextvars.Context())
        except RuntimeError:  # it was closed just now
            return False
        return True

    def close(self) -> None:
        """End the loop and its thread. Calls that still wait are told that the process ends."""
        if self._ended:
            return
        self.loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(_END_SECONDS)

    def abandon(self) -> None:
        """In a child after a fork, which has not inherited the thread: whoever still holds this is refused."""
        self._ended = True
        self._lock = threading.Lock()
        _INHERITED.append(self)

    def _begin(self, call: _Call[Any]) -> None:
        with self._lock:
            if self._ended or not self.soon(call.start):
                call.close()
                raise AutoReconnect("Shadow has ended in this process, or the object is one of a process forked from")
            self._waiting.add(call)

    def _work(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._end()

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        self._ready.set()
        await self._ending.wait()

    def _end(self) -> None:
        with self._lock:
            self._ended = True
            for call in self._waiting:
                call.end()
        self._later.shutdown(wait=False, cancel_futures=True)


class _Call(Generic[R]):
    """A coroutine that a thread waits for."""

    __slots__ = ("_coroutine", "_portal", "_queue", "_task")

    def __init__(self, portal: Portal, coroutine: Coroutine[Any, Any, R]) -> None:
        self._portal = portal
        self._coroutine = coroutine
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._task: asyncio.Task[R] | None = None

    def start(self) -> None:
        """In the loop: begin the coroutine."""
        self._task = self._portal.loop.create_task(self._coroutine)
        self._portal._calls[self._task] = self
        self._task.add_done_callback(self._done)

    async def post(self, work: Callable[[], Any]) -> Any:
        """In the loop: have the waiting thread do ``work``."""
        told: asyncio.Future[Callable[[], Any]] = self._portal.loop.create_future()
        self._queue.put(functools.partial(self._do, work, told))
        outcome = await told
        return outcome()

    def close(self) -> None:
        """The coroutine will not be begun."""
        self._coroutine.close()

    def end(self) -> None:
        """Let the thread wait no longer."""
        self._queue.put(None)

    def serve(self) -> R:
        """In the caller's thread: do what is posted until the coroutine is done, and answer what it came to."""
        while (work := self._queue.get()) is not None:
            work()
        if self._task is None:
            self._coroutine.close()
        if self._task is None or not self._task.done() or self._task.cancelled():
            raise AutoReconnect("Shadow has ended in this process; whether the call has had an effect is not known")
        return self._task.result()

    def _do(self, work: Callable[[], Any], told: asyncio.Future[Callable[[], Any]]) -> None:
        try:
            outcome = functools.partial(_returned, work())
        except Exception as error:  # what ends the thread itself goes up in it, and cancels the coroutine
            outcome = functools.partial(_raised, error)
        self._portal.soon(_tell, told, outcome)

    def cancel(self) -> None:
        """In the loop: nobody waits any more, so that what is still asked of the driver is for the pool's threads."""
        if self._task is not None and not self._task.done():
            del self._portal._calls[self._task]
            self._task.cancel()

    def _done(self, task: asyncio.Task[R]) -> None:
        self._portal._calls.pop(task, None)
        self.end()


def _returned(value: Any) -> Any:
    return value


def _raised(error: Exception) -> Any:
    raise error


def _tell(told: asyncio.Future[Callable[[], Any]], outcome: Callable[[], Any]) -> None:
    if not told.done():
        told.set_result(outcome)


_current: Portal | None = None
_over = False
_lock = threading.Lock()
_INHERITED: list[Portal] = []
"""In a child after a fork: what its parent works with. The selector is shared with the parent, and an object that is
collected would take its socket out of it."""


def portal() -> Portal:
    """This process's loop thread, made when first asked for.

    Raises:
        AutoReconnect: the process is ending.
        InvalidOperation: gevent or eventlet has replaced the threads.
    """
    global _current
    found = _current
    if found is not None:
        return found
    with _lock:
        if _over:
            raise AutoReconnect("Shadow has ended in this process: register what calls at its end (atexit) later")
        if _current is None:
            _refuse_greenlets()
            _current = Portal()
        return _current


def _refuse_greenlets() -> None:
    """A loop needs a thread that greenlets are not: it would stop all of them while it waits."""
    for name, question, threads in _GREEN:
        module = sys.modules.get(name)
        if module is not None and getattr(module, question)(threads):
            raise InvalidOperation(
                f"{name.partition('.')[0]} has put greenlets in the place of threads, and Shadow needs threads: use "
                "workers with threads (gunicorn --threads), or patch_all(thread=False)"
            )


async def in_callers_thread(work: Callable[[], R]) -> R:
    """Do ``work``, for a coroutine of a synchronous call, in the thread that made the call.

    A coroutine in the loop has it done by the thread that waits (`Portal.post`); elsewhere this is that thread.
    """
    found = _current
    return work() if found is None or not found.here else await found.post(work)


def close() -> None:
    """End this process's loop thread, if there is one; the next call makes another."""
    global _current
    with _lock:
        ending, _current = _current, None
    if ending is not None:
        ending.close()


def close_for_good() -> None:
    """End this process's loop thread; calls that come later are refused."""
    global _over
    _over = True
    close()


def _after_fork() -> None:
    global _current, _lock
    _lock = threading.Lock()
    if _current is not None:
        _current.abandon()
        _current = None


os.register_at_fork(after_in_child=_after_fork)
