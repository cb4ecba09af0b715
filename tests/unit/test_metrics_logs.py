"""Shadow's events: bounded, without values, and in nobody's way."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from shadow import logs
from shadow.logs import configure, log
from shadow.metrics.events import EventSink
from shadow.metrics.record import OperationRecord
from shadow.metrics.table import OPEN_MARKS


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Whatever a test configures, the next one finds the library's own state."""
    logger = logging.getLogger("shadow")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def test_the_application_decides_what_becomes_of_an_event(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        log.info("phase settled", entity="agents", phase="new")
        log.debug("not asked for", entity="agents")
    (record,) = caplog.records
    assert record.name == "shadow"
    assert record.getMessage() == 'event="phase settled" entity=agents phase=new'
    assert vars(record)["shadow"] == {"event": "phase settled", "entity": "agents", "phase": "new"}


def test_importing_it_configures_nothing() -> None:
    assert not structlog.is_configured()
    assert [type(handler) for handler in logging.getLogger("shadow").handlers] == [logging.NullHandler]
    assert logging.getLogger("shadow").propagate


def raised() -> Exception:
    try:
        raise ValueError("hunter2")
    except ValueError as error:
        return error


def test_neither_values_nor_uris_get_in() -> None:
    stream = io.StringIO()
    configure(stream, as_json=True)
    log.warning(
        "sync failed",
        error=raised(),
        reason="connecting to postgresql://user:hunter2@db/x\nfailed",
        keys=[b"hunter2"],
        document={"password": "hunter2"},
        uri="hunter2",
        seconds=0.5,
    )
    event = json.loads(stream.getvalue())
    assert "hunter2" not in stream.getvalue()
    assert event["error"].startswith("ValueError at test_metrics_logs.py:")
    assert event["reason"] == "connecting to <uri> failed" and event["keys"] == "list"
    assert event["withheld"] == "document,uri" and event["level"] == "warning" and event["seconds"] == 0.5


def test_texts_are_short() -> None:
    stream = io.StringIO()
    configure(stream)
    log.info("x", reason="y" * 10_000, **{f"unknown_{i}": i for i in range(1000)})
    assert len(stream.getvalue()) < 600


def test_asked_twice_it_writes_once() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure(first)
    configure(second, level=logging.DEBUG)
    log.debug("once", entity="agents")
    assert not first.getvalue() and second.getvalue().count("once") == 1


def test_an_operation_is_one_event_with_fields_that_are_all_known() -> None:
    stream = io.StringIO()
    configure(stream, level=logging.DEBUG, as_json=True)
    sink = EventSink()
    sink.operation(OperationRecord("agents", "find_one", "new", "new", "ok", 0.25))
    sink.set(OPEN_MARKS, ("agents",), 1)
    event = json.loads(stream.getvalue())
    assert event["event"] == "operation" and event["seconds"] == 0.25 and "withheld" not in event
    assert set(OperationRecord._fields) <= logs.FIELDS
