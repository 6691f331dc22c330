"""What is refused leaves no document and no half state."""

import io
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.contracts.registry import Role, SystemStatus
from shared.contracts.routing import (
    SUBMIT_DOCUMENT,
    VALIDATE_PACKET,
    VERIFY_PACKET,
    CheckPacket,
    DocumentRefused,
)
from shared.contracts.signing import REVOKE_CERTIFICATES, Indication, RevokeCertificates
from shared.errors import Unavailable
from shared.testing.packets import a_status_packet
from shared.testing.pki import a_stranger
from tests.services.routing.conftest import COMMUNE, DEPARTMENT, DISTRICT, NOW, PROVINCE, House, an_agency

TABLES = ("documents", "dispatches", "dispatch_chunks", "deliveries", "idempotency_keys")


async def refused(house: House, system: str, packet: bytes, **values: str) -> tuple[str, list[str]]:
    """
    Submit what must be refused; nothing may be left of it but the event.
    """
    request = await house.submission(system, packet, **values)
    refusal = await house.refusal(SUBMIT_DOCUMENT, request)
    for table in TABLES:
        assert await house.count(table) == 0, table

    async def is_published() -> bool:
        return [event.code for event in house.events(DocumentRefused)] == [refusal.problem_code]

    await house.until(is_published)
    return refusal.problem_code, [error.code for error in refusal.errors]


async def test_what_is_not_xml_is_refused(house: House) -> None:
    system = await house.a_system(COMMUNE)
    assert (await refused(house, system, b"not xml", idempotency_key="k"))[0] == "packet-malformed"


async def test_a_status_package_is_no_document(house: House) -> None:
    system = await house.a_system(COMMUNE)
    assert await refused(house, system, a_status_packet()) == ("packet-invalid", ["status-package"])


async def test_a_sender_that_is_not_the_callers_is_refused(house: House) -> None:
    system = await house.a_system(COMMUNE)
    packet = house.packet(system, sender=PROVINCE)
    assert await refused(house, system, packet) == ("sender-not-yours", ["sender-not-yours"])


async def test_a_system_that_may_only_receive_cannot_send(house: House) -> None:
    system = await house.a_system(COMMUNE, roles=[Role.READER, Role.RECEIVER])
    assert (await refused(house, system, house.packet(system)))[0] == "sender-not-yours"


async def test_a_token_narrowed_to_another_agency_cannot_send(house: House) -> None:
    system = await house.a_system(COMMUNE, DEPARTMENT)
    token = await house.register.token(system, agencies=(DEPARTMENT,))
    assert (await refused(house, system, house.packet(system), token=token))[0] == "agency-not-yours"


@pytest.mark.parametrize("subject", ["TỐI MẬT - Kế hoạch", "Kế hoạch (MẬT)"])
async def test_a_secrecy_mark_is_refused_and_named(house: House, subject: str) -> None:
    system = await house.a_system(COMMUNE)
    assert (await refused(house, system, house.packet(system, subject=subject)))[0] == "secrecy-mark"


async def test_all_wrong_addressees_are_named_at_once(house: House) -> None:
    system = await house.a_system(COMMUNE)
    house.register.put_agency(an_agency("H43.40", valid_to=NOW - timedelta(days=1)))
    house.register.put_agency(an_agency("H44", serving_node="H44"))
    packet = house.packet(system, to=(DISTRICT, "H43.40", "H44", "H43.99", "H43.98"))
    assert await refused(house, system, packet) == (
        "addressees-refused",
        ["addressee-closed", "addressee-not-served", "addressee-unknown", "addressee-unknown"],
    )


async def test_an_unsigned_packet_is_refused(house: House) -> None:
    system = await house.a_system(COMMUNE)
    assert (await refused(house, system, house.packet(None)))[0] == "signature-missing"


async def test_a_packet_changed_after_signing_is_refused(house: House) -> None:
    system = await house.a_system(COMMUNE)
    forged = house.packet(system, subject="Cấp 100 triệu").replace(b"100", b"900")
    assert await refused(house, system, forged) == ("signature-failed", ["hash-failure"])


async def test_a_strangers_signature_is_refused(house: House) -> None:
    system = await house.a_system(COMMUNE)
    packet = house.packet(system, signer=a_stranger())
    assert await refused(house, system, packet) == ("signature-failed", ["no-certificate-chain-found"])


async def test_a_revoked_certificate_is_refused(house: House) -> None:
    system = await house.a_system(COMMUNE)
    sha256 = house.register.systems[system][1].seals[0].certificate_sha256
    await house.ask(REVOKE_CERTIFICATES, RevokeCertificates(sha256s=(sha256,)))
    house.clock.forward(seconds=1)
    code, errors = await refused(house, system, house.packet(system))
    assert code == "signature-failed"
    assert errors[0].startswith("revoked")


async def test_a_good_certificate_bound_to_nobody_is_refused(house: House) -> None:
    system = await house.a_system(COMMUNE)
    unbound, _ = await house.a_seal("somebody")
    assert (await refused(house, system, house.packet(system, signer=unbound)))[0] == "signer-not-bound"


async def test_the_seal_of_another_sender_is_refused(house: House) -> None:
    system, other = await house.a_system(COMMUNE), await house.a_system(PROVINCE)
    packet = house.packet(system, signer=house.seals[other])
    assert (await refused(house, system, packet))[0] == "signer-not-bound"


async def test_the_seal_need_not_be_of_the_system_that_posts(house: House) -> None:
    system, sealer = await house.a_system(COMMUNE, seal=False), await house.a_system(COMMUNE, name="sealer")
    assert (await house.submit(system, house.packet(sealer))).created


async def test_a_dialect_that_need_not_sign_gets_a_warning(house: House) -> None:
    system = await house.a_system(COMMUNE, dialect="vxp", seal=False)
    submitted = await house.submit(system, house.packet(None))
    assert '"code":"signature-missing"' in submitted.body


async def test_a_disabled_system_is_refused(house: House) -> None:
    system = await house.a_system(COMMUNE)
    request = await house.submission(system, house.packet(system))
    entry = house.register.systems[system][1]
    house.register.put_system(entry.model_copy(update={"status": SystemStatus.DISABLED}))
    house.clock.forward(seconds=6)
    assert (await house.refusal(SUBMIT_DOCUMENT, request)).problem_code == "token-invalid"


async def test_a_credential_that_has_ended_is_refused(house: House) -> None:
    system = await house.a_system(COMMUNE)
    request = await house.submission(system, house.packet(system))
    entry = house.register.systems[system][1]
    house.register.put_system(entry.model_copy(update={"credentials": ("another",)}))
    house.clock.forward(seconds=6)
    assert (await house.refusal(SUBMIT_DOCUMENT, request)).problem_code == "token-invalid"


async def test_a_closed_sender_is_refused(house: House) -> None:
    system = await house.a_system(COMMUNE)
    house.register.put_agency(an_agency(COMMUNE, valid_to=NOW))
    assert (await refused(house, system, house.packet(system)))[0] == "sender-not-yours"


async def test_a_token_without_the_scope_is_refused(house: House) -> None:
    system = await house.a_system(COMMUNE)
    token = await house.register.token(system, "inbox")
    request = await house.submission(system, house.packet(system), token=token)
    assert (await house.refusal(SUBMIT_DOCUMENT, request)).problem_code == "scope-missing"


async def test_a_packet_that_is_not_in_the_store_is_unavailable(house: House) -> None:
    system = await house.a_system(COMMUNE)
    request = await house.submission(system, house.packet(system))
    house.blobs.path(request.packet_sha256).unlink()
    with pytest.raises(Unavailable):
        await house.ask(SUBMIT_DOCUMENT, request)
    assert await house.count("documents") == 0


async def test_validation_names_everything_at_once_and_writes_nothing(house: House) -> None:
    system = await house.a_system(COMMUNE)
    packet = house.packet(None, sender=COMMUNE, to=(DISTRICT, "H43.99"), subject="MẬT: Kế hoạch")
    token = await house.register.token(system)
    request = CheckPacket(token=token, packet_sha256=await house.put(packet), packet_bytes=len(packet))
    found = await house.ask(VALIDATE_PACKET, request)
    assert (found.accepted, found.problem_code) == (False, "secrecy-mark")
    assert [error.code for error in found.errors] == ["secrecy-mark", "addressee-unknown", "signature-missing"]
    assert await house.count("documents") == 0
    assert await house.count("outbox") == 0


async def test_validation_accepts_what_submission_would(house: House) -> None:
    system = await house.a_system(COMMUNE)
    packet = house.packet(system, to=(DISTRICT, "000.00.36.H43"))
    token = await house.register.token(system)
    request = CheckPacket(token=token, packet_sha256=await house.put(packet), packet_bytes=len(packet))
    found = await house.ask(VALIDATE_PACKET, request)
    assert (found.accepted, [warning.code for warning in found.warnings]) == (True, ["addressee-repeated"])
    assert found.report is not None
    assert found.report.indication is Indication.PASSED


async def test_verification_reports_whoever_sends(house: House) -> None:
    system = await house.a_system(COMMUNE)
    token = await house.register.token(system, "")
    packet = house.packet(system, sender=PROVINCE, signer=a_stranger())
    request = CheckPacket(token=token, packet_sha256=await house.put(packet), packet_bytes=len(packet))
    report = await house.ask(VERIFY_PACKET, request)
    assert report.signatures[0].sub_indication == "NO_CERTIFICATE_CHAIN_FOUND"


HOSTILE: list[Callable[[bytes], bytes]] = [
    lambda packet: packet.replace(b"<edXML ", b"<!DOCTYPE edXML><edXML ", 1),
    lambda packet: packet[: len(packet) // 2],
    lambda packet: packet.replace(b"QCVN_102_2016", b"QCVN_102_2017"),
    lambda packet: io.BytesIO(packet).read() + b"<a>" * 10_000,
]


@pytest.mark.parametrize("spoil", HOSTILE)
async def test_hostile_packets_are_refused(house: House, spoil: Callable[[bytes], bytes]) -> None:
    system = await house.a_system(COMMUNE)
    assert (await refused(house, system, spoil(house.packet(system))))[0] == "packet-malformed"
