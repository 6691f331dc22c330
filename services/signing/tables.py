"""The tables of the schema `signing`."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from shared.outbox import messaging_tables

SCHEMA = "signing"

metadata = MetaData(schema=SCHEMA)
messaging = messaging_tables(metadata)

_moment = DateTime(timezone=True)

trust_anchors = Table(
    "trust_anchors",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("pem", Text, nullable=False),
    Column("added_at", _moment, nullable=False),
)

revocation_lists = Table(
    "revocation_lists",
    metadata,
    # The issuer's row is also the lock under which the next list of that issuer is made.
    Column("issuer_sha256", Text, ForeignKey(trust_anchors.c.sha256), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("this_update_at", _moment, nullable=False),
    Column("next_update_at", _moment, nullable=False),
    Column("pem", Text, nullable=False),
    CheckConstraint("this_update_at < next_update_at", name="revocation_lists_last"),
)

# One public key belongs to one system for ever: a packet's signature names its certificate but does not cover it, so
# the same key in the certificate of another system would let that one pass for the signer.
certified_keys = Table(
    "certified_keys",
    metadata,
    Column("spki_sha256", Text, primary_key=True),
    Column("system_id", Text, nullable=False),
    UniqueConstraint("spki_sha256", "system_id", name="certified_keys_owner"),
)

issued_certificates = Table(
    "issued_certificates",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("issuer_sha256", Text, ForeignKey(trust_anchors.c.sha256), nullable=False),
    Column("serial_number", Text, nullable=False),
    Column("request_sha256", Text, nullable=False, unique=True),
    Column("spki_sha256", Text, nullable=False),
    Column("system_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("pem", Text, nullable=False),
    Column("not_before_at", _moment, nullable=False),
    Column("not_after_at", _moment, nullable=False),
    Column("issued_at", _moment, nullable=False),
    Column("revoked_at", _moment),
    Column("revocation_reason", Text),
    UniqueConstraint("issuer_sha256", "serial_number", name="issued_certificates_serial"),
    ForeignKeyConstraint(
        ["spki_sha256", "system_id"],
        [certified_keys.c.spki_sha256, certified_keys.c.system_id],
        name="issued_certificates_key",
    ),
    CheckConstraint("purpose IN ('seal', 'auth', 'evidence')", name="issued_certificates_purpose"),
    CheckConstraint(
        "(revoked_at IS NULL) = (revocation_reason IS NULL)", name="issued_certificates_revoked_for_a_reason"
    ),
)
