"""The settings of everything but entities: stores, flags, the protocol. Frozen; an unknown name is a mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, SecretStr, model_validator

from shadow.config.problems import mistake

MEBIBYTE = 1024 * 1024
Gate = Literal[
    "clients",
    "backfill",
    "marks",
    "refused",
    "debts",
    "unsupported",
    "mismatches",
    "latency",
    "errors",
    "rehearsals",
    "verify",
]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of all sections. Errors never carry the input, which may be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StoresSettings(Section):
    """Connection strings. None: the store is not used."""

    mongo: SecretStr | None = None
    postgres: SecretStr | None = None
    redis: SecretStr | None = None
    weaviate: SecretStr | None = None


class FlagsSettings(Section):
    """Who says which phase is wanted: this file (``static``) or an Unleash server."""

    source: Literal["static", "unleash"] = "static"
    url: str | None = None
    token: SecretStr | None = None
    environment: str = "development"
    refresh_seconds: PositiveFloat = 5.0
    cache: Path | None = None  # folder of the last known state; None: the client's own choice

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        missing = [name for name in ("url", "token") if getattr(self, name) is None]
        if self.source == "unleash" and missing:
            raise mistake(f"source is unleash, without {' and '.join(missing)}", "add it, or use source = static")
        return self


class GatesSettings(Section):
    """What must hold before a phase may advance. Rates are upper confidence bounds, which fall as more is compared.

    The breaker trips over the same budgets, by lower confidence bounds of the last minute.
    """

    mark_age_seconds: PositiveFloat = 10.0
    mismatch_rate: Fraction = 0.01
    rehearsal_rate: Fraction = 0.01
    p99_ratio: PositiveFloat = 3.0
    error_rate: Fraction = 0.01  # of calls that PostgreSQL did not answer; the breaker's alone
    waived: tuple[Gate, ...] = ()  # gates that may neither block nor trip the breaker: the operator knows better


class ProtocolSettings(Section):
    """Times and bounds of the protocol. The defaults suit a fleet in one region."""

    lease_seconds: PositiveFloat = 3.0
    renew_seconds: PositiveFloat = 1.0
    settle_seconds: PositiveFloat = 60.0  # how long a write whose outcome is unknown may still apply
    mark_budget_ms: PositiveInt = 20
    sync_timeout_ms: PositiveInt = 1000
    fence_seconds: PositiveFloat = 1.0  # the longest pause that callers see before the fence is lifted
    fence_limit_seconds: PositiveFloat = 10.0  # the longest that a process holds calls without knowing the outcome
    journal: Path | None = None  # folder; None: the system's temporary folder
    journal_max_bytes: PositiveInt = 64 * MEBIBYTE
    many_limit: PositiveInt = 10_000  # keys of one write, above which the entity owes a verify instead
    queue_keys: PositiveInt = 100_000
    queue_bytes: PositiveInt = 64 * MEBIBYTE
    sync_batch: PositiveInt = 100
    sync_delay_ms: PositiveInt = 50
    mark_retention_seconds: PositiveFloat = 3600.0
    backfill_chunk: PositiveInt = 500
    compare_queue: PositiveInt = 1000
    pool_size: PositiveInt = 10  # connections to PostgreSQL of each event loop

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.renew_seconds * 2 > self.lease_seconds:
            raise mistake(
                "renew_seconds is more than half of lease_seconds, so that one late renewal lapses the lease",
                "renew at least twice in a lease",
            )
        return self
