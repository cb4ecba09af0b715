"""Keeps an absent Unleash server from filling the log: the client reports every failed poll with a traceback."""

from __future__ import annotations

import logging
import time

_LOGGERS = ("UnleashClient", "apscheduler.scheduler")
_EVERY_SECONDS = 60.0


class Quiet(logging.Filter):
    """Lets each kind of message of the client pass once a minute, without its traceback."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[str, float] = {}

    def install(self) -> None:
        """Filter what the client and its scheduler log."""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self)

    def remove(self) -> None:
        """Undo `install`."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may pass."""
        record.exc_info = record.exc_text = None
        now = time.monotonic()
        if now - self._passed.get(record.msg, -_EVERY_SECONDS) < _EVERY_SECONDS:
            return False
        self._passed[record.msg] = now
        return True
