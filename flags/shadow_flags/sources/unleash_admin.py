"""Changes flags through Unleash's admin API: what `shadow advance` and `rollback` do, as an operator's click would.

Phases live in the variants of a flag's *strategies* (Unleash 6 and later refuse variants of an environment). Changing
the phase keeps the strategies as the operator made them, with their constraints, and replaces their variants.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from shadow_flags.phases import Phase
from shadow_flags.sources.unleash import api_url
from shadow_flags.sources.unleash_flags import flag_of

_WHOLE = 1000  # the weights of Unleash make 1,000


class AdminError(RuntimeError):
    """Unleash refused or could not be reached. The text says what was tried and what it answered, never the token."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class UnleashAdmin:
    """A blocking client for one project and environment; call it from a thread when a loop runs.

    Args:
        url: the server, with or without ``/api``.
        token: an admin token, or a personal one that may change flags.
        environment: the environment whose flags are changed.
        project: the project that holds the flags.
        timeout: seconds for one request.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        environment: str = "development",
        project: str = "default",
        timeout: float = 10.0,
    ) -> None:
        self._base = f"{api_url(url)}/admin"
        self._token = token
        self._environment = environment
        self._project = project
        self._timeout = timeout

    def want(self, entity: str, weights: Mapping[Phase, float], settings: Mapping[str, Any] | None = None) -> None:
        """Make an entity's flag say these phases, by percent, and turn it on; the flag is created if it is not there.

        Settings, when given, become the payload of every variant. Raises `AdminError`.
        """
        flag = flag_of(entity)
        self.create(flag)
        self.set_variants(flag, variants_for(weights, settings))
        self.toggle(flag, on=True)

    def create(self, flag: str, description: str = "") -> None:
        """Create a release flag, off; nothing happens when it exists."""
        try:
            self._call("POST", self._features, {"name": flag, "type": "release", "description": description})
        except AdminError as error:
            if error.status != 409:
                raise

    def toggle(self, flag: str, *, on: bool) -> None:
        """Turn a flag on or off in the environment."""
        self._call("POST", f"{self._at(flag)}/{'on' if on else 'off'}")

    def set_variants(self, flag: str, variants: Sequence[Mapping[str, Any]]) -> None:
        """Give all strategies of the flag in the environment these variants; without strategies one for everybody."""
        strategies = self.strategies(flag)
        for strategy in strategies:
            path = f"{self._at(flag)}/strategies/{strategy['id']}"
            self._call("PATCH", path, [{"op": "replace", "path": "/variants", "value": list(variants)}])
        if not strategies:
            self.add_strategy(flag, variants=variants)

    def add_strategy(
        self,
        flag: str,
        *,
        rollout: int = 100,
        variants: Sequence[Mapping[str, Any]] = (),
        constraints: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Add a gradual rollout to ``rollout`` percent of the buckets that meet all constraints."""
        parameters = {"rollout": str(rollout), "stickiness": "userId", "groupId": flag}
        body = {"name": "flexibleRollout", "parameters": parameters, "constraints": [*constraints]}
        self._call("POST", f"{self._at(flag)}/strategies", body | {"variants": [*variants]})

    def strategies(self, flag: str) -> list[dict[str, Any]]:
        """The strategies of the flag in the environment."""
        found = self._call("GET", f"{self._at(flag)}/strategies")
        return found if isinstance(found, list) else []

    def remove_strategies(self, flag: str) -> None:
        """Remove all strategies of the flag in the environment."""
        for strategy in self.strategies(flag):
            self._call("DELETE", f"{self._at(flag)}/strategies/{strategy['id']}")

    @property
    def _features(self) -> str:
        return f"/projects/{quote(self._project, safe='')}/features"

    def _at(self, flag: str) -> str:
        return f"{self._features}/{quote(flag, safe='')}/environments/{quote(self._environment, safe='')}"

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": self._token, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(self._base + path, data, headers, method=method), timeout=self._timeout) as answer:
                text = answer.read()
        except HTTPError as error:
            raise AdminError(f"Unleash refused {method} {path}: {error.code} {_reason(error)}", error.code) from None
        except (URLError, TimeoutError, OSError) as error:
            raise AdminError(f"Unleash cannot be reached for {method} {path}: {error}") from None
        return json.loads(text) if text else None


def variants_for(weights: Mapping[Phase, float], settings: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Variants of a strategy for phases by percent. Raises `ValueError` unless the percents make 100.

    The furthest phase comes first, so that a canary that grows keeps the keys that it had.
    """
    if abs(sum(weights.values()) - 100) > 1e-6 or min(weights.values()) < 0:
        raise ValueError(f"weights are percents that make 100, not {sum(weights.values()):g}")
    payload = {"payload": {"type": "json", "value": json.dumps(dict(settings))}} if settings else {}
    variants: list[dict[str, Any]] = []
    reached, used = 0.0, 0
    for phase in sorted(filter(weights.get, weights), key=lambda phase: phase.rank, reverse=True):
        reached += weights[phase]
        weight = round(reached * _WHOLE / 100) - used
        used += weight
        variants.append({"name": phase.value, "weight": weight, "weightType": "fix", "stickiness": "userId", **payload})
    variants[-1]["weightType"] = "variable"  # Unleash wants one that takes what is left
    return variants


def _reason(error: HTTPError) -> str:
    """The server's own words, where it answers as Unleash does."""
    try:
        answer = json.loads(error.read())
        return str(answer.get("message") or answer)[:500]
    except (ValueError, AttributeError, OSError):
        return str(error.reason)
