"""Control in PostgreSQL: leases, phases, epochs, marks and debts."""

from shadow_adapters.postgres.control.control import PostgresControl
from shadow_adapters.postgres.control.queries import outbox_statements, schema_statements

__all__ = ["PostgresControl", "outbox_statements", "schema_statements"]
