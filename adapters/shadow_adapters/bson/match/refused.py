"""Operators of filters that MongoDB has and this store does not serve: each is refused by name.

MongoDB needs an index for some of them, and without it fails with a code of its own, which is told here too.
"""

from __future__ import annotations

from typing import Final, NoReturn

from shadow_adapters.failures import CommandFailure

_BAD_VALUE: Final = 2
_WITHOUT_INDEX: Final[dict[str, tuple[int, str]]] = {
    "$text": (27, "text index required for $text query"),
    "$near": (291, "unable to find index for $geoNear query"),
    "$nearSphere": (291, "unable to find index for $geoNear query"),
}
_OTHERS: Final[dict[str, str]] = {
    "$where": "no globalScriptEngine in $where parsing",
    "$geoWithin": "shapes are not served",
    "$within": "shapes are not served",
    "$geoIntersects": "shapes are not served",
}


def refuse(operator: str, otherwise: str) -> NoReturn:
    """Raises `CommandFailure`, with ``unsupported`` where the operator's name has a dollar.

    ``otherwise``: what MongoDB says of an operator that it does not know.
    """
    code, why = _WITHOUT_INDEX.get(operator, (_BAD_VALUE, _OTHERS.get(operator, otherwise)))
    # a field's name among operators is a mistake in MongoDB too
    raise CommandFailure(code, why, unsupported=operator if operator.startswith("$") else None)
