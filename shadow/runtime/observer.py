"""Tells metrics and logs what the protocol does."""

from __future__ import annotations

from shadow.logs import log
from shadow.metrics import table
from shadow.metrics.sink import Sink
from shadow.protocol.backfill import Progress
from shadow.protocol.verify import Report
from shadow_adapters.contract import Transition


class Told:
    """`shadow.protocol.node.Observer` over a metrics sink and the log. Remembers what blocks, for `shadow status`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.blocked: dict[str, tuple[str, ...]] = {}
        self.fences: list[tuple[str, float, bool]] = []
        self.backfills: dict[str, Progress] = {}
        self.reports: dict[str, Report] = {}

    def synced(self, entity: str, keys: int, seconds: float) -> None:
        self._sink.add(table.SYNCS, (entity, "ok"), keys)

    def refused(self, entity: str, kind: str) -> None:
        self._sink.add(table.SYNCS, (entity, "refused"))
        self._sink.add(table.REFUSED, (entity, kind))

    def failed(self, entity: str, keys: int) -> None:
        self._sink.add(table.SYNCS, (entity, "failed"), keys)

    def waiting(self, entity: str, why: tuple[str, ...]) -> None:
        if why and why != self.blocked.get(entity):
            log.info("step waits", entity=entity, reason="; ".join(why))
        self.blocked[entity] = why

    def moved(self, change: Transition) -> None:
        self.blocked[change.entity] = ()
        log.info(
            "phase", entity=change.entity, phase=change.phase, step=change.step, stage=change.stage, reason=change.why
        )

    def fenced(self, entity: str, seconds: float, moved: bool) -> None:
        self.fences.append((entity, seconds, moved))
        self._sink.observe(table.FENCE_SECONDS, (entity,), seconds)

    def backfilled(self, entity: str, progress: Progress) -> None:
        self.backfills[entity] = progress

    def verified(self, entity: str, report: Report, done: bool) -> None:
        self.reports[entity] = report
        if done:
            log.info("verified", entity=entity, count=report.compared, state="clean" if report.clean else "repaired")
