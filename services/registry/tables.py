"""The registry's schema."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, ExcludeConstraint

from shared.outbox import messaging_tables

metadata = MetaData(schema="registry")
messaging = messaging_tables(metadata)

_moment = DateTime(timezone=True)

register_version = Table(
    "register_version",
    metadata,
    Column("single", Boolean, primary_key=True),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("single", name="register_version_one_row"),
)

agencies = Table(
    "agencies",
    metadata,
    Column("key", Uuid, primary_key=True),
    Column("code", Text, nullable=False),
    Column("code102", Text),
    Column("name", Text, nullable=False),
    Column("name_folded", Text, nullable=False),
    Column("sort_key", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("parent", Text),
    Column("gso_code", Text),
    Column("latitude", Double),
    Column("longitude", Double),
    Column("valid_from", _moment, nullable=False),
    Column("valid_to", _moment),
    Column("serving_node", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("email", Text),
    Column("mobile", Text),
    Column("fax", Text),
    Column("changed_at", _moment),
    CheckConstraint("level IN ('central', 'province', 'district', 'commune')", name="agencies_level"),
    CheckConstraint("valid_to > valid_from", name="agencies_validity"),
    Index("agencies_version", "version", unique=True),
    Index("agencies_code", "code"),
    Index("agencies_code102", "code102"),
    Index("agencies_parent", "parent"),
    Index("agencies_sorted", "sort_key", "key"),
    Index("agencies_name", "name_folded", postgresql_using="gin", postgresql_ops={"name_folded": "gin_trgm_ops"}),
)
_validity = func.tstzrange(agencies.c.valid_from, agencies.c.valid_to)
agencies.append_constraint(ExcludeConstraint((agencies.c.code, "="), (_validity, "&&"), name="agencies_one_code"))
agencies.append_constraint(ExcludeConstraint((agencies.c.code102, "="), (_validity, "&&"), name="agencies_one_code102"))

systems = Table(
    "systems",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_reason", Text),
    Column("created_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sources", ARRAY(Text), nullable=False, server_default=sql("'{}'")),
    CheckConstraint("status IN ('active', 'disabled')", name="systems_status"),
    Index("systems_version", "version", unique=True),
    Index("systems_id_folded", sql("lower(id)"), unique=True),
)

system_addresses = Table(
    "system_addresses",
    metadata,
    Column("system_id", Text, ForeignKey("registry.systems.id"), primary_key=True),
    Column("address", Text, primary_key=True),
    Column("first_seen_at", _moment, nullable=False),
    Column("last_seen_at", _moment, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Index("system_addresses_alarming", "system_id", postgresql_where=sql("NOT accepted")),
)

grants = Table(
    "grants",
    metadata,
    Column("system_id", Text, ForeignKey("registry.systems.id"), primary_key=True),
    Column("agency_key", Uuid, ForeignKey("registry.agencies.key"), primary_key=True),
    Column("role", Text, primary_key=True),
    Column("granted_at", _moment, nullable=False),
    Column("ended_at", _moment),
    CheckConstraint("role IN ('sender', 'reader', 'receiver')", name="grants_role"),
    Index(
        "grants_one_receiver",
        "agency_key",
        unique=True,
        postgresql_where=sql("role = 'receiver' AND ended_at IS NULL"),
    ),
    Index("grants_agency", "agency_key"),
)

credentials = Table(
    "credentials",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("system_id", Text, ForeignKey("registry.systems.id"), nullable=False),
    Column("secret_hmac", LargeBinary),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", _moment, nullable=False),
    Column("ends_at", _moment),
    Column("ended_at", _moment),
    Column("first_used_at", _moment),
    Column("last_used_at", _moment),
    Column("sealed_secret", LargeBinary),
    Index("credentials_system", "system_id"),
    Index("credentials_ending", "ends_at", postgresql_where=sql("ended_at IS NULL")),
)

certificates = Table(
    "certificates",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("system_id", Text, ForeignKey("registry.systems.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("chain", ARRAY(Text), nullable=False),
    Column("valid_from", _moment, nullable=False),
    Column("valid_to", _moment, nullable=False),
    Column("revoked_at", _moment),
    Column("revocation_reason", Text),
    CheckConstraint("purpose IN ('seal', 'auth')", name="certificates_purpose"),
    Index("certificates_system", "system_id"),
)

used_assertions = Table(
    "used_assertions",
    metadata,
    Column("system_id", Text, primary_key=True),
    Column("jti", Text, primary_key=True),
    Column("expires_at", _moment, nullable=False),
    Index("used_assertions_expiry", "expires_at"),
)

registrations = Table(
    "registrations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("status", Text, nullable=False),
    Column("system_id", Text, nullable=False),
    Column("system_name", Text, nullable=False),
    Column("contact_name", Text, nullable=False),
    Column("contact_email", Text, nullable=False),
    Column("agencies", ARRAY(Text), nullable=False),
    Column("keys", JSONB, nullable=False),
    Column("claim_hmac", LargeBinary, nullable=False),
    Column("idempotency_hmac", LargeBinary, unique=True),
    Column("request_sha256", Text, nullable=False),
    Column("warnings", ARRAY(Text), nullable=False),
    Column("reason", Text),
    Column("decided_by", Text),
    Column("credential_id", Uuid, ForeignKey("registry.credentials.id")),
    Column("created_at", _moment, nullable=False),
    Column("decided_at", _moment),
    Column("handed_over_at", _moment),
    CheckConstraint("status IN ('pending', 'approved', 'refused', 'handed-over')", name="registrations_status"),
    Index(
        "registrations_one_system",
        sql("lower(system_id)"),
        unique=True,
        postgresql_where=sql("status <> 'refused'"),
    ),
    Index("registrations_contact", sql("lower(contact_email)"), postgresql_where=sql("status = 'pending'")),
    Index("registrations_status_order", "status", "id"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("system_id", Text, ForeignKey("registry.systems.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("agency_keys", ARRAY(Uuid), nullable=False),
    Column("agencies", ARRAY(Text), nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("idempotency_key", Text),
    Column("request_sha256", Text, nullable=False),
    Column("created_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False),
    CheckConstraint("state IN ('pending', 'active', 'disabled')", name="webhooks_state"),
    Index("webhooks_one_request", "system_id", "idempotency_key", unique=True),
)
