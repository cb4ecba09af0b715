"""The decisions: phases, routes, buckets, flag sources and steps. Nothing here does I/O on a store."""
