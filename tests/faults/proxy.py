"""A TCP proxy between a client and a server, to do to their connection what networks do.

`TcpProxy.cut` breaks, `TcpProxy.stall` lets nothing pass, `TcpProxy.delay` makes replies late, and
`TcpProxy.drop_replies` lets requests through and loses the answers: the way to a write whose outcome nobody knows.
`TcpProxy.resume` undoes all of them.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

Replies = Literal["pass", "drop", "cut"]


class TcpProxy:
    """A proxy on a free port of 127.0.0.1, running from `start` to `close` (or as an async context manager).

    Args:
        target: connection string of the server, such as ``postgresql://postgres@127.0.0.1:5432/app``.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        if parts.hostname is None or parts.port is None:
            raise ValueError("the target's connection string must name a host and a port")
        self.target = target
        self.port = 0
        self._address = parts.hostname, parts.port
        self._writers: set[asyncio.StreamWriter] = set()
        self._spoiled: set[asyncio.StreamWriter] = set()
        self._refuses = False
        self._replies: Replies = "pass"
        self._delay = 0.0
        self._open = asyncio.Event()
        self._open.set()

    @property
    def uri(self) -> str:
        """The target's connection string, through the proxy."""
        return self.uri_for(self.target)

    def uri_for(self, uri: str) -> str:
        """Another connection string of the same server, through the proxy."""
        parts = urlsplit(uri)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self.port}".removeprefix("@")))

    async def start(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """Break every connection and listen no more."""
        self._server.close()
        self.cut()
        self._open.set()
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def cut(self, *, once: bool = False) -> None:
        """Break every connection; refuse new ones until `resume`, or not if ``once``."""
        self._refuses = not once
        for writer in tuple(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        """Let nothing pass in either direction; connections stay open, new ones get no answer."""
        self._open.clear()

    def delay(self, seconds: float) -> None:
        """Hold each reply back for so long."""
        self._delay = seconds

    def drop_replies(self, *, cut: bool = False) -> None:
        """Let requests pass and lose the replies; with ``cut``, break the connection where a reply would come."""
        self._replies = "cut" if cut else "drop"

    def resume(self) -> None:
        """Be an ordinary proxy again. A connection that has lost a reply is broken, since it is out of step."""
        self._refuses, self._replies, self._delay = False, "pass", 0.0
        self._open.set()
        for writer in tuple(self._spoiled):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self._writers.add(client)
        try:
            await self._join(reader, client)
        except OSError:
            pass  # either side broke off; the other is told by the abort below
        finally:
            client.transport.abort()
            self._writers.discard(client)
            self._spoiled.discard(client)

    async def _join(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        await self._open.wait()
        if self._refuses:
            return
        replies, server = await asyncio.open_connection(*self._address)
        pumps = [
            asyncio.create_task(self._requests(reader, server)),
            asyncio.create_task(self._answers(replies, client)),
        ]
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for pump in pumps:
                pump.cancel()
            server.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._open.wait()
            server.write(data)
            await server.drain()

    async def _answers(self, replies: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await replies.read(65536):
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._open.wait()
            if self._replies == "cut":
                return
            if self._replies == "drop":
                self._spoiled.add(client)
            elif client not in self._spoiled:
                client.write(data)
                await client.drain()
