"""The Prometheus sink: the table's metrics in a registry, with bounded labels and cheap look-ups.

The registry is Shadow's own, so that nothing appears in an application's metrics unasked. In prometheus-client's
multiprocess mode (``PROMETHEUS_MULTIPROC_DIR``) the values live in files, and `render` joins those of all processes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from shadow.metrics.record import OperationRecord
from shadow.metrics.table import MARK_SECONDS, METRICS, OPERATION_SECONDS, OPERATIONS, SYNC_WAIT_SECONDS, Metric, Type

LIMITS = {"entity": 200, "op": 100, "name": 200}
"""Labels whose values the application chooses, and how many distinct ones are kept apart."""

OTHER = "other"

_AT_ONCE = 16
"""Operations that are counted together: one by one, each call would find the code that counts out of the caches."""


class PrometheusSink:
    """Counts into a Prometheus registry. A label value beyond its limit is counted as ``other``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._told: deque[OperationRecord] = deque()
        self._at_once = 1 if "PROMETHEUS_MULTIPROC_DIR" in os.environ else _AT_ONCE  # whose files others read
        registry.register(_Before(self._count))  # before all others, and so collected before them
        self._metrics = {metric.name: _make(metric, registry) for metric in METRICS}
        self._known: dict[str, set[str]] = {label: set() for label in LIMITS}
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._operations: dict[tuple[str, ...], tuple[Any, Any]] = {}

    def operation(self, record: OperationRecord) -> None:
        self._told.append(record)
        if len(self._told) >= self._at_once:
            self._count()

    def _count(self) -> None:
        """Count what was told. From any thread."""
        while self._told:
            try:
                record = self._told.popleft()
            except IndexError:  # another thread was quicker
                return
            self._count_one(record)

    def _count_one(self, record: OperationRecord) -> None:
        entity, op, phase, store, outcome, seconds, mark_seconds, sync_seconds = record
        key = (entity, op, phase, store, outcome)
        pair = self._operations.get(key) or self._bind(key)
        pair[0].inc()
        pair[1].observe(seconds)
        if mark_seconds is not None:
            self._child(MARK_SECONDS, (entity,)).observe(mark_seconds)
        if sync_seconds is not None:
            self._child(SYNC_WAIT_SECONDS, (entity,)).observe(sync_seconds)

    def add(self, metric: Metric, labels: tuple[str, ...] = (), amount: float = 1.0) -> None:
        self._child(metric, labels).inc(amount)

    def set(self, metric: Metric, labels: tuple[str, ...] = (), value: float = 0.0) -> None:
        self._child(metric, labels).set(value)

    def observe(self, metric: Metric, labels: tuple[str, ...] = (), value: float = 0.0) -> None:
        self._child(metric, labels).observe(value)

    def _bind(self, key: tuple[str, ...]) -> tuple[Any, Any]:
        pair = self._child(OPERATIONS, key), self._child(OPERATION_SECONDS, key[:4])
        if self._bounded(OPERATIONS, key) == key:
            self._operations[key] = pair
        return pair

    def _child(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        child = self._children.get((metric.name, labels))
        return child if child is not None else self._find(metric, labels)

    def _find(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        bounded = self._bounded(metric, labels)
        child = self._metrics[metric.name]
        if metric.labels:
            child = child.labels(*bounded)
        self._children[metric.name, bounded] = child  # never under unbounded names: those would fill the memory
        return child

    def _bounded(self, metric: Metric, labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self._bound(name, value) for name, value in zip(metric.labels, labels, strict=True))

    def _bound(self, name: str, value: str) -> str:
        known = self._known.get(name)
        if known is None or value in known:
            return value
        if len(known) >= LIMITS[name]:
            return OTHER
        known.add(value)
        return value


class _Before(Collector):
    """Does something before the metrics of a registry are read, and shows none of its own."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do

    def collect(self) -> Iterable[Family]:
        self._do()
        return ()

    def describe(self) -> Iterable[Family]:
        return ()


@cache
def registry() -> CollectorRegistry:
    """The registry of Shadow's own metrics in this process."""
    return CollectorRegistry()


@cache
def sink() -> PrometheusSink:
    """The sink of this process, made when it is first asked for."""
    return PrometheusSink(registry())


def _in_child() -> None:
    """A forked child counts for itself: what its parent had counted is not its own, and a lock may be held for ever."""
    registry.cache_clear()
    sink.cache_clear()


os.register_at_fork(after_in_child=_in_child)


def exposed() -> CollectorRegistry:
    """What is shown to Prometheus: this process's metrics, or those of all that share the multiprocess folder."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        sink()
        return registry()
    joined = CollectorRegistry()
    MultiProcessCollector(joined)  # type: ignore[no-untyped-call]
    return joined


def render() -> bytes:
    """The metrics in Prometheus's text format."""
    return generate_latest(exposed())


def _make(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if metric.type is Type.COUNTER:
        return Counter(metric.name, metric.help, metric.labels, registry=registry)
    if metric.type is Type.GAUGE:
        return Gauge(metric.name, metric.help, metric.labels, registry=registry, multiprocess_mode=metric.across)
    return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
