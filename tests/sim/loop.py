"""An event loop in which time is virtual and chance is a seed.

A simulation runs in one thread, never sleeps, and repeats exactly: the loop picks the next ready callback at random by
its seed, and jumps to the next timer when nothing is ready. Callbacks belong to a *simulated process* through a
context variable, which tasks hand on to whatever they start. `crash` drops everything that a process has scheduled,
for ever: its coroutines stop where they are, no cancellation reaches them and no ``finally`` block runs, as after
``kill -9``. `pause` delays it, as a stopped or starved process is delayed.

Only the public interface of asyncio is implemented; sockets, pipes, signals and threads are refused by the base class.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
from asyncio import events
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Coro = Coroutine[Any, Any, T] | Generator[Any, None, T]

PROCESS: contextvars.ContextVar[str | None] = contextvars.ContextVar("simulated_process", default=None)
"""The simulated process that the running code belongs to. None: the world itself (servers, networks, chaos)."""

STUCK_STEPS = 200_000
"""So many callbacks in one instant mean that the simulated code spins."""


class Spinning(Exception):
    """The simulated code runs on and on without letting time pass."""


class SimLoop(asyncio.AbstractEventLoop):
    """A deterministic loop, made by `new_loop`. ``run_until_complete(main())``, then `close`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._now = 0.0
        self._count = 0
        self._ready: list[tuple[str | None, asyncio.Handle]] = []
        self._timers: list[tuple[float, int, str | None, asyncio.Handle]] = []
        self._dead: set[str] = set()
        self._paused: dict[str, float] = {}
        self._tasks: dict[int, tuple[str | None, asyncio.Task[Any]]] = {}
        self._stopping = False
        self._running = False
        self._closed = False
        self.after_step: Callable[[], None] | None = None
        """Called after every callback: the place to check invariants. What it raises ends the run."""
        self.on_error: Callable[[str | None, dict[str, Any]], None] | None = None
        """Told of an exception that nobody retrieved, with the process that it belongs to."""

    # -- simulated processes

    def spawn(self, process: str | None, coro: Coro[T]) -> asyncio.Task[T]:
        """Start a coroutine as the given process."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, process)
        return self.create_task(coro, context=context)

    def crash(self, process: str) -> None:
        """Kill a process where it stands. Its name cannot be used again."""
        self._dead.add(process)

    def pause(self, process: str, seconds: float) -> None:
        """Let a process do nothing until ``seconds`` from now."""
        self._paused[process] = max(self._paused.get(process, 0.0), self._now + seconds)

    def alive(self, process: str) -> bool:
        """Whether the process has not been crashed."""
        return process not in self._dead

    # -- running

    def run_until_complete(self, future: Any) -> Any:
        """Run until the future (or coroutine) is done, and return its result."""
        task = asyncio.ensure_future(future, loop=self)
        task.add_done_callback(lambda _: self.stop())
        self.run_forever()
        if not task.done():
            raise RuntimeError("nothing is left to run, and the future is not done")
        return task.result()

    def run_forever(self) -> None:
        """Run until `stop`, or until nothing is scheduled any more."""
        self._stopping, self._running = False, True
        events._set_running_loop(self)
        try:
            self._run()
        finally:
            self._running = False
            events._set_running_loop(None)

    def _run(self) -> None:
        steps = 0
        while not self._stopping:
            if not self._ready:
                if not self._timers:
                    return
                self._advance()
                steps = 0
                continue
            steps += 1
            if steps > STUCK_STEPS:
                raise Spinning(f"{STUCK_STEPS} callbacks at {self._now:.3f}")
            self._step()

    def _advance(self) -> None:
        self._now = max(self._now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._now:
            _, _, process, handle = heapq.heappop(self._timers)
            self._ready.append((process, handle))

    def _step(self) -> None:
        ready = self._ready
        index = self._random.randrange(len(ready))
        ready[index], ready[-1] = ready[-1], ready[index]
        process, handle = ready.pop()
        if handle.cancelled() or process in self._dead:
            return
        until = self._paused.get(process, 0.0) if process is not None else 0.0
        if until > self._now:
            self._schedule(until, process, handle)
            return
        handle._run()
        if self.after_step is not None:
            self.after_step()

    def _schedule(self, when: float, process: str | None, handle: asyncio.Handle) -> None:
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, process, handle))

    def stop(self) -> None:
        """End `run_forever` after the running callback."""
        self._stopping = True

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Forget everything that is scheduled, and unwind what was left suspended.

        Only here do the ``finally`` blocks of crashed processes run; by then nobody looks at what they do.
        """
        self._closed = True
        self.after_step = self.on_error = None
        self._ready.clear()
        self._timers.clear()
        events._set_running_loop(self)
        while self._tasks:  # what unwinds may begin tasks of its own
            _, (_, task) = self._tasks.popitem()
            _unwind(task)
        events._set_running_loop(None)
        self._ready.clear()
        self._timers.clear()

    # -- what asyncio asks of a loop

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        context = context if context is not None else contextvars.copy_context()
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append((context.get(PROCESS), handle))
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        context = context if context is not None else contextvars.copy_context()
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._schedule(when, context.get(PROCESS), handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is skipped when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: contextvars.Context | None = None, **kwargs: Any
    ) -> asyncio.Task[Any]:
        context = context if context is not None else contextvars.copy_context()
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context, **kwargs)
        # Held until it is done: a task that nobody holds is collected, and its coroutine would run its finally blocks.
        self._tasks[id(task)] = (context.get(PROCESS), task)
        task.add_done_callback(lambda done: self._tasks.pop(id(done), None), context=contextvars.Context())
        return task

    def get_debug(self) -> bool:
        return False

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.on_error is not None:
            self.on_error(PROCESS.get(), context)

    async def shutdown_asyncgens(self) -> None:
        """Nothing to do: `close` unwinds them with the tasks that iterate them."""


def new_loop(seed: int) -> SimLoop:
    """A loop for one run. What it does not define (input and output) asyncio's base class refuses when it is called."""
    return SimLoop(seed)  # type: ignore[abstract]


def _unwind(task: asyncio.Task[Any]) -> None:
    coro: Any = task.get_coro()
    for _ in range(20):  # a finally block that awaits makes close() fail, and takes one more
        try:
            coro.close()
        except BaseException:
            continue
        break
    task._log_destroy_pending = False  # type: ignore[attr-defined]
