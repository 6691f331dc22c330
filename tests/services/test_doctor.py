"""
The doctor finds what is wrong and says what to do about it, in both languages; one test for each thing gone wrong.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import aiormq
import asyncpg
import pytest

from deploy.composition import PROCESSES, SERVICES
from deploy.distributed.broker import ADMIN, PrivateRabbit
from deploy.distributed.broker_checks import claim_broker
from deploy.distributed.database import Identity
from deploy.doctor import Finding, Subject, examine
from services.signing.repository.key_file import create_key_file
from shared.clock import SystemClock
from shared.database.migrations import VERSION_TABLE, scripts_of
from shared.messaging.rabbitmq.topology import AXIS
from shared.testing.pki import an_authority, to_pem
from shared.testing.postgres import SampleDatabase

NODE, URL = "H43", "http://127.0.0.1:9"
TMPFS_BYTES = 64 << 20


@dataclass(frozen=True)
class Shifted:
    """A clock that is wrong by so much."""

    by: timedelta

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


@pytest.fixture
def subject(tmp_path: Path, database: SampleDatabase) -> Subject:
    """
    A node in which nothing is wrong, as far as it goes: nobody answers for it.
    """
    made_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    key_file, passphrase = tmp_path / "keys" / "keystore.json", tmp_path / "keys" / "passphrase"
    create_key_file(key_file, passphrase, node_id=NODE, public_url=URL, now=made_at)
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    return Subject(
        node_id=dict.fromkeys(PROCESSES, NODE),
        public_url=dict.fromkeys(PROCESSES, URL),
        databases={service: database.url(service) for service in SERVICES},
        brokers={},
        blobs=blobs,
        key_file=key_file,
        passphrase_file=passphrase,
        secret_files=(key_file, passphrase),
        writers={("gói tin", "packets"): blobs},
        door="",
    )


@pytest.fixture
async def with_broker(subject: Subject, database: SampleDatabase, rabbit: PrivateRabbit, vhost: str) -> Subject:
    """
    The same with a broker that was set up for it.
    """
    identity = Identity(NODE, uuid4())
    connection = await asyncpg.connect(database.admin_dsn())
    try:
        await connection.execute("CREATE TABLE public.node (node_id text, installation uuid)")
        await connection.execute("INSERT INTO public.node VALUES ($1, $2)", identity.node_id, identity.installation)
        await connection.execute("GRANT SELECT ON public.node TO PUBLIC")
    finally:
        await connection.close()
    await claim_broker(rabbit.url(ADMIN, vhost), identity)
    return replace(subject, brokers={name: rabbit.url(name, vhost) for name in PROCESSES})


async def faults(subject: Subject, *, by: timedelta = timedelta(0)) -> list[Finding]:
    clock = Shifted(by) if by else SystemClock()
    return [one for one in await examine(subject, clock, watermark=0) if not one.ok]


async def the_fault(subject: Subject, check: str, *words: str, by: timedelta = timedelta(0)) -> Finding:
    """There are faults of this one kind only; the first names these words and a remedy, in both languages."""
    found = await faults(subject, by=by)
    assert {one.check for one in found} == {check}
    first = found[0]
    assert all(word in first.what for word in words), first.what
    assert " / " in first.what
    assert " / " in first.remedy
    return first


async def execute(database: SampleDatabase, *statements: str) -> None:
    connection = await asyncpg.connect(database.admin_dsn())
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_nothing_is_found_where_nothing_is_wrong(subject: Subject, with_broker: Subject) -> None:
    assert await faults(subject) == []
    assert await faults(with_broker) == []


async def test_wrong_credentials_of_the_database(subject: Subject) -> None:
    urls = {**subject.databases, "routing": subject.databases["routing"].replace("routing@", "rooting@")}
    fault = await the_fault(replace(subject, databases=urls), "database-credentials", "routing", "từ chối")
    assert "ROUTING_DATABASE_URL" in fault.remedy


async def test_a_database_that_is_out_of_reach(subject: Subject) -> None:
    urls = {**subject.databases, "audit": "postgresql+asyncpg://audit@127.0.0.1:9/axis"}
    fault = await the_fault(replace(subject, databases=urls), "database", "audit", "127.0.0.1:9")
    assert "AUDIT_DATABASE_URL" in fault.remedy


async def test_a_schema_that_was_never_made(subject: Subject, database: SampleDatabase) -> None:
    await execute(database, f"DELETE FROM registry.{VERSION_TABLE}")
    assert "axis db upgrade" in (await the_fault(subject, "migration", "registry")).remedy


async def test_a_schema_of_an_older_release(subject: Subject, database: SampleDatabase) -> None:
    service = next((one for one in SERVICES if scripts_of(one).get_base() != scripts_of(one).get_current_head()), None)
    if service is None:
        pytest.skip("no service has a second migration yet")
    base = scripts_of(service).get_base()
    await execute(database, f"UPDATE {service}.{VERSION_TABLE} SET version_num = '{base}'")
    assert "axis db upgrade" in (await the_fault(subject, "migration", service, "bản cũ")).remedy


async def test_a_schema_of_a_newer_release(subject: Subject, database: SampleDatabase) -> None:
    await execute(database, f"UPDATE routing.{VERSION_TABLE} SET version_num = '9999'")
    assert await faults(subject) == []  # by its own word this release can work with it
    await execute(database, f"COMMENT ON TABLE routing.{VERSION_TABLE} IS 'oldest reader: 9999'")
    assert "mới hơn" in (await the_fault(subject, "migration", "routing", "9999", "newer")).remedy


async def test_wrong_credentials_of_the_broker(with_broker: Subject) -> None:
    url = with_broker.brokers["delivery"].replace("delivery:", "delivery:x")
    wrong = replace(with_broker, brokers={**with_broker.brokers, "delivery": url})
    assert "DELIVERY_BROKER_URL" in (await the_fault(wrong, "broker-credentials", "delivery", "từ chối")).remedy


async def test_a_broker_that_is_out_of_reach(with_broker: Subject) -> None:
    wrong = replace(with_broker, brokers={"audit": "amqp://audit:x@127.0.0.1:9/axis"})
    assert "AUDIT_BROKER_URL" in (await the_fault(wrong, "broker", "audit", "127.0.0.1:9")).remedy


async def test_a_broker_without_the_topology(with_broker: Subject, rabbit: PrivateRabbit, vhost: str) -> None:
    connection = await aiormq.connect(rabbit.url(ADMIN, vhost))
    try:
        channel = await connection.channel()
        for name in AXIS.parties:
            for queue in (*AXIS.event_queues(name), *AXIS.dead_queues(name)):
                await channel.queue_delete(queue.name)
        for exchange in AXIS.exchanges():
            await channel.exchange_delete(exchange.name)
    finally:
        await connection.close()
    assert "axis broker setup" in (await the_fault(with_broker, "topology", "thiếu")).remedy


async def test_a_broker_with_a_conflicting_topology(with_broker: Subject, rabbit: PrivateRabbit, vhost: str) -> None:
    name = AXIS.event_queues("delivery")[0].name
    connection = await aiormq.connect(rabbit.url(ADMIN, vhost))
    try:
        channel = await connection.channel()
        await channel.queue_delete(name)
        await channel.queue_declare(name, durable=True)  # classic, without a limit
    finally:
        await connection.close()
    assert "delete_queue" in (await the_fault(with_broker, "topology", name, "delivery")).remedy


async def test_a_broker_that_serves_a_second_node_of_this_identity(
    with_broker: Subject, database: SampleDatabase
) -> None:
    await execute(database, f"UPDATE public.node SET installation = '{uuid4()}'")
    assert "virtual host" in (await the_fault(with_broker, "identity", "nút khác", "another node")).remedy


async def test_a_database_of_another_node(with_broker: Subject) -> None:
    other = replace(with_broker, node_id=dict.fromkeys(PROCESSES, "H44"), brokers={})
    assert "NODE_ID" in (await the_fault(other, "identity", "H43", "H44")).remedy


@pytest.mark.parametrize("minutes", [-5, 5])
async def test_a_clock_that_is_minutes_off(subject: Subject, minutes: int) -> None:
    fault = await the_fault(subject, "clock", "300", by=timedelta(minutes=minutes))
    assert "timesyncd" in fault.remedy


async def test_rows_from_the_future(subject: Subject, database: SampleDatabase) -> None:
    await _put_event(database, "now() + interval '10 minutes'")
    await the_fault(subject, "clock", "routing", "600")


async def test_an_outbox_that_does_not_drain(subject: Subject, database: SampleDatabase) -> None:
    await _put_event(database, "now() - interval '10 minutes'")
    assert "routing" in (await the_fault(subject, "outbox", "routing", "10")).remedy
    assert await faults(replace(subject, is_stopped=True)) == []  # where nothing runs nothing drains


async def _put_event(database: SampleDatabase, moment: str) -> None:
    await execute(
        database,
        "INSERT INTO routing.outbox (id, topic, lane, data, correlation_id, created_at, due_at)"
        f" VALUES (gen_random_uuid(), 'routing.document_accepted.v1', 0, '{{}}', 'c', {moment}, now())",
    )


async def test_a_lane_that_somebody_forgot(subject: Subject, database: SampleDatabase) -> None:
    await execute(
        database,
        "INSERT INTO routing.lane_controls (lane, reason, paused_by, paused_at)"
        " VALUES (2, 'Bảo trì', 'admin', now() - interval '1 day')",
    )
    assert "axis queues resume" in (await the_fault(subject, "paused", "2", "Bảo trì")).remedy


@pytest.mark.parametrize("size", [None, 3])
async def test_a_packet_that_is_gone_or_cut_short(subject: Subject, database: SampleDatabase, size: int | None) -> None:
    digest = os.urandom(32).hex()
    await execute(
        database,
        "INSERT INTO routing.documents (id, sender_key, sender_code, sender_document_id, packet_sha256, packet_bytes,"
        " lane, subject, code, header, parts, attachments, attachment_count, report, system_id, credential_id,"
        " registry_version, accepted_at)"
        f" VALUES (gen_random_uuid(), gen_random_uuid(), 'H43', 'x', '{digest}', 4, 0, '', '', '{{}}', '[]', '[]', 0,"
        " '{}', 's', 'c', 1, now())",
    )
    assert subject.blobs is not None
    place = subject.blobs / digest[:2] / digest[2:4] / digest
    place.parent.mkdir(parents=True)
    if size is not None:
        place.write_bytes(b"x" * size)
    assert "AXIS_BLOB_FOLDER" in (await the_fault(subject, "packets", digest)).remedy
    place.write_bytes(b"x" * 4)
    assert await faults(subject) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """
    A disk of its own, far below every watermark.
    """
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount a small disk")
    command = [mount, "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("writer", [("gói tin", "packets"), ("cơ sở dữ liệu", "database"), ("nhật ký", "logs")])
async def test_a_disk_that_is_nearly_full(subject: Subject, small_disk: Path, writer: tuple[str, str]) -> None:
    nearly_full = replace(subject, writers={**subject.writers, writer: small_disk / "not" / "made" / "yet"})
    assert "503" in (await the_fault(nearly_full, "disk", *writer)).remedy


async def test_a_certificate_of_the_node_that_is_about_to_end(subject: Subject) -> None:
    # Databases have no clock we could set, so only the keys are looked at.
    alone = replace(subject, databases={})
    await the_fault(alone, "node-certificate", "9 ngày", by=timedelta(days=5 * 365 + 1 - 10))


async def test_a_certificate_of_the_proxy_that_is_about_to_end(subject: Subject, tmp_path: Path) -> None:
    ends = datetime.now(UTC) + timedelta(days=10)
    place = tmp_path / "proxy.pem"
    place.write_text(to_pem([an_authority().issue("truc.example.vn", not_after=ends).certificate]), encoding="ascii")
    fault = await the_fault(replace(subject, certificates=(place,)), "proxy-certificate", "truc.example.vn", "9 ngày")
    assert "proxy" in fault.remedy


async def test_a_certificate_of_a_system_that_is_about_to_end(subject: Subject, database: SampleDatabase) -> None:
    await execute(
        database,
        "INSERT INTO registry.systems (id, name, dialect, status, created_at, changed_at, version)"
        " VALUES ('qlvb', 'QLVB', 'rest', 'active', now(), now(), 1)",
        "INSERT INTO registry.certificates (sha256, system_id, purpose, certificate, chain, valid_from, valid_to)"
        " VALUES ('1', 'qlvb', 'seal', 'x', '{}', now(), now() + interval '10 days'),"
        " ('2', 'qlvb', 'auth', 'x', '{}', now(), now() + interval '10 days'),"
        " ('3', 'qlvb', 'auth', 'x', '{}', now(), now() + interval '300 days')",
    )
    fault = await the_fault(subject, "system-certificate", "qlvb (seal")
    assert "auth" not in fault.what  # a newer one is there already
    assert "axis systems rotate" in fault.remedy


async def test_a_key_file_that_others_can_read(subject: Subject) -> None:
    assert subject.key_file is not None
    subject.key_file.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP)
    found = await faults(subject)
    assert [one.check for one in found] == ["secrets", "keys"]
    assert all("chmod 600" in one.remedy for one in found)


async def test_a_passphrase_that_opens_nothing(subject: Subject) -> None:
    assert subject.passphrase_file is not None
    subject.passphrase_file.write_text("another one", encoding="ascii")
    assert "passphrase" in (await the_fault(subject, "keys", "không mở được", "passphrase")).remedy


async def test_a_key_file_that_is_damaged(subject: Subject) -> None:
    assert subject.key_file is not None
    subject.key_file.write_bytes(subject.key_file.read_bytes()[:-100])
    assert "backup" in (await the_fault(subject, "keys", "damaged")).remedy


@pytest.mark.parametrize(("what", "check"), [("public_url", "public-url"), ("node_id", "identity")])
async def test_processes_that_were_told_different_things(subject: Subject, what: str, check: str) -> None:
    told: Callable[..., Subject] = lambda value: replace(subject, **{what: value}, databases={})  # noqa: E731
    fault = await the_fault(told({**getattr(subject, what), "audit": "https://truc.example.vn"}), check, "audit")
    assert f"AXIS_{what.upper()}" in fault.remedy
