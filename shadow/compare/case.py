"""A confirmed mismatch as a case: the query, and the records that it was about as each store had them.

Made where the mismatch is seen, before its repair, so that it can be replayed anywhere at any time. Values are
stand-ins unless the entity's samples are revealed. Only queries make cases, and only where the records that differ are
known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import Binary, json_util
from bson.codec_options import DatetimeConversion
from bson.json_util import JSONMode, JSONOptions

from shadow.compare.differ import difference
from shadow.compare.difference import Difference
from shadow.compare.kinds import RECORD, Call, Shape
from shadow.compare.standins import CannotHide, StandIns
from shadow_adapters.bson.codec import CODEC, decode, encode
from shadow_adapters.bson.match.text import uses_text

COLLECTION = "case"
"""What the collection is called in a case's command."""

_JSON = JSONOptions(
    json_mode=JSONMode.CANONICAL,
    tz_aware=False,
    uuid_representation=CODEC.uuid_representation,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)
_KEPT = ("filter", "sort", "projection", "skip", "limit", "singleBatch")
_LOOKING_INSIDE = ("collation", "let", "min", "max")
_LONGEST = 32 * 1024  # bytes of a case as JSON


@dataclass(frozen=True, slots=True)
class Case:
    """What is needed to ask both stores again.

    Attributes:
        op: the operation's name.
        kind, path: of the difference.
        call: what the query promises of its answer.
        command: the ``find``, of the collection `COLLECTION`.
        legacy, new: the records as each store had them.
        authority: the store that was the authority.
        revealed: the values are the application's own.
    """

    op: str
    kind: str
    path: str
    call: Call
    command: Mapping[str, Any]
    legacy: Sequence[Mapping[str, Any]]
    new: Sequence[Mapping[str, Any]]
    authority: str
    revealed: bool

    def dump(self) -> str:
        """The case as extended JSON."""
        call = {"shape": self.call.shape.value, "sort": [list(each) for each in self.call.sort]}
        fields = {
            "op": self.op,
            "kind": self.kind,
            "path": self.path,
            "call": {**call, "chosen": self.call.chosen},
            "command": _written(self.command),
            "legacy": list(self.legacy),
            "new": list(self.new),
            "authority": self.authority,
            "revealed": self.revealed,
        }
        return json_util.dumps(fields, json_options=_JSON)

    @classmethod
    def load(cls, text: str) -> Case:
        """The case of its extended JSON. Raises `ValueError` or `KeyError` for what is none."""
        fields = json_util.loads(text, json_options=_JSON)
        call = fields.pop("call")
        sort = tuple((str(path), int(way)) for path, way in call["sort"])
        command = _read(fields.pop("command"))
        return cls(call=Call(Shape(call["shape"]), sort, call["chosen"]), command=command, **fields)


def _written(command: Mapping[str, Any]) -> Any:
    """A command for extended JSON, in which some operators (``$regex``) mean values: then its BSON."""
    if json_util.loads(json_util.dumps(command, json_options=_JSON), json_options=_JSON) == command:
        return command
    return Binary(encode(command))


def _read(written: Any) -> Mapping[str, Any]:
    return decode(written) if isinstance(written, bytes) else written


def made(
    op: str,
    call: Call,
    command: Mapping[str, Any],
    found: Difference,
    legacy: Sequence[Mapping[str, Any]],
    new: Sequence[Mapping[str, Any]],
    authority: str,
    *,
    revealed: bool,
) -> Case | None:
    """The case of a difference; None where none can be made of it, or where stand-ins would not show it."""
    if "find" not in command or not (legacy or new) or uses_text(command.get("filter") or {}):
        return None  # a search is nothing without the collection's own index
    query = decode(encode({COLLECTION: {name: command[name] for name in _KEPT if name in command}}))[COLLECTION]
    looking = {name: command[name] for name in _LOOKING_INSIDE if name in command}
    if revealed:
        query |= looking
    else:
        try:
            query, legacy, new = _hidden(query, looking, found, legacy, new)
        except CannotHide:
            return None
    asked = {"find": COLLECTION, **query}
    case = Case(op, found.kind, found.path, call, asked, legacy, new, authority, revealed)
    return case if len(case.dump()) <= _LONGEST else None


def _hidden(
    query: Mapping[str, Any],
    looking: Mapping[str, Any],
    found: Difference,
    legacy: Sequence[Mapping[str, Any]],
    new: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], list[Any], list[Any]]:
    projection = query.get("projection") or {}
    if looking or not all(isinstance(value, int | float) for value in projection.values()):
        raise CannotHide("an option")
    seen = [_as_stored(side) for side in (found.authority, found.follower)]
    filter = query.get("filter", {})
    stand_ins = StandIns([*legacy, *new, *seen], [filter])
    if difference(RECORD, *(stand_ins.document(side) for side in seen)) is None:
        raise CannotHide("the difference")
    return (
        {**query, "filter": stand_ins.filter(filter)},
        [stand_ins.document(record) for record in legacy],
        [stand_ins.document(record) for record in new],
    )


def _as_stored(side: Any) -> Any:
    """A side of a difference as a store's record, whatever types the application's codec makes. Raises `CannotHide`."""
    if side is None:
        return None
    if not isinstance(side, Mapping):
        raise CannotHide("what is no record")
    return decode(encode(side))
