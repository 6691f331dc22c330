"""
This release works with a schema to which the next one has added.
"""

import asyncpg
import pytest

from shared.testing.postgres import SampleDatabase
from tests.services.routing.conftest import COMMUNE, DISTRICT, House

WIDEN = """
DO $$
DECLARE t record;
BEGIN
    FOR t IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('routing', 'signing')
             AND tablename <> 'schema_version'
    LOOP
        EXECUTE format('ALTER TABLE %I.%I ADD COLUMN of_a_later_release text NOT NULL DEFAULT ''later''',
                       t.schemaname, t.tablename);
    END LOOP;
    FOR t IN SELECT schemaname FROM (VALUES ('routing'), ('signing')) AS v (schemaname)
    LOOP
        EXECUTE format('COMMENT ON TABLE %I.schema_version IS ''oldest reader: %s''', t.schemaname,
                       (SELECT CASE t.schemaname WHEN 'routing' THEN (SELECT version_num FROM routing.schema_version)
                                                 ELSE (SELECT version_num FROM signing.schema_version) END));
    END LOOP;
    UPDATE routing.schema_version SET version_num = '9999';
    UPDATE signing.schema_version SET version_num = '9999';
END $$
"""


@pytest.fixture
async def newer(database: SampleDatabase) -> None:
    connection = await asyncpg.connect(database.admin_dsn())
    try:
        await connection.execute(WIDEN)
    finally:
        await connection.close()


async def test_a_document_goes_its_whole_way_on_the_schema_of_the_next_release(newer: None, house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    sent = await house.submit(sender)
    item = await house.arrival(receiver, sent.document_id)
    await house.fetch(receiver, item.delivery_id)
    assert (await house.document(sender, sent.document_id)).counts == {"fetched": 1}
    await house.check_invariants()
