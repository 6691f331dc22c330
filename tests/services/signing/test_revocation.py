"""Revoked certificates, and the list that names them over time and restarts."""

import asyncio
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from services.signing.app import create_app, create_keys
from shared.contracts.base import Nothing
from shared.contracts.signing import READ_HEALTH, READ_KEYS, VERIFY_PACKETS, PacketSignature, VerifyPackets
from shared.errors import Rejected
from shared.identifiers import Uuid7Source
from shared.messaging.inprocess import InProcessBus
from shared.runtime import Service
from shared.testing.pki import a_p256_key
from shared.xmldsig import sign_parts
from tests.services.signing.node import PART, Node, asked, read

pytestmark = pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")

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
