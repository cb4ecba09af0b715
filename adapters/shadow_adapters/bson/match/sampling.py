"""``$sampleRate``: each document by itself is taken with a probability."""

from __future__ import annotations

import random
from typing import Any

from shadow_adapters.bson.match.test import DocumentPredicate
from shadow_adapters.bson.numbers import as_double, kind_of
from shadow_adapters.failures import CommandFailure


def sampled(rate: Any) -> DocumentPredicate:
    """The predicate of a rate. Raises `CommandFailure`: 14 for what is no number, 2 for one that is not in [0, 1]."""
    if kind_of(rate) is None:
        raise CommandFailure(14, "argument to $sampleRate must be a numeric type")
    share = as_double(rate)
    if not 0 <= share <= 1:
        raise CommandFailure(2, "numeric argument to $sampleRate must be in [0, 1]")
    return lambda _: random.random() < share
