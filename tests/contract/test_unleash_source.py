"""What the Unleash source hears from a real server."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shadow.embedded_unleash import UnleashHandle
from shadow_flags.buckets import BUCKETS
from shadow_flags.phases import Phase
from shadow_flags.sources.unleash import UnleashSource
from shadow_flags.sources.unleash_admin import UnleashAdmin, variants_for
from shadow_flags.sources.unleash_flags import KILL, flag_of
from tests.contract.unleash_fixtures import admin, entity, source_of, unleash, until

__all__ = ["admin", "entity", "unleash"]

CANARY = {Phase.SHADOW_READ: 90.0, Phase.READ_NEW: 10.0}


def in_phase(source: UnleashSource, entity: str, phase: Phase) -> set[int]:
    """The buckets that want a phase."""
    return {bucket for bucket, wanted in enumerate(source.snapshot(entity).routes.phases) if wanted is phase}


def aims(source: UnleashSource, entity: str, phase: Phase) -> bool:
    """Whether the entity's flag has been heard, is on, and aims at the phase."""
    wanted = source.snapshot(entity)
    return wanted.known and not wanted.off and wanted.routes.aim is phase


def says(source: UnleashSource, entity: str, reason: str) -> bool:
    """Whether a problem with this reason is reported."""
    return any(reason in problem for problem in source.snapshot(entity).problems)


def constraint(field: str, *values: str) -> dict[str, Any]:
    """An Unleash constraint: the field is one of the values."""
    return {"contextName": field, "operator": "IN", "values": list(values), "inverted": False, "caseInsensitive": False}


async def test_a_single_variant_is_the_phase_of_every_bucket(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    admin.want(entity, {Phase.WRITE_NEW: 100})
    async with source_of(unleash, tmp_path, entity) as source:
        await until(lambda: aims(source, entity, Phase.WRITE_NEW))
        wanted = source.snapshot(entity)
        assert (wanted.known, wanted.off, wanted.problems) == (True, False, ())
        assert set(wanted.routes.phases) == {Phase.WRITE_NEW}
        assert wanted.aim(Phase.SHADOW_READ) is Phase.WRITE_NEW


async def test_weights_spread_over_buckets_the_same_way_in_every_process(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    admin.want(entity, CANARY)
    async with (
        source_of(unleash, tmp_path / "one", entity) as one,
        source_of(unleash, tmp_path / "two", entity, host="elsewhere") as two,
    ):
        await until(lambda: aims(one, entity, Phase.READ_NEW) and aims(two, entity, Phase.READ_NEW))
        assert one.snapshot(entity).routes == two.snapshot(entity).routes
        canary = in_phase(one, entity, Phase.READ_NEW)
        assert 60 <= len(canary) <= 140
        assert one.snapshot(entity).routes.aim is Phase.READ_NEW
        assert len(in_phase(one, entity, Phase.SHADOW_READ)) == BUCKETS - len(canary)


async def test_a_canary_that_grows_keeps_its_buckets_and_the_change_is_told(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    admin.want(entity, CANARY)
    source = UnleashSource(unleash.url, unleash.client_token, [entity], refresh_seconds=1, cache=tmp_path)
    changes = asyncio.Queue[None]()
    loop = asyncio.get_running_loop()
    await source.start(lambda: loop.call_soon_threadsafe(changes.put_nowait, None))
    try:
        await changes.get()
        await until(lambda: aims(source, entity, Phase.READ_NEW))
        before = in_phase(source, entity, Phase.READ_NEW)
        while not changes.empty():
            changes.get_nowait()
        admin.want(entity, {Phase.SHADOW_READ: 50, Phase.READ_NEW: 50})
        await changes.get()
        await until(lambda: len(in_phase(source, entity, Phase.READ_NEW)) > 400)
        assert before < in_phase(source, entity, Phase.READ_NEW)
    finally:
        await source.close()


async def test_a_listener_that_fails_does_not_end_the_watch(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("Event loop is closed")

    source = UnleashSource(unleash.url, unleash.client_token, [entity], refresh_seconds=1, cache=tmp_path)
    await source.start(fail)
    try:
        for phase in (Phase.SHADOW_READ, Phase.READ_NEW):
            admin.want(entity, {phase: 100})
            await until(partial(aims, source, entity, phase))
        assert "could not be evaluated or told" in caplog.text
    finally:
        await source.close()


async def test_payload_of_a_variant_carries_settings(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    admin.want(entity, {Phase.SHADOW_READ: 100}, {"sample_rate": 0.25, "rehearse": False, "colour": "red"})
    async with source_of(unleash, tmp_path, entity) as source:
        await until(lambda: aims(source, entity, Phase.SHADOW_READ))
        wanted = source.snapshot(entity)
        assert wanted.routes.settings == {"sample_rate": 0.25, "rehearse": False}
        assert "colour: no such setting" in wanted.problems[0]


async def test_gradual_rollout_leaves_the_other_buckets_to_legacy(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    flag = flag_of(entity)
    admin.create(flag)
    admin.add_strategy(flag, rollout=30, variants=variants_for({Phase.READ_NEW: 100}))
    admin.toggle(flag, on=True)
    async with source_of(unleash, tmp_path, entity) as source:
        await until(lambda: aims(source, entity, Phase.READ_NEW))
        counted = Counter(source.snapshot(entity).routes.phases)
        assert set(counted) == {Phase.DUAL_WRITE, Phase.READ_NEW}
        assert 240 <= counted[Phase.READ_NEW] <= 360
        assert not source.snapshot(entity).off


async def test_constraints_choose_environment_host_and_bucket(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    flag = flag_of(entity)
    admin.create(flag)
    everywhere = variants_for({Phase.SHADOW_READ: 100})
    canary = [constraint("host", "canary-1"), constraint("bucket", "7", "8")]
    admin.add_strategy(flag, variants=variants_for({Phase.READ_NEW: 100}), constraints=canary)
    admin.add_strategy(flag, variants=everywhere, constraints=[constraint("environment", "production")])
    admin.toggle(flag, on=True)
    async with (
        source_of(unleash, tmp_path / "p", entity, environment="production", host="web-1") as production,
        source_of(unleash, tmp_path / "c", entity, environment="production", host="canary-1") as chosen,
        source_of(unleash, tmp_path / "s", entity, environment="staging", host="web-1") as staging,
    ):
        await until(lambda: aims(production, entity, Phase.SHADOW_READ) and aims(chosen, entity, Phase.READ_NEW))
        await until(lambda: staging.snapshot(entity).off)
        assert set(production.snapshot(entity).routes.phases) == {Phase.SHADOW_READ}
        assert in_phase(chosen, entity, Phase.READ_NEW) == {7, 8}
        assert staging.snapshot(entity).off


async def test_a_date_is_noticed_when_it_comes_though_no_flag_changes(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    flag = flag_of(entity)
    soon = (datetime.now(UTC) + timedelta(seconds=4)).strftime("%Y-%m-%dT%H:%M:%SZ")
    date = {**constraint("currentTime"), "operator": "DATE_AFTER", "value": soon}
    admin.create(flag)
    admin.add_strategy(flag, variants=variants_for({Phase.SHADOW_READ: 100}), constraints=[date])
    admin.toggle(flag, on=True)
    async with source_of(unleash, tmp_path, entity) as source:
        await until(lambda: aims(source, entity, Phase.SHADOW_READ))


async def test_a_mix_across_the_authorities_is_held_at_the_earlier(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    admin.want(entity, {Phase.READ_NEW: 60, Phase.WRITE_NEW: 40})
    async with source_of(unleash, tmp_path, entity) as source:
        await until(lambda: aims(source, entity, Phase.READ_NEW))
        routes = source.snapshot(entity).routes
        assert (set(routes.phases), routes.aim) == ({Phase.READ_NEW}, Phase.READ_NEW)
        assert routes.held is not None
        assert "write_new" in routes.held


async def test_a_flag_turned_off_lets_legacy_answer(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    admin.want(entity, {Phase.READ_NEW: 100})
    async with source_of(unleash, tmp_path, entity) as source:
        await until(lambda: aims(source, entity, Phase.READ_NEW))
        admin.toggle(flag_of(entity), on=False)
        await until(lambda: source.snapshot(entity).off)
        wanted = source.snapshot(entity)
        assert set(wanted.routes.phases) == {Phase.DUAL_WRITE}
        assert (wanted.aim(Phase.READ_NEW), wanted.aim(Phase.LEGACY)) == (Phase.DUAL_WRITE, Phase.LEGACY)


async def test_the_kill_flag_turns_entities_off_and_on_again(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    spared = f"{entity}_spared"
    for name in (entity, spared):
        admin.want(name, {Phase.READ_NEW: 100})
    admin.create(KILL)
    admin.remove_strategies(KILL)
    admin.add_strategy(KILL, constraints=[constraint("entity", entity)])
    async with source_of(unleash, tmp_path, entity, spared) as source:
        try:
            await until(lambda: aims(source, entity, Phase.READ_NEW) and aims(source, spared, Phase.READ_NEW))
            admin.toggle(KILL, on=True)
            await until(lambda: source.snapshot(entity).off)
            assert not source.snapshot(spared).off
        finally:
            admin.toggle(KILL, on=False)
        await until(lambda: aims(source, entity, Phase.READ_NEW))


async def test_a_variant_that_is_no_phase_is_named_and_changes_nothing(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    admin.want(entity, CANARY)
    async with source_of(unleash, tmp_path, entity) as source:
        await until(lambda: aims(source, entity, Phase.READ_NEW))
        before = source.snapshot(entity).routes
        wrong = [
            {**variant, "name": variant["name"].replace("read_new", "raed_new")} for variant in variants_for(CANARY)
        ]
        admin.set_variants(flag_of(entity), wrong)
        await until(lambda: bool(source.snapshot(entity).problems))
        wanted = source.snapshot(entity)
        assert wanted.routes is before
        assert "'raed_new' is no phase (did you mean 'read_new'?)" in wanted.problems[0]
        assert flag_of(entity) in wanted.problems[0]


async def test_flags_that_are_missing_or_name_no_phase_say_nothing(
    unleash: UnleashHandle, admin: UnleashAdmin, entity: str, tmp_path: Path
) -> None:
    bare = f"{entity}_bare"
    admin.create(flag_of(bare))
    admin.toggle(flag_of(bare), on=True)
    async with source_of(unleash, tmp_path, entity, bare) as source:
        for name, reason in ((entity, "has no flag"), (bare, "gives no variant")):
            await until(partial(says, source, name, reason))
            wanted = source.snapshot(name)
            assert not wanted.known
            assert wanted.aim(Phase.READ_NEW) is Phase.READ_NEW
