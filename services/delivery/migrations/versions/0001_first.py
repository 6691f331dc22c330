"""Notifications and the health of endpoints."""

from alembic import op

from shared.outbox import messaging_ddl

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE delivery.endpoints (
            webhook_id uuid PRIMARY KEY,
            failures integer NOT NULL DEFAULT 0,
            failing_since timestamptz,
            rests_until timestamptz
        )
        """
    )
    op.execute(
        """
        CREATE TABLE delivery.notifications (
            id uuid PRIMARY KEY,
            webhook_id uuid NOT NULL,
            event_id uuid NOT NULL,
            type text NOT NULL,
            subject text NOT NULL,
            lane smallint NOT NULL,
            body text NOT NULL,
            state text NOT NULL CHECK (state IN ('pending', 'delivered', 'given-up', 'endpoint-off')),
            attempts integer NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL,
            due_at timestamptz NOT NULL,
            last_status smallint,
            last_detail text,
            ended_at timestamptz,
            CONSTRAINT notifications_once UNIQUE (webhook_id, event_id, type, subject),
            CHECK ((state = 'pending') = (ended_at IS NULL))
        )
        """
    )
    op.execute(
        """
        CREATE INDEX notifications_due ON delivery.notifications (webhook_id, lane DESC, due_at)
        WHERE state = 'pending'
        """
    )
    op.execute("CREATE INDEX notifications_age ON delivery.notifications (created_at) WHERE state = 'pending'")
    op.execute("CREATE INDEX notifications_ended ON delivery.notifications (ended_at) WHERE ended_at IS NOT NULL")
    for statement in messaging_ddl("delivery"):
        op.execute(statement)
