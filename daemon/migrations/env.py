"""Runs the versions on the connection that the store hands over, each in a transaction of its own.

SQLite can roll back a changed table, but alembic only lets it when told so; else a crash in
the middle leaves half a change, and every later try fails on it.
"""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes.get("metadata"),
    transactional_ddl=True,
    transaction_per_migration=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
