"""The times and bounds of the protocol, in seconds and counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """What one fleet runs on. All processes of a fleet should run on the same.

    Attributes:
        lease: how long a lease lasts; renewed every ``renew``.
        settle: the settling time: longer than the longest life of an operation on the authority.
        mark_budget: what a mark may cost a caller in the background phases before it goes to the journal.
        sync_timeout: how long a write in ``read_new`` awaits its sync; a mark older than this stops reads of its key.
        fence: how long a fence may hold calls before it is lifted.
        fence_limit: how long a process that lost PostgreSQL behind a fence holds calls before it refuses them.
        lag: seconds by which clocks may drift apart during one lease.
    """

    lease: float = 3.0
    renew: float = 1.0
    settle: float = 60.0
    mark_budget: float = 0.020
    sync_timeout: float = 1.0
    fence: float = 1.0
    fence_limit: float = 10.0
    lag: float = 0.1
    many_limit: int = 10_000
    queue_keys: int = 100_000
    queue_bytes: int = 64 << 20
    sync_batch: int = 100
    sync_delay: float = 0.020
    sync_workers: int = 2
    retention: float = 3600.0
    backfill_chunk: int = 500
    brisk: float = 0.025  # the pace of renewals while a step is under way
