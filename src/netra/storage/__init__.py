"""The database: tables, migrations, connections for reading, and the one writer."""

from .database import Database

__all__ = ["Database"]
