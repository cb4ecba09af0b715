"""Each entity's table: whether it fits, and which documents it would refuse, found by trying a sample on it."""

from __future__ import annotations

from collections import Counter
from typing import cast

import asyncpg
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.collection import AsyncCollection

from shadow.check.findings import Finding, error, note, warning
from shadow.config import EntitySettings
from shadow.schema import layout_of
from shadow.stores import Mongo, Postgres
from shadow_adapters.bson.codec import decode
from shadow_adapters.bson.keys import key_of
from shadow_adapters.failures import CommandFailure, Refused
from shadow_adapters.postgres.layouts import Layout

_RAW = CodecOptions(document_class=RawBSONDocument)
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_TRIGGERS = """
SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass($1) AND NOT tgisinternal AND tgname NOT LIKE 'outbox\\_%'"""


async def check_table(conn: Postgres, entity: EntitySettings) -> list[Finding]:
    """Table, columns, types, rights and triggers. Raises asyncpg's errors when the server goes away."""
    layout, where = layout_of(entity), f"entities.{entity.name}.new"
    problems = await layout.check(conn)
    if problems:
        return [error(where, problem, "run shadow schema, or correct the mapping") for problem in problems]
    lacking = [r for r in _RIGHTS if not await conn.fetchval("SELECT has_table_privilege($1, $2)", layout.table, r)]
    findings = [error(where, f"no right to {', '.join(lacking)} on {entity.table}", "grant it")] if lacking else []
    triggers = [row[0] for row in await conn.fetch(_TRIGGERS, layout.table)]
    if triggers and entity.rehearse:
        what = f"rehearsals would run the triggers {', '.join(triggers)}"
        findings.append(warning(where, what, "set rehearse = false if they have effects outside the table"))
    return findings


async def check_sample(conn: Postgres, client: Mongo, entity: EntitySettings, size: int) -> list[Finding]:
    """Try a random sample of documents on the table, in transactions that are rolled back; count what is refused.

    Raises asyncpg's and pymongo's errors when a server goes away.
    """
    where = f"entities.{entity.name}"
    if not entity.rehearse:
        return [note(where, "rehearse is off, so no documents were tried on the table")]
    layout, tried, refused = layout_of(entity), 0, Counter[tuple[str, str]]()
    database, _, name = (entity.legacy.mongo or "").partition(".")
    collection = cast("AsyncCollection[RawBSONDocument]", client[database].get_collection(name, codec_options=_RAW))
    async for document in await collection.aggregate([{"$sample": {"size": size}}]):
        tried += 1
        if refusal := await _refusal(conn, layout, bytes(document.raw)):
            refused[refusal.kind, refusal.reason] += 1
    findings = [_refused(where, kind, reason, count, tried) for (kind, reason), count in refused.items()]
    return findings or [note(where, f"{tried} sampled documents fit")]


def _refused(where: str, kind: str, reason: str, count: int, tried: int) -> Finding:
    """A missing parent may only not have been copied yet; all else stays refused."""
    what, _, fix = reason.partition(": ")
    what = f"{count} of {tried} sampled documents would be refused: {what}"
    return warning(where, what, fix) if kind == "foreign" else error(where, what, fix)


async def _refusal(conn: Postgres, layout: Layout, record: bytes) -> Refused | None:
    """Why the table would refuse the record; None where it would not."""
    transaction = conn.transaction()
    await transaction.start()
    try:
        key = key_of(decode(record)["_id"])
        await _put(conn, layout, key, record)
    except Refused as refusal:
        return refusal
    except CommandFailure as wrong:
        return Refused(f"{wrong.message}: give the document another _id", kind="type")
    except asyncpg.LockNotAvailableError:
        return None  # somebody works on this very row now, so that the table has taken it before
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
        failure = layout.refusal(problem, {key: record})
        if isinstance(failure, Refused):
            return failure
        raise
    finally:
        await transaction.rollback()
    return None


async def _put(conn: Postgres, layout: Layout, key: bytes, record: bytes) -> None:
    """The path that a sync takes, without the fence: nothing is kept, so that no authority is at stake."""
    await layout.prepare(conn)
    plan = layout.plan_put({key: record}, 1)
    await conn.execute("SET LOCAL lock_timeout = '1s'")
    await conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
    await conn.fetch(f"WITH fence AS MATERIALIZED (SELECT true AS ok), {plan.ctes} SELECT ok FROM fence", *plan.args)
