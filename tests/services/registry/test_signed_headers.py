"""A signed header becomes a token for the system that signed it, and for nobody else."""

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.contracts.registry import (
    CHECK_SIGNED_HEADER,
    LIST_SYSTEMS,
    ROTATE_CREDENTIAL,
    SET_SOURCES,
    SET_SYSTEM_STATUS,
    Credential,
    ListSystems,
    RotateCredential,
    SetSources,
    SetSystemStatus,
    SystemAccess,
    SystemsChanged,
    SystemStatus,
    TokenIssued,
)
from tests.services.registry.signing import HOME, a_signed_header, signed

if TYPE_CHECKING:
    from conftest import Node

pytestmark = pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")

SECRET = "demo-secret-key"
ELSEWHERE = "198.51.100.9"


async def a_centre(node: "Node", **more: Any) -> Credential:
    await node.import_table()
    values = {"dialect": "vxp", "secret": SECRET, **more}
    return await node.add_system("demo.center.01", "000.00.36.H43", **values)


async def check(node: "Node", secret: str = SECRET, **more: Any) -> TokenIssued:
    return await node.ask(CHECK_SIGNED_HEADER, a_signed_header(secret, **more))


async def refusal(node: "Node", secret: str = SECRET, **more: Any) -> str:
    return await node.refusal(CHECK_SIGNED_HEADER, a_signed_header(secret, **more))


async def access(node: "Node") -> SystemAccess | None:
    page = await node.ask(LIST_SYSTEMS, ListSystems(token=await node.token()))
    return next((one for one in page.accesses if one.system_id == "demo.center.01"), None)


async def set_sources(node: "Node", *sources: str) -> SystemAccess:
    question = SetSources(token=await node.token(), system_id="demo.center.01", sources=sources)
    return await node.ask(SET_SOURCES, question)


def claims(issued: TokenIssued) -> dict[str, Any]:
    body = issued.access_token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=="))
    return found


async def test_the_published_vector_is_accepted(node: "Node") -> None:
    await a_centre(node)
    content = (
        b'{"XroadVnpt-systemid":"demo.center.01","XroadVnpt-timestamp":"02052024T080000+0123",'
        b'"XroadVnpt-Content-Type":"application/json"}'
    )
    request = signed(content, SECRET)
    assert request.hash_header == "84bd41ac604e6e8346d075caf5bc23051bc9168e40dde40a545a77e2bdf8d434"
    issued = await node.ask(CHECK_SIGNED_HEADER, request)
    assert claims(issued)["sub"] == "demo.center.01"
    assert issued.scopes == ("send", "inbox", "acknowledge")


async def test_a_secret_that_looks_like_base64_is_used_as_text(node: "Node") -> None:
    secret = base64.b64encode(b"thirty-two bytes of a secret 123").decode()
    await a_centre(node, secret=secret)
    assert await check(node, secret)


async def test_the_order_of_the_names_and_the_escapes_do_not_matter(node: "Node") -> None:
    await a_centre(node)
    to = json.dumps([f"000.00.{number:02}.X01" for number in range(100)] * 20)
    assert await node.ask(
        CHECK_SIGNED_HEADER,
        signed(json.dumps({"XroadVnpt-to": to, "XroadVnpt-systemid": "demo.center.01"}).encode(), SECRET),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"XroadVnpt-systemid":7}',
        b'{"XroadVnpt-systemid":"demo.center.01"',
        b'{"XroadVnpt-systemid":{"XroadVnpt-systemid":"demo.center.01"}}',
        b'{"xroadvnpt-systemid":"demo.center.01"}',
        b'{"a":"' + b"\\" * 500_001 + b'","XroadVnpt-systemid":"demo.center.01"}',
        b"[" * 700_000,
        b"\xff\xfe",
    ],
)
async def test_what_names_no_system_is_refused(node: "Node", content: bytes) -> None:
    await a_centre(node)
    assert await node.refusal(CHECK_SIGNED_HEADER, signed(content, SECRET)) == "vxp-signature"


async def test_what_is_no_base64_or_no_hash_is_refused(node: "Node") -> None:
    await a_centre(node)
    good = a_signed_header(SECRET)
    for changes in [{"signed_header": "ỹ"}, {"hash_header": ""}, {"hash_header": "x" * 64}, {"hash_header": "ab"}]:
        assert await node.refusal(CHECK_SIGNED_HEADER, good.model_copy(update=changes)) == "vxp-signature"


async def test_a_hash_in_capitals_is_the_same(node: "Node") -> None:
    await a_centre(node)
    good = a_signed_header(SECRET)
    assert await node.ask(CHECK_SIGNED_HEADER, good.model_copy(update={"hash_header": good.hash_header.upper()}))


async def test_unknown_systems_wrong_keys_and_changed_bytes_get_one_answer(node: "Node") -> None:
    await a_centre(node)
    await node.add_system("rest-1")
    assert await refusal(node, "another-secret") == "vxp-signature"
    assert await refusal(node, system_id="nobody") == "vxp-signature"
    assert await refusal(node, system_id="DEMO.CENTER.01") == "vxp-signature"
    assert await refusal(node, system_id="rest-1") == "vxp-signature"
    good = a_signed_header(SECRET)
    changed = base64.b64encode(base64.b64decode(good.signed_header) + b" ").decode()
    refused = await node.refusal(CHECK_SIGNED_HEADER, good.model_copy(update={"signed_header": changed}))
    assert refused == "vxp-signature"


async def test_an_old_timestamp_is_no_reason_to_refuse(node: "Node") -> None:
    await a_centre(node)
    assert await check(node, timestamp="01011999T000000+0000")


async def test_a_token_serves_for_half_its_life_and_then_comes_another(node: "Node") -> None:
    await a_centre(node)
    first = await check(node)
    node.clock.moment += timedelta(minutes=4)
    again = await check(node)
    assert again.access_token == first.access_token
    assert again.expires_in == first.expires_in - 240
    node.clock.moment += timedelta(minutes=1)
    assert (await check(node)).access_token != first.access_token


async def test_a_disabled_system_is_refused_at_once(node: "Node") -> None:
    await a_centre(node)
    await check(node)
    for status in (SystemStatus.DISABLED, SystemStatus.ACTIVE):
        question = SetSystemStatus(token=await node.token(), system_id="demo.center.01", status=status)
        await node.ask(SET_SYSTEM_STATUS, question)
        if status is SystemStatus.DISABLED:
            assert await refusal(node) == "vxp-signature"
    assert await check(node)


async def test_two_secrets_are_good_until_the_overlap_ends(node: "Node") -> None:
    await a_centre(node)
    question = RotateCredential(token=await node.token(), system_id="demo.center.01", overlap_hours=1)
    fresh = await node.ask(ROTATE_CREDENTIAL, question)
    assert fresh.secret != SECRET
    former, latter = await check(node), await check(node, fresh.secret)
    assert claims(former)["cid"] != claims(latter)["cid"] == fresh.credential_id
    node.clock.moment += timedelta(hours=1)
    assert await refusal(node) == "vxp-signature"
    assert await check(node, fresh.secret)


async def test_a_secret_that_the_other_side_has_already_can_take_the_place(node: "Node") -> None:
    await a_centre(node)
    question = RotateCredential(
        token=await node.token(), system_id="demo.center.01", overlap_hours=0, secret="another-secret"
    )
    assert (await node.ask(ROTATE_CREDENTIAL, question)).secret == "another-secret"
    assert await check(node, "another-secret")
    assert await refusal(node) == "vxp-signature"


async def test_secrets_lie_encrypted(node: "Node") -> None:
    await a_centre(node)
    await node.add_system("rest-1")
    rows = await node.rows("SELECT system_id, sealed_secret FROM registry.credentials")
    sealed = {row["system_id"]: row["sealed_secret"] for row in rows}
    assert sealed["rest-1"] is None
    assert SECRET.encode() not in sealed["demo.center.01"]


async def test_outside_its_networks_a_system_is_refused(node: "Node") -> None:
    await a_centre(node, sources=("203.0.113.0/24", "2001:db8::/64", "192.0.2.1"))
    assert await check(node)
    assert await check(node, source="::ffff:203.0.113.8")
    assert await check(node, source="2001:db8::1")
    assert await refusal(node, source=ELSEWHERE) == "vxp-source"
    assert await refusal(node, source="unknown") == "vxp-source"
    assert await refusal(node, "another-secret", source=ELSEWHERE) == "vxp-signature"


async def test_a_second_address_is_an_alarm_once(node: "Node") -> None:
    await a_centre(node)
    _, _, version = await node.read_all()
    for source in (HOME, HOME, ELSEWHERE, ELSEWHERE, HOME):
        await check(node, source=source)
        node.clock.moment += timedelta(minutes=11)
    found = await access(node)
    assert found is not None
    assert found.is_alarming
    assert [(one.address, one.accepted) for one in found.addresses] == [(HOME, True), (ELSEWHERE, False)]
    assert found.addresses[0].last_seen_at == node.clock.moment - timedelta(minutes=11)
    alarms = [one for one in await node.events(SystemsChanged, 3) if one.change == "second-address"]
    assert [(one.system_ids, one.version) for one in alarms] == [(("demo.center.01",), version)]


async def test_an_address_written_down_by_itself_is_no_alarm(node: "Node") -> None:
    await a_centre(node, sources=("203.0.113.0/24", "198.51.100.9/32"))
    await check(node)
    await check(node, source=ELSEWHERE)
    found = await access(node)
    assert found is not None
    assert not found.is_alarming


async def test_setting_the_networks_ends_the_alarm(node: "Node") -> None:
    await a_centre(node)
    await check(node)
    await check(node, source=ELSEWHERE)
    found = await set_sources(node, "198.51.100.0/24")
    assert [(one.address, one.accepted) for one in found.addresses] == [(ELSEWHERE, True)]
    assert await refusal(node) == "vxp-source"
    assert (await set_sources(node)).sources == ()
    await check(node)
    found = await set_sources(node, "203.0.113.0/24", "198.51.100.0/24")
    assert [one.address for one in found.addresses] == [ELSEWHERE, HOME]
    assert not found.is_alarming


async def test_networks_are_for_systems_that_sign_headers(node: "Node") -> None:
    await node.add_system("rest-1")
    token = await node.token()
    for system_id, sources, code in [
        ("rest-1", (), "system-invalid"),
        ("nobody", (), "not-found"),
        ("rest-1", ("here",), "system-invalid"),
    ]:
        question = SetSources(token=token, system_id=system_id, sources=sources)
        assert await node.refusal(SET_SOURCES, question) == code
