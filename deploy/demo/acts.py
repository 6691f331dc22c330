"""The five acts of the play. Each notes what was not as designed; nothing here is a stand-in for the node."""

import asyncio
import hashlib
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.demo.cast import COMMUNE, DEPARTMENT, DISTRICT, MINISTRY, PROVINCE, Cast, Player, engage
from deploy.demo.ledger import Ledger
from deploy.embedded.papers import REPORT, paper
from shared.client import AxisClient, Call, Rejected, SentDocument, Unavailable
from shared.contracts.base import Lane
from shared.contracts.registry import SystemEntry
from shared.contracts.routing import DeliveryState, InboxItem
from shared.contracts.signing import Indication
from shared.edxml import PacketLimits, read_packet
from shared.xmldsig import check_signature

ORDINARY_DOCUMENTS: Final = 200
AT_ONCE: Final = 8
PATIENCE_SECONDS: Final = 240.0
UNKNOWN: Final = (("H43.99.98", "Không có"), ("H43.99.99", "Cũng không có"))


async def first_letter(cast: Cast, ledger: Ledger) -> SentDocument:
    """
    A commune sends a signed packet with two PDF files to its district, a department, the province and a ministry.
    """
    sender = cast[COMMUNE]
    codes = (DISTRICT, DEPARTMENT, PROVINCE, MINISTRY)
    packet = paper(
        sender=sender.address,
        to=[cast[code].address for code in codes],
        number="12",
        subject="Báo cáo tình hình sản xuất và đời sống nhân dân",
        seal=sender.seal,
    )
    sent = await sender.client.send(packet)
    ledger.accepted(sent.answer.document_id, frozenset(codes))
    ledger.expect(sent.created, "the first letter was taken for a repeat")
    return sent


async def answers(cast: Cast, ledger: Ledger, sent: SentDocument) -> None:
    """
    Each addressee lists, fetches, checks, acknowledges and reports; the department returns the document.
    """
    await asyncio.gather(
        *(
            _handle(cast[code], sent.answer.document_id, ledger, returns=code == DEPARTMENT)
            for code in (DISTRICT, DEPARTMENT, PROVINCE, MINISTRY)
        )
    )
    view = await cast[COMMUNE].client.document(sent.answer.document_id)
    for addressee in view.addressees:
        wanted = ("01", "02") if addressee.agency == DEPARTMENT else ("01", "03", "05", "06")
        ledger.expect(
            addressee.statuses == wanted, f"the sender sees {addressee.statuses} of {addressee.agency}, not {wanted}"
        )
        ledger.expect(addressee.state is DeliveryState.DELIVERED, f"{addressee.agency} stands at {addressee.state}")


async def _handle(player: Player, document_id: UUID, ledger: Ledger, *, returns: bool) -> None:
    item = await _wait_for(player.client, document_id, player.agency.code)
    await player.client.report_status(item.delivery_id, "01", "Đã đến")
    with TemporaryDirectory() as folder:
        target = Path(folder) / "packet.edxml"
        fetched = await player.client.fetch(item.delivery_id, target)
        packet = await asyncio.to_thread(read_packet, target, PacketLimits())
        checked = check_signature(packet.signature or b"", packet.parts)
        ledger.expect(checked.indication is Indication.PASSED, f"{player.agency.code} finds the signature broken")
        reported = fetched.delivery.report.indication
        ledger.expect(reported is Indication.PASSED, f"the node's report says {reported}")
        for view in fetched.delivery.attachments:
            file = Path(folder) / f"{view.n}.pdf"
            await player.client.attachment(item.delivery_id, view.n, file)
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            ledger.expect(digest == view.content_sha256, f"attachment {view.n} came with another digest")
    await player.client.acknowledge(item.delivery_id)
    ledger.delivered(document_id, player.agency.code)
    if returns:
        await player.client.report_status(item.delivery_id, "02", "Trả lại: thiếu phụ lục số liệu theo mẫu")
        ledger.returned += 1
        return
    for code, words in (("03", "Đã tiếp nhận, vào sổ"), ("05", "Đang xử lý"), ("06", "Hoàn thành")):
        await player.client.report_status(item.delivery_id, code, words)


async def circular(cast: Cast, ledger: Ledger, progress: Any) -> dict[str, Any]:
    """
    The province sends an urgent circular to all communes and districts while 200 ordinary documents are under way.

    Returns:
        `seconds` until it was in every mailbox, and how many ordinary deliveries had not arrived by then.
    """
    places = asyncio.Semaphore(AT_ONCE)
    accepted = 0
    quarter = asyncio.Event()
    senders = [cast[code] for code in (COMMUNE, DISTRICT, DEPARTMENT, MINISTRY)]

    async def ordinary(number: int) -> None:
        nonlocal accepted
        sender = senders[number % len(senders)]
        to = [cast.circle[(number * 3 + step) % len(cast.circle)] for step in range(3)]
        packet = await asyncio.to_thread(
            paper,
            sender=sender.address,
            to=[(agency.code, agency.name) for agency in to],
            number=str(1_000 + number),
            subject=f"Công văn thường số {1_000 + number}",
            attachments=(REPORT,),
            seal=sender.seal,
        )
        async with places:
            sent = await sender.client.send(packet)
        ledger.accepted(sent.answer.document_id, frozenset(agency.code for agency in to))
        accepted += 1
        progress(accepted)
        if accepted == ORDINARY_DOCUMENTS // 4:
            quarter.set()

    flood = [asyncio.ensure_future(ordinary(number)) for number in range(ORDINARY_DOCUMENTS)]
    await asyncio.wait([asyncio.ensure_future(quarter.wait()), *flood], return_when=asyncio.FIRST_COMPLETED)
    await quarter.wait()
    province = cast[PROVINCE]
    packet = paper(
        sender=province.address,
        to=[(agency.code, agency.name) for agency in cast.circle],
        number="01",
        subject="Công điện hỏa tốc về việc ứng phó với bão",
        lane=Lane.EXPRESS,
        attachments=(REPORT,),
        seal=province.seal,
    )
    loop = asyncio.get_running_loop()
    begun = loop.time()
    sent = await province.client.send(packet, Lane.EXPRESS)
    urgent = sent.answer.document_id
    ledger.accepted(urgent, frozenset(agency.code for agency in cast.circle))
    while (await province.client.document(urgent)).counts.get("available", 0) < len(cast.circle):
        ledger.expect(loop.time() - begun < PATIENCE_SECONDS, "the circular did not arrive everywhere in time")
        await asyncio.sleep(0.05)
    seconds = loop.time() - begun
    still_posting = sum(not task.done() for task in flood)
    first = await asyncio.gather(*(_first_of(cast, agency.code) for agency in cast.circle))
    overtaken = sum(item is None or item.document_id != urgent for item in first)
    ledger.expect(overtaken == 0, f"in {overtaken} mailboxes the circular is not the first document")
    await asyncio.gather(*flood)
    return {"seconds": seconds, "mailboxes": len(first), "still_posting": still_posting}


async def empty_mailboxes(cast: Cast, ledger: Ledger, total: int, progress: Any) -> None:
    """
    Everyone fetches and acknowledges what lies in their mailbox, until so many deliveries have come.
    """
    done = 0
    readers: list[AxisClient] = [player.client for player in cast.players.values()]
    assert cast.shared is not None
    readers.append(cast.shared.client)
    places = asyncio.Semaphore(AT_ONCE)

    async def take(reader: AxisClient, item: InboxItem, folder: Path) -> None:
        nonlocal done
        async with places:
            target = folder / f"{item.delivery_id}.edxml"
            await reader.fetch(item.delivery_id, target)
            target.unlink()
            await reader.acknowledge(item.delivery_id)
        ledger.delivered(item.document_id, item.agency)
        done += 1
        progress(done)

    with TemporaryDirectory() as name:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while done < total:
                for reader in readers:
                    items = (await reader.inbox(limit=200)).items
                    await asyncio.gather(*(take(reader, item, Path(name)) for item in items))


async def accidents(cast: Cast, ledger: Ledger) -> None:
    """
    A client dies between fetch and acknowledgement; a sender loses the answer and sends again.
    """
    sender, receiver = cast[COMMUNE], cast[DISTRICT]
    packet = paper(sender=sender.address, to=[receiver.address], number="13", subject="Báo cáo nhanh", seal=sender.seal)
    await _post_and_hang_up(sender, packet)
    first = await sender.client.send(packet)
    second = await sender.client.send(packet)
    document_id = first.answer.document_id
    ledger.accepted(document_id, frozenset({DISTRICT}))
    ledger.expect(first.body == second.body, "a repeat got another receipt")
    ledger.expect(not second.created, "a repeat was taken for a new document")
    ledger.same_receipt += first.body == second.body
    await _wait_for(receiver.client, document_id, DISTRICT)
    await _fetch_and_die(cast, document_id)
    found = [item for item in (await receiver.client.inbox()).items if item.document_id == document_id]
    ledger.expect(len(found) == 1, "the document is gone from the mailbox of a client that died")
    ledger.expect(found[0].state is DeliveryState.FETCHED, f"after the fetch it stands at {found[0].state}")
    with TemporaryDirectory() as folder:
        await receiver.client.fetch(found[0].delivery_id, Path(folder) / "again.edxml")
    await receiver.client.acknowledge(found[0].delivery_id)
    ledger.delivered(document_id, DISTRICT)


async def refusals(cast: Cast, ledger: Ledger) -> None:
    """
    A forged packet, one from a revoked certificate, one with unknown addressees, one marked MẬT, a changed duplicate.
    """
    sender, receiver = cast[COMMUNE], cast[DISTRICT]

    def a_paper(
        number: str, *, to: Sequence[tuple[str, str]] | None = None, subject: str, by: Player = sender
    ) -> bytes:
        return paper(sender=by.address, to=to or [receiver.address], number=number, subject=subject, seal=by.seal)

    forged = a_paper("20", subject="Đề nghị cấp 100 triệu đồng").replace(b"100 tri", b"900 tri")
    await _refused(ledger, sender, forged, "signature-failed")

    department = cast[DEPARTMENT]
    thief = await engage(cast, "qlvb-bi-lo-khoa", department.agency, [department.agency.code])
    digest = hashlib.sha256(_der(thief)).hexdigest()
    await cast.admin.ask(
        Call("POST", f"/v1/admin/certificates/{digest}/revoke", json={"reason": "keyCompromise"}), SystemEntry
    )
    await _refused(
        ledger, department, a_paper("21", subject="Khóa bị lộ", by=thief), "signature-failed", "signer-not-bound"
    )
    await thief.client.close()

    unknown = a_paper("22", to=[receiver.address, *UNKNOWN], subject="Gửi nhầm nơi nhận")
    refusal = await _refused(ledger, sender, unknown, "addressees-refused")
    named = {entry.detail for entry in refusal.errors} if refusal else set()
    for code, _ in UNKNOWN:
        ledger.expect(any(code in words for words in named), f"the refusal does not name {code}")

    await _refused(ledger, sender, a_paper("23", subject="MẬT - Kế hoạch phòng thủ"), "secrecy-mark")
    changed = a_paper("12", subject="Nội dung khác dưới cùng một mã định danh")
    await _refused(ledger, sender, changed, "document-id-reused")


async def _refused(ledger: Ledger, sender: Player, packet: bytes, *codes: str) -> Rejected | None:
    try:
        await sender.client.send(packet)
    except Rejected as refusal:
        ledger.refused[refusal.code] += 1
        ledger.expect(refusal.code in codes, f"{refusal.code} was answered where {codes[0]} was due")
        return refusal
    ledger.expect(False, f"a packet was accepted where {codes[0]} was due")  # noqa: FBT003 - plainly a failure
    return None


async def _wait_for(client: AxisClient, document_id: UUID, code: str) -> InboxItem:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for item in (await client.inbox(wait=5, agency=code)).items:
                if item.document_id == document_id:
                    return item


async def _first_of(cast: Cast, code: str) -> InboxItem | None:
    page = await cast.reader_of(code).inbox(agency=code, limit=1)
    return page.items[0] if page.items else None


async def _post_and_hang_up(sender: Player, packet: bytes) -> None:
    """Send a whole request and close the line before the answer: what a power cut at the sender does."""
    form = {"grant_type": "client_credentials"}
    secret = sender.credential.secret
    assert secret is not None
    async with httpx.AsyncClient(base_url=sender.credential.url) as http:
        answer = await http.post(
            "/oauth2/token", data=form, auth=(sender.credential.system_id, secret.get_secret_value())
        )
    token = answer.json()["access_token"]
    address = urlsplit(sender.credential.url)
    trust = ssl.create_default_context() if address.scheme == "https" else None
    _, writer = await asyncio.open_connection(address.hostname, address.port, ssl=trust)
    head = (
        f"POST /v1/documents HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/edxml+xml\r\nContent-Length: {len(packet)}\r\n\r\n"
    )
    writer.write(head.encode() + packet)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def _fetch_and_die(cast: Cast, document_id: UUID) -> None:
    """Run a client in a process of its own that fetches and is killed before it can acknowledge."""
    file = cast.node.systems / cast[DISTRICT].credential.system_id / "credential.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.demo.dying_client", str(file), str(document_id), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        line = await process.stdout.readline()
    process.kill()
    await process.wait()
    if line.strip() != b"fetched":
        raise Unavailable("unavailable", 503, "the client that was to die did not get as far as fetching")


def _der(player: Player) -> bytes:
    return player.credential.seal_certificates()[0].public_bytes(Encoding.DER)
