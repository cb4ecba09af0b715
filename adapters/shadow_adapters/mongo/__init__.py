"""MongoDB as the protocol sees it: records by key."""
