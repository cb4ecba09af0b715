"""Comparisons off the caller's path: bounded, judged by looking again, and all accounted for."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect, OperationFailure

from shadow.compare.account import Account, Part
from shadow.compare.judge import Judge, Verdict
from shadow.compare.kinds import QUERY, RECORD, Call, State
from shadow.compare.worker import Comparer, Comparison, Limits, Together
from shadow.metrics.prometheus import PrometheusSink
from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Key, Record
from shadow_adapters.failures import CommandFailure, StoreDown

UNSAID = object()


@dataclass
class Bench:
    """A comparer whose stores are lists of answers, given one after the other; the last one stays."""

    authority: list[Any] = field(default_factory=list)
    follower: list[Any] = field(default_factory=list)
    marked: list[bool] = field(default_factory=list)  # answers to "is a mark open", likewise
    expiring: bool = False
    limits: Limits = field(default_factory=Limits)
    repair: Exception | None = None

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry()
        self.account = Account("agents", PrometheusSink(self.registry))
        self.verdicts: list[Verdict] = []
        self.seconds: list[float | None] = []
        self.repaired: list[Key | None] = []
        self.errors: list[BaseException] = []
        self.asked: list[Key | None] = []
        self.comparer = Comparer(
            account=self.account,
            judge=Judge(is_open=self.is_open, expiring=lambda _: self.expiring, pause=0.0),
            limits=self.limits,
            on_verdict=self.on_verdict,
            on_mismatch=self.on_mismatch,
            on_error=lambda _, error: self.errors.append(error),
        )

    def on_verdict(self, _: Comparison, verdict: Verdict, seconds: float | None) -> None:
        self.verdicts.append(verdict)
        self.seconds.append(seconds)

    async def is_open(self, key: Key | None) -> bool:
        self.asked.append(key)
        return bool(self.marked) and _next(self.marked)

    async def on_mismatch(self, key: Key | None) -> None:
        if self.repair:
            raise self.repair
        self.repaired.append(key)

    async def ask(self) -> Any:
        answer = _next(self.follower)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def reread(self) -> tuple[Any, Any]:
        return _next(self.authority), _next(self.follower)

    def submit(
        self,
        *,
        call: Call = RECORD,
        key: Key | None = b"k",
        size: int = 1,
        age: float = 0.0,
        run: Callable[[], Awaitable[Any]] | None = None,
        answer: Any = UNSAID,
        together: Together | None = None,
    ) -> bool:
        sampled_at = asyncio.get_running_loop().time() - age
        answer = _next(self.authority) if answer is UNSAID else answer
        ask = run or self.ask
        return self.comparer.submit(
            Comparison("find_one", call, key, sampled_at, answer, True, "new", ask, self.reread, size, together)
        )

    async def judged(self, **how: Any) -> State | None:
        self.submit(**how)
        await self.comparer.drain()
        assert not self.errors
        return self.verdicts[-1].state

    def parts(self) -> dict[str, int]:
        balance = self.account.balance()
        return {part.value: count for part in Part if (count := getattr(balance, part.value))}


def _next(answers: list[Any]) -> Any:
    return answers.pop(0) if len(answers) > 1 else answers[0]


A, B, C = {"_id": 1, "a": 1}, {"_id": 1, "a": 2}, {"_id": 1, "a": 3}


async def test_equal_answers_match() -> None:
    bench = Bench([A], [dict(A)])
    assert await bench.judged() is None
    assert bench.verdicts == [Verdict()] and bench.parts() == {"compared": 1}


async def test_a_difference_that_stands_still_is_confirmed_and_its_key_is_repaired() -> None:
    bench = Bench([A], [B])
    assert await bench.judged() is State.CONFIRMED
    assert bench.repaired == [b"k"]


@pytest.mark.parametrize(
    ("authority", "follower", "marked", "state"),
    [
        ([A], [B], [True], State.IN_FLIGHT),
        ([A], [B], [False, True], State.IN_FLIGHT),
        ([A], [B], [False, False, True], State.IN_FLIGHT),
        ([A, A, A], [B, B, C], [False], State.IN_FLIGHT),  # the follower moves: a sync is at work
        ([A, A], [B, A], [False], State.TRANSIENT),
        ([A, A, A], [B, B, A], [False], State.TRANSIENT),
        ([A, A, C], [B], [False], State.NOISE),
        ([A, C, C], [B], [False], State.CONFIRMED),
    ],
)
async def test_looking_again(authority: list[Any], follower: list[Any], marked: list[bool], state: State) -> None:
    bench = Bench(authority, follower, marked)
    assert await bench.judged() is state
    assert bench.repaired == ([b"k"] if state is State.CONFIRMED else [])
    assert bench.verdicts[0].conclusive == (state in (State.TRANSIENT, State.CONFIRMED))


async def test_a_record_that_may_expire_is_not_a_mismatch() -> None:
    assert await Bench([A], [None], expiring=True).judged() is State.TTL_WINDOW


async def test_the_key_of_a_query_is_that_of_the_document_that_differs() -> None:
    bench = Bench([[A, {"_id": 2}]], [[A, {"_id": 2, "x": 1}]])
    assert await bench.judged(call=QUERY, key=None) is State.CONFIRMED
    assert bench.repaired == [key_of(2)] and set(bench.asked) == {key_of(2)}


async def test_failing_alike_matches_and_one_failing_is_a_mismatch() -> None:
    failed = OperationFailure("x", 2)
    assert await Bench([failed], [CommandFailure(2, "x")]).judged() is None
    bench = Bench([A], [failed])
    assert await bench.judged() is State.CONFIRMED
    assert bench.verdicts[0].difference is not None and bench.verdicts[0].difference.kind == "error"


@pytest.mark.parametrize("error", [StoreDown("away"), CommandFailure(2, "x", unsupported="$x"), KeyError("bug")])
async def test_a_follower_that_does_not_answer_is_an_error_not_a_mismatch(error: Exception) -> None:
    bench = Bench([A], [error])
    bench.submit()
    await bench.comparer.drain()
    assert bench.errors == [error] and bench.parts() == {"errored": 1} and not bench.verdicts


async def test_an_authority_that_did_not_answer_is_not_compared() -> None:
    bench = Bench([AutoReconnect("away")], [A])
    bench.submit()
    await bench.comparer.drain()
    assert bench.parts() == {"errored": 1} and not bench.verdicts


async def test_a_repair_that_fails_does_not_stop_the_comparing() -> None:
    bench = Bench([A], [B], repair=StoreDown("away"))
    bench.submit()
    bench.submit()
    await bench.comparer.drain()
    assert bench.parts() == {"compared": 2} and len(bench.errors) == 2


async def test_a_cancelled_call_of_the_store_does_not_stop_the_comparing() -> None:
    bench = Bench([A], [asyncio.CancelledError(), A])
    bench.submit()
    bench.submit()
    await bench.comparer.drain()
    assert bench.parts() == {"compared": 1, "errored": 1}


async def test_what_waited_too_long_expires() -> None:
    bench = Bench([A], [B], limits=Limits(expire_after=10))
    bench.submit(age=11)
    await bench.comparer.drain()
    assert bench.parts() == {"expired": 1} and not bench.verdicts


async def test_a_follower_that_hangs_is_bounded_in_number_and_bytes_and_concurrency() -> None:
    bench = Bench([A], [A], limits=Limits(count=10, size=1000, concurrency=2, timeout=0.01))
    asking = most = 0

    async def hang() -> None:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        try:
            await asyncio.Event().wait()
        finally:
            asking -= 1

    taken = [bench.submit(run=hang) for _ in range(50)]
    assert taken == [True] * 10 + [False] * 40
    assert bench.comparer.pending == bench.account.balance().open == 10
    assert bench.comparer.pending_bytes == 10
    await bench.comparer.drain()
    assert most == 2 and bench.parts() == {"shed": 40, "errored": 10}
    assert all(isinstance(error, TimeoutError) for error in bench.errors)
    assert bench.comparer.pending == bench.comparer.pending_bytes == bench.account.balance().open == 0


async def test_what_waits_is_bounded_in_bytes() -> None:
    bench = Bench([A], [A], limits=Limits(size=1000))
    assert [bench.submit(size=size) for size in (600, 500, 400, 1)] == [True, False, True, False]
    await bench.comparer.drain()
    assert bench.submit(size=1000)
    await bench.comparer.drain()
    assert bench.parts() == {"compared": 3, "shed": 2}


async def test_closing_sheds_what_waits_and_what_runs() -> None:
    bench = Bench([A], [A], limits=Limits(concurrency=1))
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    for _ in range(3):
        bench.submit(run=hang)
    await started.wait()
    await bench.comparer.close()
    assert not bench.submit()
    assert bench.parts() == {"shed": 4} and bench.account.balance().open == 0


async def test_nothing_is_left_of_comparisons_that_ended() -> None:
    bench = Bench([A], [A], limits=Limits(count=50))
    alive: weakref.WeakSet[Callable[[], Awaitable[Any]]] = weakref.WeakSet()
    for _ in range(100):

        async def run() -> Any:
            return A

        alive.add(run)
        bench.submit(run=run)
    del run
    assert len(alive) == 50
    await bench.comparer.drain()
    bench.verdicts.clear()
    gc.collect()
    assert not alive


async def test_what_comes_while_the_last_worker_ends_is_compared_too() -> None:
    """The worker has found nothing more to do, and the loop has not told of its end yet."""
    bench = Bench([A], [A], limits=Limits(concurrency=1))

    async def run() -> Any:
        asyncio.get_running_loop().call_soon(bench.submit)
        return A

    bench.submit(run=run)
    await bench.comparer.drain()
    assert bench.account.balance().open == 0
    assert bench.parts() == {"compared": 2}


async def test_the_account_closes_whatever_happens() -> None:
    bench = Bench([A], [A], limits=Limits(count=7, concurrency=3))
    answers = itertools.cycle([A, B, StoreDown("x"), A, B])

    async def run() -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    for i in range(300):
        bench.submit(age=20 if i % 4 == 0 else 0, run=run)
        if i % 10 == 0:
            await asyncio.sleep(0)
        assert bench.account.balance().open == bench.comparer.pending
    await bench.comparer.drain()
    balance = bench.account.balance()
    assert balance.open == 0
    assert balance.sampled == 300 == balance.compared + balance.shed + balance.errored + balance.expired
    assert min(balance.compared, balance.shed, balance.errored, balance.expired) > 0
    bench.account.publish()
    bench.account.publish()  # what was published is not added again
    measured = Counter(
        {
            each.labels["part"]: int(each.value)
            for metric in bench.registry.collect()
            for each in metric.samples
            if each.name == "shadow_comparisons_total"
        }
    )
    assert measured == Counter(sampled=300, **bench.parts())


async def test_records_are_asked_for_together() -> None:
    stored = {key_of(n): encode({"_id": n, "n": n}) for n in range(20)}
    asked: list[int] = []

    async def together(keys: Sequence[Key]) -> Mapping[Key, Record]:
        asked.append(len(keys))
        return {key: stored[key] for key in keys if key in stored}

    changed, gone = encode({"_id": 7, "n": 8}), key_of(99)
    bench = Bench([decode(changed)], [decode(stored[key_of(7)])])

    async def alone() -> Any:
        return decode(stored[key_of(0)])

    for n in range(20):
        key = key_of(n)
        answer = changed if n == 7 else stored[key]
        bench.submit(key=key, answer=answer, run=alone, together=together)
    bench.submit(key=gone, answer=None, together=together)
    await bench.comparer.drain()
    assert asked == [20], "one is asked for alone, the others in one statement"
    assert bench.parts() == {"compared": 21}
    assert [verdict.state for verdict in bench.verdicts if verdict.difference] == [State.CONFIRMED]
    assert bench.repaired == [key_of(7)]
    assert [seconds is None for seconds in bench.seconds] == [False] + [True] * 20


async def test_a_store_that_fails_to_answer_for_many_is_an_error_of_each() -> None:
    async def together(keys: Sequence[Key]) -> Mapping[Key, Record]:
        raise StoreDown("away")

    bench = Bench([A], [A])
    for _ in range(5):
        bench.submit(answer=encode(A), together=together)
    await bench.comparer.drain()
    assert bench.parts() == {"compared": 1, "errored": 4} and len(bench.errors) == 4


def test_a_comparison_cannot_end_twice() -> None:
    account = Account("agents", PrometheusSink(CollectorRegistry()))
    account.sample()
    account.end(Part.COMPARED)
    with pytest.raises(ValueError, match="ended twice"):
        account.end(Part.SHED)


@pytest.mark.parametrize(("by_authority", "kind"), [(True, "missing"), (False, "extra")])
async def test_a_difference_is_seen_from_the_authority_whoever_answered(by_authority: bool, kind: str) -> None:
    bench = Bench([A if by_authority else None], [None if by_authority else A])
    now = asyncio.get_running_loop().time()

    async def ask() -> Any:
        return None

    bench.comparer.submit(Comparison("find_one", RECORD, b"k", now, A, by_authority, "new", ask, bench.reread, 1))
    await bench.comparer.drain()
    found = bench.verdicts[0].difference
    assert found is not None and found.kind == kind and bench.verdicts[0].state is State.CONFIRMED
