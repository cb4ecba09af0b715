"""Where measurements go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shadow.metrics.record import OperationRecord
from shadow.metrics.table import Metric


class Sink(Protocol):
    """Takes measurements, from any thread. Called on the application's path, so it neither waits nor raises.

    Label values come in the order of the metric's labels in the table.
    """

    def operation(self, record: OperationRecord) -> None:
        """One operation of the application has ended."""

    def add(self, metric: Metric, labels: tuple[str, ...] = (), amount: float = 1.0) -> None:
        """Advance a counter."""

    def set(self, metric: Metric, labels: tuple[str, ...] = (), value: float = 0.0) -> None:
        """Set a gauge."""

    def observe(self, metric: Metric, labels: tuple[str, ...] = (), value: float = 0.0) -> None:
        """Record one value of a histogram."""


class Fanout:
    """Several sinks as one."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    def operation(self, record: OperationRecord) -> None:
        for sink in self._sinks:
            sink.operation(record)

    def add(self, metric: Metric, labels: tuple[str, ...] = (), amount: float = 1.0) -> None:
        for sink in self._sinks:
            sink.add(metric, labels, amount)

    def set(self, metric: Metric, labels: tuple[str, ...] = (), value: float = 0.0) -> None:
        for sink in self._sinks:
            sink.set(metric, labels, value)

    def observe(self, metric: Metric, labels: tuple[str, ...] = (), value: float = 0.0) -> None:
        for sink in self._sinks:
            sink.observe(metric, labels, value)
