"""What is exchanged with a national axis."""

from alembic import op

revision = "0002"
down_revision = "0001"
oldest_reader = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE delivery.national_axes (
            name text PRIMARY KEY,
            failures integer NOT NULL DEFAULT 0,
            failing_since timestamptz,
            rests_until timestamptz
        )
        """
    )
    op.execute(
        """
        CREATE TABLE delivery.national_sendings (
            axis text NOT NULL,
            request_sha256 text NOT NULL,
            message_type text NOT NULL,
            sender text NOT NULL,
            addressees text[] NOT NULL,
            packet_sha256 text NOT NULL,
            attempts integer NOT NULL DEFAULT 0,
            lease_until timestamptz NOT NULL,
            last_detail text,
            created_at timestamptz NOT NULL,
            doc_id text,
            sent_at timestamptz,
            PRIMARY KEY (axis, request_sha256),
            CHECK ((doc_id IS NULL) = (sent_at IS NULL))
        )
        """
    )
    op.execute("CREATE INDEX national_sendings_age ON delivery.national_sendings (created_at)")
    op.execute(
        """
        CREATE TABLE delivery.national_items (
            axis text NOT NULL,
            doc_id text NOT NULL,
            message_type text NOT NULL,
            sender text,
            addressee text,
            listed_at timestamptz NOT NULL,
            packet_sha256 text,
            fetched_at timestamptz,
            result text CHECK (result IN ('done', 'fail')),
            description text NOT NULL DEFAULT '',
            decided_at timestamptz,
            told_at timestamptz,
            PRIMARY KEY (axis, doc_id),
            CHECK ((packet_sha256 IS NULL) = (fetched_at IS NULL)),
            CHECK ((result IS NULL) = (decided_at IS NULL)),
            CHECK (told_at IS NULL OR result IS NOT NULL),
            CHECK (result <> 'done' OR packet_sha256 IS NOT NULL)
        )
        """
    )
    op.execute("CREATE INDEX national_items_open ON delivery.national_items (axis, message_type) WHERE told_at IS NULL")
    op.execute("CREATE INDEX national_items_told ON delivery.national_items (told_at) WHERE told_at IS NOT NULL")
