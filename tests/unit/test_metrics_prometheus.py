"""The Prometheus sink: names, bounded labels, many processes, forks, the endpoint."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from shadow.metrics import prometheus
from shadow.metrics.http import serve
from shadow.metrics.prometheus import LIMITS, PrometheusSink
from shadow.metrics.record import OperationRecord
from shadow.metrics.sink import Fanout, Sink
from shadow.metrics.table import METRICS, OPEN_MARKS, SYNCS, UNSUPPORTED, Metric, Type

RECORD = OperationRecord("agents", "update_one", "read_new", "legacy", "ok", 0.003, 0.001, 0.0005)
CALL = {"entity": "agents", "op": "update_one", "phase": "read_new", "store": "legacy"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def sink(registry: CollectorRegistry) -> PrometheusSink:
    return PrometheusSink(registry)


def measure(sink: Sink, metric: Metric) -> None:
    """One measurement of any metric, with some value in every label."""
    take = {Type.COUNTER: sink.add, Type.GAUGE: sink.set, Type.HISTOGRAM: sink.observe}[metric.type]
    take(metric, tuple(f"some_{label}" for label in metric.labels), 2.0)


def test_an_operation_is_counted_and_timed(sink: PrometheusSink, registry: CollectorRegistry) -> None:
    sink.operation(RECORD)
    sink.operation(RECORD._replace(outcome="failed", mark_seconds=None, sync_seconds=None))
    assert registry.get_sample_value("shadow_operations_total", {**CALL, "outcome": "ok"}) == 1
    assert registry.get_sample_value("shadow_operations_total", {**CALL, "outcome": "failed"}) == 1
    assert registry.get_sample_value("shadow_operation_seconds_count", CALL) == 2
    assert registry.get_sample_value("shadow_operation_seconds_bucket", {**CALL, "le": "0.0025"}) == 0
    assert registry.get_sample_value("shadow_operation_seconds_bucket", {**CALL, "le": "0.005"}) == 2
    assert registry.get_sample_value("shadow_mark_seconds_sum", {"entity": "agents"}) == 0.001
    assert registry.get_sample_value("shadow_sync_wait_seconds_count", {"entity": "agents"}) == 1


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_of_the_table_can_be_measured_and_is_exposed_by_its_name(
    metric: Metric, sink: PrometheusSink, registry: CollectorRegistry
) -> None:
    measure(sink, metric)
    suffix = "_sum" if metric.type is Type.HISTOGRAM else ""
    labels = {label: f"some_{label}" for label in metric.labels}
    assert registry.get_sample_value(metric.name + suffix, labels) == 2.0


def test_the_table_is_consistent() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.startswith("shadow_") and metric.help.endswith(".")
        assert (metric.type is Type.COUNTER) == metric.name.endswith("_total")
        assert (metric.type is Type.HISTOGRAM) == bool(metric.buckets)
        assert metric.unit in {"", "seconds", "bytes", "ratio"}
        assert metric.unit in {"", "ratio"} or metric.name.endswith(f"_{metric.unit}")


def test_a_label_beyond_its_limit_is_counted_as_other(sink: PrometheusSink, registry: CollectorRegistry) -> None:
    for i in range(LIMITS["op"] + 50):
        for _ in range(2):
            sink.operation(RECORD._replace(op=f"op{i}"))
            sink.add(UNSUPPORTED, ("agents", f"$op{i}"))
    labels = {**CALL, "outcome": "ok"}
    assert registry.get_sample_value("shadow_operations_total", {**labels, "op": "op0"}) == 2
    assert registry.get_sample_value("shadow_operations_total", {**labels, "op": "other"}) == 100
    assert registry.get_sample_value("shadow_operations_total", {**labels, "op": "op149"}) is None
    assert registry.get_sample_value("shadow_unsupported_total", {"entity": "agents", "name": "$op149"}) == 2


def test_unbounded_names_do_not_fill_the_memory(sink: PrometheusSink, registry: CollectorRegistry) -> None:
    for i in range(LIMITS["entity"]):
        sink.set(OPEN_MARKS, (f"tenant{i}",), 1)
        sink.operation(RECORD._replace(entity=f"tenant{i}"))
    sink.set(OPEN_MARKS, ("one more",), 1)
    sink.operation(RECORD._replace(entity="one more"))
    exposed = len(generate_latest(registry))
    held = len(sink._children) + len(sink._operations)
    for i in range(1000):
        sink.set(OPEN_MARKS, (f"another{i}",), 1)
        sink.operation(RECORD._replace(entity=f"another{i}"))
    assert abs(len(generate_latest(registry)) - exposed) < 200  # only digits of counts
    assert len(sink._children) + len(sink._operations) == held and not sink._told


def test_wrong_labels_are_an_error(sink: PrometheusSink) -> None:
    with pytest.raises(ValueError):
        sink.add(SYNCS, ("agents",))


def test_several_sinks_as_one() -> None:
    registries = [CollectorRegistry(), CollectorRegistry()]
    both = Fanout([PrometheusSink(each) for each in registries])
    both.operation(RECORD)
    for metric in METRICS:
        measure(both, metric)
    assert generate_latest(registries[0]).count(b"some_entity") > 20
    for each in registries:
        assert each.get_sample_value("shadow_operations_total", {**CALL, "outcome": "ok"}) == 1
        assert each.get_sample_value("shadow_open_marks", {"entity": "some_entity"}) == 2
        assert each.get_sample_value("shadow_fence_seconds_count", {"entity": "some_entity"}) == 1


def test_the_endpoint_answers_until_it_is_closed() -> None:
    prometheus.sink().set(OPEN_MARKS, ("endpoint",), 7)
    server = serve(0)
    address = f"http://127.0.0.1:{server.port}/metrics"
    try:
        with urllib.request.urlopen(address) as reply:
            assert b'shadow_open_marks{entity="endpoint"} 7.0' in reply.read()
    finally:
        server.close()
    assert b'shadow_open_marks{entity="endpoint"} 7.0' in prometheus.render()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address)


FORKING = """
import os, sys
from shadow.metrics import prometheus
from shadow.metrics.record import OperationRecord
from shadow.metrics.table import CONNECTIONS, EPOCH

def count(times):
    sink = prometheus.sink()
    for _ in range(times):
        sink.operation(OperationRecord("agents", "find_one", "new", "new", "ok", 0.001))
    sink.set(CONNECTIONS, ("postgres",), times)
    sink.set(EPOCH, ("agents",), 3)

count(1)
counted, go_on = os.pipe()
children = []
for times in (10, 100):
    waits, releases = os.pipe()  # a pipe for each: one of the two must not take the other's turn
    child = os.fork()
    if child == 0:
        os.close(releases)
        count(times)
        os.write(go_on, b"x")
        os.read(waits, 1)
        os.write(2, b"child:" + prometheus.render())
        os._exit(0)
    children.append((child, releases))
for _ in children:
    os.read(counted, 1)
sys.stdout.buffer.write(prometheus.render())
sys.stdout.flush()
for child, releases in children:
    os.write(releases, b"x")
    os.waitpid(child, 0)
"""


def values(text: str) -> dict[str, list[float]]:
    """Every exposed value by its series' name."""
    result: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            result.setdefault(sample.name, []).append(sample.value)
    return result


def forked(environment: dict[str, str]) -> tuple[str, str]:
    """What a parent that counted 1 shows, and what its children that counted 10 and 100 show."""
    done = subprocess.run(
        [sys.executable, "-c", FORKING],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, done.stderr


def test_a_forked_child_counts_for_itself() -> None:
    parent, children = forked({})
    assert values(parent)["shadow_operations_total"] == [1]
    counts = [values(text)["shadow_operations_total"] for text in children.split("child:")[1:]]
    assert sorted(counts) == [[10], [100]]


def test_processes_that_share_a_folder_are_joined(tmp_path: Path) -> None:
    parent, children = forked({"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})
    for text in (parent, *children.split("child:")[1:]):
        shown = values(text)
        assert shown["shadow_operations_total"] == [111]
        assert shown["shadow_operation_seconds_count"] == [111]
        assert shown["shadow_epoch"] == [3]
    assert values(parent)["shadow_connections"] == [111]
