"""The log sink: each operation as one debug event, for whoever wants to follow single calls."""

from __future__ import annotations

import logging

from shadow.logs import log
from shadow.metrics.record import OperationRecord
from shadow.metrics.table import Metric

_logger = logging.getLogger("shadow")


class EventSink:
    """Logs operations. Counters, gauges and histograms have no single event, and are left to other sinks."""

    def operation(self, record: OperationRecord) -> None:
        if _logger.isEnabledFor(logging.DEBUG):
            log.debug("operation", **record._asdict())

    def add(self, metric: Metric, labels: tuple[str, ...] = (), amount: float = 1.0) -> None:
        pass

    def set(self, metric: Metric, labels: tuple[str, ...] = (), value: float = 0.0) -> None:
        pass

    def observe(self, metric: Metric, labels: tuple[str, ...] = (), value: float = 0.0) -> None:
        pass
