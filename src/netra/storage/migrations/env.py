"""Alembic's entry point; `netra.storage.migrate` hands it a connection."""

from alembic import context

from netra.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
