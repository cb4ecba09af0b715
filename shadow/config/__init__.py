"""The configuration: one TOML file, secrets only from the environment, every mistake reported at once."""

from shadow.config.entities import EntitySettings, LegacySettings, NewSettings
from shadow.config.loading import load, parse
from shadow.config.models import FlagsSettings, GatesSettings, ProtocolSettings, StoresSettings
from shadow.config.problems import ConfigError, Problem
from shadow.config.settings import Settings

__all__ = [
    "ConfigError",
    "EntitySettings",
    "FlagsSettings",
    "GatesSettings",
    "LegacySettings",
    "NewSettings",
    "Problem",
    "ProtocolSettings",
    "Settings",
    "StoresSettings",
    "load",
    "parse",
]
