"""
A table of agencies taken into the register by a handful of statements, however long it is.

The rows go as one JSON array into a temporary table; PostgreSQL then finds out what is new, changed or in the way.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

_CREATE = text("""
    CREATE TEMPORARY TABLE incoming (
        line integer, key uuid PRIMARY KEY, code text, code102 text, name text, name_folded text, sort_key text,
        level text, kind text, parent text, gso_code text, latitude double precision, longitude double precision,
        valid_from timestamptz, serving_node text
    ) ON COMMIT DROP
""")
_FILL = text("""
    INSERT INTO incoming
    SELECT * FROM jsonb_to_recordset(CAST(:records AS jsonb)) AS record (
        line integer, key uuid, code text, code102 text, name text, name_folded text, sort_key text,
        level text, kind text, parent text, gso_code text, latitude double precision, longitude double precision,
        valid_from timestamptz, serving_node text
    )
""")
_ANALYZE = text("ANALYZE incoming")

# What an import may change of an agency that is there; key, code and validity are what the agency is.
_OURS = (
    "known.code102, known.name, known.level, known.kind, known.parent, known.gso_code, known.latitude,"
    " known.longitude, known.serving_node"
)
_THEIRS = _OURS.replace("known.", "incoming.")

# Two joins and not one with OR, which would compare every row with every other.
_IN_THE_WAY = text("""
    SELECT incoming.line, incoming.code, known.code AS known_code, known.valid_from AS known_from
    FROM incoming
    JOIN registry.agencies AS known ON known.code = incoming.code AND known.key <> incoming.key
    LEFT JOIN registry.agencies AS mine ON mine.key = incoming.key
    WHERE tstzrange(known.valid_from, known.valid_to) && tstzrange(incoming.valid_from, mine.valid_to)
    UNION ALL
    SELECT incoming.line, incoming.code, known.code, known.valid_from
    FROM incoming
    JOIN registry.agencies AS known ON known.code102 = incoming.code102 AND known.key <> incoming.key
    LEFT JOIN registry.agencies AS mine ON mine.key = incoming.key
    WHERE known.code <> incoming.code
      AND tstzrange(known.valid_from, known.valid_to) && tstzrange(incoming.valid_from, mine.valid_to)
    -- A row that is itself in the file may be about to change its old code.
      AND NOT EXISTS (SELECT 1 FROM incoming AS other WHERE other.key = known.key)
    UNION ALL
    -- An irregular code may look like the old form of another one.
    SELECT incoming.line, incoming.code, known.code, known.valid_from
    FROM incoming
    JOIN registry.agencies AS known ON known.code102 = incoming.code AND known.key <> incoming.key
    WHERE tstzrange(known.valid_from, known.valid_to) && tstzrange(incoming.valid_from, NULL)
      AND NOT EXISTS (SELECT 1 FROM incoming AS other WHERE other.key = known.key)
    UNION ALL
    SELECT incoming.line, incoming.code, known.code, known.valid_from
    FROM incoming
    JOIN registry.agencies AS known ON known.code = incoming.code102 AND known.key <> incoming.key
    WHERE tstzrange(known.valid_from, known.valid_to) && tstzrange(incoming.valid_from, NULL)
    ORDER BY 1
""")
_KNOWN_PARENTS = text("""
    SELECT code FROM registry.agencies
    WHERE code IN :codes AND valid_from <= :at AND (valid_to IS NULL OR valid_to > :at)
""").bindparams(bindparam("codes", expanding=True))

_COUNT = text(f"""
    SELECT count(*) FILTER (WHERE known.key IS NULL) AS added,
           count(*) FILTER (WHERE known.key IS NOT NULL AND ({_OURS}) IS DISTINCT FROM ({_THEIRS})) AS changed,
           count(*) AS total
    FROM incoming LEFT JOIN registry.agencies AS known ON known.key = incoming.key
""")  # noqa: S608 - made of constants
_DROP_UNCHANGED = text(f"""
    DELETE FROM incoming USING registry.agencies AS known
    WHERE known.key = incoming.key AND ({_OURS}) IS NOT DISTINCT FROM ({_THEIRS})
""")  # noqa: S608 - made of constants
_FREE_OLD_CODES = text("""
    UPDATE registry.agencies AS known SET code102 = NULL FROM incoming
    WHERE known.key = incoming.key AND known.code102 IS DISTINCT FROM incoming.code102
""")
_WRITE = text("""
    INSERT INTO registry.agencies AS known (
        key, code, code102, name, name_folded, sort_key, level, kind, parent, gso_code, latitude, longitude,
        valid_from, serving_node, version, changed_at
    )
    SELECT key, code, code102, name, name_folded, sort_key, level, kind, parent, gso_code, latitude, longitude,
           valid_from, serving_node, :before + row_number() OVER (ORDER BY line), CAST(:now AS timestamptz)
    FROM incoming
    ON CONFLICT (key) DO UPDATE SET
        code102 = excluded.code102, name = excluded.name, name_folded = excluded.name_folded,
        sort_key = excluded.sort_key, level = excluded.level, kind = excluded.kind, parent = excluded.parent,
        gso_code = excluded.gso_code, latitude = excluded.latitude, longitude = excluded.longitude,
        serving_node = excluded.serving_node, version = excluded.version, changed_at = excluded.changed_at
""")
_KEYS = text("""
    SELECT max(version) AS version, array_agg(key ORDER BY version) AS keys
    FROM registry.agencies WHERE version > :before
    GROUP BY (version - :before - 1) / :pack_size
    ORDER BY 1
""")


@dataclass(frozen=True)
class Difference:
    """
    What an import changes.
    """

    added: int
    changed: int
    unchanged: int


@dataclass(frozen=True)
class Obstacle:
    """
    A line whose code another agency has.
    """

    line: int
    code: str
    known_code: str
    known_from: datetime


async def stage(connection: AsyncConnection, records: str) -> None:
    """
    Put the rows, a JSON array, where the other statements find them until the transaction ends.
    """
    await connection.execute(_CREATE)
    await connection.execute(_FILL, {"records": records})
    await connection.execute(_ANALYZE)


async def find_obstacles(connection: AsyncConnection) -> list[Obstacle]:
    """
    Find staged rows whose code, in either form, another agency has at the same time.
    """
    return [Obstacle(*row) for row in await connection.execute(_IN_THE_WAY)]


async def find_known_parents(connection: AsyncConnection, codes: Collection[str], at: datetime) -> set[str]:
    """
    Tell which of these codes are open agencies of the register.
    """
    if not codes:
        return set()
    return set((await connection.execute(_KNOWN_PARENTS, {"codes": list(codes), "at": at})).scalars())


async def compare(connection: AsyncConnection) -> Difference:
    """
    Count what would be added, changed and left alone.
    """
    row = (await connection.execute(_COUNT)).one()
    return Difference(row.added, row.changed, row.total - row.added - row.changed)


async def write(connection: AsyncConnection, before: int, now: datetime) -> None:
    """
    Add and change what differs; each row gets a version of its own, counted from `before`, in the order of lines.
    """
    await connection.execute(_DROP_UNCHANGED)
    await connection.execute(_FREE_OLD_CODES)
    await connection.execute(_WRITE, {"before": before, "now": now})


async def changed_keys(connection: AsyncConnection, before: int, pack_size: int) -> list[tuple[int, tuple[UUID, ...]]]:
    """
    Give the keys written after a version in packs, each with its last version.
    """
    rows = await connection.execute(_KEYS, {"before": before, "pack_size": pack_size})
    return [(row.version, tuple(row.keys)) for row in rows]
