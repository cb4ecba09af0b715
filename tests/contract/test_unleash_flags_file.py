"""The example flags import into a real Unleash, and say what they should."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.request import HTTPCookieProcessor, Request, build_opener

from shadow.embedded_unleash import UnleashHandle, UnleashServer
from shadow_flags.phases import Phase
from shadow_flags.sources.unleash_admin import UnleashAdmin
from shadow_flags.sources.unleash_flags import KILL, PREFIX
from tests.contract.unleash_fixtures import admin, source_of, stoppable, unleash, until

__all__ = ["admin", "stoppable", "unleash"]

FLAGS = json.loads((Path(__file__).parents[2] / "dashboards" / "unleash" / "flags.json").read_text(encoding="utf-8"))


def import_flags(server: UnleashServer) -> None:
    """Import the file as an operator does in Unleash's own pages: logged in, since no API token may."""
    session = build_opener(HTTPCookieProcessor())
    credentials = {"username": "admin", "password": server.admin_password}
    body = {"project": "default", "environment": "development", "data": FLAGS}
    for path, content in (("/auth/simple/login", credentials), ("/api/admin/features-batch/import", body)):
        headers = {"Content-Type": "application/json"}
        with session.open(Request(server.url + path, json.dumps(content).encode(), headers), timeout=30) as answer:
            answer.read()  # to the end: the server keeps the last byte back until the session is stored


async def test_example_flags_import_off_and_move_by_the_admin_client(
    unleash: UnleashHandle, stoppable: UnleashServer, admin: UnleashAdmin, tmp_path: Path
) -> None:
    await asyncio.to_thread(import_flags, stoppable)
    names = [feature["name"].removeprefix(PREFIX) for feature in FLAGS["features"] if feature["name"] != KILL]
    async with source_of(unleash, tmp_path, *names) as source:
        await until(lambda: all(source.snapshot(name).off for name in names))
        for name in names:
            assert source.snapshot(name).aim(Phase.LEGACY) is Phase.LEGACY
        admin.toggle(PREFIX + names[0], on=True)
        await until(lambda: not source.snapshot(names[0]).off)
        assert set(source.snapshot(names[0]).routes.phases) == {Phase.LEGACY}
        admin.want(names[0], {Phase.DUAL_WRITE: 100})
        await until(lambda: source.snapshot(names[0]).routes.aim is Phase.DUAL_WRITE)
        assert source.snapshot(names[0]).problems == ()
