"""The database: engine, transactions with fault points, migrations."""

from shared.database.engine import Database, DatabaseBusy, Transaction
from shared.database.migrations import MigrationMismatch, check_migrations, upgrade
from shared.database.rows import as_rows, inserting

__all__ = [
    "Database",
    "DatabaseBusy",
    "MigrationMismatch",
    "Transaction",
    "as_rows",
    "check_migrations",
    "inserting",
    "upgrade",
]
