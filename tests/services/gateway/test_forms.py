"""Packets made of forms."""

import json
from typing import Any

import httpx
import pytest

from gateway.api.examples import FORM, FORM_BOUNDARY
from gateway.api.multipart import FormReader
from shared.contracts import routing
from shared.edxml import Packet, form_schema, read_packet
from tests.services.gateway.conftest import MakeWorld
from tests.services.gateway.world import World

FORM_TYPE = {"Content-Type": f"multipart/form-data; boundary={FORM_BOUNDARY}"}
DOCUMENT: dict[str, Any] = json.loads(FORM[FORM.index("{") : FORM.rindex("}") + 1])


async def post(world: World, document: Any, files: list[tuple[str, bytes]], **more: str) -> httpx.Response:
    parts = [("document", (None, json.dumps(document).encode(), "application/json"))]
    parts += [(f"file-{n}", (name, content, "application/octet-stream")) for n, (name, content) in enumerate(files)]
    async with world.client() as client:
        return await client.post("/v1/documents", files=parts, headers={**world.signed_in(), **more})


def submitted(world: World) -> Packet:
    (question,) = world.questions(routing.SUBMIT_DOCUMENT)
    return read_packet(world.blobs.path(question.packet_sha256))


async def test_a_form_becomes_a_packet(world: World) -> None:
    async with world.client() as client:
        answer = await client.post("/v1/documents", content=FORM.encode(), headers={**world.signed_in(), **FORM_TYPE})
    assert answer.status_code == 201, answer.text
    packet = submitted(world)
    assert packet.header is not None
    assert packet.header.subject == "Báo cáo tháng 12"
    (attachment,) = packet.attachments
    assert (attachment.name, attachment.description, attachment.unzipped) == ("bao-cao.txt", "Báo cáo", True)
    assert attachment.content_size == len("Mọi việc đều tốt.".encode())
    assert not packet.warnings


async def test_every_file_is_attached_where_none_is_named(world: World) -> None:
    document = {key: value for key, value in DOCUMENT.items() if key != "attachments"}
    files = [("Quyết định.pdf", b"%PDF" + b"\r\n--" * 100_000), ("../../b.zip", b"PK\x03\x04"), ('c"d.txt', b"")]
    assert (await post(world, document, files)).status_code == 201
    packet = submitted(world)
    assert [attachment.name for attachment in packet.attachments] == ["Quyết định.pdf", "b.zip", 'c"d.txt']
    assert packet.attachments[0].content_size == len(files[0][1])


async def test_the_same_form_gives_the_same_packet(world: World) -> None:
    document = {**DOCUMENT, "attachments": [{"part": "file-0"}]}
    for _ in range(2):
        await post(world, document, [("a.txt", b"x")])
    first, second = world.questions(routing.SUBMIT_DOCUMENT)
    assert first.packet_sha256 == second.packet_sha256


@pytest.mark.parametrize(
    ("document", "code", "pointer"),
    [
        ({**DOCUMENT, "attachments": [{"part": "nothing"}]}, "request-invalid", "/attachments/0/part"),
        ({**DOCUMENT, "attachments": []}, "request-invalid", "/attachments"),
        ({"header": DOCUMENT["header"]}, "request-invalid", "/trace"),
        (
            {**DOCUMENT, "header": {**DOCUMENT["header"], "sender": {"organ": "x"}}},
            "request-invalid",
            "/header/sender/organ",
        ),
        (
            {**DOCUMENT, "attachments": None, "header": {**DOCUMENT["header"], "addressees": []}},
            "packet-invalid",
            "/edXML/",
        ),
        (
            {**DOCUMENT, "attachments": None, "header": {**DOCUMENT["header"], "document_id": ""}},
            "document-id-missing",
            "/",
        ),
    ],
)
async def test_a_form_that_makes_no_packet_is_a_problem_that_names_the_place(
    world: World, document: Any, code: str, pointer: str
) -> None:
    answer = await post(world, document, [("a.txt", b"x")])
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert any(error["pointer"].startswith(pointer) for error in answer.json()["errors"])
    assert world.kept() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--axis-form",
        b"--axis-form--\r\n",
        b"no form at all",
        FORM.encode()[:-20],
        FORM.encode().replace(b'name="bao-cao"', b'name="document"'),
        FORM.encode().replace(b'name="bao-cao"', b""),
        FORM.encode().replace(b"Content-Disposition", b"X" * 20_000, 1),
        FORM.encode().replace(b"{", b"[", 1),
        FORM.encode().replace(b"B\xc3\xa1o", b"\xff", 1),
    ],
)
async def test_what_is_no_form_is_refused_and_leaves_nothing(world: World, body: bytes) -> None:
    async with world.client() as client:
        answer = await client.post("/v1/documents", content=body, headers={**world.signed_in(), **FORM_TYPE})
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")
    assert world.kept() == []


async def test_a_form_is_held_to_the_limits_of_a_packet(make_world: MakeWorld) -> None:
    world = await make_world(max_packet_bytes=10_000, max_json_bytes=2_000)
    assert (await post(world, DOCUMENT, [("a.txt", b"x" * 20_000)])).json()["code"] == "packet-too-large"
    # Base64 makes a packet larger than the form it is made of.
    document = {**DOCUMENT, "attachments": None}
    assert (await post(world, document, [("a.pdf", b"x" * 8_000)])).json()["code"] == "packet-too-large"
    longer = {**document, "header": {**DOCUMENT["header"], "content": "x" * 3_000}}
    assert (await post(world, longer, [])).json()["code"] == "request-invalid"
    assert (await post(world, document, [], **{"Content-Digest": "sha-256=:AAAA:"})).json()["code"] == "digest-mismatch"
    assert world.kept() == []


@pytest.mark.parametrize("size", [1, 2, 3, 17, 1000])
def test_a_form_reads_the_same_however_it_comes_in_pieces(tmp_path: Any, size: int) -> None:
    reader = FormReader(FORM_TYPE["Content-Type"], tmp_path, max_json_bytes=10_000)
    octets = b"preamble\r\n" + FORM.encode() + b"epilogue"
    for start in range(0, len(octets), size):
        reader.feed(octets[start : start + size])
    form = reader.finish()
    assert json.loads(form.texts["document"]) == DOCUMENT
    (file,) = form.files
    assert (file.part, file.name) == ("bao-cao", "bao-cao.txt")
    assert file.path.read_text(encoding="utf-8") == "Mọi việc đều tốt."


async def test_a_signature_over_the_parts_seals_the_packet(world: World) -> None:
    signature = b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X></ds:X></ds:Signature>'
    document = {key: value for key, value in DOCUMENT.items() if key != "attachments"}
    parts = [("document", (None, json.dumps(document).encode())), ("signature", (None, signature))]
    async with world.client() as client:
        await client.post("/v1/documents", files=parts, headers=world.signed_in())
    assert submitted(world).signature == signature


async def test_a_form_is_validated_like_a_packet(world: World) -> None:
    nobody = {**DOCUMENT, "attachments": None, "header": {**DOCUMENT["header"], "addressees": []}}
    async with world.client() as client:
        for document in (DOCUMENT | {"attachments": None}, nobody):
            form = [("document", (None, json.dumps(document).encode(), "application/json"))]
            answer = await client.post("/v1/validations", files=form, headers=world.signed_in())
            assert answer.status_code == 200, answer.text
    assert len(world.questions(routing.VALIDATE_PACKET)) == 1
    report = answer.json()
    assert (report["accepted"], report["problem_code"]) == (False, "packet-invalid")
    assert [error["code"] for error in report["errors"]] == ["addressee-missing"]


async def test_the_schema_is_published(world: World) -> None:
    async with world.client() as client:
        answer = await client.get("/schemas/packet")
    assert answer.headers["Content-Type"] == "application/schema+json"
    assert answer.json() == form_schema()
