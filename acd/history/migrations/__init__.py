"""The alembic environment that ships with the package. acd.history.migrate runs it."""
