"""
What people wrote stays out of the log, whatever happens to it.
"""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from shared.contracts.routing import REPORT_STATUS, SUBMIT_DOCUMENT, ReportStatus, StaffInfo
from shared.errors import Rejected
from shared.telemetry import bind_correlation_id, configure_logs, get_logger
from tests.services.routing.conftest import COMMUNE, DISTRICT, House

SUBJECT = "Về hoàn cảnh gia đình bà Nguyễn Thị Sẻ"
STAFF = "Trần Văn Chim"
NUMBER = "0912345678"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    written = io.StringIO()
    before = logging.root.level
    configure_logs(level="DEBUG", stream=written)
    structlog.configure(cache_logger_on_first_use=False)  # else this stream would outlive the test
    yield written
    structlog.reset_defaults()
    logging.root.setLevel(before)


async def test_names_subjects_and_tokens_are_never_logged(log: io.StringIO, house: House) -> None:
    bind_correlation_id("request-0001")
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    packet = house.packet(sender, subject=SUBJECT)
    sent = await house.submit(sender, packet)
    for refused in (
        packet[: len(packet) // 2],
        packet.replace(SUBJECT.encode(), b"x"),
        house.packet(sender, subject=SUBJECT, to=("H99.99",)),
        house.packet(None, subject=SUBJECT),
    ):
        with pytest.raises(Rejected):
            await house.submit(sender, refused)
    item = await house.arrival(receiver, sent.document_id)
    await house.fetch(receiver, item.delivery_id)
    token = await house.register.token(receiver)
    status = ReportStatus(
        token=token,
        delivery_id=item.delivery_id,
        code="01",
        description=SUBJECT,
        staff=StaffInfo(staff=STAFF, mobile=NUMBER),
    )
    await house.ask(REPORT_STATUS, status)
    # A defect in the middle of it: its story is logged, and what was being handled is not.
    await house.rows("ALTER TABLE routing.documents RENAME COLUMN subject TO subject_")
    request = await house.submission(sender, house.packet(sender, subject=SUBJECT))
    with pytest.raises(RuntimeError):
        await house.ask(SUBMIT_DOCUMENT, request)
    await house.rows("ALTER TABLE routing.documents RENAME COLUMN subject_ TO subject")
    get_logger("end").info("written")
    written = log.getvalue()
    assert '"event": "written"' in written
    assert "ask failed" in written
    for secret in (SUBJECT, "Nguyễn Thị Sẻ", STAFF, NUMBER, token, request.token):
        assert secret not in written
        assert json.dumps(secret)[1:-1] not in written
