"""A small pooler in transaction mode: what PgBouncer does to sessions, in front of a real PostgreSQL.

Clients get a process id that is not the server's, and each transaction runs on whatever server connection is free. Only
plain-text start-up without a password is served.
"""

from __future__ import annotations

import asyncio
import struct
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

SSL_REQUEST = 80877103
READY = b"Z"
GOODBYE = b"X"


class Pooler:
    """An async context manager; ``dsn`` is the way in. One connection to the server is shared by all clients."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        names = f"user\0{self._target.username}\0database\0{self._target.path[1:]}\0\0".encode()
        self._writer.write(struct.pack(">ii", 8 + len(names), 196608) + names)
        self._greeting = [message for message in await self._until_ready() if message[:1] != b"K"]
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.dsn = urlunsplit(self._target._replace(netloc=f"{self._target.username}@127.0.0.1:{port}"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._writer.close()

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            await self._greet(reader, client)
            while await self._transaction(reader, client):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            client.close()

    async def _greet(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        length, code = struct.unpack(">ii", await reader.readexactly(8))
        if code == SSL_REQUEST:
            client.write(b"N")
            length, code = struct.unpack(">ii", await reader.readexactly(8))
        await reader.readexactly(length - 8)
        key = b"K" + struct.pack(">iii", 12, 1, 1)
        client.write(b"".join([*self._greeting[:-1], key, self._greeting[-1]]))

    async def _transaction(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> bool:
        """Serve one transaction on the shared connection; False at the end of the client."""
        first = await _message(reader)
        if first[:1] == GOODBYE:
            return False
        async with self._lock:
            self._writer.write(first)
            requests = asyncio.create_task(self._requests(reader))
            replies = asyncio.create_task(self._replies(client))
            done, _ = await asyncio.wait([requests, replies], return_when=asyncio.FIRST_COMPLETED)
            requests.cancel()
            replies.cancel()
            await asyncio.gather(requests, replies, return_exceptions=True)
        return replies in done

    async def _requests(self, reader: asyncio.StreamReader) -> None:
        while (message := await _message(reader))[:1] != GOODBYE:
            self._writer.write(message)

    async def _replies(self, client: asyncio.StreamWriter) -> None:
        """Forward replies up to the end of the transaction."""
        message = b""
        while message[:1] != READY or message[5:6] != b"I":
            message = await _message(self._reader)
            client.write(message)

    async def _until_ready(self) -> list[bytes]:
        messages = [await _message(self._reader)]
        while messages[-1][:1] != READY:
            messages.append(await _message(self._reader))
        return messages


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack(">i", head[1:])[0] - 4)
