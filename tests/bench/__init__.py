"""Benchmarks: ratios against the bare driver, or hand-written SQL, from one interleaved run."""
