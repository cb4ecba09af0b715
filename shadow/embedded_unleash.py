"""A real Unleash server for tests and demos, from npm, on a database of its own.

It needs Node 20 and npm, and a PostgreSQL; the package is installed once, into ``$SHADOW_CACHE`` or
``~/.cache/shadow``. Like the other embedded servers it is gone when its starter is. The environment variable
``SHADOW_TEST_UNLEASH`` (``url|client token|admin token``) names a running server to use instead.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

import asyncpg

from shadow.embedded import HOST, EmbeddedError, Server

VERSION = "7.4.1"
NODE = 20
INSTALL_SECONDS = 300
GIVEN = "SHADOW_TEST_UNLEASH"


@dataclass(frozen=True, slots=True)
class UnleashHandle:
    """How to reach a running Unleash. ``server`` is None where ``SHADOW_TEST_UNLEASH`` named it."""

    url: str
    client_token: str = field(repr=False)
    admin_token: str = field(repr=False)
    server: UnleashServer | None = None


class UnleashServer(Server):
    """Unleash on 127.0.0.1, without telemetry and version checks, environment ``development`` for its client token.

    Args:
        dsn: connection string of an empty database, which it fills with its own tables.

    Attributes:
        client_token, admin_token: its API tokens.
        admin_password: of the user ``admin``, for what API tokens may not do (the import of flags).
    """

    name = "unleash"

    def __init__(self, dsn: str) -> None:
        self._node, self._module = install()
        super().__init__()
        self.client_token = f"*:development.{secrets.token_hex(24)}"
        self.admin_token = f"*:*.{secrets.token_hex(24)}"
        self.admin_password = secrets.token_hex(24)
        self._script = self.folder / "start.mjs"
        self._script.write_text(self._start_script(dsn), encoding="utf-8")

    @property
    def url(self) -> str:
        """Address of the server, without ``/api``."""
        return f"http://{HOST}:{self.port}"

    def _start_script(self, dsn: str) -> str:
        """Sets the environment from inside, so that no secret shows in a process list."""
        settings = {
            "DATABASE_URL": dsn,
            "DATABASE_SSL": "false",
            "HTTP_HOST": HOST,
            "HTTP_PORT": str(self.port),
            "INIT_CLIENT_API_TOKENS": self.client_token,
            "INIT_ADMIN_API_TOKENS": self.admin_token,
            "UNLEASH_DEFAULT_ADMIN_USERNAME": "admin",
            "UNLEASH_DEFAULT_ADMIN_PASSWORD": self.admin_password,
            "SEND_TELEMETRY": "false",
            "CHECK_VERSION": "false",
            "LOG_LEVEL": "warn",
            "NODE_ENV": "production",
            "TZ": "UTC",
        }
        module = (self._module / "dist" / "server.js").as_uri()
        return f"Object.assign(process.env, {json.dumps(settings)});\nawait import({json.dumps(module)});\n"

    def _command(self) -> list[str]:
        return [self._node, str(self._script)]

    def _ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@asynccontextmanager
async def unleash_server(dsn: str) -> AsyncIterator[UnleashHandle]:
    """A running Unleash for as long as the context lasts.

    Args:
        dsn: a PostgreSQL database from which another one, for Unleash alone, can be created.

    Raises `EmbeddedError` when node, npm or the package cannot be had, or the server does not come up.
    """
    if given := os.environ.get(GIVEN):
        yield _given(given)
        return
    async with _own_database(dsn) as own:
        server = await asyncio.to_thread(UnleashServer, own)
        try:
            await asyncio.to_thread(server.start)
            yield UnleashHandle(server.url, server.client_token, server.admin_token, server)
        finally:
            await asyncio.to_thread(server.close)


def install() -> tuple[str, Path]:
    """The path of node and the folder of the installed package; the first time it is downloaded from npm.

    Raises `EmbeddedError`, which says what is missing.
    """
    node = _node()
    cache = Path(os.environ.get("SHADOW_CACHE") or Path.home() / ".cache" / "shadow") / "unleash"
    folder = cache / VERSION
    module = folder / "node_modules" / "unleash-server"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            _npm_install(folder)
            (folder / "installed").touch()
    return node, module


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        raise EmbeddedError(f"Unleash needs Node {NODE} or later, and there is no node on the PATH")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)", version)
    if found is None or int(found[1]) < NODE:
        raise EmbeddedError(f"Unleash needs Node {NODE} or later; this one is {version.strip() or 'unknown'}")
    return node


def _npm_install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise EmbeddedError("Unleash is installed with npm, and there is no npm on the PATH")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    try:
        command = [npm, "install", *quiet, f"unleash-server@{VERSION}"]
        made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise EmbeddedError(f"npm did not install unleash-server in {INSTALL_SECONDS} s") from None
    if made.returncode:
        raise EmbeddedError(f"npm could not install unleash-server: {made.stderr.strip()[-500:]}")


def _given(value: str) -> UnleashHandle:
    parts = value.split("|")
    if len(parts) != 3:
        raise EmbeddedError(f"{GIVEN} must be url|client token|admin token")
    url, client_token, admin_token = parts
    return UnleashHandle(url, client_token, admin_token)


@asynccontextmanager
async def _own_database(dsn: str) -> AsyncIterator[str]:
    name = f"unleash_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(dsn)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
        finally:
            await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    finally:
        await admin.close()
