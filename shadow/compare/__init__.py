"""Comparing what two stores answered, off the caller's path, and accounting for all that was sampled."""
