"""ObjectIds in ``uuid`` columns: a fixed, reversible embedding that keeps their order.

The 24 hexadecimal digits of the ObjectId fill a UUIDv8 from the left, around the two digits that the standard fixes
(version and variant, both 8), and six digits of marker end it. Every part but the ObjectId is constant, so the order of
the UUIDs is the order of the ObjectIds, and SQL can undo it with ``substr``.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from bson.objectid import ObjectId

from shadow_adapters.bson import keys

MARKER: Final = "5d0c1d"


def to_uuid(id: ObjectId) -> UUID:
    """The UUID in whose column the ObjectId lies."""
    digits = id.binary.hex()
    return UUID(f"{digits[:12]}8{digits[12:15]}8{digits[15:]}{MARKER}")


def from_uuid(uuid: UUID) -> ObjectId | None:
    """The ObjectId of an embedding; None for a UUID of the application's own."""
    digits = uuid.bytes.hex()
    if digits[12] != "8" or digits[16] != "8" or digits[26:] != MARKER:
        return None
    return ObjectId(digits[:12] + digits[13:16] + digits[17:26])


def is_embedded_sql(column: str) -> str:
    """SQL for whether a ``uuid`` column's value is an ObjectId."""
    raw = f"uuid_send({column})"
    fixed = f"get_byte({raw}, 6) >> 4 = 8 AND get_byte({raw}, 8) >> 4 = 8"
    return f"(substr({raw}, 14) = '\\x{MARKER}' AND {fixed})"


_DIGITS = "encode(uuid_send(id), 'hex')"

KEY_FUNCTIONS: Final = [
    "CREATE SCHEMA IF NOT EXISTS shadow_documents",
    f"""CREATE OR REPLACE FUNCTION shadow_documents.key_of(id uuid) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE WHEN {is_embedded_sql("id")}
        THEN '\\x{keys.TAG_OBJECT_ID:02x}'::bytea || decode(
            substr({_DIGITS}, 1, 12) || substr({_DIGITS}, 14, 3) || substr({_DIGITS}, 18, 9), 'hex')
        ELSE '\\x{keys.TAG_BINARY:02x}0000001004'::bytea || uuid_send(id) END $$""",
    f"""CREATE OR REPLACE FUNCTION shadow_documents.key_of(id text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT '\\x{keys.TAG_STRING:02x}'::bytea || convert_to(id, 'UTF8') || '\\x00'::bytea $$""",
    f"""CREATE OR REPLACE FUNCTION shadow_documents.key_of(id bigint) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    near float8 := id;
    above boolean := near >= 9223372036854775808.0;
    bits bigint := ('x' || encode(float8send(near), 'hex'))::bit(64)::bigint;
    digits text := abs(id::numeric)::text;
    rest bytea := '\\x00';
BEGIN
    IF above OR near::bigint <> id THEN
        rest := int2send((length(digits) - 32768)::int2) || convert_to(rtrim(digits, '0'), 'UTF8') || '\\x00'::bytea;
        IF id < 0 THEN
            FOR i IN 0 .. length(rest) - 1 LOOP
                rest := set_byte(rest, i, 255 - get_byte(rest, i));
            END LOOP;
        END IF;
        rest := '\\x01'::bytea || rest;
        IF above OR near::bigint > id THEN
            bits := bits + CASE WHEN id < 0 THEN 1 ELSE -1 END;
        END IF;
    END IF;
    bits := CASE WHEN id < 0 THEN ~bits ELSE bits # (-9223372036854775808) END;
    RETURN '\\x{keys.TAG_NUMBER:02x}'::bytea || int8send(bits) || rest;
END $$""",
]
"""Idempotent statements for the functions from a key column's value to the byte key, for the outbox's trigger."""
