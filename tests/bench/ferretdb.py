"""FerretDB 1.24, the named peer: built from its Go module where a toolchain is there, over the same PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

_VERSION = "v1.24.2"
_MODULE = f"github.com/FerretDB/FerretDB@{_VERSION}"
_FOLDER = Path(tempfile.gettempdir()) / f"shadow-bench-ferretdb-{_VERSION}"
_DATABASE = "bench_ferretdb"
_PATIENCE = 30.0


@asynccontextmanager
async def ferretdb(dsn: str) -> AsyncIterator[str | None]:
    """A running server's URI; None where it cannot be built, which is printed."""
    try:
        program = await asyncio.to_thread(_built)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"without FerretDB: {error}")
        yield None
        return
    conn = await asyncpg.connect(dsn)
    await conn.execute(f"CREATE DATABASE {_DATABASE}")
    await conn.close()
    port = _free_port()
    with tempfile.TemporaryDirectory() as state:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--listen-addr=127.0.0.1:{port}",
            "--debug-addr=-",
            "--telemetry=disable",
            "--handler=postgresql",
            f"--postgresql-url={dsn.rpartition('/')[0]}/{_DATABASE}",
            f"--state-dir={state}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await _listening(port)
            yield f"mongodb://127.0.0.1:{port}/"
        finally:
            process.terminate()
            await process.wait()


def _built() -> Path:
    """The program, built once on a machine. Raises `CalledProcessError`, or `FileNotFoundError` without a toolchain."""
    program = _FOLDER / "ferretdb"
    if program.exists():
        return program
    environment = os.environ | {"GOFLAGS": "-mod=mod"}
    told = subprocess.run(
        ["go", "mod", "download", "-json", _MODULE], check=True, capture_output=True, env=environment, cwd="/"
    )
    source = _FOLDER / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(json.loads(told.stdout)["Dir"], source)
    for path in [source, *source.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)
    version = source / "build" / "version" / "version.txt"
    version.write_text(_VERSION + "\n")
    subprocess.run(["go", "build", "-o", program, "./cmd/ferretdb"], check=True, env=environment, cwd=source)
    return program


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _listening(port: int) -> None:
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return
