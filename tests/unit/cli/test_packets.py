import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import Result

from deploy.cli.errors import ExitCode
from deploy.cli.mailbox import safe_name
from shared.client import Credential
from shared.edxml import read_packet
from shared.testing.stand_in import StandInNode
from shared.xmldsig import check_signature

Axis = Callable[..., Result]
DELIVERY = "01940000-0000-7000-8000-000000000003"


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "báo cáo.pdf"
    path.write_bytes(b"%PDF-1.7 report")
    return path


def test_what_was_packed_is_read_and_its_seal_holds(axis: Axis, paper: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.edxml"

    ran = axis(
        "pack",
        paper,
        "-o",
        out,
        "--to",
        "H43.31",
        "--to",
        "G01",
        "--subject",
        "Báo cáo tháng 12",
        "--code",
        "12/BC-UBND",
        "--priority",
        "3",
    )

    assert ran.exit_code == 0, ran.output
    packet = read_packet(out)
    assert packet.header is not None
    assert packet.header.sender.organ_id == "H43.31.01"
    assert [one.organ_id for one in packet.header.addressees] == ["H43.31", "G01"]
    assert packet.header.priority == 3
    assert packet.header.document_id.startswith("H43.31.01,20")
    assert packet.header.document_id.endswith(",12/BC-UBND")
    assert [one.name for one in packet.attachments] == ["báo cáo.pdf"]
    assert packet.signature is not None
    assert check_signature(packet.signature, packet.parts).sub_indication is None


def test_a_packet_that_may_have_been_sent_is_not_packed_over(axis: Axis, paper: Path, tmp_path: Path) -> None:
    order = ("pack", paper, "-o", tmp_path / "a.edxml", "--to", "H43.31", "--subject", "Một", "--unsealed")
    assert axis(*order).exit_code == 0
    first = (tmp_path / "a.edxml").read_bytes()

    refused = axis(*order[:-2], "Hai", "--unsealed")

    assert refused.exit_code == ExitCode.LOCAL
    assert "--force" in refused.output
    assert (tmp_path / "a.edxml").read_bytes() == first
    assert axis(*order, "--force").exit_code == 0


def test_two_documents_get_identifiers_of_their_own_by_time(axis: Axis, paper: Path, tmp_path: Path) -> None:
    ran = axis("pack", paper, "-o", tmp_path / "a.edxml", "--to", "H43.31", "--subject", "Một", "--json", "--unsealed")

    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["sender_document_id"].endswith("/CV")
    assert read_packet(tmp_path / "a.edxml").signature is None


def test_a_header_that_would_be_refused_leaves_no_file(axis: Axis, paper: Path, tmp_path: Path) -> None:
    ran = axis("pack", paper, "-o", tmp_path / "a.edxml", "--to", "H43.31", "--subject", "a\x00b")

    assert ran.exit_code == ExitCode.LOCAL
    assert not any(one.suffix in {".edxml", ".part"} for one in tmp_path.iterdir())


def test_files_are_packed_and_sent_in_one_go(axis: Axis, node: StandInNode, paper: Path) -> None:
    node.on(
        "POST",
        "/v1/documents",
        lambda request: node.accepts(node.receipt(packet_sha256=_sha256(request.content))),
    )

    ran = axis("send", paper, "--to", "H43.31", "--subject", "Báo cáo", "--priority", "3")

    (request,) = node.called("POST", "/v1/documents")
    assert ran.exit_code == 0, ran.output
    assert request.headers["Axis-Priority"] == "3"
    assert b"Signature" in request.content


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\temp\\x", ".bashrc", "", "a\x00b\n", "đ" * 500])
def test_the_name_of_an_attachment_never_leaves_the_folder(name: str) -> None:
    from uuid import UUID

    made = safe_name(UUID(DELIVERY), 0, name)

    assert made.startswith(f"{DELIVERY}-0-")
    assert "/" not in made
    assert "\\" not in made
    assert made.isprintable()
    assert len(made.encode()) < 255


def test_a_system_is_added_with_keys_that_never_leave(axis: Axis, node: StandInNode, tmp_path: Path) -> None:
    node.on("POST", "/v1/admin/systems", lambda request: httpx.Response(201, json=_issued(node, request)))
    out = tmp_path / "new.json"

    ran = axis("systems", "add", "qlvb.new", "--agency", "H43.31", "--name", "QLVB", "--out", out)

    assert ran.exit_code == 0, ran.output
    assert "geheim" not in ran.output
    (request,) = node.called("POST", "/v1/admin/systems")
    assert b"PRIVATE" not in request.content
    assert out.stat().st_mode & 0o777 == 0o600
    credential = Credential.read(out)
    assert credential.url == "http://node.test"
    assert credential.anchors
    assert credential.seal_key().public_key() == credential.seal_certificates()[0].public_key()


def test_a_rotation_keeps_keys_and_certificates(axis: Axis, node: StandInNode, credential: Path) -> None:
    issued = {"system_id": "qlvb.example", "credential_id": "c2", "secret": "new", "scopes": ["send"]}
    node.on("POST", "/v1/admin/systems/qlvb.example/rotate", httpx.Response(200, json=issued))
    before = Credential.read(credential)

    ran = axis("systems", "rotate", "qlvb.example", "--out", credential)

    after = Credential.read(credential)
    assert ran.exit_code == 0, ran.output
    assert after.secret is not None
    assert after.secret.get_secret_value() == "new"
    assert after.seal_certificate == before.seal_certificate


def test_a_registration_is_remembered_from_before_it_is_sent(axis: Axis, node: StandInNode, tmp_path: Path) -> None:
    folder = tmp_path / "registration"
    registered = {"id": DELIVERY, "claim_token": "claim", "status": "pending"}
    node.on(
        "POST",
        "/v1/registrations",
        httpx.ConnectError("cut"),
        httpx.ConnectError("cut"),
        httpx.Response(201, json=registered),
    )
    node.on(
        "POST",
        f"/v1/registrations/{DELIVERY}/handover",
        lambda _: httpx.Response(200, json=_issued(node, node.called("POST", "/v1/registrations")[0])),
    )
    arguments = (
        "register",
        "--url",
        "http://node.test",
        "--system-id",
        "qlvb.new",
        "--contact-name",
        "An",
        "--contact-email",
        "a@example.vn",
        "--agency",
        "H43.31",
        "--dir",
        folder,
    )

    assert axis(*arguments).exit_code == ExitCode.LATER
    assert axis(*arguments).exit_code == 0
    assert axis("register", "collect", "--dir", folder).exit_code == 0

    requests = node.called("POST", "/v1/registrations")
    assert len({request.headers["Idempotency-Key"] for request in requests}) == 1
    assert node.called("POST", f"/v1/registrations/{DELIVERY}/handover")[0].headers["Authorization"] == "Bearer claim"
    credential = Credential.read(folder / "credential.json")
    assert credential.seal_key().public_key() == credential.seal_certificates()[0].public_key()
    assert (folder / "registration.json").stat().st_mode & 0o777 == 0o600


def _issued(node: StandInNode, request: httpx.Request) -> dict[str, object]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    from shared.testing.pki import MOMENT, to_pem

    keys = []
    for one in json.loads(request.content)["keys"]:
        csr = x509.load_pem_x509_csr(one["csr"].encode())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(csr.subject)
            .issuer_name(node.authority.certificate.subject)
            .public_key(csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(MOMENT)
            .not_valid_after(MOMENT.replace(year=2030))
            .sign(node.authority.key, hashes.SHA256())
        )
        keys.append({"purpose": one["purpose"], "certificate": to_pem([certificate]), "chain": [node.anchor_pem]})
    return {"system_id": "qlvb.new", "credential_id": "c1", "secret": "geheim", "scopes": ["send"], "keys": keys}
