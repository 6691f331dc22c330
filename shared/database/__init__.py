"""The database: engine, transactions with fault points, migrations."""

from shared.database.at_once import AtOnce, Change
from shared.database.engine import Database, DatabaseBusy, Transaction
from shared.database.migrations import MigrationMismatch, check_migrations, upgrade
from shared.database.rows import Insertion, as_rows, inserting

__all__ = [
    "AtOnce",
    "Change",
    "Database",
    "DatabaseBusy",
    "Insertion",
    "MigrationMismatch",
    "Transaction",
    "as_rows",
    "check_migrations",
    "inserting",
    "upgrade",
]
