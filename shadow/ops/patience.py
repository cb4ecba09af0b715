"""How long a caller waits for the store's answer, where it is not for ever: the driver's ways to say so."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from pymongo import _csot


@dataclass(frozen=True, slots=True)
class Patience:
    """What a caller gave a call.

    Attributes:
        deadline: on the clock of `time.monotonic`: ``pymongo.timeout`` around the call, or the client's ``timeoutMS``.
        answer: seconds for one answer: the client's ``socketTimeoutMS``.
    """

    deadline: float = math.inf
    answer: float = math.inf

    @property
    def left(self) -> float:
        """Seconds for the answer that is asked for now; none where they are not positive."""
        return min(self.answer, self.deadline - time.monotonic())


class Patient:
    """What the calls of one client are given.

    As the driver has it (PyMongo 4.20, ``_csot.apply``, ``pool.apply_timeout``): ``timeoutMS`` counts outside of
    ``pymongo.timeout``, and ``socketTimeoutMS`` outside of both. Zero is none.

    Args:
        client: PyMongo's, Motor's ``delegate``.
    """

    __slots__ = ("_answer", "_timeout")

    def __init__(self, client: Any) -> None:
        options = client.options
        self._timeout = options.timeout
        seconds = options.pool_options.socket_timeout
        self._answer = Patience(answer=seconds) if seconds else None

    def now(self) -> Patience | None:
        """What a call that begins now is given; None where the driver would wait for ever. In the caller's context."""
        around = _csot.get_timeout()
        if around:
            return Patience(deadline=_csot.get_deadline())
        if around is None and self._timeout:
            return Patience(deadline=time.monotonic() + self._timeout)
        return self._answer
