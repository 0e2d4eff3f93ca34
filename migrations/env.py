"""Alembic's entry: runs on the connection of muscope.storage.schema, in its transaction."""

from alembic import context

from muscope.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
