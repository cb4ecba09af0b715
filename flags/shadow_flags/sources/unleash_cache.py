"""The flag state that the Unleash client last fetched, kept in memory and in one file of the cache directory.

The client's own file cache unpickles what it finds, and several processes write it in place. This one is text, and is
replaced as a whole, so that every process of a host may share it. A file is only good for the server, environment and
token it came from, so it is named after them (after the token's public part).
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from UnleashClient.cache import BaseCache
from UnleashClient.constants import FEATURES_URL

log = logging.getLogger("shadow_flags")


def default_directory() -> Path:
    """Where states are kept when nothing else is said: ``$SHADOW_CACHE`` or ``~/.cache/shadow``, then ``flags``."""
    return Path(os.environ.get("SHADOW_CACHE") or Path.home() / ".cache" / "shadow") / "flags"


def cache_file(directory: Path, url: str, environment: str, token: str) -> Path:
    """The file for one server, environment and kind of token (``project:environment``, what precedes the secret)."""
    name = "\n".join((url, environment, token.partition(".")[0] if "." in token else ""))
    return directory / f"unleash-{blake2b(name.encode(), digest_size=8).hexdigest()}.json"


class StateCache(BaseCache):
    """The cache that the client loads its state from and saves it to.

    Args:
        path: the file. It is read at once; its time stamp says when the server last confirmed it.
        on_confirm: called with the time, in seconds since 1970, whenever the server confirms the state.

    Attributes:
        received: how many states the client has handed over.
    """

    def __init__(self, path: Path, on_confirm: Callable[[float], None]) -> None:
        self._path = path
        self._on_confirm = on_confirm
        self._values: dict[str, Any] = {}
        self.received = 0
        self._load()

    @property
    def state(self) -> dict[str, Any] | None:
        """The state as the server sent it, decoded; None when there is none."""
        return _decode(self._values.get(FEATURES_URL))

    def set(self, key: str, value: Any) -> None:
        """Keep a value; the state on disk, too. An answer that is no state, such as a proxy's page, is left out."""
        if key == FEATURES_URL:
            self.received += 1
            if _decode(value) is None:
                log.warning("Unleash answered something that is no flag state; the last known state stays")
                return
            self._save(value)
        self._values[key] = value

    def confirm(self) -> None:
        """The server has answered: the state is still good, for this process and for the next one that starts."""
        self._on_confirm(time.time())
        with suppress(OSError):  # `_save` has said why there is no file
            os.utime(self._path)

    def mset(self, data: dict[str, Any]) -> None:
        """Keep several values in memory."""
        self._values.update(data)

    def get(self, key: str, default: Any = None) -> Any:
        """A value, or the default."""
        return self._values.get(key, default)

    def exists(self, key: str) -> bool:
        """Whether there is a value."""
        return key in self._values

    def destroy(self) -> None:
        """Called when the client ends. The file stays: it is what the next start falls back on."""

    def _load(self) -> None:
        try:
            text, at = self._path.read_text(encoding="utf-8"), self._path.stat().st_mtime
        except (OSError, UnicodeDecodeError):
            return
        if _decode(text) is not None:
            self._values[FEATURES_URL] = text
            self.bootstrapped = True
            self._on_confirm(at)

    def _save(self, text: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(self._path)
        except OSError as error:
            log.warning("flag state cannot be cached, so a start without Unleash will know nothing: %s", error)


def _decode(text: Any) -> dict[str, Any] | None:
    try:
        state = json.loads(text)
    except (TypeError, ValueError):
        return None
    return state if isinstance(state, dict) and isinstance(state.get("features"), list) else None
