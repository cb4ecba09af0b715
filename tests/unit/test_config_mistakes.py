"""Every mistake in a configuration is reported at once, with its path and its fix, and never with a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shadow.config import ConfigError, EntitySettings, Settings, StoresSettings, load, parse

STORES = {"mongo": "${M}", "postgres": "${P}"}
ENVIRONMENT = {"M": "mongodb://app:hunter2@legacy/db", "P": "postgresql://app:hunter2@new/db", "PHASE": "hunter2"}

WRONG = """
stors = { mongo = "x" }

[stores]
mongo = "${MONGODB_URI}"
postgres = "postgresql://app:hunter2@host/db"
reddis = "redis://"

[flags]
source = "unleashed"
token = "hunter2"
refresh_seconds = "hunter2"

[protocol]
lease_seconds = -1
pool_size = "hunter2"

[entities.agents]
legacy = { mongo = "orchestra.agents" }
new = { postgres = "orchestra.agents", layot = "table" }
phase = "shadow_reed"
sample_rate = 2

[entities.copies]
legacy = { mongo = "orchestra.flows" }
parents = ["agent"]

[entities.flows]
legacy = { mongo = "orchestra.flows" }
phase = { shadow_read = 90, write_new = 10 }

[entities.again]
legacy = { mongo = "orchestra.flows" }

[entities.nowhere]
legacy = { mongo = "orchestra" }

[entities.both]
legacy = { mongo = "a.b", redis = "a:*" }

[entities.pattern]
legacy = { mongo = "tenant_*.events" }
new = { postgres = "x.y" }

[entities.narrow]
legacy = { mongo = "a.c" }
columns = { name = "name" }

[entities.wide]
legacy = { mongo = "a.d" }
new = { layout = "documents" }
columns = { name = "name" }
"""

EXPECTED = {
    "stors": "did you mean stores?",
    "stores.mongo": "the environment variable MONGODB_URI is not set; set MONGODB_URI",
    "stores.postgres": "holds a secret in plain text",
    "stores.reddis": "did you mean redis?",
    "flags.source": "it should be 'static' or 'unleash'",
    "flags.token": "holds a secret in plain text",
    "flags.refresh_seconds": "(got a string); it should be a valid number",
    "protocol.lease_seconds": "(got an integer); it should be greater than 0",
    "protocol.pool_size": "(got a string); it should be a valid integer",
    "entities.agents.new.layot": "did you mean layout?",
    "entities.agents.phase": "is not a phase (got a string); did you mean shadow_read?",
    "entities.agents.sample_rate": "it should be less than or equal to 1",
    "entities.copies.parents": "did you mean agents?",
    "entities.flows.phase": "the weights mix phases of two authorities",
    "entities.again.legacy.mongo": "is already taken by the entity copies",
    "entities.nowhere.legacy.mongo": "names no collection",
    "entities.both.legacy": "give either mongo or redis",
    "entities.pattern": "leave new.postgres out",
    "entities.narrow": 'add postgres = "schema.table" to new',
    "entities.wide": "the layout documents has no columns",
}


def test_every_mistake_is_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    file = tmp_path / "shadow.toml"
    file.write_text(WRONG)
    with pytest.raises(ConfigError) as failure:
        load(file)
    lines = {problem.path: str(problem) for problem in failure.value.problems}
    assert set(lines) == set(EXPECTED)
    for path, text in EXPECTED.items():
        assert text in lines[path]
    assert str(failure.value).startswith(f"{file} has {len(EXPECTED)} mistakes:")
    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize("section", ["stores", "flags", "protocol", "entities"])
def test_a_section_that_is_no_table_is_named(section: str) -> None:
    with pytest.raises(ConfigError, match=rf"{section}: is not a table \(got a string\)"):
        parse({section: "hunter2"}, {})


def test_a_secret_never_shows_whatever_it_is_put_into() -> None:
    secret = "hunter2"
    places: list[dict[str, Any]] = [
        {"stores": {"mongo": [secret]}},
        {"flags": {"source": "${PHASE}"}},
        {"protocol": {"journal_max_bytes": "${PHASE}"}},
        {"stores": STORES, "entities": {"a": {"legacy": {"mongo": "${PHASE}"}}}},
        {"stores": STORES, "entities": {"a": {"legacy": {"mongo": "a.b"}, "phase": "${PHASE}"}}},
        {"stores": STORES, "entities": {"a": {"legacy": {"mongo": "a.b"}, "phase": {"${PHASE}": secret}}}},
        {"stores": STORES, "entities": {"a": {"legacy": {"mongo": "a.b"}, "parents": ["${PHASE}"]}}},
        {"stores": STORES, "entities": {"a": {"legacy": {"mongo": "a.b"}, "new": {"layout": "${PHASE}"}}}},
    ]
    for data in places:
        with pytest.raises(ConfigError) as failure:
            parse(data, ENVIRONMENT)
        assert secret not in str(failure.value).replace("${PHASE}", "")
        assert failure.value.__cause__ is None
    settings = parse({"stores": STORES}, ENVIRONMENT)
    assert secret not in repr(settings) + str(settings.stores)
    with pytest.raises(ValidationError) as invalid:
        StoresSettings.model_validate({"mongo": {"uri": secret}})
    assert secret not in str(invalid.value)


def test_a_file_that_is_missing_or_no_toml_is_named_without_its_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SHADOW_CONFIG"):
        load(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text('[stores]\nmongo = "hunter2\n')
    with pytest.raises(ConfigError, match="line 2") as failure:
        load(broken)
    assert "hunter2" not in str(failure.value)


def test_the_file_is_found_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "elsewhere.toml"
    file.write_text('[stores]\nmongo = "${M}"\npostgres = "${P}"\n[entities.a]\nlegacy = { mongo = "d.a" }\n')
    monkeypatch.setenv("SHADOW_CONFIG", str(file))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    settings = load()
    assert settings.path == file
    assert settings.stores.mongo is not None and settings.stores.mongo.get_secret_value() == ENVIRONMENT["M"]


def test_a_missing_store_that_an_entity_needs_is_a_mistake() -> None:
    entities = {"a": {"legacy": {"mongo": "d.a"}}, "s": {"legacy": {"redis": "session:*"}}}
    with pytest.raises(ConfigError) as failure:
        parse({"entities": entities}, {})
    assert [problem.path for problem in failure.value.problems] == ["stores.mongo", "stores.postgres", "stores.redis"]


def test_made_in_code_the_same_rules_hold() -> None:
    with pytest.raises(ValidationError, match="already taken by the entity a"):
        Settings.model_validate({"entities": {"a": {"legacy": {"mongo": "d.a"}}, "b": {"legacy": {"mongo": "d.a"}}}})
    with pytest.raises(ValidationError, match="sum to 100"):
        EntitySettings.model_validate({"name": "a", "legacy": {"mongo": "d.a"}, "phase": {"shadow_read": 90}})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_no_value_breaks_the_reader(value: object) -> None:
    broken: list[dict[str, Any]] = [
        {"stores": value},
        {"entities": value},
        {"entities": {"a": value}},
        {"entities": {"a": {"phase": value}}},
    ]
    for data in broken:
        try:
            parse(data, {})
        except ConfigError as error:
            assert error.problems
