"""MongoDB's values and semantics as pure functions: byte keys, order, matching, updating, projecting."""
