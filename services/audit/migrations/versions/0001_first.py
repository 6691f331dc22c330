"""The journal, its hashes and its signed heads; the database refuses to change or remove any of them."""

from alembic import op

from shared.outbox import messaging_ddl

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE audit.journals (
            number smallint PRIMARY KEY CHECK (number = 1),
            log_id uuid NOT NULL,
            created_at timestamptz NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE TABLE audit.leaves (
            leaf_index bigint PRIMARY KEY CHECK (leaf_index >= 0),
            event_id uuid NOT NULL UNIQUE,
            leaf text NOT NULL,
            appended_at timestamptz NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE TABLE audit.nodes (
            level smallint NOT NULL,
            ordinal bigint NOT NULL,
            hash bytea NOT NULL CHECK (octet_length(hash) = 32),
            PRIMARY KEY (level, ordinal)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE audit.tree_heads (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tree_size bigint NOT NULL,
            root_hash bytea NOT NULL CHECK (octet_length(root_hash) = 32),
            signed_at timestamptz NOT NULL,
            statement text NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX tree_heads_size ON audit.tree_heads (tree_size, signed_at)")
    op.execute(
        """
        CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit.% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
        END
        $$
        """
    )
    for table in ("journals", "leaves", "nodes", "tree_heads"):
        op.execute(
            f"""
            CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.{table}
            FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()
            """
        )
    for statement in messaging_ddl("audit"):
        op.execute(statement)
