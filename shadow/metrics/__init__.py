"""What Shadow measures: one table of metrics, one record per operation, one file per sink."""
