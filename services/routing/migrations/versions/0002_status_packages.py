"""Status packages: how large the bytes of an item are, and a document found by its number and notation."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
oldest_reader = "0001"

_STATEMENTS = (
    "ALTER TABLE routing.status_items ADD COLUMN bytes_size BIGINT",
    """
    CREATE INDEX IF NOT EXISTS status_items_bytes ON routing.status_items (bytes_sha256)
    WHERE bytes_sha256 IS NOT NULL
    """,
    """
    CREATE INDEX IF NOT EXISTS documents_code ON routing.documents (sender_key, code, accepted_at DESC)
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
