"""The signing service as the others see it: asks on the bus, rows in PostgreSQL."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from services.signing.app import create_app, create_keys
from services.signing.settings import Settings
from shared.contracts.base import Contract, Nothing, Operation
from shared.contracts.dead import ListDead, dead_operations
from shared.contracts.signing import (
    ISSUE_CERTIFICATES,
    READ_HEALTH,
    READ_KEYS,
    REVOKE_CERTIFICATES,
    SIGN_EVIDENCE,
    SIGN_RECEIPTS,
    SIGN_SNAPSHOTS,
    SIGN_TOKENS,
    SIGN_TREE_HEADS,
    VERIFY_PACKETS,
    CertificateRequest,
    CertificatesIssued,
    CertificatesRevoked,
    IssueCertificates,
    IssuedCertificate,
    PacketSignature,
    PartDigest,
    RevokeCertificates,
    SignatureReport,
    SignStatements,
    Statements,
    VerifyPackets,
)
from shared.errors import Rejected
from shared.identifiers import Uuid7Source
from shared.jose import (
    ACCESS_TOKEN,
    EVIDENCE,
    RECEIPT,
    SNAPSHOT,
    TREE_HEAD,
    from_jwks,
    read_header,
    verify_compact,
    verify_with_chain,
)
from shared.messaging import Item
from shared.messaging.inprocess import InProcessBus, InProcessParty
from shared.runtime import Service
from shared.testing.pki import MOMENT, PrivateKey, a_certificate_request, a_p256_key, a_stranger, an_rsa_key
from shared.testing.postgres import SampleDatabase
from shared.tokens import TokenInvalid
from shared.xmldsig import sign_parts

pytestmark = pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")

PART = PartDigest(uri="#MessageHeader", sha256=hashlib.sha256(b"header").hexdigest())
URL = "http://127.0.0.1:8080"


@dataclass
class HandClock:
    moment: datetime = MOMENT

    def now(self) -> datetime:
        return self.moment


@dataclass
class Node:
    """
    A running signing service and somebody who asks it.
    """

    settings: Settings
    clock: HandClock
    bus: InProcessBus
    asker: InProcessParty
    events: list[Item] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, item: Item) -> None:
        self.events.append(item)
        self.heard.set()

    async def event(self) -> Item:
        """
        Wait for the next event.
        """
        await asyncio.wait_for(self.heard.wait(), 10)
        self.heard.clear()
        return self.events[-1]

    async def issue(self, *requests: CertificateRequest) -> tuple[IssuedCertificate, ...]:
        return (await self.asker.ask(ISSUE_CERTIFICATES, IssueCertificates(items=requests))).items

    async def revoke(self, *sha256s: str, reason: str = "keyCompromise") -> None:
        await self.asker.ask(REVOKE_CERTIFICATES, RevokeCertificates(sha256s=sha256s, reason=reason))

    async def report(self, key: PrivateKey, certificate: x509.Certificate) -> SignatureReport:
        signature = sign_parts([PART], key, certificate).decode()
        packet = PacketSignature(signature=signature, parts=(PART,), at=self.clock.now())
        answer = await self.asker.ask(VERIFY_PACKETS, VerifyPackets(items=(packet,)))
        (report,) = answer.items[0].signatures
        return report


def asked(key: PrivateKey | None = None, **changes: object) -> CertificateRequest:
    values = {
        "csr": a_certificate_request(key or a_p256_key()),
        "common_name": "UBND huyện Thuận Nam",
        "system_id": "thuan-nam",
        "purpose": "seal",
    }
    return CertificateRequest.model_validate({**values, **changes})


def read(issued: IssuedCertificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate.encode())


@pytest.fixture
def settings(tmp_path: Path, database_url: Callable[[str], str]) -> Settings:
    return Settings.model_validate(
        {
            "database_url": database_url("signing"),
            "node_id": "H43",
            "public_url": URL,
            "key_file": tmp_path / "keys.json",
            "passphrase_file": tmp_path / "passphrase",
        }
    )


@pytest.fixture
async def node(settings: Settings) -> AsyncIterator[Node]:
    clock = HandClock()
    create_keys(settings, clock=clock)
    bus = InProcessBus(clock=clock, new_id=Uuid7Source(clock))
    node = Node(settings, clock, bus, bus.party("routing"))
    bus.party("audit").subscribe("*", node.hear)
    await bus.start()
    async with create_app(settings, bus=bus.party("signing"), clock=clock):
        yield node
    await bus.close()


# --- statements ---


@pytest.mark.parametrize(
    ("operation", "typ"),
    [
        (SIGN_RECEIPTS, RECEIPT),
        (SIGN_EVIDENCE, EVIDENCE),
        (SIGN_TOKENS, ACCESS_TOKEN),
        (SIGN_SNAPSHOTS, SNAPSHOT),
        (SIGN_TREE_HEADS, TREE_HEAD),
    ],
)
async def test_statements_are_signed_in_the_order_asked(
    node: Node, operation: Operation[SignStatements, Statements], typ: str
) -> None:
    payloads = tuple({"iss": URL, "n": number, "tên": "Phước Dinh"} for number in range(20))
    signed = await node.asker.ask(operation, SignStatements(payloads=payloads))
    keys = await node.asker.ask(READ_KEYS, Nothing())
    published = from_jwks(keys.token_keys if typ == ACCESS_TOKEN else keys.evidence_keys)
    assert tuple(verify_compact(item, typ=typ, keys=published) for item in signed.items) == payloads
    assert all(("x5c" in read_header(item)) == (typ in {RECEIPT, EVIDENCE}) for item in signed.items)


async def test_the_token_key_is_not_the_evidence_key(node: Node) -> None:
    keys = await node.asker.ask(READ_KEYS, Nothing())
    assert not from_jwks(keys.token_keys).keys() & from_jwks(keys.evidence_keys).keys()


async def test_a_receipt_is_checked_with_nothing_but_the_anchor(node: Node) -> None:
    signed = await node.asker.ask(SIGN_RECEIPTS, SignStatements(payloads=({"iss": URL},)))
    keys = await node.asker.ask(READ_KEYS, Nothing())
    anchors = [x509.load_pem_x509_certificate(pem.encode()) for pem in keys.anchors]
    assert verify_with_chain(signed.items[0], typ=RECEIPT, anchors=anchors, at=node.clock.now()) == {"iss": URL}


# --- certificates ---


@pytest.mark.parametrize("key", [a_p256_key(), an_rsa_key("signer")], ids=["p256", "rsa"])
async def test_a_seal_with_a_certificate_of_ours_passes(node: Node, key: PrivateKey) -> None:
    (issued,) = await node.issue(asked(key))
    report = await node.report(key, read(issued))
    assert (report.indication, report.revocation) == ("PASSED", "good"), report
    assert report.certificate_sha256 == issued.sha256
    assert issued.not_before == node.clock.now()


async def test_issuing_is_told_once_and_without_names(node: Node) -> None:
    request = asked()
    (issued,) = await node.issue(request)
    item = await node.event()
    assert await node.issue(request) == (issued,)
    event = CertificatesIssued.model_validate_json(item.data)
    assert item.type == CertificatesIssued.topic
    assert [fact.sha256 for fact in event.items] == [issued.sha256]
    assert "Thuận Nam" not in item.data
    await node.revoke(issued.sha256)
    await node.event()
    assert [item.type for item in node.events] == [CertificatesIssued.topic, CertificatesRevoked.topic]


async def test_the_same_request_side_by_side_gets_one_certificate(node: Node) -> None:
    request = asked()
    answers = await asyncio.gather(*(node.issue(request) for _ in range(8)))
    assert len({answer[0].sha256 for answer in answers}) == 1


async def test_several_requests_are_answered_in_order(node: Node) -> None:
    keys = [a_p256_key() for _ in range(5)]
    requests = [asked(key, system_id=f"s{number}") for number, key in enumerate(keys)]
    issued = await node.issue(*requests, requests[0])
    assert [read(one).public_key() for one in issued] == [key.public_key() for key in [*keys, keys[0]]]


async def test_one_bad_request_refuses_all_and_is_named(node: Node) -> None:
    good = asked()
    with pytest.raises(Rejected) as refusal:
        await node.issue(good, asked(csr="nonsense"), asked(purpose="ca"))
    assert refusal.value.problem_code == "certificate-request-invalid"
    assert [error.pointer for error in refusal.value.errors] == ["/items/1", "/items/2"]
    (issued,) = await node.issue(good)
    assert (await node.event()).data.count(issued.sha256) == 1


async def test_a_key_of_one_system_is_not_certified_for_another(node: Node) -> None:
    key = a_p256_key()
    await node.issue(asked(key))
    await node.issue(asked(key, purpose="auth"))
    with pytest.raises(Rejected) as refusal:
        await node.issue(asked(), asked(key, system_id="another"))
    assert refusal.value.problem_code == "certificate-request-invalid"
    assert [error.pointer for error in refusal.value.errors] == ["/items/1"]


async def test_one_key_for_two_systems_in_one_ask_is_refused(node: Node) -> None:
    key = a_p256_key()
    with pytest.raises(Rejected):
        await node.issue(asked(key, system_id="one"), asked(key, system_id="two"))


async def test_a_certificate_for_connections_does_not_seal(node: Node) -> None:
    key = a_p256_key()
    (issued,) = await node.issue(asked(key, purpose="auth"))
    assert (await node.report(key, read(issued))).sub_indication == "CHAIN_CONSTRAINTS_FAILURE"


async def test_a_stranger_does_not_pass(node: Node) -> None:
    stranger = a_stranger()
    assert (await node.report(stranger.key, stranger.certificate)).sub_indication == "NO_CERTIFICATE_CHAIN_FOUND"


async def test_an_expired_certificate_does_not_pass(node: Node) -> None:
    key = a_p256_key()
    (issued,) = await node.issue(asked(key, days=1))
    node.clock.moment += timedelta(days=1, seconds=1)
    assert (await node.report(key, read(issued))).sub_indication == "OUT_OF_BOUNDS_NO_POE"


async def test_500_packets_are_judged_in_one_ask(node: Node) -> None:
    key = a_p256_key()
    (issued,) = await node.issue(asked(key))
    signature = sign_parts([PART], key, read(issued)).decode()
    good = PacketSignature(signature=signature, parts=(PART,), at=node.clock.now())
    bare = PacketSignature(parts=(PART,), at=node.clock.now())
    answer = await node.asker.ask(VERIFY_PACKETS, VerifyPackets(items=(good, bare) * 250))
    assert [one.indication for one in answer.items] == ["PASSED", None] * 250


# --- revocation ---


async def test_a_revoked_certificate_does_not_pass_from_the_next_question_on(node: Node) -> None:
    key = a_p256_key()
    (issued,) = await node.issue(asked(key))
    assert (await node.report(key, read(issued))).indication == "PASSED"
    await node.revoke(issued.sha256)
    report = await node.report(key, read(issued))
    assert (report.indication, report.sub_indication) == ("INDETERMINATE", "REVOKED_NO_POE")


async def test_what_was_sealed_before_the_revocation_still_passes_as_of_then(node: Node) -> None:
    key = a_p256_key()
    (issued,) = await node.issue(asked(key))
    signature = sign_parts([PART], key, read(issued)).decode()
    packet = PacketSignature(signature=signature, parts=(PART,), at=node.clock.now())
    node.clock.moment += timedelta(hours=1)
    await node.revoke(issued.sha256)
    answer = await node.asker.ask(VERIFY_PACKETS, VerifyPackets(items=(packet,)))
    assert answer.items[0].indication == "PASSED"


async def current_list(node: Node) -> x509.CertificateRevocationList:
    keys = await node.asker.ask(READ_KEYS, Nothing())
    (pem,) = keys.revocation_lists
    return x509.load_pem_x509_crl(pem.encode())


def number(signed: x509.CertificateRevocationList) -> int:
    return signed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


async def test_revoking_again_changes_nothing(node: Node) -> None:
    (issued,) = await node.issue(asked())
    before = await current_list(node)
    await node.revoke(issued.sha256)
    first = await current_list(node)
    node.clock.moment += timedelta(hours=1)
    await node.revoke(issued.sha256, reason="superseded")
    assert (await current_list(node)).public_bytes(Encoding.DER) == first.public_bytes(Encoding.DER)
    assert number(first) == number(before) + 1


async def test_revocations_side_by_side_are_all_on_the_list(node: Node) -> None:
    issued = await node.issue(*(asked(system_id=f"s{n}") for n in range(10)))
    await asyncio.gather(*(node.revoke(one.sha256) for one in issued))
    signed = await current_list(node)
    assert all(signed.get_revoked_certificate_by_serial_number(read(one).serial_number) for one in issued)
    assert number(signed) == 11


async def test_an_unknown_certificate_is_named_and_nothing_is_revoked(node: Node) -> None:
    (issued,) = await node.issue(asked())
    with pytest.raises(Rejected) as refusal:
        await node.revoke(issued.sha256, "ab" * 32)
    assert refusal.value.problem_code == "certificate-unknown"
    assert [error.pointer for error in refusal.value.errors] == ["/sha256s/1"]
    assert number(await current_list(node)) == 1


@pytest.mark.parametrize("reason", ["certificateHold", "removeFromCRL", "because", ""])
async def test_a_reason_that_does_not_last_is_refused(node: Node, reason: str) -> None:
    (issued,) = await node.issue(asked())
    with pytest.raises(Rejected):
        await node.revoke(issued.sha256, reason=reason)


async def test_a_request_whose_certificate_was_revoked_gets_no_other(node: Node) -> None:
    request = asked()
    (issued,) = await node.issue(request)
    await node.revoke(issued.sha256)
    with pytest.raises(Rejected, match="fresh key"):
        await node.issue(request)


# --- time and restarts ---


async def restart(node: Node) -> Service:
    bus = InProcessBus(clock=node.clock, new_id=Uuid7Source(node.clock))
    await bus.start()
    node.bus, node.asker = bus, bus.party("routing")
    return create_app(node.settings, bus=bus.party("signing"), clock=node.clock)


async def test_the_list_is_signed_anew_after_half_its_time(node: Node) -> None:
    first = await current_list(node)
    node.clock.moment += timedelta(days=3)
    async with await restart(node):
        assert number(await current_list(node)) == number(first)
    await node.bus.close()
    node.clock.moment += timedelta(days=1)
    async with await restart(node):
        assert number(await current_list(node)) == number(first) + 1
    await node.bus.close()


async def test_with_a_list_out_of_date_nothing_passes_and_health_says_so(node: Node) -> None:
    key = a_p256_key()
    (issued,) = await node.issue(asked(key))
    assert (await node.asker.ask(READ_HEALTH, Nothing())).ready
    node.clock.moment += timedelta(days=8)
    assert (await node.report(key, read(issued))).sub_indication == "TRY_LATER"
    health = await node.asker.ask(READ_HEALTH, Nothing())
    assert not health.ready
    assert "revocation list" in health.detail


async def test_a_second_start_keeps_keys_anchors_and_certificates(node: Node) -> None:
    key = a_p256_key()
    (issued,) = await node.issue(asked(key))
    before = await node.asker.ask(READ_KEYS, Nothing())
    create_keys(node.settings, clock=node.clock)
    async with await restart(node):
        assert await node.asker.ask(READ_KEYS, Nothing()) == before
        assert (await node.report(key, read(issued))).indication == "PASSED"
    await node.bus.close()


async def test_dead_messages_are_shown_only_to_operators(node: Node) -> None:
    operations = dead_operations("signing")
    now = int(node.clock.now().timestamp())

    async def token(scope: str) -> str:
        claims = {"iss": URL, "aud": "axis", "sub": "s", "cid": "c", "scope": scope, "iat": now, "exp": now + 600}
        return (await node.asker.ask(SIGN_TOKENS, SignStatements(payloads=(claims,)))).items[0]

    answer = await node.asker.ask(operations.list, ListDead(token=await token("operate")))
    assert answer.items == ()
    for other in (await token("send"), "x"):
        with pytest.raises(Rejected) as refusal:
            await node.asker.ask(operations.list, ListDead(token=other))
        assert refusal.value.problem_code in {"scope-missing", TokenInvalid.code}


# --- the database's own word ---


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE signing.issued_certificates SET revoked_at = now()",
        "UPDATE signing.issued_certificates SET purpose = 'anything'",
        "UPDATE signing.issued_certificates SET system_id = 'another'",
        "DELETE FROM signing.trust_anchors",
        "INSERT INTO signing.issued_certificates SELECT * FROM signing.issued_certificates",
    ],
)
async def test_the_database_refuses_what_cannot_be(node: Node, database: SampleDatabase, statement: str) -> None:
    await node.issue(asked())
    connection = await asyncpg.connect(database.admin_dsn())
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_tables_are_those_of_the_migration(settings: Settings, database: SampleDatabase) -> None:
    from sqlalchemy import Connection, inspect
    from sqlalchemy.ext.asyncio import create_async_engine

    from services.signing.tables import metadata

    def found(connection: Connection) -> dict[str, set[tuple[str, bool]]]:
        inspector = inspect(connection)
        return {
            name: {(column["name"], bool(column["nullable"])) for column in inspector.get_columns(name, "signing")}
            for name in inspector.get_table_names("signing")
            if name != "schema_version"
        }

    engine = create_async_engine(settings.database_url.get_secret_value())
    async with engine.connect() as connection:
        tables = await connection.run_sync(found)
    await engine.dispose()
    assert tables == {
        table.name: {(column.name, bool(column.nullable)) for column in table.columns}
        for table in metadata.tables.values()
    }


def test_every_question_has_an_answer() -> None:
    """
    A contract that nobody answers would be found out by the first caller only.
    """
    import shared.contracts.signing as contracts
    from services.signing import consumers

    operations = [value for value in vars(contracts).values() if isinstance(value, Operation)]
    answered = [name for name in vars(consumers) if isinstance(getattr(consumers, name), Operation)]
    assert len(operations) == len(answered)
    assert all(issubclass(operation.request, Contract) for operation in operations)
