"""Runs the migrations on the store's connection, each in a transaction of its own.

SQLite can roll back a change of a table, but Alembic uses that only if `transactional_ddl` is set.
Without it, a crash leaves half a migration behind, and every later attempt fails.
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
