"""MongoDB's replies: errors of a command and of single writes, as the wire carries them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId

from shadow_adapters.failures import CommandFailure, Refused

Reply = dict[str, Any]

CODE_NAMES: Final[dict[int, str]] = {
    2: "BadValue",
    9: "FailedToParse",
    14: "TypeMismatch",
    15: "Overflow",
    27: "IndexNotFound",
    28: "PathNotViable",
    40: "ConflictingUpdateOperators",
    48: "NamespaceExists",
    50: "MaxTimeMSExpired",
    52: "DollarPrefixedFieldName",
    53: "InvalidIdField",
    54: "NotSingleValueField",
    56: "EmptyFieldName",
    57: "DottedFieldName",
    59: "CommandNotFound",
    66: "ImmutableField",
    67: "CannotCreateIndex",
    72: "InvalidOptions",
    85: "IndexOptionsConflict",
    86: "IndexKeySpecsConflict",
    112: "WriteConflict",
    115: "CommandNotSupported",
    121: "DocumentValidationFailure",
    168: "InvalidPipelineOperator",
    171: "CannotIndexParallelArrays",
    224: "QueryFeatureNotAllowed",
    251: "NoSuchTransaction",
    291: "NoQueryExecutionPlans",
    10334: "BSONObjectTooLarge",
    11000: "DuplicateKey",
}

DUPLICATE_KEY: Final = 11000
VALIDATION: Final = 121


def code_name(code: int) -> str:
    """The server's name of an error code."""
    return CODE_NAMES.get(code, f"Location{code}")


def failed(failure: CommandFailure) -> Reply:
    """The reply of a command that failed as a whole; ``unsupported`` names what this store does not serve."""
    reply: Reply = {"ok": 0.0, "errmsg": failure.message, "code": failure.code, "codeName": code_name(failure.code)}
    return reply | _details(failure)


def write_error(index: int, failure: CommandFailure) -> Reply:
    """One entry of ``writeErrors``."""
    return {"index": index, "code": failure.code, "errmsg": failure.message} | _details(failure)


def _details(failure: CommandFailure) -> dict[str, Any]:
    named = {} if failure.unsupported is None else {"unsupported": failure.unsupported}
    return failure.details | named


def duplicate_key(namespace: str, index: str, values: Mapping[str, Any]) -> CommandFailure:
    """E11000 as MongoDB words it, with ``keyPattern`` and ``keyValue``."""
    shown = ", ".join(f"{path}: {shell(value)}" for path, value in values.items())
    message = f"E11000 duplicate key error collection: {namespace} index: {index} dup key: {{ {shown} }}"
    details = {"keyPattern": dict.fromkeys(values, 1), "keyValue": dict(values)}
    return CommandFailure(DUPLICATE_KEY, message, details=details)


def invalid(refused: Refused) -> CommandFailure:
    """The error for a record that the table itself refuses: a constraint, a length, a type."""
    message = f"Document failed validation: {refused.reason}"
    return CommandFailure(VALIDATION, message, details={"errInfo": {"kind": refused.kind, "reason": refused.reason}})


def shell(value: Any) -> str:
    """A value in MongoDB's shell notation."""
    kind = type(value)
    if kind is str:
        return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is ObjectId:
        return f"ObjectId('{value}')"
    if kind is DatetimeMS:
        return f"new Date({int(value)})"
    if kind is Decimal128:
        return f'NumberDecimal("{value}")'
    if kind is int or kind is Int64 or kind is float:
        return f"{value}"
    if kind is dict:
        return "{ " + ", ".join(f"{name}: {shell(field)}" for name, field in value.items()) + " }"
    if kind is list:
        return "[ " + ", ".join(map(shell, value)) + " ]"
    if kind is bytes or kind is Binary:
        return f"BinData({value.subtype if kind is Binary else 0}, {value.hex().upper()})"
    return f"{value}"
