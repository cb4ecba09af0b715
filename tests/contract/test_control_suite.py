"""The contract of control and its sessions, sentence by sentence, on every implementation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import asyncpg
import pytest

from shadow_adapters.contract import (
    OUTBOX,
    Control,
    Fleet,
    Key,
    MarkId,
    NewDebt,
    NewMark,
    ProcessInfo,
    SyncSession,
    Transition,
    Upload,
)
from shadow_adapters.failures import Refused, StoreDown
from tests.contract.control_backends import ENTITY, TOO_LONG, Backend, InMemory, InPostgres, SmallTable

K1, K2, K3 = b"k1", b"k2", b"k3"
NOTHING = Upload()


def process(name: UUID | None = None) -> ProcessInfo:
    return ProcessInfo(name or uuid4(), "host", 1, "pidns", 1000.0, "app", (1, 2))


async def joined(backend: Backend, *, settle: float = 3600.0, lease: float = 3600.0) -> tuple[Control, UUID, Fleet]:
    me = process()
    control = backend.control(me.id, settle)
    await control.ensure([ENTITY])
    return control, me.id, await control.join(me, lease, NOTHING, [])


async def step_to(control: Control, phase: str, *, move_term: bool = False, require_no_marks: bool = False) -> bool:
    state = (await control.fleet()).entities[ENTITY]
    change = Transition(
        ENTITY, state.epoch, phase, None, None, "who", "why", move_term=move_term, require_no_marks=require_no_marks
    )
    return await control.transition(change)


async def open_ids(control: Control, me: UUID) -> list[MarkId]:
    return [mark.id for mark in await control.orphans(me, limit=100)]


async def captured(session: SyncSession, mine: dict[Key, Sequence[int]], term: int = 1) -> dict[Key, set[MarkId]]:
    found = await session.capture(ENTITY, term, mine)
    assert found is not None
    return {key: set(ids) for key, ids in found.closable.items()}


class ControlContract:
    """The suite. A subclass provides the backend."""

    # -- the preamble

    async def test_nothing_can_be_said_while_the_server_is_away(self, backend: Backend) -> None:
        control = backend.unreachable(uuid4())
        with pytest.raises(StoreDown):
            await control.mark(uuid4(), [NewMark(1, ENTITY, K1)])
        with pytest.raises(StoreDown):
            await control.renew(uuid4(), 1.0, NOTHING)
        with pytest.raises(StoreDown):
            await (await control.session()).capture(ENTITY, 1, {K1: []})

    async def test_times_are_seconds_since_1970(self, backend: Backend) -> None:
        _, _, seen = await joined(backend)
        assert abs(seen.now - time.time()) < 24 * 3600

    @pytest.mark.parametrize("how", ["mark", "renew", "join"])
    async def test_a_closed_mark_is_never_reopened(self, backend: Backend, how: str) -> None:
        control, me, _ = await joined(backend)
        mark = NewMark(1, ENTITY, K1, owner=me)
        await control.mark(me, [mark])
        await control.drop(me, [1])
        if how == "mark":
            await control.mark(me, [mark])
        elif how == "renew":
            await control.renew(me, 0.0, Upload(marks=(mark,)))
        else:
            await control.join(process(), 1.0, Upload(marks=(mark,)), [])
        assert await open_ids(control, me) == []

    async def test_a_repeated_mark_is_one_mark(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        await control.renew(me, 0.0, Upload(marks=(NewMark(1, ENTITY, K1, opened_at=1000.0),)))
        assert (await control.burden(ENTITY)).marks == 1

    # -- processes

    async def test_join_takes_a_lease_from_the_servers_clock(self, backend: Backend) -> None:
        me = process()
        seen = await backend.control(me.id).join(me, 50.0, NOTHING, [])
        (lease,) = seen.leases
        assert (lease.process, lease.gone_at, lease.generation) == (me, None, seen.generation)
        assert seen.now <= lease.expires_at <= seen.now + 51

    async def test_join_uploads_what_an_earlier_life_left(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        earlier = uuid4()
        upload = Upload((NewMark(7, ENTITY, K1, 1234.5, earlier),), (NewDebt(ENTITY, "overflow", 1000.0),))
        await control.join(process(me), 1.0, upload, [])
        assert (await control.burden(ENTITY)).oldest_mark == 1234.5
        (debt,) = await control.debts(ENTITY)
        assert (debt.entity, debt.since, debt.reason) == (ENTITY, 1000.0, "overflow")

    async def test_join_accounts_for_the_gone(self, backend: Backend) -> None:
        control, gone, _ = await joined(backend, settle=0.0)
        await control.mark(gone, [NewMark(1, ENTITY, K1)])
        other = process()
        seen = await control.join(other, 50.0, NOTHING, [gone])
        assert [lease.process.id for lease in seen.leases] == [other.id]
        await asyncio.sleep(0.01)
        assert await open_ids(control, other.id) == [MarkId(gone, 1)]
        assert await control.debts(ENTITY) == []

    async def test_one_that_died_before_it_joined_can_be_accounted_for(self, backend: Backend) -> None:
        control, me, _ = await joined(backend, settle=0.0)
        never = uuid4()
        await control.join(process(me), 1.0, Upload((NewMark(1, ENTITY, K1, 1000.0, never),)), [never])
        await asyncio.sleep(0.01)
        assert await open_ids(control, me) == [MarkId(never, 1)]

    async def test_one_gone_since_before_the_restart_leaves_a_debt(self, backend: Backend) -> None:
        control, gone, _ = await joined(backend, settle=100.0)
        await step_to(control, "dual_write")
        await backend.restart()
        other = process()
        seen = await control.join(other, 50.0, NOTHING, [gone])
        (debt,) = await control.debts(ENTITY)
        assert debt.since < seen.now
        assert seen.now + 99 < debt.payable_at < seen.now + 101

    async def test_one_renewed_since_the_restart_leaves_none(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await step_to(control, "dual_write")
        await backend.restart()
        await control.renew(me, 0.0, NOTHING)
        await control.join(process(), 50.0, NOTHING, [me])
        assert await control.debts(ENTITY) == []

    async def test_one_declared_dead_leaves_a_debt_for_its_journal(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.ensure(["untouched"])
        await step_to(control, "dual_write")
        await control.account(me, "the machine burnt")
        assert len(await control.debts(ENTITY)) == 1
        assert await control.debts("untouched") == []
        await control.account(me, "again")
        assert len(await control.debts(ENTITY)) == 1

    async def test_a_restart_changes_the_generation_until_the_lease_is_renewed(self, backend: Backend) -> None:
        control, me, before = await joined(backend)
        await backend.restart()
        seen = await control.fleet()
        assert seen.generation != before.generation
        assert seen.leases[0].generation == before.generation
        assert (await control.renew(me, 0.0, NOTHING)).leases[0].generation == seen.generation

    async def test_renew_extends_to_the_absolute_time_and_never_shortens(self, backend: Backend) -> None:
        control, me, seen = await joined(backend, lease=10.0)
        later = await control.renew(me, seen.now + 500, NOTHING)
        assert later.leases[0].expires_at == pytest.approx(seen.now + 500)
        late = await control.renew(me, seen.now + 20, NOTHING)
        assert late.leases[0].expires_at == pytest.approx(seen.now + 500)

    async def test_renew_uploads_with_the_original_times(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.renew(me, 0.0, Upload(marks=(NewMark(3, ENTITY, K1, 1000.25),)))
        (mark,) = await control.orphans(me, limit=10)
        assert (mark.id, mark.entity, mark.key, mark.opened_at) == (MarkId(me, 3), ENTITY, K1, 1000.25)

    async def test_renew_under_another_generation_writes_nothing(self, backend: Backend) -> None:
        control, me, before = await joined(backend, lease=10.0)
        await backend.restart()
        mark = NewMark(3, ENTITY, K1, 1000.0)
        seen = await control.renew(me, before.now + 500, Upload(marks=(mark,)), before.generation)
        assert seen.generation != before.generation
        (lease,) = seen.leases
        assert (lease.generation, lease.expires_at) == (before.generation, before.leases[0].expires_at)
        assert (await control.burden(ENTITY)).marks == 0
        again = await control.renew(me, before.now + 500, Upload(marks=(mark,)), seen.generation)
        assert again.leases[0].generation == seen.generation
        assert (await control.burden(ENTITY)).marks == 1

    async def test_renew_accounts_for_the_gone_after_the_upload(self, backend: Backend) -> None:
        control, me, _ = await joined(backend, settle=0.0)
        gone = uuid4()
        await control.join(process(gone), 50.0, NOTHING, [])
        seen = await control.renew(me, 0.0, Upload((NewMark(1, ENTITY, K1, 1000.0, gone),)), None, [gone])
        assert [lease.process.id for lease in seen.leases] == [me]
        await asyncio.sleep(0.01)
        assert await open_ids(control, me) == [MarkId(gone, 1)]

    async def test_an_upload_corrects_the_time_of_a_late_mark(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1, 1000.0)])
        assert ((await control.burden(ENTITY)).oldest_mark or 0.0) > 1000.0
        for opened_at in (None, 2000.0, 3000.0):
            await control.renew(me, 0.0, Upload(marks=(NewMark(1, ENTITY, K1, opened_at),)))
        assert (await control.burden(ENTITY)).oldest_mark == 2000.0

    @pytest.mark.parametrize("how", ["renew", "goodbye"])
    async def test_one_that_was_accounted_for_and_is_alive_leaves_a_debt(self, backend: Backend, how: str) -> None:
        control, me, _ = await joined(backend)
        await step_to(control, "dual_write")
        await control.join(process(), 50.0, NOTHING, [me])
        assert await control.debts(ENTITY) == []
        if how == "renew":
            await control.renew(me, 0.0, NOTHING)
        else:
            await control.goodbye(me, NOTHING)
        assert len(await control.debts(ENTITY)) == 1

    async def test_an_uploaded_mark_of_unknown_age_is_old(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.renew(me, 0.0, Upload(marks=(NewMark(3, ENTITY, K1),)))
        assert (await control.burden(ENTITY)).oldest_mark == 0.0

    async def test_acknowledge_leaves_out_what_has_moved(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.ensure(["other"])
        await step_to(control, "dual_write")
        await control.acknowledge(me, {ENTITY: 1, "other": 1})
        assert (await control.fleet()).leases[0].acknowledged == {"other": 1}
        await control.acknowledge(me, {ENTITY: 2})
        assert (await control.fleet()).leases[0].acknowledged == {ENTITY: 2, "other": 1}

    async def test_goodbye_uploads_and_accounts(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.goodbye(me, Upload(marks=(NewMark(1, ENTITY, K1),)))
        assert (await control.fleet()).leases == ()
        assert (await control.burden(ENTITY)).marks == 1

    async def test_goodbye_of_one_that_never_joined(self, backend: Backend) -> None:
        control, me, _ = await joined(backend, settle=0.0)
        never = uuid4()
        await backend.control(never).goodbye(never, Upload(marks=(NewMark(1, ENTITY, K1, 1000.0),)))
        await asyncio.sleep(0.01)
        assert await open_ids(control, me) == [MarkId(never, 1)]

    @pytest.mark.parametrize(("settle", "expected"), [(0.0, 1), (3600.0, 0)])
    async def test_marks_of_the_dead_are_due_after_the_settling_time(
        self, backend: Backend, settle: float, expected: int
    ) -> None:
        control, dead, _ = await joined(backend, settle=settle)
        await control.mark(dead, [NewMark(1, ENTITY, K1)])
        await control.account(dead, "the machine burnt")
        await asyncio.sleep(0.01)
        assert len(await open_ids(control, uuid4())) == expected
        session = await control.session()
        assert len((await captured(session, {K1: []}))[K1]) == expected
        await session.release()

    # -- entities

    async def test_ensure_makes_a_row_in_legacy_once(self, backend: Backend) -> None:
        control, _, _ = await joined(backend)
        await step_to(control, "dual_write")
        await control.ensure([ENTITY, "other"])
        states = (await control.fleet()).entities
        assert {name: state.phase for name, state in states.items()} == {ENTITY: "dual_write", "other": "legacy"}

    async def test_transition_advances_the_epoch_and_only_the_moved_term(self, backend: Backend) -> None:
        control, _, seen = await joined(backend)
        first = seen.entities[ENTITY]
        assert await control.transition(
            Transition(
                ENTITY, first.epoch, "legacy", "dual_write", "announce", "me", "aim", {"a": 1}, "running", 12.5, "hot"
            )
        )
        state = (await control.fleet()).entities[ENTITY]
        assert (state.phase, state.step, state.stage, state.backfill) == ("legacy", "dual_write", "announce", "running")
        assert (state.epoch, state.term, state.dual_since, state.latch) == (first.epoch + 1, first.term, 12.5, "hot")
        assert state.stage_since >= seen.now
        assert await step_to(control, "write_new", move_term=True)
        state = (await control.fleet()).entities[ENTITY]
        assert (state.epoch, state.term) == (first.epoch + 2, first.term + 1)
        assert (state.step, state.backfill, state.dual_since, state.latch) == (None, "running", 12.5, None)

    async def test_transition_does_nothing_when_the_epoch_is_another(self, backend: Backend) -> None:
        control, _, _ = await joined(backend)
        await step_to(control, "dual_write")
        assert not await control.transition(Transition(ENTITY, 1, "shadow_read", None, None, "late", "late"))
        assert (await control.fleet()).entities[ENTITY].phase == "dual_write"

    async def test_transition_that_wants_no_marks_fails_while_one_is_open(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        assert not await step_to(control, "write_new", move_term=True, require_no_marks=True)
        await control.drop(me, [1])
        assert await step_to(control, "write_new", move_term=True, require_no_marks=True)

    async def test_one_conductor_until_its_connection_ends(self, backend: Backend) -> None:
        one, two = uuid4(), uuid4()
        first, second = backend.control(one), backend.control(two)
        assert await first.conduct(one)
        assert await first.conduct(one)
        assert not await second.conduct(two)
        await backend.disconnect(first)
        assert await second.conduct(two)
        assert not await first.conduct(one)

    # -- marks and debts

    async def test_a_mark_is_of_now(self, backend: Backend) -> None:
        control, me, seen = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1), NewMark(2, ENTITY, None)])
        burden = await control.burden(ENTITY)
        assert (burden.marks, burden.keyless, burden.refused, burden.debts) == (2, 1, 0, 0)
        assert burden.oldest_mark is not None
        assert burden.oldest_mark >= seen.now

    async def test_the_same_number_of_two_processes_is_two_marks(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        other = uuid4()
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        await backend.control(other).mark(other, [NewMark(1, ENTITY, K1)])
        assert (await control.burden(ENTITY)).marks == 2

    async def test_a_keyless_mark_gets_its_key_once(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, None)])
        await control.name(me, 1, K1)
        await control.name(me, 1, K2)
        assert [mark.key for mark in await control.orphans(me, limit=10)] == [K1]

    async def test_drop_closes(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1), NewMark(2, ENTITY, K2)])
        await control.drop(me, [1, 99])
        assert await open_ids(control, me) == [MarkId(me, 2)]

    async def test_close_closes_anybodys_marks(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        marks = (NewMark(1, ENTITY, K1), NewMark(2, ENTITY, None, owner=uuid4()))
        await control.renew(me, 0.0, Upload(marks))
        await control.close([MarkId(me, 1), MarkId(marks[1].owner or me, 2)])
        assert (await control.burden(ENTITY)).marks == 0

    async def test_a_refused_mark_is_noted_and_due_later(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        await control.refuse({MarkId(me, 1): "too long"})
        assert (await control.burden(ENTITY)).refused == 1
        assert await open_ids(control, me) == []
        session = await control.session()
        assert await captured(session, {K1: []}) == {K1: {MarkId(me, 1)}}
        await session.release()

    async def test_a_refused_mark_comes_back(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        await control.refuse({MarkId(me, 1): "too long"})
        other = uuid4()
        while not (found := await control.orphans(other, limit=10)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert [(mark.id, mark.refused, mark.attempts) for mark in found] == [(MarkId(me, 1), "too long", 1)]

    async def test_orphans_are_nobody_elses_oldest_first(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        other = uuid4()
        await control.join(process(other), 50.0, NOTHING, [])
        marks = [NewMark(n, ENTITY, K1, 1000.0 + n, owner) for n, owner in [(3, me), (2, OUTBOX), (1, other), (4, me)]]
        await control.renew(me, 0.0, Upload(marks=tuple(marks)))
        found = await control.orphans(me, limit=2)
        assert [mark.id for mark in found] == [MarkId(OUTBOX, 2), MarkId(me, 3)]

    async def test_purge_deletes_only_what_was_closed_long_ago(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1), NewMark(2, ENTITY, K2)])
        await control.drop(me, [1])
        await asyncio.sleep(0.01)
        assert await control.purge(3600) == 0
        assert await control.purge(0) == 1
        assert await open_ids(control, me) == [MarkId(me, 2)]

    async def test_marked_since_counts_closed_marks(self, backend: Backend) -> None:
        control, me, seen = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1), NewMark(2, ENTITY, None)])
        await control.renew(me, 0.0, Upload(marks=(NewMark(3, ENTITY, K2, 1000.0),)))
        await control.drop(me, [1])
        assert await control.marked_since(ENTITY, seen.now) == {K1, K2}
        later = (await control.fleet()).now + 10
        assert await control.marked_since(ENTITY, later) == {K2}
        assert await control.marked_since("other", 0.0) == frozenset()

    async def test_debts_stay_until_they_are_paid(self, backend: Backend) -> None:
        control, _, seen = await joined(backend)
        await control.owe([NewDebt(ENTITY, "first", settle=5.0), NewDebt(ENTITY, "second"), NewDebt("other", "third")])
        first, second = await control.debts(ENTITY)
        assert (first.reason, second.reason) == ("first", "second")
        assert first.since >= seen.now
        assert 4.9 < first.payable_at - first.since < 5.1
        await control.owe([NewDebt("*", "everybody")])
        assert len(await control.debts(ENTITY)) == 2  # the entity has no follower in legacy
        await control.pay([first.id], {"records": 3})
        assert await control.debts(ENTITY) == [second]
        assert (await control.burden(ENTITY)).debts == 1

    async def test_facts_add_up_over_the_fleet(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.state_facts(me, {(ENTITY, "seen"): 1.0, ("other", "seen"): 9.0})
        await control.state_facts(me, {(ENTITY, "seen"): 2.0})
        await control.state_facts(uuid4(), {(ENTITY, "seen"): 5.0})
        assert await control.facts(ENTITY) == {"seen": (7.0, 5.0)}

    async def test_a_job_is_kept(self, backend: Backend) -> None:
        control, _, _ = await joined(backend)
        assert await control.load_job(ENTITY, "backfill") is None
        await control.save_job(ENTITY, "backfill", {"at": "a"})
        await control.save_job(ENTITY, "backfill", {"at": "b", "n": 2})
        assert await control.load_job(ENTITY, "backfill") == {"at": "b", "n": 2}

    # -- sessions

    async def test_a_second_capture_waits_for_the_release(self, backend: Backend) -> None:
        control, _, _ = await joined(backend)
        first, second = await control.session(), await control.session()
        await captured(first, {K1: [], K2: []})
        waiting = asyncio.create_task(captured(second, {K3: [], K2: []}))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        await first.release()
        await waiting
        await second.release()

    async def test_captures_of_the_same_keys_do_not_deadlock(self, backend: Backend) -> None:
        control, _, _ = await joined(backend)

        async def one(keys: list[Key]) -> None:
            session = await control.session()
            await captured(session, {key: [] for key in keys})
            await asyncio.sleep(0.01)
            await session.release()

        orders = [[K1, K2, K3], [K3, K2, K1], [K2, K3, K1]] * 2
        await asyncio.gather(*(one(keys) for keys in orders))

    async def test_a_dead_session_frees_its_keys_and_does_nothing_more(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        dead, heir = await control.session(), await control.session()
        await captured(dead, {K1: [1]})
        await backend.disconnect(dead)
        await captured(heir, {K1: []})
        with pytest.raises(StoreDown):
            await dead.put(ENTITY, 1, {K1: b"late"}, [MarkId(me, 1)])
        assert not await dead.close([MarkId(me, 1)])
        await dead.release()
        await heir.release()
        assert await backend.records() == {}
        assert await open_ids(control, me) == [MarkId(me, 1)]

    async def test_a_session_that_waits_for_a_lock_can_die_too(self, backend: Backend) -> None:
        control, _, _ = await joined(backend)
        holder, waiter = await control.session(), await control.session()
        await captured(holder, {K1: []})
        waiting = asyncio.create_task(captured(waiter, {K1: []}))
        await asyncio.wait([waiting], timeout=0.1)
        await backend.disconnect(waiter)
        with pytest.raises(StoreDown):
            await waiting
        await waiter.release()
        await holder.release()
        third = await control.session()
        await captured(third, {K1: []})
        await third.release()

    async def test_a_capture_that_is_cancelled_holds_nobody_up(self, backend: Backend) -> None:
        control, _, _ = await joined(backend)
        holder, waiter, third = [await control.session() for _ in range(3)]
        await captured(holder, {K1: []})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(captured(waiter, {K1: []}), 0.1)
        await waiter.release()
        await holder.release()
        await captured(third, {K1: []})
        await third.release()

    async def test_capture_says_which_marks_may_be_closed(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        alive = uuid4()
        await control.join(process(alive), 50.0, NOTHING, [])
        mine = [NewMark(n, ENTITY, K1) for n in (1, 2)]
        others = [NewMark(5, ENTITY, K1, owner=OUTBOX), NewMark(6, ENTITY, K1, owner=alive), NewMark(7, ENTITY, K2)]
        await control.renew(me, 0.0, Upload(marks=(*mine, *others)))
        session = await control.session()
        assert await captured(session, {K1: [1], K3: []}) == {K1: {MarkId(me, 1), MarkId(OUTBOX, 5)}, K3: set()}
        await session.release()

    async def test_capture_and_put_say_when_the_term_moved(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        session = await control.session()
        await captured(session, {K1: [1]})
        await step_to(control, "write_new", move_term=True)
        assert not await session.put(ENTITY, 1, {K1: b"late"}, [MarkId(me, 1)])
        assert await session.capture(ENTITY, 1, {K1: [1]}) is None
        await session.release()
        assert await backend.records() == {}
        assert await open_ids(control, me) == [MarkId(me, 1)]

    async def test_a_step_within_the_term_stops_no_sync(self, backend: Backend) -> None:
        control, _, _ = await joined(backend)
        session = await control.session()
        await captured(session, {K1: []})
        await step_to(control, "dual_write")
        assert await session.put(ENTITY, 1, {K1: b"r"}, [])
        await session.release()

    async def test_put_makes_equal_and_closes(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1), NewMark(2, ENTITY, K2)])
        session = await control.session()
        await captured(session, {K1: [1], K2: [2]})
        assert await session.put(ENTITY, 1, {K1: b"a", K2: b"b"}, [MarkId(me, 1)])
        assert await backend.records() == {K1: b"a", K2: b"b"}
        assert await open_ids(control, me) == [MarkId(me, 2)]
        assert await session.put(ENTITY, 1, {K1: None, K2: b"c", K3: None}, [MarkId(me, 2)])
        assert await backend.records() == {K2: b"c"}
        assert await open_ids(control, me) == []
        await session.release()

    async def test_a_refused_put_names_the_key_and_changes_nothing(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        session = await control.session()
        await captured(session, {K1: [1], K2: []})
        with pytest.raises(Refused) as refused:
            await session.put(ENTITY, 1, {K1: b"fits", K2: TOO_LONG}, [MarkId(me, 1)])
        assert refused.value.key == K2
        assert await backend.records() == {}
        assert await open_ids(control, me) == [MarkId(me, 1)]
        assert await session.put(ENTITY, 1, {K1: b"fits"}, [MarkId(me, 1)])
        await session.release()

    async def test_a_put_outside_opens_its_marks_and_closes_them(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await step_to(control, "write_new", move_term=True)
        await backend.write_new(2, K1, b"new")
        session = await control.session()
        found = await session.capture(ENTITY, 2, {K1: [], K2: []}, put_marks={K1: 11, K2: 12})
        assert found is not None
        assert found.records == {K1: b"new"}
        assert [mark_id.owner for mark_id in found.closable[K1]] == [OUTBOX]
        assert set(await open_ids(control, me)) >= {MarkId(me, 11), MarkId(me, 12)}
        assert await session.close([*found.closable[K1], MarkId(me, 11), MarkId(me, 12)])
        await session.release()
        assert await open_ids(control, me) == []

    async def test_the_outbox_rests_in_new_only(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await step_to(control, "write_new", move_term=True)
        assert not await control.rest_outbox(ENTITY)
        await backend.write_new(2, K1, b"marked")
        assert [mark.key for mark in await control.orphans(me, limit=10)] == [K1]
        await step_to(control, "new")
        assert await control.rest_outbox(ENTITY) and await control.rest_outbox(ENTITY)
        await backend.write_new(2, K2, b"not marked")
        assert [mark.key for mark in await control.orphans(me, limit=10)] == [K1]

    async def test_alone_means_no_other_mark_since(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        other = uuid4()
        await control.mark(me, [NewMark(1, ENTITY, K1), NewMark(2, ENTITY, K2), NewMark(3, ENTITY, K3)])
        await backend.control(other).mark(other, [NewMark(1, ENTITY, K2), NewMark(2, ENTITY, K3)])
        await backend.control(other).drop(other, [2])
        assert await self._alone(control, {K1: [1], K2: [2], K3: [3], b"k4": []}) == {K1}

    async def test_nobody_is_alone_beside_a_keyless_mark_or_a_debt(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1), NewMark(2, ENTITY, None)])
        assert await self._alone(control, {K1: [1]}) == frozenset()
        await control.drop(me, [2])
        assert await self._alone(control, {K1: [1]}) == {K1}
        await control.owe([NewDebt(ENTITY, "reason")])
        assert await self._alone(control, {K1: [1]}) == frozenset()
        await control.pay([debt.id for debt in await control.debts(ENTITY)], {})
        assert await self._alone(control, {K1: [1]}) == frozenset(), "the verify may have seen more than the writer"
        await control.mark(me, [NewMark(3, ENTITY, K2)])
        assert await self._alone(control, {K2: [3]}) == {K2}

    async def test_nobody_is_alone_whose_own_mark_is_not_there(self, backend: Backend) -> None:
        control, _, _ = await joined(backend)
        assert await self._alone(control, {K1: [1]}) == frozenset()

    async def _alone(self, control: Control, mine: dict[Key, Sequence[int]]) -> frozenset[Key]:
        session = await control.session()
        found = await session.capture(ENTITY, 1, mine)
        await session.release()
        assert found is not None
        return found.alone

    async def test_release_never_raises(self, backend: Backend) -> None:
        control, _, _ = await joined(backend)
        session = await control.session()
        await session.release()
        session = await control.session()
        await captured(session, {K1: []})
        await backend.restart()
        await session.release()

    # -- what new checks before it answers a read

    async def test_new_answers_when_nothing_speaks_against_it(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        assert await backend.readable(1, K1, 1.0)
        assert not await backend.readable(2, K1, 1.0)
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        assert await backend.readable(1, K1, 3600.0)
        assert not await backend.readable(1, K1, 0.0)
        assert await backend.readable(1, K2, 0.0)
        assert not await backend.readable(1, None, 0.0)
        await control.drop(me, [1])
        assert await backend.readable(1, K1, 0.0)
        await control.mark(me, [NewMark(2, ENTITY, None)])
        assert not await backend.readable(1, K1, 0.0)

    async def test_new_does_not_answer_beside_a_mark_from_before_a_restart(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        await control.owe([])
        await backend.restart()
        await control.renew(me, 0.0, NOTHING)
        assert not await backend.readable(1, K1, 3600.0)
        assert await backend.readable(1, K2, 3600.0)
        await control.mark(me, [NewMark(2, ENTITY, K2)])
        assert await backend.readable(1, K2, 3600.0)

    async def test_new_does_not_answer_beside_a_debt(self, backend: Backend) -> None:
        control, _, _ = await joined(backend)
        await control.owe([NewDebt(ENTITY, "reason")])
        assert not await backend.readable(1, K1, 1.0)
        assert await backend.readable(1, K1, None)

    async def test_new_does_not_answer_beside_a_doubtful_lease(self, backend: Backend) -> None:
        control, me, _ = await joined(backend)
        lapsed = process()
        await control.join(lapsed, -1.0, NOTHING, [])
        assert not await backend.readable(1, K1, 1.0)
        await control.account(lapsed.id, "gone")
        assert await backend.readable(1, K1, 1.0)
        await backend.restart()
        assert not await backend.readable(1, K1, 1.0)
        await control.renew(me, 0.0, NOTHING)
        assert await backend.readable(1, K1, 1.0)


class TestMemory(ControlContract):
    @pytest.fixture
    def backend(self) -> InMemory:
        return InMemory()

    async def test_a_crash_loses_a_tail_of_asynchronous_commits(self, backend: InMemory) -> None:
        control, me, _ = await joined(backend)
        await control.mark(me, [NewMark(1, ENTITY, K1)])
        await control.owe([NewDebt(ENTITY, "durable")])
        await control.mark(me, [NewMark(2, ENTITY, K2)])
        await control.mark(me, [NewMark(3, ENTITY, K3)])
        assert backend.server.log.pending == 2
        backend.server.crash(lose=1)
        backend.server.start()
        assert await open_ids(control, me) == [MarkId(me, 1), MarkId(me, 2)]
        backend.server.crash(lose=5)
        backend.server.start()
        assert await open_ids(control, me) == [MarkId(me, 1), MarkId(me, 2)]


class TestPostgres(ControlContract):
    @pytest.fixture
    async def backend(self, postgres_dsn: str) -> AsyncIterator[InPostgres]:
        started = await InPostgres.start(postgres_dsn)
        yield started
        await started.stop()

    async def test_the_outbox_waits_for_nobody_to_rest(self, backend: InPostgres, postgres_dsn: str) -> None:
        control, _, _ = await joined(backend)
        await step_to(control, "new")
        other = await asyncpg.connect(postgres_dsn)
        async with other.transaction():
            await other.execute(f"LOCK TABLE {SmallTable.table} IN ROW EXCLUSIVE MODE")
            assert not await control.rest_outbox(ENTITY)
        await other.close()
        assert await control.rest_outbox(ENTITY)
