"""Flags in Unleash: one release flag for each entity, ``shadow.<entity>``, and ``shadow.kill`` over all of them.

A thread of its own owns the client. The client polls; after each change the thread evaluates the flags that changed,
once for each bucket, and posts the result. Callers read the result and never reach the client. What was last fetched
survives an absent server, in memory and, over a restart, in the cache directory.

A process that forks makes a new source in the child: threads do not survive a fork.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from UnleashClient import UnleashClient  # type: ignore[attr-defined]  # it has no __all__
from UnleashClient.events import UnleashEventType
from UnleashClient.utils import InstanceAllowType

from shadow_flags.sources.base import Wanted
from shadow_flags.sources.board import Board, Said
from shadow_flags.sources.quiet import Quiet
from shadow_flags.sources.unleash_cache import StateCache, cache_file, default_directory
from shadow_flags.sources.unleash_flags import KILL, Place, depends_on, flag_of, killed, read_flag

log = logging.getLogger("shadow_flags")

REQUEST_SECONDS = 5
CLOSE_SECONDS = 10.0


class UnleashSource:
    """A `Source` over an Unleash server.

    Args:
        url: the server, with or without ``/api``.
        token: a backend (client) token; its environment decides which flags are on.
        entities: names of the entities (of patterns, for collections under a pattern).
        environment: the name that constraints on ``environment`` see.
        refresh_seconds: time between two polls, whole seconds.
        start_seconds: the longest that `start` waits for the first answer.
        cache: directory for the last fetched state; default ``~/.cache/shadow/flags``.
        host: the name that constraints on ``host`` see; default this machine's.

    Raises `ValueError` for a URL or a token that could never work, without repeating them.
    """

    def __init__(
        self,
        url: str,
        token: str,
        entities: Iterable[str],
        *,
        environment: str = "development",
        refresh_seconds: float = 5.0,
        start_seconds: float = 5.0,
        cache: Path | None = None,
        host: str | None = None,
    ) -> None:
        self._url = api_url(url)
        self._token = _checked(token)
        self._board = Board(entities)
        self._place = Place(environment, host or socket.gethostname())
        self._refresh_seconds = refresh_seconds
        self._start_seconds = start_seconds
        file = cache_file(cache or default_directory(), self._url, environment, self._token)
        self._cache = StateCache(file, self._board.confirm)
        self._applied = 0
        self._seen: dict[str, str] = {}
        self._refused: int | None = None  # HTTP status of the last answer, if it was an error
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._on_change: Callable[[], object] = lambda: None

    async def start(self, on_change: Callable[[], object]) -> None:
        """Start the thread and wait for the first answer of the server, at most ``start_seconds``."""
        self._on_change = on_change
        loop, answered = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(answered.set)

        self._thread = threading.Thread(target=self._run, args=(tell,), name="shadow-flags", daemon=True)
        self._thread.start()
        try:
            await asyncio.wait_for(answered.wait(), self._start_seconds)
        except TimeoutError:
            log.warning("Unleash did not answer in %g s; starting with the last known state", self._start_seconds)

    def snapshot(self, entity: str) -> Wanted:
        """See `Source.snapshot`."""
        return self._board.snapshot(entity)

    async def close(self) -> None:
        """End the thread and the client."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_SECONDS)

    def _run(self, answered: Callable[[], None]) -> None:
        quiet = Quiet()
        quiet.install()
        client = self._client()
        try:
            self._update(client)  # the cached state, before the network is asked
            client.initialize_client()
            if self._cache.received:
                self._wake.wait(REQUEST_SECONDS)  # the client reports from a thread of its own
            self._update(client)
            self._report_ignorance()
            answered()
            while not self._stopping:
                self._wake.wait(self._refresh_seconds if self._depends_on_time() else None)
                self._wake.clear()
                self._update(client)
        finally:
            client.destroy()
            quiet.remove()

    def _client(self) -> UnleashClient:
        return UnleashClient(
            url=self._url,
            app_name="shadow",
            environment=self._place.environment,
            instance_id=self._place.host,
            refresh_interval=max(1, round(self._refresh_seconds)),
            request_timeout=REQUEST_SECONDS,
            request_retries=0,  # the next poll is the retry
            disable_metrics=True,  # a thousand questions for each change are no usage figures
            disable_registration=True,
            custom_headers={"Authorization": self._token},
            custom_options={"hooks": {"response": self._on_response}},
            cache=self._cache,
            multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,  # the application may have one of its own
            event_callback=self._on_event,
        )

    def _on_response(self, response: Any, **_: Any) -> None:
        """See every answer: the client says nothing of a 304, by which the server confirms the state."""
        self._refused = None if response.status_code in (200, 304) else response.status_code
        if self._refused is None:
            self._cache.confirm()

    def _on_event(self, event: Any) -> None:
        if event.event_type is UnleashEventType.FETCHED:
            self._applied += 1
            self._wake.set()

    def _update(self, client: UnleashClient) -> None:
        """Evaluate what changed, and post it, unless the client is taking on a newer state just now.

        The client counts a state as received before it applies it, and reports it after. Between the two its answers
        may be of either, and mixing them could look like a jump; the report brings us here again.
        """
        received, state = self._cache.received, self._cache.state
        if state is None or self._applied != received:
            return
        try:
            said, seen = self._evaluate(client, state)
            if self._cache.received == received:
                self._seen = seen
                if self._board.post(said):
                    self._on_change()
        except Exception:  # this thread must not end
            log.exception("flags could not be evaluated or told; the last known state stays")

    def _evaluate(self, client: UnleashClient, state: Mapping[str, Any]) -> tuple[dict[str, Said], dict[str, str]]:
        flags = {flag["name"]: flag for flag in state["features"]}
        said: dict[str, Said] = {}
        seen: dict[str, str] = {}
        for entity in self._board.entities:
            seen[entity] = fingerprint(flags, entity, state.get("segments"))
            if seen[entity] == self._seen.get(entity) and "currentTime" not in seen[entity]:
                continue
            kill = KILL in flags and client.is_enabled(KILL, self._place.context(entity, "kill"))
            flag = flags.get(flag_of(entity))
            said[entity] = killed() if kill else read_flag(entity, flag, client.get_variant, self._place)
        return said, seen

    def _depends_on_time(self) -> bool:
        return any("currentTime" in seen for seen in self._seen.values())

    def _report_ignorance(self) -> None:
        if self._cache.state is None:
            answer = f"it answered {self._refused}" if self._refused else "it did not answer"
            where = urlsplit(self._url).hostname
            problem = f"no flags could be fetched from Unleash at {where} ({answer}), none are cached: check URL, token"
            self._board.post({entity: Said(problems=(problem,)) for entity in self._board.entities})


def api_url(url: str) -> str:
    """The address of the server's API. Raises `ValueError`, without repeating it, unless it is an http address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the URL of Unleash must look like https://unleash.example.com/api")
    base = url.rstrip("/")
    return base if base.endswith("/api") else f"{base}/api"


def _checked(token: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token of Unleash is empty or holds a character that no header may hold (a line break?)")
    return token


def fingerprint(flags: Mapping[str, Any], entity: str, segments: Any) -> str:
    """Everything that an entity's evaluation depends on, as text: its flag, the flag's parents, segments, the kill."""
    flag = flags.get(flag_of(entity))
    parents = [flags.get(name) for name in depends_on(flag or {})]
    return json.dumps([flag, parents, segments, flags.get(KILL)])
