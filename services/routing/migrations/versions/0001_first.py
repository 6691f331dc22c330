"""First schema of routing."""

from alembic import op

from shared.outbox import messaging_ddl

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE routing.agency_controls (
        agency_key UUID NOT NULL,
        reason TEXT NOT NULL,
        paused_by TEXT NOT NULL,
        paused_at TIMESTAMP WITH TIME ZONE NOT NULL,
        paused_until TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (agency_key)
    )
    """,
    """
    CREATE TABLE routing.documents (
        id UUID NOT NULL,
        sender_key UUID NOT NULL,
        sender_code TEXT NOT NULL,
        sender_document_id TEXT NOT NULL,
        packet_sha256 TEXT NOT NULL,
        packet_bytes BIGINT NOT NULL,
        lane SMALLINT NOT NULL,
        subject TEXT NOT NULL,
        code TEXT NOT NULL,
        header JSONB NOT NULL,
        parts JSONB NOT NULL,
        attachments JSONB NOT NULL,
        attachment_count INTEGER NOT NULL,
        report JSONB NOT NULL,
        system_id TEXT NOT NULL,
        credential_id TEXT NOT NULL,
        registry_version BIGINT NOT NULL,
        accepted_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT documents_sender_document_id UNIQUE (sender_key, sender_document_id)
    )
    """,
    "CREATE INDEX documents_by_sender ON routing.documents (sender_key, accepted_at DESC, id DESC)",
    "CREATE INDEX documents_packet ON routing.documents (packet_sha256)",
    """
    CREATE TABLE routing.idempotency_keys (
        system_id TEXT NOT NULL,
        key TEXT NOT NULL,
        operation TEXT NOT NULL,
        request_sha256 TEXT NOT NULL,
        result_id UUID NOT NULL,
        made_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (system_id, key)
    )
    """,
    """
    CREATE TABLE routing.lane_controls (
        lane SMALLINT NOT NULL,
        reason TEXT NOT NULL,
        paused_by TEXT NOT NULL,
        paused_at TIMESTAMP WITH TIME ZONE NOT NULL,
        paused_until TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (lane)
    )
    """,
    """
    CREATE TABLE routing.dispatches (
        id UUID NOT NULL,
        document_id UUID NOT NULL,
        addressees_sha256 TEXT NOT NULL,
        asked_sha256 TEXT NOT NULL,
        addressee_count INTEGER NOT NULL,
        opening_count INTEGER NOT NULL,
        unopened_count INTEGER NOT NULL,
        body TEXT NOT NULL,
        warnings JSONB NOT NULL,
        system_id TEXT NOT NULL,
        credential_id TEXT NOT NULL,
        registry_version BIGINT NOT NULL,
        accepted_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT dispatches_addressees UNIQUE (document_id, addressees_sha256),
        FOREIGN KEY(document_id) REFERENCES routing.documents (id)
    )
    """,
    """
    CREATE TABLE routing.deliveries (
        id UUID NOT NULL,
        document_id UUID NOT NULL,
        dispatch_id UUID NOT NULL,
        addressee_key UUID NOT NULL,
        mailbox_key UUID NOT NULL,
        sender_key UUID NOT NULL,
        lane SMALLINT NOT NULL,
        accepted_at TIMESTAMP WITH TIME ZONE NOT NULL,
        state TEXT NOT NULL,
        series INTEGER NOT NULL,
        held TEXT,
        reason_code TEXT,
        reason TEXT,
        requeue_possible BOOLEAN,
        available_at TIMESTAMP WITH TIME ZONE,
        changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT deliveries_addressee UNIQUE (document_id, addressee_key),
        FOREIGN KEY(document_id) REFERENCES routing.documents (id),
        FOREIGN KEY(dispatch_id) REFERENCES routing.dispatches (id)
    )
    """,
    "CREATE INDEX deliveries_failed ON routing.deliveries (changed_at, id) WHERE state = 'failed'",
    """
    CREATE INDEX deliveries_held ON routing.deliveries (mailbox_key, id)
    WHERE state = 'queued' AND held IS NOT NULL
    """,
    """
    CREATE INDEX deliveries_mailbox ON routing.deliveries (mailbox_key, (- lane), accepted_at, id)
    WHERE state IN ('available', 'fetched')
    """,
    """
    CREATE TABLE routing.dispatch_chunks (
        id UUID NOT NULL,
        dispatch_id UUID NOT NULL,
        document_id UUID NOT NULL,
        number INTEGER NOT NULL,
        lane SMALLINT NOT NULL,
        sender_key UUID NOT NULL,
        accepted_at TIMESTAMP WITH TIME ZONE NOT NULL,
        addressee_keys UUID[] NOT NULL,
        addressee_count INTEGER NOT NULL,
        requeued_delivery_id UUID,
        state TEXT NOT NULL,
        offers INTEGER DEFAULT '0' NOT NULL,
        offered_at TIMESTAMP WITH TIME ZONE,
        opened_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (id),
        CONSTRAINT dispatch_chunks_number UNIQUE (dispatch_id, number),
        FOREIGN KEY(dispatch_id) REFERENCES routing.dispatches (id),
        FOREIGN KEY(document_id) REFERENCES routing.documents (id)
    )
    """,
    "CREATE INDEX dispatch_chunks_document ON routing.dispatch_chunks (document_id)",
    """
    CREATE INDEX dispatch_chunks_offered ON routing.dispatch_chunks (lane, offered_at) WHERE state = 'offered'
    """,
    """
    CREATE INDEX dispatch_chunks_waiting ON routing.dispatch_chunks (lane, sender_key, accepted_at, id)
    WHERE state = 'waiting'
    """,
    """
    CREATE TABLE routing.evidence (
        id UUID NOT NULL,
        delivery_id UUID NOT NULL,
        document_id UUID NOT NULL,
        series INTEGER NOT NULL,
        state TEXT NOT NULL,
        statement TEXT NOT NULL,
        made_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT evidence_step UNIQUE (delivery_id, series, state),
        FOREIGN KEY(delivery_id) REFERENCES routing.deliveries (id),
        FOREIGN KEY(document_id) REFERENCES routing.documents (id)
    )
    """,
    """
    CREATE TABLE routing.status_reports (
        id UUID NOT NULL,
        delivery_id UUID NOT NULL,
        document_id UUID NOT NULL,
        reporter_key UUID NOT NULL,
        sender_key UUID NOT NULL,
        code TEXT NOT NULL,
        description TEXT NOT NULL,
        staff JSONB,
        content_sha256 TEXT NOT NULL,
        system_id TEXT NOT NULL,
        credential_id TEXT NOT NULL,
        happened_at TIMESTAMP WITH TIME ZONE NOT NULL,
        reported_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT status_reports_content UNIQUE (delivery_id, code, content_sha256),
        FOREIGN KEY(delivery_id) REFERENCES routing.deliveries (id)
    )
    """,
    "CREATE INDEX status_reports_journey ON routing.status_reports (document_id, reported_at, id)",
    """
    CREATE TABLE routing.acknowledgements (
        id UUID NOT NULL,
        delivery_id UUID NOT NULL,
        document_id UUID NOT NULL,
        series INTEGER NOT NULL,
        result TEXT NOT NULL,
        reason TEXT NOT NULL,
        system_id TEXT NOT NULL,
        credential_id TEXT NOT NULL,
        evidence_id UUID NOT NULL,
        acknowledged_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT acknowledgements_series UNIQUE (delivery_id, series),
        FOREIGN KEY(delivery_id) REFERENCES routing.deliveries (id),
        FOREIGN KEY(evidence_id) REFERENCES routing.evidence (id)
    )
    """,
    """
    CREATE INDEX acknowledgements_journey ON routing.acknowledgements (document_id, acknowledged_at, id)
    """,
    """
    CREATE TABLE routing.delivery_steps (
        id UUID NOT NULL,
        delivery_id UUID NOT NULL,
        document_id UUID NOT NULL,
        from_state TEXT,
        to_state TEXT NOT NULL,
        series INTEGER NOT NULL,
        held TEXT,
        reason_code TEXT,
        by TEXT NOT NULL,
        evidence_id UUID,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (id),
        FOREIGN KEY(delivery_id) REFERENCES routing.deliveries (id),
        FOREIGN KEY(evidence_id) REFERENCES routing.evidence (id)
    )
    """,
    "CREATE INDEX delivery_steps_journey ON routing.delivery_steps (document_id, at, id)",
    """
    CREATE TABLE routing.status_items (
        status_id UUID NOT NULL,
        addressee_key UUID NOT NULL,
        bytes_sha256 TEXT,
        state TEXT NOT NULL,
        changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (status_id, addressee_key),
        FOREIGN KEY(status_id) REFERENCES routing.status_reports (id)
    )
    """,
    """
    CREATE INDEX status_items_waiting ON routing.status_items (addressee_key, status_id)
    WHERE state IN ('available', 'fetched')
    """,
    """CREATE FUNCTION routing.refuse_illegal_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state IN ('scheduled', 'queued', 'available') AND NEW.series = 1 THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'a delivery cannot begin as % in series %', NEW.state, NEW.series
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = OLD.state AND NEW.series = OLD.series THEN
        RETURN NEW;
    END IF;
    IF (OLD.state, NEW.state) IN (
        ('scheduled', 'queued'),
        ('queued', 'available'),
        ('available', 'fetched'),
        ('fetched', 'delivered'),
        ('queued', 'relayed'),
        ('relayed', 'delivered'),
        ('available', 'failed'),
        ('fetched', 'failed'),
        ('queued', 'failed'),
        ('relayed', 'failed'),
        ('failed', 'queued'),
        ('scheduled', 'cancelled'),
        ('queued', 'cancelled'),
        ('failed', 'cancelled'),
        ('queued', 'recalled'),
        ('available', 'recalled'),
        ('fetched', 'recalled'),
        ('delivered', 'recalled'),
        ('queued', 'expired'),
        ('available', 'expired'),
        ('failed', 'expired')
    ) AND NEW.series = OLD.series + (CASE WHEN (OLD.state, NEW.state) IN (('failed', 'queued')) THEN 1 ELSE 0 END) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a delivery cannot go from % to % in series %', OLD.state, NEW.state, NEW.series
        USING ERRCODE = 'check_violation';
END
$$""",
    """
    CREATE TRIGGER deliveries_step BEFORE INSERT OR UPDATE OF state, series ON routing.deliveries
    FOR EACH ROW EXECUTE FUNCTION routing.refuse_illegal_step()
    """,
)


def upgrade() -> None:
    for statement in (*_STATEMENTS, *messaging_ddl("routing")):
        op.execute(statement)
