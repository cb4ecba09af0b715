"""The errors that a command may end with, in words that a person can act on and that give no secret away."""

from __future__ import annotations

import asyncpg
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError

from shadow.config import ConfigError
from shadow.embedded import EmbeddedError
from shadow_adapters.failures import StoreError

_OWN = (ConfigError, EmbeddedError, StoreError)
_BAD_URI = (InvalidURI, ConfigurationError, asyncpg.exceptions.ClientConfigurationError)
_POSTGRES = (asyncpg.PostgresError, asyncpg.InterfaceError)

EXPECTED = (*_OWN, *_BAD_URI, *_POSTGRES, PyMongoError, OSError)
"""What is told in one line; anything else is a fault of Shadow's and keeps its traceback."""


def in_words(error: BaseException) -> str:
    """One line (a `ConfigError` has one for each mistake), without connection strings."""
    if isinstance(error, _OWN):
        return str(error)
    if isinstance(error, _BAD_URI):
        return "a connection string is not valid; look at [stores]"  # the driver's text quotes pieces of it
    store = "MongoDB" if isinstance(error, PyMongoError) else "PostgreSQL" if isinstance(error, _POSTGRES) else ""
    said = str(error).partition("\n")[0] or type(error).__name__
    return f"{store} says: {said}" if store else said
