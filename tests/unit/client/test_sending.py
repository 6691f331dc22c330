import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.client import AxisClient, Credential, NodeUnreachable, ReceiptInvalid, Rejected, Unavailable
from shared.contracts.base import Lane
from shared.jose import EVIDENCE
from shared.testing.pki import MOMENT, a_self_signed_signer, a_signer_under_a_leaf, a_stranger, an_expired_signer
from shared.testing.stand_in import PACKET, StandInNode, a_problem

DOCUMENTS = ("POST", "/v1/documents")


async def test_a_document_is_sent_with_its_length_and_digest_and_its_receipt_is_checked(
    node: StandInNode, client: AxisClient
) -> None:
    node.on(*DOCUMENTS, node.accepts(node.receipt()))

    sent = await client.send(PACKET, Lane.EXPRESS)

    (request,) = node.called(*DOCUMENTS)
    assert sent.created
    assert sent.claims.packet_sha256 == hashlib.sha256(PACKET).hexdigest()
    assert request.headers["Content-Length"] == str(len(PACKET))
    assert request.headers["Content-Type"] == "application/edxml+xml"
    assert request.headers["Axis-Priority"] == "3"
    assert request.headers["Content-Digest"].startswith("sha-256=:")
    assert request.headers["Authorization"] == "Bearer t"
    assert "Transfer-Encoding" not in request.headers


async def test_a_file_is_streamed_again_from_its_beginning_under_the_same_key_after_a_failure(
    node: StandInNode, client: AxisClient, tmp_path: Path, pauses: list[float]
) -> None:
    packet = tmp_path / "packet.edxml"
    packet.write_bytes(PACKET)
    node.on(
        *DOCUMENTS,
        httpx.ConnectError("refused"),
        a_problem(503, "unavailable"),
        a_problem(429, "too-many", retry_after=7),
        node.accepts(node.receipt()),
    )

    await client.send(packet)

    requests = node.called(*DOCUMENTS)
    assert len(requests) == 4
    assert {request.content for request in requests} == {PACKET}
    assert len({request.headers["Idempotency-Key"] for request in requests}) == 1
    assert pauses == [0.5, 1.0, 7.0]


async def test_two_sendings_have_keys_of_their_own(node: StandInNode, client: AxisClient) -> None:
    node.on(*DOCUMENTS, lambda _: node.accepts(node.receipt()))

    await client.send(PACKET)
    await client.send(PACKET)

    assert len({request.headers["Idempotency-Key"] for request in node.called(*DOCUMENTS)}) == 2


async def test_a_repeat_gives_the_first_receipt_and_says_so(node: StandInNode, client: AxisClient) -> None:
    node.on(*DOCUMENTS, node.accepts(node.receipt(), status=200))

    assert not (await client.send(PACKET)).created


async def test_a_refusal_is_not_repeated_and_says_what_to_change(
    node: StandInNode, client: AxisClient, pauses: list[float]
) -> None:
    errors = [{"pointer": "/edXML/…/Subject", "code": "element-missing", "detail": "Thiếu Subject", "line": 4}]
    node.on(*DOCUMENTS, a_problem(422, "packet-invalid", errors=errors, remedy="Sửa rồi gửi lại"))

    with pytest.raises(Rejected) as refused:
        await client.send(PACKET)

    assert refused.value.code == "packet-invalid"
    assert refused.value.status == 422
    assert refused.value.correlation_id == "c-1"
    assert refused.value.remedy == "Sửa rồi gửi lại"
    assert refused.value.errors[0].line == 4
    assert pauses == []


async def test_a_request_still_at_work_is_waited_for(
    node: StandInNode, client: AxisClient, pauses: list[float]
) -> None:
    node.on(*DOCUMENTS, a_problem(409, "request-in-progress", retry_after=2), node.accepts(node.receipt()))

    await client.send(PACKET)

    assert pauses == [2.0]


async def test_an_unavailable_node_is_given_up_after_the_last_attempt(
    node: StandInNode, client: AxisClient, pauses: list[float]
) -> None:
    node.on(*DOCUMENTS, lambda _: a_problem(503, "unavailable"))

    with pytest.raises(Unavailable, match="unavailable"):
        await client.send(PACKET)

    assert len(node.called(*DOCUMENTS)) == 4
    assert len(pauses) == 3


async def test_a_node_that_asks_for_more_patience_than_allowed_is_not_waited_for(
    node: StandInNode, client: AxisClient, pauses: list[float]
) -> None:
    node.on(*DOCUMENTS, a_problem(503, "storage-low", retry_after=3600))

    with pytest.raises(Unavailable) as unavailable:
        await client.send(PACKET)

    assert unavailable.value.retry_after == 3600
    assert pauses == []


async def test_a_node_that_does_not_answer_is_named(node: StandInNode, client: AxisClient) -> None:
    node.on(*DOCUMENTS, httpx.ConnectError("connection refused"))

    with pytest.raises(NodeUnreachable, match=r"http://node\.test.*refused"):
        await client.send(PACKET)


def unsigned(node: StandInNode) -> str:
    head, _, _ = node.receipt().rpartition(".")
    return f"{head}."


def altered(node: StandInNode) -> str:
    header, claims, signature = node.receipt().split(".")
    other = node.receipt(document_id="01940000-0000-7000-8000-00000000ffff").split(".")[1]
    assert other != claims
    return f"{header}.{other}.{signature}"


BAD = {
    "for other bytes": lambda node: node.receipt(packet_sha256="0" * 64),
    "for another document": lambda node: node.receipt(document_id="01940000-0000-7000-8000-00000000ffff"),
    "of another dispatch": lambda node: node.receipt(dispatch_id="01940000-0000-7000-8000-00000000ffff"),
    "of another kind": lambda node: node.receipt(typ=EVIDENCE),
    "of another event": lambda node: node.receipt(event="ContentConsignment"),
    "of another node": lambda node: node.receipt(iss="http://elsewhere.test"),
    "from the future": lambda node: node.receipt(iat=4_000_000_000),
    "from before its certificate": lambda node: node.receipt(iat=int(MOMENT.timestamp()) - 10 * 86_400),
    "without a chain": lambda node: node.receipt(with_chain=False),
    "without a signature": unsigned,
    "altered": altered,
    "no JWS": lambda _: "receipt",
    "no JSON": lambda _: "YQ.YQ.YQ",
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
async def test_a_bad_receipt_is_refused(node: StandInNode, client: AxisClient, make: Callable[..., Any]) -> None:
    node.on(*DOCUMENTS, node.accepts(make(node)))

    with pytest.raises(ReceiptInvalid):
        await client.send(PACKET)


SIGNERS = {
    "a stranger": lambda _: a_stranger(),
    "itself": lambda _: a_self_signed_signer(),
    "an expired certificate": an_expired_signer,
    "a leaf": a_signer_under_a_leaf,
}


@pytest.mark.parametrize("make", SIGNERS.values(), ids=SIGNERS.keys())
async def test_a_receipt_by_a_certificate_without_a_way_to_the_root_is_refused_even_if_the_key_is_published(
    node: StandInNode, client: AxisClient, make: Callable[..., Any]
) -> None:
    signer = make(node.authority)
    node.published = (signer.key.public_key(),)
    node.on(*DOCUMENTS, node.accepts(node.receipt(signer=signer)))

    with pytest.raises(ReceiptInvalid):
        await client.send(PACKET)


async def test_a_receipt_by_an_agency_of_the_same_root_is_refused(node: StandInNode, client: AxisClient) -> None:
    agency = node.authority.issue("UBND xã Phước Dinh")
    node.on(*DOCUMENTS, node.accepts(node.receipt(signer=agency)))

    with pytest.raises(ReceiptInvalid, match="publishes"):
        await client.send(PACKET)


async def test_a_chain_through_an_intermediate_authority_is_followed(node: StandInNode, client: AxisClient) -> None:
    signer = node.authority.issue_authority().issue("Axis H43, evidence")
    node.published = (signer.key.public_key(),)
    node.on(*DOCUMENTS, node.accepts(node.receipt(signer=signer)))

    assert (await client.send(PACKET)).created


async def test_a_new_key_of_the_node_is_learnt(node: StandInNode, client: AxisClient) -> None:
    node.on(*DOCUMENTS, node.accepts(node.receipt()))
    await client.send(PACKET)
    successor = node.authority.issue("Axis H43, evidence 2")
    node.published = (*node.published, successor.key.public_key())
    node.on(*DOCUMENTS, node.accepts(node.receipt(signer=successor)))

    assert (await client.send(PACKET)).created


async def test_a_pinned_root_is_believed_before_what_the_node_names(
    node: StandInNode, client: AxisClient, credential: Credential
) -> None:
    client.credential = credential.model_copy(update={"anchors": (node.anchor_pem,)})
    impostor = a_stranger()
    node.published = (impostor.key.public_key(),)
    node.on("GET", "/v1/trust/anchors", httpx.Response(200, text="never read"))
    node.on(*DOCUMENTS, node.accepts(node.receipt(signer=impostor)))

    with pytest.raises(ReceiptInvalid, match="root"):
        await client.send(PACKET)
