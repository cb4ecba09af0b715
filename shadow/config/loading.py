"""From a TOML file to `Settings`, with every mistake found in one go."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from shadow.config.entities import EntitySettings
from shadow.config.models import FlagsSettings, GatesSettings, ProtocolSettings, StoresSettings
from shadow.config.problems import ConfigError, Problem, did_you_mean, from_validation, type_in_words
from shadow.config.settings import Settings, between_entities

DEFAULT_PATH = "shadow.toml"

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_SECTIONS: dict[str, type[BaseModel]] = {
    "stores": StoresSettings,
    "flags": FlagsSettings,
    "protocol": ProtocolSettings,
    "gates": GatesSettings,
}


def load(path: Path | None = None) -> Settings:
    """Read the configuration.

    Args:
        path: the file; None: what SHADOW_CONFIG names, else ``shadow.toml``.

    Raises:
        ConfigError: naming every mistake, no value.
    """
    path = path or Path(os.environ.get("SHADOW_CONFIG") or DEFAULT_PATH)
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        problem = Problem("file", error.strerror or "cannot be read", "write one, or name it in SHADOW_CONFIG")
        raise ConfigError(str(path), [problem]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        where = re.search(r"at (line \d+, column \d+|end of document)", str(error))
        problem = Problem("file", "is not TOML", f"look at {where[1]}" if where else "save it as UTF-8")
        raise ConfigError(str(path), [problem]) from None
    settings = parse(data, os.environ, source=str(path))
    settings._path = path
    return settings


def parse(data: Mapping[str, Any], environment: Mapping[str, str], *, source: str = "the configuration") -> Settings:
    """Settings from the decoded file. Raises `ConfigError` with every mistake.

    Args:
        data: as `tomllib` gives it.
        environment: where ``${NAME}`` is looked up.
        source: how errors call what was read.
    """
    problems = _literal_secrets(data)
    data = _interpolated(data, environment, "", problems)
    problems += _unknown_sections(data)
    known_bad = {problem.path for problem in problems}
    for name, model in _SECTIONS.items():
        problems += [p for p in _section(model, data.get(name, {}), name)[1] if p.path not in known_bad]
    entities, entity_problems = _entities(data.get("entities", {}))
    problems += [p for p in entity_problems if p.path not in known_bad]
    problems += _missing_stores(entities, data.get("stores", {}))
    if problems:
        raise ConfigError(source, problems)
    return Settings.model_validate(data)


def _interpolated(value: Any, environment: Mapping[str, str], path: str, problems: list[Problem]) -> Any:
    """The value with every ``${NAME}`` replaced; a variable that is not set is a problem."""
    if isinstance(value, Mapping):
        return {k: _interpolated(v, environment, f"{path}.{k}".lstrip("."), problems) for k, v in value.items()}
    if isinstance(value, list):
        return [_interpolated(item, environment, f"{path}.{i}", problems) for i, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in dict.fromkeys(_VARIABLE.findall(value)):
        if not environment.get(name):
            problems.append(Problem(path, f"the environment variable {name} is not set", f"set {name}"))
    return _VARIABLE.sub(lambda found: environment.get(found[1], ""), value)


def _literal_secrets(data: Mapping[str, Any]) -> list[Problem]:
    """Secrets that stand in the file itself, from where they reach version control."""
    problems = []
    for section, name in [*(("stores", name) for name in StoresSettings.model_fields), ("flags", "token")]:
        table = data.get(section)
        value = table.get(name) if isinstance(table, Mapping) else None
        if isinstance(value, str) and not _VARIABLE.search(value) and (name == "token" or _has_password(value)):
            fix = f'put it into the environment and write {name} = "${{NAME}}"'
            problems.append(Problem(f"{section}.{name}", "holds a secret in plain text", fix))
    return problems


def _has_password(uri: str) -> bool:
    try:
        return urlsplit(uri).password is not None
    except ValueError:
        return "@" in uri


def _unknown_sections(data: Mapping[str, Any]) -> list[Problem]:
    known = Settings.model_fields
    return [Problem(name, "is not a section", did_you_mean(name, known)) for name in data if name not in known]


def _section(model: type[BaseModel], value: Any, path: str) -> tuple[BaseModel | None, list[Problem]]:
    if not isinstance(value, Mapping):
        return None, [Problem(path, "is not a table", f"write [{path}]", type_in_words(value))]
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        return None, from_validation(error, model, path)


def _entities(value: Any) -> tuple[list[EntitySettings], list[Problem]]:
    """The entities that are right by themselves, and the problems of the others and between them."""
    if not isinstance(value, Mapping):
        return [], [Problem("entities", "is not a table", "write [entities.NAME]", type_in_words(value))]
    good: list[EntitySettings] = []
    problems: list[Problem] = []
    for name, table in value.items():
        named = {"name": name, **table} if isinstance(table, Mapping) else table
        entity, found = _section(EntitySettings, named, f"entities.{name}")
        problems += found
        if isinstance(entity, EntitySettings):
            good.append(entity)
    return good, problems + between_entities(good, value)


def _missing_stores(entities: list[EntitySettings], stores: Any) -> list[Problem]:
    """Stores that an entity needs and that are not named."""
    needed: dict[str, str] = {}
    for entity in entities:
        needed.setdefault("mongo" if entity.legacy.mongo else "redis", entity.name)
        needed.setdefault("postgres", entity.name)
    given = stores if isinstance(stores, Mapping) else needed
    return [
        Problem(f"stores.{store}", f"is missing, and the entity {entity} needs it", "add it")
        for store, entity in needed.items()
        if store not in given
    ]
