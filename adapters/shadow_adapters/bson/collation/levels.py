"""How finely a collation looks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels at which texts are told apart.

    ``strength``: 1 by their letters, 2 by accents too, 3 by everything. ``case``: by case whatever the strength.
    ``numbers``: digits are numbers, without the noughts before them.
    """

    strength: int
    case: bool = False
    numbers: bool = False
