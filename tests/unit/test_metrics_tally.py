"""Counts of many threads, joined where they are read."""

from __future__ import annotations

import threading

from shadow.metrics.tally import Tally


def test_no_count_of_any_thread_is_lost_or_told_twice() -> None:
    tally = Tally()
    told = []

    def count() -> None:
        for _ in range(20_000):
            tally.advance()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        told.append(tally.fresh())
    assert sum(told) + tally.fresh() == 8 * 20_000
    assert tally.fresh() == 0
    count()
    assert tally.fresh() == 20_000
