"""``shadow samples``: the mismatches that were seen, and one of them as a test."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from pprint import pformat
from typing import Annotated

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from shadow import config
from shadow.cli.options import Config
from shadow.compare.case import Case
from shadow_adapters.postgres.samples import StoredSample, find_sample, list_samples

_TEST = '''"""{entity}.{op}: {kind}{at}, seen {seen} UTC.

{values}
Fails while the two stores answer this query differently for these records. The servers are those that SHADOW_TEST_MONGO
and SHADOW_TEST_POSTGRES name, else embedded ones (`pip install shadow-cutover[embedded]`).
"""

import json

from shadow.compare.replay import replay

CASE = {case}


def test_both_stores_answer_alike() -> None:
    found = replay(json.dumps(CASE))
    assert found is None, found.show(revealed=True)
'''

_STAND_INS = """The values are stand-ins of the same types: equal ones are equal, and those of one type in their order.
"""
_CLEAR = """The values are the application's own.
"""


def samples(
    entity: Annotated[str | None, typer.Argument(help="Only this entity's.")] = None,
    path: Config = None,
    limit: int = typer.Option(20, "--limit", "-n", min=1, help="How many, the newest first."),
    export: int | None = typer.Option(None, "--export", metavar="ID", help="Write this one as a pytest file."),
    to: Annotated[Path | None, typer.Option(help="The file [default: test_mismatch_ID.py]", show_default=False)] = None,
) -> None:
    """Show the mismatches that were seen, values redacted; or write one as a test that replays it on both stores."""
    settings = config.load(path)
    if export is None:
        _show(asyncio.run(_listed(settings, entity, limit)))
        return
    target = to or Path(f"test_mismatch_{export}.py")
    if target.exists():
        raise typer.BadParameter(f"{target} is there already: name another file with --to")
    target.write_text(as_test(asyncio.run(_one(settings, export))), encoding="utf-8")
    typer.echo(f"written to {target}: run it with pytest")


async def _listed(settings: config.Settings, entity: str | None, limit: int) -> list[StoredSample]:
    connection = await _connect(settings)
    try:
        return await list_samples(connection, entity, limit=limit)
    finally:
        await connection.close()


async def _one(settings: config.Settings, id: int) -> StoredSample:
    connection = await _connect(settings)
    try:
        found = await find_sample(connection, id)
    finally:
        await connection.close()
    if found is None:
        raise typer.BadParameter(f"there is no sample {id} (any more)")
    if found.replay is None:
        raise typer.BadParameter(
            f"no case could be made of sample {id}: confirmed mismatches of finds in the layout documents make one, "
            "where stand-ins can replace all values (else reveal_samples = true makes one of the next)"
        )
    return found


async def _connect(settings: config.Settings) -> asyncpg.Connection:
    assert settings.stores.postgres is not None
    return await asyncpg.connect(settings.stores.postgres.get_secret_value())


def as_test(sample: StoredSample) -> str:
    """The text of a pytest file that replays a sample's case."""
    assert sample.replay is not None
    return _TEST.format(
        entity=sample.entity,
        op=sample.op,
        kind=sample.kind,
        at=f" at {sample.path}" if sample.path else "",
        seen=_time(sample.at),
        values=_CLEAR if Case.load(sample.replay).revealed else _STAND_INS,
        case=pformat(json.loads(sample.replay), width=110, sort_dicts=False),
    )


def _show(found: Sequence[StoredSample]) -> None:
    table = Table("id", "seen (UTC)", "entity", "call", "mismatch", "state", "repaired", "test", "what differs")
    for each in found:
        where = f"{each.kind} at {each.path}" if each.path else each.kind
        repaired = "-" if each.repaired_at is None else _time(each.repaired_at)
        known = "yes" if each.replay else "-"
        table.add_row(
            str(each.id), _time(each.at), each.entity, each.op, where, each.state, repaired, known, each.explanation
        )
    Console().print(table)


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
