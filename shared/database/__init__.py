"""The database: engine, transactions with fault points, migrations."""

from shared.database.engine import Database, DatabaseBusy, Transaction
from shared.database.migrations import MigrationMismatch, check_migrations, upgrade

__all__ = ["Database", "DatabaseBusy", "MigrationMismatch", "Transaction", "check_migrations", "upgrade"]
