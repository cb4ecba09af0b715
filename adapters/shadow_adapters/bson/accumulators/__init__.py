"""MongoDB's accumulators: one value gathered from the documents of a group or a window."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from shadow_adapters.bson.accumulators.base import Accumulator, Factory, Maker
from shadow_adapters.bson.accumulators.plain import PLAIN
from shadow_adapters.bson.accumulators.ranked import RANKED
from shadow_adapters.bson.expression import compiler
from shadow_adapters.bson.limits import check_depth
from shadow_adapters.failures import CommandFailure

__all__ = ["ACCUMULATORS", "Accumulator", "Factory", "compile_accumulator"]

ACCUMULATORS: Final[Mapping[str, Maker]] = {**PLAIN, **RANKED}
"""All accumulators by name."""


def compile_accumulator(spec: Any, names: Collection[str] = ()) -> Factory:
    """What makes an accumulator, one for each group, from its document form (``{"$sum": "$a"}``).

    Args:
        names: the variables in scope beside the system's.

    Raises `CommandFailure`: 40234 for no document, 40238 for other than one name, 15952 for an unknown one (with
    ``unsupported`` for what MongoDB has and this store does not), and what expressions raise.
    """
    if not isinstance(spec, Mapping):
        raise CommandFailure(40234, "The field must be an accumulator object")
    if len(spec) != 1:
        raise CommandFailure(40238, "The field must specify one accumulator")
    check_depth(spec)
    name, argument = next(iter(spec.items()))
    maker = ACCUMULATORS.get(name)
    if maker is None:
        unsupported = name if name in ("$accumulator", "$concatArrays", "$setUnion") else None
        raise CommandFailure(15952, f"unknown group operator '{name}'", unsupported=unsupported)
    return maker(name, argument, compiler(names))
