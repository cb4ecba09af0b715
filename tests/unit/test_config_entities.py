"""What a configuration means: defaults, tables, patterns, weights."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shadow.config import Settings
from shadow_flags.phases import Phase


def settings(**entities: dict[str, Any]) -> Settings:
    return Settings.model_validate({"entities": entities})


def test_what_is_not_said_has_a_safe_default() -> None:
    agents = settings(agents={"legacy": {"mongo": "app.agents"}}).entities["agents"]
    assert (agents.phase, agents.new.layout, agents.table) == (Phase.LEGACY, "documents", "shadow_documents.agents")
    assert (agents.sample_rate, agents.rehearse, agents.on_lapse) == (1.0, True, "serve")


def test_columns_choose_the_layout_table() -> None:
    mapped = {"legacy": {"mongo": "app.agents"}, "new": {"postgres": "app.agents"}, "columns": {"name": "name"}}
    agents = settings(agents=mapped).entities["agents"]
    assert (agents.new.layout, agents.table, agents.new.id) == ("table", "app.agents", "id")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"a": "x", "b": "x"}, "two fields go to one column"),
        ({"_id": "x"}, "_id is not mapped here"),
        ({"a": "x", "a.b": "y"}, "inside another"),
        ({"a..b": "y"}, "a name is empty"),
        ({"a": ""}, "a name is empty"),
        ({"a": "id"}, "the id column"),
        ({"a": "_rest"}, "the id column or to Shadow's own"),
    ],
)
def test_a_mapping_that_contradicts_itself_is_a_mistake(columns: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        settings(agents={"legacy": {"mongo": "app.agents"}, "new": {"postgres": "app.agents"}, "columns": columns})


def test_weights_are_phases_of_one_authority() -> None:
    weighted = {"legacy": {"mongo": "app.agents"}, "phase": {"shadow_read": 90, "read_new": 10}}
    assert settings(agents=weighted).entities["agents"].phase == {Phase.SHADOW_READ: 90, Phase.READ_NEW: 10}


def test_a_collection_of_its_own_comes_before_a_pattern() -> None:
    found = settings(every={"legacy": {"mongo": "*"}}, agents={"legacy": {"mongo": "app.agents"}})
    agents = found.entity_for("app", "agents")
    assert agents is found.entities["agents"]
    other = found.entity_for("app", "other")
    assert other is not None and other.name == "every.app.other" and other.legacy.mongo == "app.other"
    assert found.entity_for("app", "other") is other


def test_a_pattern_matches_database_and_collection_apart_and_nothing_of_the_server() -> None:
    found = settings(events={"legacy": {"mongo": "tenant_*.ev?nts*"}}, every={"legacy": {"mongo": "*.log"}})
    assert found.entity_for("tenant_1", "ev?nts.old") is not None
    assert found.entity_for("tenant_1", "events") is None, "only * is special"
    assert found.entity_for("other", "tenant_.ev?nts") is None
    assert found.entity_for("admin", "log") is None
    assert settings(every={"legacy": {"mongo": "*"}}).entity_for("app", "system.views") is None
    assert settings(every={"legacy": {"mongo": "*"}}).entity_for("app", "") is None


def test_an_unconfigured_collection_and_a_keyspace_are_no_collection() -> None:
    found = settings(session={"legacy": {"redis": "session:*"}}, agents={"legacy": {"mongo": "app.agents"}})
    assert found.entity_for("app", "session") is None
    assert found.entity_for("agents", "app") is None


@pytest.mark.parametrize("collection", ["events", "events.old", "Événements", "x" * 120])
def test_each_collection_of_a_pattern_gets_a_table_that_postgres_can_name(collection: str) -> None:
    found = settings(every={"legacy": {"mongo": "*"}})
    entity = found.entity_for("app", collection)
    twin = found.entity_for("app", collection.replace(".", "_") + "_")
    assert entity is not None and twin is not None
    schema, table = entity.table.split(".")
    assert schema == "shadow_documents" and len(table.encode()) <= 48 and table.isascii()
    assert entity.table != twin.table
    with pytest.raises(ValueError, match="no table of its own"):
        found.entities["every"].table  # noqa: B018 - the property raises


@pytest.mark.parametrize("order", [1, -1])
def test_the_most_exact_pattern_wins_wherever_it_stands(order: int) -> None:
    patterns = {"every": "*", "tenants": "tenant_*.*", "events": "tenant_*.events*", "one": "tenant_1.events"}
    found = settings(**{name: {"legacy": {"mongo": patterns[name]}} for name in list(patterns)[::order]})
    places = [("app", "log"), ("tenant_2", "log"), ("tenant_2", "events"), ("tenant_1", "events")]
    names = [each.name for each in (found.entity_for(*place) for place in places) if each]
    assert names == ["every.app.log", "tenants.tenant_2.log", "events.tenant_2.events", "one"]


@pytest.mark.parametrize(("one", "other"), [("tenant_*.*", "*.events"), ("*", "*.*"), ("a*.x", "*b.x")])
def test_two_patterns_that_are_equally_exact_are_a_mistake(one: str, other: str) -> None:
    with pytest.raises(ValidationError, match="the entity first, and neither of the two"):
        settings(first={"legacy": {"mongo": one}}, second={"legacy": {"mongo": other}})
    assert settings(first={"legacy": {"mongo": "a*.x"}}, second={"legacy": {"mongo": "b*.x"}})


def test_an_entity_is_found_by_its_name() -> None:
    found = settings(every={"legacy": {"mongo": "*"}}, agents={"legacy": {"mongo": "app.agents"}})
    assert found.entity_named("agents") is found.entities["agents"]
    assert found.entity_named("every.app.a.b") is found.entity_for("app", "a.b")
    assert found.entity_named("every.app.agents") is None, "it has an entity of its own"
    assert found.entity_named("every.admin.x") is None and found.entity_named("other.app.x") is None


def test_what_is_below_a_collection_is_known_before_it_is_there() -> None:
    found = settings(files={"legacy": {"mongo": "app.fs.files"}}, logs={"legacy": {"mongo": "tenant_*.log.*"}})
    assert found.has_below("app", "fs") and found.has_below("tenant_1", "log") and found.has_below("tenant_1", "log.a")
    assert not found.has_below("app", "f") and not found.has_below("app", "fs.files") and not found.has_below("x", "fs")


def test_a_pattern_leaves_shadows_own_alone() -> None:
    assert settings(every={"legacy": {"mongo": "*"}}).entity_for("app", "shadow_armed") is None
