"""
Systems that sign headers, the places they call from, and agencies registered as units.

Nothing that is there changes: the release before writes agencies without `changed_at`, which counts as their first
day then, and its systems may call from anywhere.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

oldest_reader = "0001"

_STATEMENTS = (
    """
    ALTER TABLE registry.agencies
        ADD COLUMN email text,
        ADD COLUMN mobile text,
        ADD COLUMN fax text,
        ADD COLUMN changed_at timestamptz
    """,
    "ALTER TABLE registry.systems ADD COLUMN sources text[] NOT NULL DEFAULT '{}'",
    "ALTER TABLE registry.credentials ADD COLUMN sealed_secret bytea",
    """
    CREATE TABLE registry.system_addresses (
        system_id text NOT NULL REFERENCES registry.systems (id),
        address text NOT NULL,
        first_seen_at timestamptz NOT NULL,
        last_seen_at timestamptz NOT NULL,
        accepted boolean NOT NULL,
        PRIMARY KEY (system_id, address)
    )
    """,
    "CREATE INDEX system_addresses_alarming ON registry.system_addresses (system_id) WHERE NOT accepted",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
