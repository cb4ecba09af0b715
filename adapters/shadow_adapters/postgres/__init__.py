"""PostgreSQL: the control schema, and documents in two layouts."""
