"""First schema of the registry."""

from alembic import op

from shared.outbox import messaging_ddl

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE registry.register_version (
        single boolean PRIMARY KEY,
        version bigint NOT NULL,
        CONSTRAINT register_version_one_row CHECK (single)
    )
    """,
    "INSERT INTO registry.register_version (single, version) VALUES (true, 0)",
    """
    CREATE TABLE registry.agencies (
        key uuid PRIMARY KEY,
        code text NOT NULL,
        code102 text,
        name text NOT NULL,
        name_folded text NOT NULL,
        sort_key text NOT NULL,
        level text NOT NULL,
        kind text NOT NULL,
        parent text,
        gso_code text,
        latitude double precision,
        longitude double precision,
        valid_from timestamptz NOT NULL,
        valid_to timestamptz,
        serving_node text NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT agencies_level CHECK (level IN ('central', 'province', 'district', 'commune')),
        CONSTRAINT agencies_validity CHECK (valid_to > valid_from),
        CONSTRAINT agencies_one_code EXCLUDE USING gist (code WITH =, tstzrange(valid_from, valid_to) WITH &&),
        CONSTRAINT agencies_one_code102 EXCLUDE USING gist (code102 WITH =, tstzrange(valid_from, valid_to) WITH &&)
    )
    """,
    "CREATE UNIQUE INDEX agencies_version ON registry.agencies (version)",
    "CREATE INDEX agencies_code ON registry.agencies (code)",
    "CREATE INDEX agencies_code102 ON registry.agencies (code102)",
    "CREATE INDEX agencies_parent ON registry.agencies (parent)",
    "CREATE INDEX agencies_sorted ON registry.agencies (sort_key, key)",
    "CREATE INDEX agencies_name ON registry.agencies USING gin (name_folded public.gin_trgm_ops)",
    """
    CREATE TABLE registry.systems (
        id text PRIMARY KEY,
        name text NOT NULL,
        dialect text NOT NULL,
        status text NOT NULL,
        status_reason text,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT systems_status CHECK (status IN ('active', 'disabled'))
    )
    """,
    "CREATE UNIQUE INDEX systems_version ON registry.systems (version)",
    "CREATE UNIQUE INDEX systems_id_folded ON registry.systems (lower(id))",
    """
    CREATE TABLE registry.grants (
        system_id text NOT NULL REFERENCES registry.systems (id),
        agency_key uuid NOT NULL REFERENCES registry.agencies (key),
        role text NOT NULL,
        granted_at timestamptz NOT NULL,
        ended_at timestamptz,
        PRIMARY KEY (system_id, agency_key, role),
        CONSTRAINT grants_role CHECK (role IN ('sender', 'reader', 'receiver'))
    )
    """,
    """
    CREATE UNIQUE INDEX grants_one_receiver ON registry.grants (agency_key)
    WHERE role = 'receiver' AND ended_at IS NULL
    """,
    "CREATE INDEX grants_agency ON registry.grants (agency_key)",
    """
    CREATE TABLE registry.credentials (
        id uuid PRIMARY KEY,
        system_id text NOT NULL REFERENCES registry.systems (id),
        secret_hmac bytea,
        scopes text[] NOT NULL,
        created_at timestamptz NOT NULL,
        ends_at timestamptz,
        ended_at timestamptz,
        first_used_at timestamptz,
        last_used_at timestamptz
    )
    """,
    "CREATE INDEX credentials_system ON registry.credentials (system_id)",
    "CREATE INDEX credentials_ending ON registry.credentials (ends_at) WHERE ended_at IS NULL",
    """
    CREATE TABLE registry.certificates (
        sha256 text PRIMARY KEY,
        system_id text NOT NULL REFERENCES registry.systems (id),
        purpose text NOT NULL,
        certificate text NOT NULL,
        chain text[] NOT NULL,
        valid_from timestamptz NOT NULL,
        valid_to timestamptz NOT NULL,
        revoked_at timestamptz,
        revocation_reason text,
        CONSTRAINT certificates_purpose CHECK (purpose IN ('seal', 'auth'))
    )
    """,
    "CREATE INDEX certificates_system ON registry.certificates (system_id)",
    """
    CREATE TABLE registry.used_assertions (
        system_id text NOT NULL,
        jti text NOT NULL,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (system_id, jti)
    )
    """,
    "CREATE INDEX used_assertions_expiry ON registry.used_assertions (expires_at)",
    """
    CREATE TABLE registry.registrations (
        id uuid PRIMARY KEY,
        status text NOT NULL,
        system_id text NOT NULL,
        system_name text NOT NULL,
        contact_name text NOT NULL,
        contact_email text NOT NULL,
        agencies text[] NOT NULL,
        keys jsonb NOT NULL,
        claim_hmac bytea NOT NULL,
        idempotency_hmac bytea UNIQUE,
        request_sha256 text NOT NULL,
        warnings text[] NOT NULL,
        reason text,
        decided_by text,
        credential_id uuid REFERENCES registry.credentials (id),
        created_at timestamptz NOT NULL,
        decided_at timestamptz,
        handed_over_at timestamptz,
        CONSTRAINT registrations_status CHECK (status IN ('pending', 'approved', 'refused', 'handed-over'))
    )
    """,
    """
    CREATE UNIQUE INDEX registrations_one_system ON registry.registrations (lower(system_id))
    WHERE status <> 'refused'
    """,
    """
    CREATE INDEX registrations_contact ON registry.registrations (lower(contact_email)) WHERE status = 'pending'
    """,
    "CREATE INDEX registrations_status_order ON registry.registrations (status, id)",
    """
    CREATE TABLE registry.webhooks (
        id uuid PRIMARY KEY,
        system_id text NOT NULL REFERENCES registry.systems (id),
        url text NOT NULL,
        agency_keys uuid[] NOT NULL,
        agencies text[] NOT NULL,
        state text NOT NULL,
        reason text,
        sealed_secret bytea NOT NULL,
        idempotency_key text,
        request_sha256 text NOT NULL,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        CONSTRAINT webhooks_state CHECK (state IN ('pending', 'active', 'disabled'))
    )
    """,
    "CREATE UNIQUE INDEX webhooks_one_request ON registry.webhooks (system_id, idempotency_key)",
)


def upgrade() -> None:
    for statement in (*messaging_ddl("registry"), *_STATEMENTS):
        op.execute(statement)
