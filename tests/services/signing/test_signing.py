"""The signing service as the others see it: asks on the bus, rows in PostgreSQL."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from cryptography import x509

from services.signing.settings import Settings
from shared.contracts.base import Contract, Nothing, Operation
from shared.contracts.dead import ListDead, dead_operations
from shared.contracts.signing import (
    READ_KEYS,
    SIGN_EVIDENCE,
    SIGN_RECEIPTS,
    SIGN_SNAPSHOTS,
    SIGN_TOKENS,
    SIGN_TREE_HEADS,
    VERIFY_PACKETS,
    CertificatesIssued,
    CertificatesRevoked,
    PacketSignature,
    SignStatements,
    Statements,
    VerifyPackets,
)
from shared.errors import Rejected
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
from shared.testing.pki import PrivateKey, a_p256_key, a_stranger, an_rsa_key
from shared.testing.postgres import SampleDatabase
from shared.tokens import TokenInvalid
from shared.xmldsig import sign_parts
from tests.services.signing.node import PART, URL, Node, asked, read

pytestmark = pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")

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


# --- what operators see ---


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
