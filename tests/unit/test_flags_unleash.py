"""The parts of the Unleash source that need no server."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from UnleashClient.constants import FEATURES_URL

from shadow_flags.buckets import BUCKETS
from shadow_flags.phases import Phase
from shadow_flags.routes import uniform
from shadow_flags.sources.board import Board, Said
from shadow_flags.sources.quiet import Quiet
from shadow_flags.sources.unleash import UnleashSource, api_url, fingerprint
from shadow_flags.sources.unleash_admin import variants_for
from shadow_flags.sources.unleash_cache import StateCache, cache_file
from shadow_flags.sources.unleash_flags import KILL, Place, read_flag

FLAGS = json.loads((Path(__file__).parents[2] / "dashboards" / "unleash" / "flags.json").read_text(encoding="utf-8"))
STATE = '{"version": 2, "features": []}'
PLACE = Place("production", "web-1")


def variant(name: str, payload: str | None = None, kind: str = "json") -> dict[str, Any]:
    """A variant as the client answers it."""
    carried = {} if payload is None else {"payload": {"type": kind, "value": payload}}
    return {"name": name, "enabled": True, "feature_enabled": True, **carried}


def read(answer: dict[str, Any], definition: dict[str, Any] | None = None) -> Said:
    """What a flag says whose variant is the same for every bucket."""
    return read_flag("agents", definition or {"name": "shadow.agents"}, lambda flag, context: answer, PLACE)


def test_each_bucket_is_asked_about_with_everything_to_constrain_on() -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def ask(flag: str, context: dict[str, Any]) -> dict[str, Any]:
        asked.append((flag, context))
        return variant("read_new")

    read_flag("agents", {"name": "shadow.agents"}, ask, PLACE)
    properties = {"bucket": "7", "entity": "agents", "environment": "production", "host": "web-1"}
    assert len(asked) == BUCKETS
    assert asked[7] == ("shadow.agents", {"userId": "7", "properties": properties})


@pytest.mark.parametrize(
    ("payload", "kind"), [("0.5", "json"), ("{", "json"), ('{"sample_rate": 0.5}', "string"), ("[1]", "json")]
)
def test_a_payload_that_is_no_object_is_named_and_ignored(payload: str, kind: str) -> None:
    said = read(variant("shadow_read", payload, kind))
    assert said.routes is not None
    assert said.routes.settings == {}
    assert "shadow.agents: payload of shadow_read: must be a JSON object" in said.problems[0]


def test_where_payloads_differ_the_further_phase_holds() -> None:
    answers = [variant("read_new", '{"sample_rate": 1}'), variant("shadow_read", '{"sample_rate": 0.1}')]
    said = read_flag("agents", {}, lambda flag, context: answers[int(context["userId"]) % 2], PLACE)
    assert said.routes is not None
    assert said.routes.settings == {"sample_rate": 1}


def test_random_stickiness_is_warned_about() -> None:
    strategy = {"name": "flexibleRollout", "parameters": {"rollout": "50", "stickiness": "random"}}
    said = read(variant("shadow_read"), {"name": "shadow.agents", "strategies": [strategy]})
    assert said.routes is not None
    assert "uses random stickiness" in said.problems[0]


def test_a_flag_is_evaluated_again_when_anything_that_it_depends_on_changes() -> None:
    flags: dict[str, dict[str, Any]] = {
        "shadow.agents": {"name": "shadow.agents", "dependencies": [{"feature": "parent", "enabled": True}]},
        "parent": {"name": "parent", "enabled": True},
        KILL: {"name": KILL, "enabled": False},
        "shadow.sessions": {"name": "shadow.sessions", "enabled": True},
    }
    before = fingerprint(flags, "agents", None)
    for name in ("shadow.agents", "parent", KILL):
        assert fingerprint({**flags, name: {**flags[name], "enabled": "otherwise"}}, "agents", None) != before
    assert fingerprint(flags, "agents", [{"id": 1}]) != before
    assert fingerprint({**flags, "shadow.sessions": {}}, "agents", None) == before


def test_a_state_survives_in_its_file_with_the_time_of_its_last_confirmation(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    confirmed: list[float] = []
    StateCache(path, confirmed.append).set(FEATURES_URL, STATE)
    assert confirmed == []
    os.utime(path, (1_000_000, 1_000_000))
    again = StateCache(path, confirmed.append)
    assert (again.bootstrapped, again.get(FEATURES_URL), confirmed) == (True, STATE, [1_000_000])
    again.destroy()
    assert path.exists()


@pytest.mark.parametrize("page", ["<html>", "[]", '{"features": 3}', ""])
def test_a_page_that_is_no_state_replaces_nothing(tmp_path: Path, page: str) -> None:
    cache = StateCache(tmp_path / "state.json", lambda at: None)
    cache.set(FEATURES_URL, STATE)
    cache.set(FEATURES_URL, page)
    assert cache.get(FEATURES_URL) == STATE
    assert cache.received == 2
    (tmp_path / "state.json").write_text(page, encoding="utf-8")
    assert not StateCache(tmp_path / "state.json", lambda at: None).bootstrapped


def test_a_directory_that_cannot_be_written_costs_only_the_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    cache = StateCache(tmp_path / "file" / "state.json", lambda at: None)
    cache.set(FEATURES_URL, STATE)
    cache.confirm()
    assert cache.state == json.loads(STATE)
    assert "cannot be cached" in caplog.text


def test_states_are_kept_apart_and_no_secret_names_a_file(tmp_path: Path) -> None:
    def file(url: str = "http://u/api", environment: str = "production", token: str = "*:production.one") -> Path:
        return cache_file(tmp_path, url, environment, token)

    assert file() == file(token="*:production.two")
    assert len({file(), file(url="http://v/api"), file(environment="test"), file(token="*:test.one")}) == 4
    assert file(token="plain-secret") == file(token="other-secret")


@pytest.mark.parametrize("given", ["https://u.example", "https://u.example/", "https://u.example/api/"])
def test_an_address_may_come_with_or_without_its_api(given: str) -> None:
    assert api_url(given) == "https://u.example/api"


@pytest.mark.parametrize(
    ("url", "token"), [("u:s3cret@example", "t"), ("ftp://s3cret", "t"), ("http://u", "s3cret\n"), ("http://u", "")]
)
def test_what_can_never_work_is_refused_without_repeating_it(url: str, token: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of Unleash") as refused:
        UnleashSource(url, token, ["agents"], cache=tmp_path)
    assert "s3cret" not in str(refused.value)


def test_weights_become_variants_with_the_furthest_first() -> None:
    variants = variants_for({Phase.SHADOW_READ: 89.5, Phase.READ_NEW: 10.5, Phase.DUAL_WRITE: 0}, {"sample_rate": 1})
    assert [(each["name"], each["weight"], each["weightType"]) for each in variants] == [
        ("read_new", 105, "fix"),
        ("shadow_read", 895, "variable"),
    ]
    assert json.loads(variants[0]["payload"]["value"]) == {"sample_rate": 1}
    with pytest.raises(ValueError, match="make 100, not 90"):
        variants_for({Phase.SHADOW_READ: 90})


def test_the_clients_complaints_pass_once_a_minute_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    quiet, client = Quiet(), logging.getLogger("UnleashClient")
    quiet.install()
    try:
        for attempt in range(3):
            try:
                raise ConnectionError(f"attempt {attempt}")
            except ConnectionError as error:
                client.exception("fetch failed: %s", error)
        client.error("something else")
    finally:
        quiet.remove()
    assert caplog.messages == ["fetch failed: attempt 0", "something else"]
    assert caplog.records[0].exc_info is None
    client.error("something else")
    assert len(caplog.messages) == 3


def test_the_board_tells_changes_from_repetitions_and_keeps_the_last_known() -> None:
    board = Board(["agents"])
    good = Said(routes=uniform(Phase.SHADOW_READ))
    assert board.post({"agents": good})
    assert not board.post({"agents": good})
    assert board.post({"agents": Said(problems=("broken",))})
    state = board.snapshot("agents")
    assert (state.routes, state.known, state.problems) == (good.routes, True, ("broken",))


def test_example_flags_are_one_for_each_entity_with_a_variant_for_each_phase() -> None:
    names = {feature["name"]: feature["type"] for feature in FLAGS["features"]}
    entities = ("agents", "workflows", "audit_logs", "memory_snapshots", "sessions", "knowledge")
    assert names == {**{f"shadow.{entity}": "release" for entity in entities}, KILL: "kill-switch"}
    for strategy in FLAGS["featureStrategies"]:
        weights = {each["name"]: each["weight"] for each in strategy["variants"]}
        expected = {} if strategy["featureName"] == KILL else dict.fromkeys(Phase, 0) | {Phase.LEGACY: 1000}
        assert weights == expected
        assert strategy["parameters"]["stickiness"] == "userId"
    assert not any(place["enabled"] for place in FLAGS["featureEnvironments"])
