"""What is told of one entity's comparisons: metrics, samples, log, and the bound that the gate looks at."""

from __future__ import annotations

from shadow.compare.confidence import RateBound
from shadow.compare.judge import Verdict
from shadow.compare.kinds import State
from shadow.compare.redact import key_hash
from shadow.compare.samples import Sampler
from shadow.compare.worker import Comparison
from shadow.logs import log
from shadow.metrics.sink import Sink
from shadow.metrics.table import COMPARED_SECONDS, MISMATCH_RATE_UPPER, MISMATCHES, UNSUPPORTED
from shadow_adapters.failures import CommandFailure


class Report:
    """Takes a comparer's verdicts and errors.

    Args:
        entity: the entity's name.
        sink: where metrics go.
        sampler: holds mismatches to be stored.
        bound: the running bound of the confirmed mismatch rate. Inconclusive verdicts do not count.
    """

    def __init__(self, entity: str, sink: Sink, sampler: Sampler, bound: RateBound) -> None:
        self._entity = entity
        self._sink = sink
        self._sampler = sampler
        self._bound = bound

    def verdict(self, comparison: Comparison, verdict: Verdict, seconds: float | None) -> None:
        """A comparison was made; the store took so many seconds, where it was asked for this alone."""
        if seconds is not None:
            self._sink.observe(COMPARED_SECONDS, (self._entity, comparison.op, comparison.asked), seconds)
        if verdict.conclusive:
            self._bound.observe(verdict.state is State.CONFIRMED)
        found, state = verdict.difference, verdict.state
        if found is None or state is None:
            return
        self._sink.add(MISMATCHES, (self._entity, found.kind.value, state.value))
        if not self._sampler.take(comparison.op, verdict):
            return  # a storm of mismatches is neither a storm of samples nor of log lines
        tell = log.warning if state is State.CONFIRMED else log.debug
        tell(
            "mismatch",
            entity=self._entity,
            op=comparison.op,
            kind=found.kind.value,
            state=state.value,
            path=found.path,
            key_hash=key_hash(verdict.key),
        )

    def error(self, comparison: Comparison, error: BaseException) -> None:
        """A comparison could not be made, or its repair could not be begun."""
        if isinstance(error, CommandFailure) and error.unsupported is not None:
            self._sink.add(UNSUPPORTED, (self._entity, error.unsupported))
        log.debug("comparison failed", entity=self._entity, op=comparison.op, store=comparison.asked, error=error)

    async def flush(self) -> None:
        """Publish the bound and store the samples. To be called every few seconds. Raises what the store raises."""
        self._sink.set(MISMATCH_RATE_UPPER, (self._entity,), self._bound.upper)
        await self._sampler.flush()
