"""Run by alembic, on the connection and within the transaction that acd.history.migrate holds."""

from __future__ import annotations

from alembic import context

from acd.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place.
)
context.run_migrations()
