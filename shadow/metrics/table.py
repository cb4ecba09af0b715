"""Every metric of Shadow, in one table. Dashboards, rules and docs are tested against it.

``across`` says what the value of one host is where several processes share a metrics folder (prometheus-client's
multiprocess mode): what a process owns is summed over the living ones; what every process reads from the fleet's
common state is taken from whoever wrote last.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Type(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


Across = Literal["livesum", "livemax", "mostrecent"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``unit`` is empty for a plain number."""

    name: str
    type: Type
    labels: tuple[str, ...]
    unit: str
    help: str
    across: Across = "livesum"
    buckets: tuple[float, ...] = ()


_CALL = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PAUSE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def _counter(name: str, labels: str, help: str, unit: str = "") -> Metric:
    return Metric(name, Type.COUNTER, tuple(labels.split()), unit, help)


def _gauge(name: str, labels: str, help: str, across: Across, unit: str = "") -> Metric:
    return Metric(name, Type.GAUGE, tuple(labels.split()), unit, help, across)


def _histogram(name: str, labels: str, help: str, buckets: tuple[float, ...]) -> Metric:
    return Metric(name, Type.HISTOGRAM, tuple(labels.split()), "seconds", help, buckets=buckets)


# -- operations of the application
OPERATIONS = _counter(
    "shadow_operations_total", "entity op phase store outcome", "Operations that the application made."
)
OPERATION_SECONDS = _histogram(
    "shadow_operation_seconds", "entity op phase store", "What a caller waited for an operation.", _CALL
)
DIRECT = _counter(
    "shadow_direct_total",
    "entity",
    "Calls and cursors that the driver was asked for directly, while nothing but legacy had a part in them.",
)
MARK_SECONDS = _histogram("shadow_mark_seconds", "entity", "What of a write its mark took.", _CALL)
SYNC_WAIT_SECONDS = _histogram("shadow_sync_wait_seconds", "entity", "What of a write its awaited sync took.", _CALL)
UNSUPPORTED = _counter(
    "shadow_unsupported_total",
    "entity name",
    "Operations that new cannot serve yet, by the operation's or operator's name.",
)

# -- keeping the stores equal
OPEN_MARKS = _gauge("shadow_open_marks", "entity", "Marks that no sync has closed.", "mostrecent")
OLDEST_MARK_SECONDS = _gauge(
    "shadow_oldest_mark_seconds", "entity", "Age of the oldest open mark.", "mostrecent", "seconds"
)
REFUSED_KEYS = _gauge("shadow_refused_keys", "entity", "Keys whose record the follower refuses.", "mostrecent")
DEBTS = _gauge("shadow_debts", "entity", "Verifies that are owed.", "mostrecent")
JOURNAL_BYTES = _gauge(
    "shadow_journal_bytes", "", "Size of the journal of marks that PostgreSQL has not taken.", "livesum", "bytes"
)
SYNC_QUEUE_KEYS = _gauge("shadow_sync_queue_keys", "entity", "Keys that wait for a sync.", "livesum")
SYNC_QUEUE_BYTES = _gauge(
    "shadow_sync_queue_bytes", "entity", "Bytes that the queue of syncs holds.", "livesum", "bytes"
)
SYNCS = _counter("shadow_syncs_total", "entity outcome", "Syncs: ok, refused, failed, or put off to the reconciler.")
REFUSED = _counter("shadow_refused_total", "entity kind", "Records that the follower refused, by what it objects to.")

# -- comparing
COMPARED_SECONDS = _histogram(
    "shadow_compared_seconds", "entity op store", "What the store that does not answer took for a comparison.", _CALL
)
COMPARISONS = _counter(
    "shadow_comparisons_total",
    "entity part",
    "Comparisons sampled, and how each ended: compared, shed, errored, expired.",
)
MISMATCHES = _counter("shadow_mismatches_total", "entity kind state", "Compared differences.")
MISMATCH_RATE_UPPER = _gauge(
    "shadow_mismatch_rate_upper", "entity", "Upper confidence bound of the confirmed mismatch rate.", "livemax", "ratio"
)
SAMPLES_DROPPED = _counter("shadow_samples_dropped_total", "entity", "Samples of mismatches that were not stored.")

# -- the fleet
PHASE = _gauge(
    "shadow_phase",
    "entity",
    "Settled phase: 0 legacy, 1 dual_write, 2 shadow_read, 3 read_new, 4 write_new, 5 new.",
    "mostrecent",
)
EPOCH = _gauge("shadow_epoch", "entity", "Epoch that this process acts under.", "mostrecent")
GATE_BLOCKED = _gauge("shadow_gate_blocked", "entity gate", "1 while this gate blocks the next phase.", "mostrecent")
BREAKER_OPEN = _gauge(
    "shadow_breaker_open", "entity", "1 while the breaker holds the entity where legacy answers.", "mostrecent"
)
FENCE_SECONDS = _histogram("shadow_fence_seconds", "entity", "How long a fence held the callers.", _PAUSE)
LEASE_AGE_SECONDS = _gauge(
    "shadow_lease_age_seconds", "", "Time since the lease was last renewed.", "livemax", "seconds"
)
CONNECTIONS = _gauge("shadow_connections", "store", "Connections that Shadow holds itself.", "livesum")

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
