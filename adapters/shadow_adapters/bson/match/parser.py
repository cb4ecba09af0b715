"""From a filter document to a predicate over documents: the tables of operators, and the walk that looks them up.

A new operator is one function in its family's file and one line in a table here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.match.arrays import all_of, elem_match, size
from shadow_adapters.bson.match.bits import bits
from shadow_adapters.bson.match.comparison import equal, not_equal, not_one_of, one_of, ordered, plain
from shadow_adapters.bson.match.element import exists, of_type
from shadow_adapters.bson.match.expr import expression_holds
from shadow_adapters.bson.match.logical import all_filters, any_filter, negation, no_filter
from shadow_adapters.bson.match.modulo import modulo
from shadow_adapters.bson.match.refused import refuse
from shadow_adapters.bson.match.regex import from_options, from_regex
from shadow_adapters.bson.match.sampling import sampled
from shadow_adapters.bson.match.schema import compile_schema
from shadow_adapters.bson.match.test import All, DocumentPredicate, Test, every
from shadow_adapters.bson.paths import REFERENCE_FIELDS, SCALARS

FieldOperator = Callable[[str, Any, Mapping[str, Any], "Parser"], Test | None]
FilterOperator = Callable[[str, Any, "Parser"], DocumentPredicate]

FIELD_OPERATORS: Final[dict[str, FieldOperator]] = {
    "$eq": lambda _, argument, _whole, parser: equal(argument, parser.collation),
    "$ne": lambda _, argument, _whole, parser: not_equal(argument, parser.collation),
    "$gt": lambda name, argument, _whole, parser: ordered(name, argument, parser.collation),
    "$gte": lambda name, argument, _whole, parser: ordered(name, argument, parser.collation),
    "$lt": lambda name, argument, _whole, parser: ordered(name, argument, parser.collation),
    "$lte": lambda name, argument, _whole, parser: ordered(name, argument, parser.collation),
    "$in": lambda name, argument, _whole, parser: one_of(name, argument, parser.collation),
    "$nin": lambda name, argument, _whole, parser: not_one_of(name, argument, parser.collation),
    "$exists": lambda _, argument, _whole, _parser: exists(argument),
    "$type": lambda _, argument, _whole, _parser: of_type(argument),
    "$bitsAllSet": lambda name, argument, _whole, _parser: bits(name, argument),
    "$bitsAnySet": lambda name, argument, _whole, _parser: bits(name, argument),
    "$bitsAllClear": lambda name, argument, _whole, _parser: bits(name, argument),
    "$bitsAnyClear": lambda name, argument, _whole, _parser: bits(name, argument),
    "$mod": lambda _, argument, _whole, _parser: modulo(argument),
    "$regex": lambda _, argument, whole, _parser: from_regex(argument, whole),
    "$options": lambda _, _argument, whole, _parser: from_options(whole),
    "$size": lambda _, argument, _whole, _parser: size(argument),
    "$all": lambda _, argument, _whole, parser: all_of(argument, parser),
    "$elemMatch": lambda _, argument, _whole, parser: elem_match(argument, parser),
    "$not": lambda _, argument, _whole, parser: negation(argument, parser),
}
"""What may stand beside a field: name, argument, the whole condition, parser. None adds nothing."""

FILTER_OPERATORS: Final[dict[str, FilterOperator]] = {
    "$and": all_filters,
    "$or": any_filter,
    "$nor": no_filter,
    "$expr": lambda _, argument, parser: expression_holds(argument, parser.variables, parser.collation),
    "$sampleRate": lambda _, argument, _parser: sampled(argument),
    "$jsonSchema": lambda _, argument, _parser: compile_schema(argument),
    "$comment": lambda _, _argument, _parser: lambda _document: True,
}
"""What may stand in the place of a field."""


class Parser:
    """Compiles filters and conditions; the families' operators come back to it for what is nested in them.

    ``variables``: those that ``$expr`` may use, with their values. ``collation``: how texts compare.
    """

    __slots__ = ("collation", "variables")

    variables: Mapping[str, Any]
    collation: Collation

    def __init__(self, variables: Mapping[str, Any], collation: Collation = SIMPLE) -> None:
        self.variables = variables
        self.collation = collation

    def filter(self, filter: Mapping[str, Any]) -> DocumentPredicate:
        """The predicate of a whole filter document. Raises `CommandFailure`."""
        return every([self._clause(name, argument) for name, argument in filter.items()])

    def _clause(self, name: str, argument: Any) -> DocumentPredicate:
        if name.startswith("$") and name not in REFERENCE_FIELDS:
            operator = FILTER_OPERATORS.get(name)
            if operator is None:
                refuse(name, f"unknown top level operator: {name}")
            return operator(name, argument, self)
        test = self.field(argument) if is_condition(argument) else plain(argument, self.collation)
        return test.over(name)

    def field(self, condition: Mapping[str, Any]) -> Test:
        """The test of a document of operators, such as ``{"$gt": 4, "$lt": 6}``. Raises `CommandFailure`."""
        tests = []
        for name, argument in condition.items():
            operator = FIELD_OPERATORS.get(name)
            if operator is None:
                refuse(name, f"unknown operator: {name}")
            test = operator(name, argument, condition, self)
            if test is not None:
                tests.append(test)
        return tests[0] if len(tests) == 1 else All(tuple(tests))


def is_condition(value: Any) -> bool:
    """Whether a field's value in a filter is a document of operators, and not a document to be equal to."""
    if type(value) in SCALARS or not isinstance(value, Mapping):
        return False
    return next(iter(value), "").startswith("$") and not ("$ref" in value and "$id" in value)
