"""``/metrics`` on demand, for applications that have no endpoint of their own."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import start_http_server

from shadow.metrics.prometheus import exposed


@dataclass(frozen=True, slots=True)
class Server:
    """A running endpoint; ``port`` is the one that it listens on."""

    port: int
    _server: WSGIServer
    _thread: Thread

    def close(self) -> None:
        """Stop answering, and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(port: int, host: str = "127.0.0.1") -> Server:
    """Answer ``/metrics`` in a daemon thread. ``port`` 0 takes a free one. Raises `OSError` when the port is taken."""
    server, thread = start_http_server(port, host, registry=exposed())
    return Server(server.server_port, server, thread)
