"""All the operators that an expression may use, by name. A new one is a function in its family and a line there."""

from __future__ import annotations

from typing import Final

from shadow_adapters.bson.expression.angles import ANGLES
from shadow_adapters.bson.expression.arithmetic import ARITHMETIC
from shadow_adapters.bson.expression.arrays import ARRAYS
from shadow_adapters.bson.expression.bits import BITS
from shadow_adapters.bson.expression.boolean import BOOLEAN
from shadow_adapters.bson.expression.comparison import COMPARISON
from shadow_adapters.bson.expression.compiler import Operators
from shadow_adapters.bson.expression.conditional import CONDITIONAL
from shadow_adapters.bson.expression.conversions import CONVERSIONS
from shadow_adapters.bson.expression.dates import DATES
from shadow_adapters.bson.expression.elements import ELEMENTS
from shadow_adapters.bson.expression.meta import META
from shadow_adapters.bson.expression.objects import OBJECTS
from shadow_adapters.bson.expression.powers import POWERS
from shadow_adapters.bson.expression.regexes import REGEXES
from shadow_adapters.bson.expression.sets import SETS
from shadow_adapters.bson.expression.spans import SPANS
from shadow_adapters.bson.expression.statistics import STATISTICS
from shadow_adapters.bson.expression.strings import STRINGS
from shadow_adapters.bson.expression.timestamps import TIMESTAMPS
from shadow_adapters.bson.expression.variables import VARIABLES

OPERATORS: Final[Operators] = {
    **ANGLES,
    **ARITHMETIC,
    **BITS,
    **BOOLEAN,
    **COMPARISON,
    **CONDITIONAL,
    **ARRAYS,
    **ELEMENTS,
    **META,
    **OBJECTS,
    **REGEXES,
    **SETS,
    **STATISTICS,
    **CONVERSIONS,
    **DATES,
    **POWERS,
    **SPANS,
    **STRINGS,
    **TIMESTAMPS,
    **VARIABLES,
}
