"""The dashboard and the alert rules name only metrics and labels that exist, and leave no metric out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shadow.metrics.table import METRICS, Metric, Type

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
TABLE = {metric.name: metric for metric in METRICS}
SCRAPED = {"instance", "job"}  # labels that Prometheus itself adds

_SELECTOR = re.compile(r"\b(shadow_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_TEMPLATE = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")


def block(lines: list[tuple[int, str]]) -> Any:
    """The value of an indented block of YAML: mappings, lists and plain one-line texts, which is all that is used."""
    if lines[0][1].startswith("- "):
        starts = [i for i, (indent, text) in enumerate(lines) if indent == lines[0][0] and text.startswith("- ")]
        items = [lines[i:j] for i, j in zip(starts, [*starts[1:], len(lines)], strict=True)]
        return [block([(item[0][0] + 2, item[0][1][2:]), *item[1:]]) for item in items]
    result: dict[str, Any] = {}
    indent = lines[0][0]
    starts = [i for i, (depth, _) in enumerate(lines) if depth == indent]
    for i, j in zip(starts, [*starts[1:], len(lines)], strict=True):
        name, found, value = lines[i][1].partition(":")
        assert found and name not in result, f"not a field of its own: {lines[i][1]}"
        assert bool(value) != (j > i + 1), f"neither a text nor a block: {lines[i][1]}"
        assert ": " not in value[1:] and " #" not in value and value[:2] not in (" {", " [", ' "', " '"), value
        result[name] = value.strip() or block(lines[i + 1 : j])
    return result


def rules() -> list[dict[str, Any]]:
    text = (DASHBOARDS / "prometheus/rules.yaml").read_text(encoding="utf-8")
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines()]
    groups = block([(indent, line) for indent, line in lines if line and not line.startswith("#")])["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((DASHBOARDS / "grafana/shadow.json").read_text(encoding="utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str, str]]:
    """Where it stands, the expression, and the text whose placeholders it fills."""
    for rule in rules():
        yield rule["alert"], rule["expr"], " ".join(rule["annotations"].values())
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


def metric_of(series: str) -> Metric:
    """The metric of a series name. Fails for a name that no metric exposes."""
    stem = re.sub(r"_(bucket|sum|count)$", "", series)
    metric = TABLE.get(series) or TABLE.get(stem)
    assert metric is not None, f"no such metric: {series}"
    assert (metric.type is Type.HISTOGRAM) == (stem != series), f"{series} is not exposed by a {metric.type}"
    return metric


def check(expression: str, template: str) -> set[str]:
    """The metrics that the expression uses, all of whose names and labels are checked."""
    used: set[str] = set()
    labels = set(SCRAPED)
    for series, matchers in _SELECTOR.findall(expression):
        metric = metric_of(series)
        own = {*metric.labels, *SCRAPED}
        assert set(_MATCHER.findall(matchers)) <= own, f"{series} has no such labels: {matchers}"
        used.add(metric.name)
        labels |= own | ({"le"} if series.endswith("_bucket") else set())
    groupings = [re.split(r"[,\s]+", names.strip()) for names in _GROUPING.findall(expression)]
    for names in groupings:
        assert set(names) <= labels, f"no metric in {expression} has all of {names}"
    kept = set(groupings[0]) if groupings else set()
    assert set(_TEMPLATE.findall(template)) <= kept, f"{template} names labels that {expression} does not keep"
    assert used, f"no metric of Shadow in {expression}"
    assert expression.count("(") == expression.count(")") and expression.count("{") == expression.count("}")
    return used


@pytest.mark.parametrize(("title", "expression", "template"), list(queries()))
def test_every_metric_and_label_exists(title: str, expression: str, template: str) -> None:
    check(expression, template)


def test_the_dashboard_shows_every_metric() -> None:
    shown = {name for panel in panels() for target in panel["targets"] for name in check(target["expr"], "")}
    assert shown == set(TABLE)


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_says_what_to_do_and_how_bad_it_is() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "expression",
    [
        "sum by (entity) (shadow_no_such_thing)",
        'shadow_open_marks{store="new"}',
        "sum by (store) (shadow_open_marks)",
        "sum by (entity) (shadow_fence_seconds)",
        "sum by (entity) (shadow_open_marks_bucket)",
    ],
)
def test_a_mistake_would_be_found(expression: str) -> None:
    with pytest.raises(AssertionError):
        check(expression, "")
