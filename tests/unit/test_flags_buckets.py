"""The bucket of a key."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from shadow_flags.buckets import BUCKETS, bucket, query_bucket

KEYS = {
    "counters": [struct.pack(">I", number) for number in range(100_000)],
    "object ids": [b"\x07" + b"67a1b2c3abcde" + struct.pack(">I", number)[1:] for number in range(100_000)],
    "strings": [f"session:{number}".encode() for number in range(100_000)],
}


def test_buckets_never_change() -> None:
    """Other values would move every canary's keys at the next release."""
    assert [bucket("agents", b""), bucket("agents", b"\x07abc"), bucket("sessions", b"\x07abc")] == [470, 419, 906]


@pytest.mark.parametrize("seed", ["0", "1"])
def test_every_process_finds_the_same_bucket(seed: str) -> None:
    program = "from shadow_flags.buckets import bucket; print(bucket('agents', b'key'))"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2] / "flags")}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert int(ran.stdout) == bucket("agents", b"key")


@pytest.mark.parametrize("kind", KEYS)
def test_keys_spread_evenly(kind: str) -> None:
    counted = Counter(bucket("agents", key) for key in KEYS[kind])
    expected = len(KEYS[kind]) / BUCKETS
    chi_squared = sum((counted[number] - expected) ** 2 / expected for number in range(BUCKETS))
    assert chi_squared / (BUCKETS - 1) < 1.25  # five standard deviations above what chance gives


def test_entities_deal_their_keys_independently() -> None:
    both = sum(bucket("agents", key) < 100 and bucket("workflows", key) < 100 for key in KEYS["counters"])
    assert 800 < both < 1200


def test_a_query_goes_by_its_normalized_text() -> None:
    assert query_bucket("agents", b'{"name":1}') == query_bucket("agents", b'{"name":1}')
    assert len({query_bucket("agents", f'{{"name":{number}}}'.encode()) for number in range(50)}) > 30
