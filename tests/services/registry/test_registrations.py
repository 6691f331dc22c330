"""Registration by an integrator, from the wish to the first token."""

import asyncio
import json
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from joserfc import jws
from joserfc.jwk import ECKey

from shared.contracts.registry import (
    ADD_SYSTEM,
    DECIDE_REGISTRATION,
    HAND_OVER,
    ISSUE_TOKEN,
    LIST_REGISTRATIONS,
    READ_REGISTRATION,
    REGISTER,
    AddSystem,
    Credential,
    DecideRegistration,
    IssueToken,
    ListRegistrations,
    ReadRegistration,
    Register,
    Registered,
    RegistrationsChanged,
    RegistrationStatus,
    RegistrationView,
    Role,
)
from shared.testing.pki import a_certificate_request, a_p256_key

if TYPE_CHECKING:
    from conftest import Node

pytestmark = pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")

COMMUNE = "H43.36.01"


def a_wish(**changes: object) -> Register:
    values: dict[str, object] = {
        "system_id": "xa-phuoc-dinh",
        "system_name": "Phần mềm văn thư xã Phước Dinh",
        "contact_name": "Nguyễn Thị Hòa",
        "contact_email": "hoa@example.vn",
        "agencies": (COMMUNE,),
        "keys": [{"purpose": "seal", "csr": a_certificate_request(a_p256_key())}],
    }
    return Register.model_validate({**values, **changes})


def claim(registered: Registered) -> ReadRegistration:
    return ReadRegistration(id=registered.id, claim_token=registered.claim_token)


def an_assertion(node: "Node", key: EllipticCurvePrivateKey) -> str:
    now = int(node.clock.now().timestamp())
    claims = {
        "iss": "xa-phuoc-dinh",
        "sub": "xa-phuoc-dinh",
        "aud": node.settings.public_url,
        "jti": "j",
        "exp": now + 60,
    }
    return jws.serialize_compact({"alg": "ES256"}, json.dumps(claims), ECKey.import_key(key), algorithms=["ES256"])


async def decide(node: "Node", registered: Registered, *, approve: bool, reason: str = "") -> RegistrationView:
    request = DecideRegistration(token=await node.token(), id=registered.id, approve=approve, reason=reason)
    return await node.ask(DECIDE_REGISTRATION, request)


async def test_from_the_wish_to_the_first_token(node: "Node") -> None:
    await node.import_table()
    key = a_p256_key()
    requests = [{"purpose": purpose, "csr": a_certificate_request(key)} for purpose in ("seal", "auth")]
    registered = await node.ask(REGISTER, a_wish(keys=requests))
    assert registered.status == "pending"
    view = await node.ask(READ_REGISTRATION, claim(registered))
    assert (view.status, view.agencies, view.contact_name) == ("pending", (COMMUNE,), "Nguyễn Thị Hòa")
    assert " / " in view.next_step
    assert await node.refusal(HAND_OVER, claim(registered)) == "registration-not-approved"

    waiting = await node.ask(
        LIST_REGISTRATIONS, ListRegistrations(token=await node.token(), status=RegistrationStatus.PENDING)
    )
    assert [item.id for item in waiting.items] == [registered.id]
    approved = await decide(node, registered, approve=True)
    assert (approved.status, approved.warnings) == ("approved", ())
    early = IssueToken(client_assertion=an_assertion(node, key))
    assert await node.refusal(ISSUE_TOKEN, early) == "invalid-client", "it has not been handed over"

    first = await node.ask(HAND_OVER, claim(registered))
    second = await node.ask(HAND_OVER, claim(registered))
    assert first.credential_id == second.credential_id
    assert (second.agencies, second.scopes) == ((COMMUNE,), ("send", "inbox", "acknowledge"))
    assert [issued.purpose for issued in second.keys] == ["auth", "seal"]
    assert second.keys[0].certificate.startswith("-----BEGIN CERTIFICATE-----")
    former = IssueToken(client_id=first.system_id, client_secret=first.secret)
    assert await node.refusal(ISSUE_TOKEN, former) == "invalid-client", "a fresh secret replaces the former"
    view = await node.ask(READ_REGISTRATION, claim(registered))
    assert view.status == "handed-over"

    await node.token(second)
    assert await node.refusal(HAND_OVER, claim(registered)) == "already-handed-over"
    done = await node.ask(READ_REGISTRATION, claim(registered))
    assert done.next_step != view.next_step
    _, systems, _ = await node.read_all()
    assert {grant.role for grant in systems["xa-phuoc-dinh"].grants} == set(Role)
    statuses = [event.status for event in await node.events(RegistrationsChanged, 3)]
    assert statuses == ["pending", "approved", "handed-over"]


async def test_no_event_holds_personal_data(node: "Node") -> None:
    await node.import_table()
    registered = await node.ask(REGISTER, a_wish())
    await decide(node, registered, approve=False, reason="Thiếu quyết định của chị Hòa")
    await node.events(RegistrationsChanged, 2)
    everything = " ".join(item.data for item in node.items)
    assert not any(word in everything for word in ("Hòa", "hoa@", "Phước"))


async def test_a_refusal_needs_a_reason_and_is_seen(node: "Node") -> None:
    await node.import_table()
    registered = await node.ask(REGISTER, a_wish())
    without = DecideRegistration(token=await node.token(), id=registered.id, approve=False, reason="  ")
    assert await node.refusal(DECIDE_REGISTRATION, without) == "reason-missing"
    await decide(node, registered, approve=False, reason="Sai mã định danh")
    view = await node.ask(READ_REGISTRATION, claim(registered))
    assert (view.status, view.reason) == ("refused", "Sai mã định danh")
    assert await node.refusal(HAND_OVER, claim(registered)) == "registration-not-approved"
    again = await node.ask(REGISTER, a_wish())
    assert again.id != registered.id, "after a refusal the name is free again"


@pytest.mark.parametrize("approve", [True, False])
async def test_the_same_decision_again_changes_nothing_and_the_opposite_is_refused(
    node: "Node", *, approve: bool
) -> None:
    await node.import_table()
    registered = await node.ask(REGISTER, a_wish())
    first = await decide(node, registered, approve=approve, reason="lý do")
    assert await decide(node, registered, approve=approve, reason="lý do khác") == first
    opposite = DecideRegistration(token=await node.token(), id=registered.id, approve=not approve, reason="x")
    assert await node.refusal(DECIDE_REGISTRATION, opposite) == "registration-decided"


async def test_decisions_side_by_side_make_one_system(node: "Node") -> None:
    await node.import_table()
    registered = await node.ask(REGISTER, a_wish())
    request = DecideRegistration(token=await node.token(), id=registered.id, approve=True)
    views = await asyncio.gather(*(node.ask(DECIDE_REGISTRATION, request) for _ in range(6)))
    assert {view.status for view in views} == {"approved"}
    (row,) = await node.rows("SELECT count(*) AS found FROM registry.credentials WHERE system_id = 'xa-phuoc-dinh'")
    assert row["found"] == 1


async def test_deciding_needs_the_scope_approve(node: "Node") -> None:
    await node.import_table()
    registered = await node.ask(REGISTER, a_wish())
    operator = await node.token(None, "operate")
    request = DecideRegistration(token=operator, id=registered.id, approve=True)
    assert await node.refusal(DECIDE_REGISTRATION, request) == "scope-missing"
    assert await node.refusal(LIST_REGISTRATIONS, ListRegistrations(token=operator)) == "scope-missing"
    unknown = request.model_copy(update={"token": await node.token(), "id": UUID(int=1)})
    assert await node.refusal(DECIDE_REGISTRATION, unknown) == "not-found"


async def test_only_the_claim_token_opens_a_registration(node: "Node") -> None:
    await node.import_table()
    registered = await node.ask(REGISTER, a_wish())
    for stranger in (
        ReadRegistration(id=registered.id, claim_token=""),
        ReadRegistration(id=registered.id, claim_token=registered.claim_token[:-1] + "!"),
        ReadRegistration(id=UUID(int=7), claim_token=registered.claim_token),
    ):
        assert await node.refusal(READ_REGISTRATION, stranger) == "token-invalid"
        assert await node.refusal(HAND_OVER, stranger) == "token-invalid"
    stored = await node.rows("SELECT registrations::text AS row FROM registry.registrations")
    assert registered.claim_token not in stored[0]["row"]


async def test_the_same_request_with_its_key_gets_the_same_answer(node: "Node") -> None:
    await node.import_table()
    wish = a_wish(idempotency_key="k-1")
    answers = await asyncio.gather(*(node.ask(REGISTER, wish) for _ in range(4)))
    assert len({(answer.id, answer.claim_token) for answer in answers}) == 1
    other = wish.model_copy(update={"system_name": "Khác"})
    assert await node.refusal(REGISTER, other) == "idempotency-key-reused"
    await node.rows("UPDATE registry.agencies SET valid_to = '2024-06-30T17:00Z' WHERE code = 'H43.36.01'")
    assert await node.ask(REGISTER, wish) == answers[0], "whatever has become of what it asked for"
    await node.rows("UPDATE registry.agencies SET valid_to = NULL WHERE code = 'H43.36.01'")
    stranger = a_wish(idempotency_key="k-1", contact_email="other@example.vn", system_id="other")
    assert (await node.ask(REGISTER, stranger)).id != answers[0].id


async def test_one_contact_cannot_fill_the_queue(node: "Node") -> None:
    await node.import_table()
    for number in range(3):
        await node.ask(REGISTER, a_wish(system_id=f"s-{number}", contact_email="Hoa@Example.vn"))
    assert await node.refusal(REGISTER, a_wish(system_id="s-3")) == "too-many"


async def test_a_wish_that_cannot_be_is_refused_at_once(node: "Node") -> None:
    await node.import_table()
    for changes, code in [
        ({"agencies": ("H99",)}, "agencies-refused"),
        ({"keys": [{"purpose": "seal", "csr": "-----BEGIN"}]}, "certificate-request-invalid"),
        (
            {"keys": [{"purpose": "auth", "csr": f"\0{a_certificate_request(a_p256_key())}"}]},
            "certificate-request-invalid",
        ),
        ({"contact_name": "a\0b"}, "system-invalid"),
        ({"system_name": " "}, "system-invalid"),
        ({"contact_email": "a\0@b"}, "system-invalid"),
    ]:
        assert await node.refusal(REGISTER, a_wish(**changes)) == code, changes


async def test_a_name_is_asked_for_once(node: "Node") -> None:
    await node.import_table()
    await node.ask(REGISTER, a_wish())
    assert await node.refusal(REGISTER, a_wish(system_id="XA-phuoc-dinh")) == "system-id-taken"
    request = AddSystem(token=await node.token(), system_id="xa-phuoc-dinh", name="x")
    assert await node.refusal(ADD_SYSTEM, request) == "system-id-taken"
    await node.add_system("xa-2")
    assert await node.refusal(REGISTER, a_wish(system_id="xa-2")) == "system-id-taken"


async def test_a_second_system_of_an_agency_is_told_that_it_does_not_receive(node: "Node") -> None:
    await node.import_table()
    await node.add_system("xa-1", COMMUNE)
    registered = await node.ask(REGISTER, a_wish())
    view = await decide(node, registered, approve=True)
    assert len(view.warnings) == 1
    credential: Credential = await node.ask(HAND_OVER, claim(registered))
    assert credential.warnings == view.warnings


async def test_registrations_are_listed_oldest_first_in_pages(node: "Node") -> None:
    await node.import_table()
    made = [await node.ask(REGISTER, a_wish(system_id=f"s-{number}")) for number in range(3)]
    request = ListRegistrations(token=await node.token(), limit=2)
    first = await node.ask(LIST_REGISTRATIONS, request)
    rest = await node.ask(LIST_REGISTRATIONS, request.model_copy(update={"cursor": first.next_cursor}))
    assert [item.id for item in (*first.items, *rest.items)] == [item.id for item in made]
    assert rest.next_cursor is None
    bad = request.model_copy(update={"cursor": "WyJ4Il0"})
    assert await node.refusal(LIST_REGISTRATIONS, bad) == "cursor-invalid"
