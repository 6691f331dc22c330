"""First tables."""

from alembic import op

from shared.outbox import messaging_ddl

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE signing.trust_anchors (
            sha256 text PRIMARY KEY,
            pem text NOT NULL,
            added_at timestamptz NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE TABLE signing.revocation_lists (
            issuer_sha256 text PRIMARY KEY REFERENCES signing.trust_anchors (sha256),
            number bigint NOT NULL,
            this_update_at timestamptz NOT NULL,
            next_update_at timestamptz NOT NULL,
            pem text NOT NULL,
            CONSTRAINT revocation_lists_last CHECK (this_update_at < next_update_at)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE signing.certified_keys (
            spki_sha256 text PRIMARY KEY,
            system_id text NOT NULL,
            CONSTRAINT certified_keys_owner UNIQUE (spki_sha256, system_id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE signing.issued_certificates (
            sha256 text PRIMARY KEY,
            issuer_sha256 text NOT NULL REFERENCES signing.trust_anchors (sha256),
            serial_number text NOT NULL,
            request_sha256 text NOT NULL UNIQUE,
            spki_sha256 text NOT NULL,
            system_id text NOT NULL,
            purpose text NOT NULL,
            pem text NOT NULL,
            not_before_at timestamptz NOT NULL,
            not_after_at timestamptz NOT NULL,
            issued_at timestamptz NOT NULL,
            revoked_at timestamptz,
            revocation_reason text,
            CONSTRAINT issued_certificates_serial UNIQUE (issuer_sha256, serial_number),
            CONSTRAINT issued_certificates_key FOREIGN KEY (spki_sha256, system_id)
                REFERENCES signing.certified_keys (spki_sha256, system_id),
            CONSTRAINT issued_certificates_purpose CHECK (purpose IN ('seal', 'auth', 'evidence')),
            CONSTRAINT issued_certificates_revoked_for_a_reason
                CHECK ((revoked_at IS NULL) = (revocation_reason IS NULL))
        )
        """
    )
    for statement in messaging_ddl("signing"):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("a node that has signed is never taken back")
