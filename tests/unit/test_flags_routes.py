"""What is wanted, compiled; and what of it may be used now."""

from __future__ import annotations

from itertools import product

import pytest

from shadow_flags.buckets import BUCKETS
from shadow_flags.phases import PHASES, Phase, Store, neighbours
from shadow_flags.routes import compile_routes, effective, uniform

L, D, S, R, W, N = Phase


def halves(first: Phase | None, second: Phase | None) -> list[Phase | None]:
    """A wish for two phases, half of the buckets each."""
    return [first] * (BUCKETS // 2) + [second] * (BUCKETS // 2)


@pytest.mark.parametrize("phase", Phase)
def test_one_phase_for_all(phase: Phase) -> None:
    routes = uniform(phase)
    assert (routes.floor, routes.aim, routes.mixed, routes.held) == (phase, phase, False, None)
    assert routes.phase_of(0) is routes.phase_of(BUCKETS - 1) is phase


@pytest.mark.parametrize(
    ("wish", "phases", "aim", "held"),
    [
        # one authority: as asked
        ((S, R), {S, R}, R, False),
        ((L, D), {L, D}, D, False),
        ((L, R), {L, R}, R, False),
        # two authorities: the earlier side
        ((R, W), {R}, R, True),
        ((S, W), {S}, S, True),
        ((L, N), {L}, L, True),
        # the follower is given up for all or for none
        ((W, N), {W}, W, True),
        # the flag is off for a part of the buckets
        ((None, R), {D, R}, R, False),
        ((None, D), {D}, D, False),
        ((None, L), {L}, L, False),
        ((None, W), {D}, D, True),
        ((None, None), {D}, D, False),
    ],
)
def test_two_phases(wish: tuple[Phase | None, Phase | None], phases: set[Phase], aim: Phase, held: bool) -> None:
    routes = compile_routes(halves(*wish))
    assert set(routes.phases) == phases
    assert routes.aim is aim
    assert routes.mixed is (len(phases) > 1)
    assert (routes.held is not None) is held


def test_what_is_held_says_what_and_why() -> None:
    wish = [W] * 400 + [R] * 500 + [S] * 100
    routes = compile_routes(wish)
    assert routes.phases == (R,) * 900 + (S,) * 100
    assert routes.held is not None
    assert routes.held.startswith("40.0% of the buckets want write_new")
    assert "moves the authority" in routes.held


def test_a_wish_for_fewer_buckets_is_refused() -> None:
    with pytest.raises(ValueError, match="1000 buckets, not 2"):
        compile_routes([S, R])


def test_settings_come_along_and_cannot_be_changed() -> None:
    given = {"sample_rate": 0.5}
    routes = compile_routes(halves(S, R), given)
    given["sample_rate"] = 1.0
    assert routes.settings == {"sample_rate": 0.5}
    assert effective(routes, S).settings == {"sample_rate": 0.5}
    with pytest.raises(TypeError):
        routes.settings["sample_rate"] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("wish", "settled", "step", "used"),
    [
        # beyond the settled phase: it stays there
        ((S, R), S, None, (S, S)),
        ((R, R), D, None, (D, D)),
        ((S, R), L, None, (L, L)),
        # a canary, once the fleet has got there
        ((S, R), R, None, (S, R)),
        # a step forward changes nothing yet; a step back does at once
        ((S, R), S, R, (S, S)),
        ((R, R), R, S, (S, S)),
        ((S, R), R, S, (S, S)),
        # earlier by wish alone, before any step is announced
        ((D, D), R, None, (D, D)),
        ((D, R), R, None, (D, R)),
        # nobody stops marking before the fleet does
        ((L, R), R, None, (D, R)),
        ((L, L), D, L, (D, D)),
        ((L, L), L, None, (L, L)),
        # the authority moves by the fence alone, both ways
        ((W, W), R, W, (R, R)),
        ((R, R), W, R, (W, W)),
        ((D, D), W, None, (W, W)),
        ((N, N), W, N, (W, W)),
        # no way back
        ((L, L), N, None, (N, N)),
        ((N, N), N, None, (N, N)),
    ],
)
def test_what_may_be_used(
    wish: tuple[Phase, Phase], settled: Phase, step: Phase | None, used: tuple[Phase, Phase]
) -> None:
    allowed = effective(compile_routes(halves(*wish)), settled, step)
    assert (allowed.phase_of(0), allowed.phase_of(BUCKETS - 1)) == used
    assert allowed.floor is min(used, key=lambda phase: phase.rank)
    assert allowed.mixed is (used[0] is not used[1])


def test_no_wish_ever_reads_beyond_the_fleet_or_from_another_authority() -> None:
    for first, second, settled in product([*Phase, None], [*Phase, None], Phase):
        for step in (None, *neighbours(settled)):
            for phase in set(effective(compile_routes(halves(first, second)), settled, step).phases):
                assert phase.rank <= settled.rank
                assert PHASES[phase].authority is PHASES[settled].authority
                assert PHASES[phase].marks or not PHASES[settled].marks
                if step in (L, D, S) and settled is not W:
                    assert PHASES[phase].reads is Store.LEGACY


def test_what_is_wanted_stays_visible() -> None:
    wanted = compile_routes(halves(R, W))
    allowed = effective(wanted, S)
    assert (allowed.aim, allowed.held) == (wanted.aim, wanted.held)
