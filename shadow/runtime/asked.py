"""Whether new answers the calls that it is asked for: what the breaker looks at."""

from __future__ import annotations

from types import TracebackType

from shadow.metrics.recent import Recent
from shadow_adapters.failures import EpochMoved, NotReadable, OutcomeUnknown, OutOfTime, StoreDown

_NEITHER = (NotReadable, EpochMoved, OutOfTime)
"""New is well and may not answer, or the caller waits no longer."""


class Asked:
    """Counts the call on new in a ``with`` block; passes on what it raises. A refusal is an answer."""

    __slots__ = ("_answers",)

    def __init__(self, answers: Recent) -> None:
        self._answers = answers

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, Exception) and not isinstance(error, _NEITHER)):
            self._answers.observe(isinstance(error, (StoreDown, OutcomeUnknown)))
