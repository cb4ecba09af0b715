"""Shadow's own events: bounded fields, never a document's value, never a URI.

A library does not configure its application's logging. Events go to the standard logger ``shadow`` as one line of
``event=... key=value``, with the same fields as a dict in the log record's ``shadow`` attribute, and the application
decides what becomes of them. structlog's global configuration is neither read nor changed. `configure` is for Shadow's
own commands, and for applications that ask for it.

Use::

    log.info("phase settled", entity=entity, phase=phase)
    log.warning("mark failed", entity=entity, error=error)
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from shadow.compare.failure import describe

FIELDS = frozenset(
    [
        "aim",
        "attempts",
        "conductor",
        "count",
        "debts",
        "duration_ms",
        "entity",
        "epoch",
        "error",
        "from_phase",
        "gate",
        "generation",
        "host",
        "key_hash",
        "keys",
        "kind",
        "mark_seconds",
        "marks",
        "mode",
        "op",
        "outcome",
        "path",
        "phase",
        "pid",
        "port",
        "process",
        "reason",
        "seconds",
        "since",
        "stage",
        "state",
        "step",
        "store",
        "sync_seconds",
        "to_phase",
        "version",
        "who",
    ]
)
"""The fields that an event may have. One that is not here is named in ``withheld``, and its value is not logged."""

_LONGEST = 200
_URI = re.compile(r"\w[\w+.-]*://\S+")


def bounded(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep the known fields, each as a number or a short text without URIs."""
    withheld = sorted(event.keys() - FIELDS - {"event"})
    kept = {name: _short(event[name]) for name in event if name not in withheld}
    return kept | ({"withheld": ",".join(withheld)[:_LONGEST]} if withheld else {})


def _short(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, BaseException):
        return describe(value) + _place(value)
    if not isinstance(value, str):
        return type(value).__name__  # a document, a key, a list of them
    text = _URI.sub("<uri>", value).replace("\n", " ")
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _place(error: BaseException) -> str:
    """Where the error was raised, since neither its text nor its traceback is logged."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f" at {Path(frames[0].filename).name}:{frames[0].lineno}" if frames else ""


_logfmt = structlog.processors.LogfmtRenderer(key_order=["event"], drop_missing=True)


def _rendered(logger: WrappedLogger, method: str, event: EventDict) -> tuple[tuple[str], dict[str, Any]]:
    return ("%s", _logfmt(logger, method, dict(event))), {"extra": {"shadow": dict(event)}}  # type: ignore[return-value]


_logger = logging.getLogger("shadow")
_logger.addHandler(logging.NullHandler())

log = cast(
    structlog.stdlib.BoundLogger,
    structlog.wrap_logger(
        _logger,
        processors=[structlog.stdlib.filter_by_level, bounded, _rendered],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    ),
)
"""Shadow's logger. The event is a fixed text; what varies goes into fields."""


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "shadow", {"event": record.getMessage()})
        return json.dumps({"at": record.created, "level": record.levelname.lower(), **fields})


def configure(stream: TextIO | None = None, *, level: int = logging.INFO, as_json: bool = False) -> None:
    """Write Shadow's events to a stream of their own (standard error unless told) and not to the application's logs.

    A second call replaces the first.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _logger.handlers[:] = [handler]
    _logger.setLevel(level)
    _logger.propagate = False
