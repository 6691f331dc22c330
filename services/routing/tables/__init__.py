"""The tables of the schema `routing`; docs/data-model.md says who writes each and what deletes it."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.outbox import messaging_tables

SCHEMA = "routing"

metadata = MetaData(schema=SCHEMA)
messaging = messaging_tables(metadata)

_moment = DateTime(timezone=True)

documents = Table(
    "documents",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("sender_key", Uuid, nullable=False),
    Column("sender_code", Text, nullable=False),
    Column("sender_document_id", Text, nullable=False),
    Column("packet_sha256", Text, nullable=False),
    Column("packet_bytes", BigInteger, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("header", JSONB, nullable=False),
    Column("parts", JSONB, nullable=False),
    Column("attachments", JSONB, nullable=False),
    Column("attachment_count", Integer, nullable=False),
    Column("report", JSONB, nullable=False),
    Column("system_id", Text, nullable=False),
    Column("credential_id", Text, nullable=False),
    Column("registry_version", BigInteger, nullable=False),
    Column("accepted_at", _moment, nullable=False),
    UniqueConstraint("sender_key", "sender_document_id", name="documents_sender_document_id"),
)
Index("documents_by_sender", documents.c.sender_key, documents.c.accepted_at.desc(), documents.c.id.desc())
Index("documents_packet", documents.c.packet_sha256)
Index("documents_code", documents.c.sender_key, documents.c.code, documents.c.accepted_at.desc())

dispatches = Table(
    "dispatches",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("document_id", Uuid, ForeignKey(documents.c.id), nullable=False),
    Column("addressees_sha256", Text, nullable=False),
    Column("asked_sha256", Text, nullable=False),
    Column("addressee_count", Integer, nullable=False),
    Column("opening_count", Integer, nullable=False),
    Column("unopened_count", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("warnings", JSONB, nullable=False),
    Column("system_id", Text, nullable=False),
    Column("credential_id", Text, nullable=False),
    Column("registry_version", BigInteger, nullable=False),
    Column("accepted_at", _moment, nullable=False),
    UniqueConstraint("document_id", "addressees_sha256", name="dispatches_addressees"),
)

dispatch_chunks = Table(
    "dispatch_chunks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("dispatch_id", Uuid, ForeignKey(dispatches.c.id), nullable=False),
    Column("document_id", Uuid, ForeignKey(documents.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("sender_key", Uuid, nullable=False),
    Column("accepted_at", _moment, nullable=False),
    Column("addressee_keys", ARRAY(Uuid), nullable=False),
    Column("addressee_count", Integer, nullable=False),
    Column("requeued_delivery_id", Uuid),
    Column("state", Text, nullable=False),
    Column("offers", Integer, nullable=False, server_default="0"),
    Column("offered_at", _moment),
    Column("opened_at", _moment),
    UniqueConstraint("dispatch_id", "number", name="dispatch_chunks_number"),
)
Index(
    "dispatch_chunks_waiting",
    dispatch_chunks.c.lane,
    dispatch_chunks.c.sender_key,
    dispatch_chunks.c.accepted_at,
    dispatch_chunks.c.id,
    postgresql_where=sql("state = 'waiting'"),
)
Index(
    "dispatch_chunks_offered",
    dispatch_chunks.c.lane,
    dispatch_chunks.c.offered_at,
    postgresql_where=sql("state = 'offered'"),
)
Index("dispatch_chunks_document", dispatch_chunks.c.document_id)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("document_id", Uuid, ForeignKey(documents.c.id), nullable=False),
    Column("dispatch_id", Uuid, ForeignKey(dispatches.c.id), nullable=False),
    Column("addressee_key", Uuid, nullable=False),
    Column("mailbox_key", Uuid, nullable=False),
    Column("sender_key", Uuid, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("accepted_at", _moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("series", Integer, nullable=False),
    Column("held", Text),
    Column("reason_code", Text),
    Column("reason", Text),
    Column("requeue_possible", Boolean),
    Column("available_at", _moment),
    Column("changed_at", _moment, nullable=False),
    UniqueConstraint("document_id", "addressee_key", name="deliveries_addressee"),
)
Index(
    "deliveries_mailbox",
    deliveries.c.mailbox_key,
    sql("(- lane)"),
    deliveries.c.accepted_at,
    deliveries.c.id,
    postgresql_where=sql("state IN ('available', 'fetched')"),
)
Index("deliveries_failed", deliveries.c.changed_at, deliveries.c.id, postgresql_where=sql("state = 'failed'"))
Index(
    "deliveries_held",
    deliveries.c.mailbox_key,
    deliveries.c.id,
    postgresql_where=sql("state = 'queued' AND held IS NOT NULL"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("delivery_id", Uuid, ForeignKey(deliveries.c.id), nullable=False),
    Column("document_id", Uuid, ForeignKey(documents.c.id), nullable=False),
    Column("series", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("statement", Text, nullable=False),
    Column("made_at", _moment, nullable=False),
    UniqueConstraint("delivery_id", "series", "state", name="evidence_step"),
)

delivery_steps = Table(
    "delivery_steps",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("delivery_id", Uuid, ForeignKey(deliveries.c.id), nullable=False),
    Column("document_id", Uuid, nullable=False),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("series", Integer, nullable=False),
    Column("held", Text),
    Column("reason_code", Text),
    Column("by", Text, nullable=False),
    Column("evidence_id", Uuid, ForeignKey(evidence.c.id)),
    Column("at", _moment, nullable=False),
)
Index("delivery_steps_journey", delivery_steps.c.document_id, delivery_steps.c.at, delivery_steps.c.id)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("delivery_id", Uuid, ForeignKey(deliveries.c.id), nullable=False),
    Column("document_id", Uuid, nullable=False),
    Column("series", Integer, nullable=False),
    Column("result", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("system_id", Text, nullable=False),
    Column("credential_id", Text, nullable=False),
    Column("evidence_id", Uuid, ForeignKey(evidence.c.id), nullable=False),
    Column("acknowledged_at", _moment, nullable=False),
    UniqueConstraint("delivery_id", "series", name="acknowledgements_series"),
)
Index(
    "acknowledgements_journey",
    acknowledgements.c.document_id,
    acknowledgements.c.acknowledged_at,
    acknowledgements.c.id,
)

status_reports = Table(
    "status_reports",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("delivery_id", Uuid, ForeignKey(deliveries.c.id), nullable=False),
    Column("document_id", Uuid, nullable=False),
    Column("reporter_key", Uuid, nullable=False),
    Column("sender_key", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("staff", JSONB),
    Column("content_sha256", Text, nullable=False),
    Column("system_id", Text, nullable=False),
    Column("credential_id", Text, nullable=False),
    Column("happened_at", _moment, nullable=False),
    Column("reported_at", _moment, nullable=False),
    UniqueConstraint("delivery_id", "code", "content_sha256", name="status_reports_content"),
)
Index("status_reports_journey", status_reports.c.document_id, status_reports.c.reported_at, status_reports.c.id)

status_items = Table(
    "status_items",
    metadata,
    Column("status_id", Uuid, ForeignKey(status_reports.c.id), primary_key=True),
    Column("addressee_key", Uuid, primary_key=True),
    Column("bytes_sha256", Text),
    Column("state", Text, nullable=False),
    Column("changed_at", _moment, nullable=False),
    Column("bytes_size", BigInteger),
)
Index(
    "status_items_waiting",
    status_items.c.addressee_key,
    status_items.c.status_id,
    postgresql_where=sql("state IN ('available', 'fetched')"),
)
Index("status_items_bytes", status_items.c.bytes_sha256, postgresql_where=sql("bytes_sha256 IS NOT NULL"))

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("system_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("request_sha256", Text, nullable=False),
    Column("result_id", Uuid, nullable=False),
    Column("made_at", _moment, nullable=False),
)

lane_controls = Table(
    "lane_controls",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    Column("paused_by", Text, nullable=False),
    Column("paused_at", _moment, nullable=False),
    Column("paused_until", _moment),
)

agency_controls = Table(
    "agency_controls",
    metadata,
    Column("agency_key", Uuid, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("paused_by", Text, nullable=False),
    Column("paused_at", _moment, nullable=False),
    Column("paused_until", _moment),
)
