from datetime import UTC, datetime

from shared.contracts import audit, delivery, registry, routing, signing
from tests.services.gateway.world import ID, World


async def test_the_directory_is_open_and_cacheable(world: World) -> None:
    async with world.client() as client:
        listed = await client.get("/v1/agencies?query=ninh&level=commune&parent=H43&at=2024-12-31T00:00:00Z")
        again = await client.get("/v1/agencies", headers={"If-None-Match": listed.headers["ETag"]})
        shown = await client.get("/v1/agencies/000.00.30.H43")
    assert (listed.status_code, again.status_code, again.content) == (200, 304, b"")
    assert shown.json()["code"] == "H43.30"
    question = world.questions(registry.LIST_AGENCIES)[0]
    assert (question.query, question.level, question.parent) == ("ninh", "commune", "H43")
    assert question.at == datetime(2024, 12, 31, tzinfo=UTC)


async def test_an_integrator_registers_looks_and_takes_the_credential(world: World) -> None:
    body = {
        "system_id": "sys",
        "system_name": "S",
        "contact_name": "A",
        "contact_email": "a@example.vn",
        "agencies": ["H43.30"],
        "keys": [{"purpose": "seal", "csr": "pem"}],
    }
    async with world.client() as client:
        registered = await client.post("/v1/registrations", json=body, headers={"Idempotency-Key": "k"})
        path = registered.headers["Location"]
        without = await client.get(path)
        claim = {"Authorization": f"Bearer {registered.json()['claim_token']}"}
        seen = await client.get(path, headers=claim)
        taken = await client.post(f"{path}/handover", json={}, headers=claim)
    assert registered.status_code == 201
    assert world.questions(registry.REGISTER)[0].idempotency_key == "k"
    assert (without.status_code, without.json()["code"]) == (401, "token-missing")
    assert seen.json()["status"] == "pending"
    assert world.questions(registry.READ_REGISTRATION)[0].claim_token == "claim"
    assert (taken.json()["secret"], taken.headers["Cache-Control"]) == ("secret", "no-store")


async def test_webhooks_are_added_listed_tried_and_removed(world: World) -> None:
    async with world.client() as client:
        client.headers = world.signed_in()
        added = await client.post("/v1/webhooks", json={"url": "https://x.test/", "agencies": ["H43.30"]})
        listed = await client.get("/v1/webhooks")
        tried = await client.post(f"/v1/webhooks/{ID}/test", json={})
        removed = await client.delete(f"/v1/webhooks/{ID}")
    assert [answer.status_code for answer in (added, listed, tried, removed)] == [201, 200, 200, 204]
    assert added.json()["secret"] == "whsec_x"
    assert world.questions(delivery.TEST_WEBHOOK)[0].id == ID


async def test_everyone_finds_what_is_needed_to_check_us(world: World) -> None:
    async with world.client() as client:
        keys = (await client.get("/v1/trust/jwks.json")).json()["keys"]
        anchors = await client.get("/v1/trust/anchors")
        head = await client.get("/v1/trust/tree-head?tree_size=1")
        included = await client.get(f"/v1/trust/proofs/inclusion?event_id={ID}")
        consistent = await client.get("/v1/trust/proofs/consistency?first=1&second=1")
        unclear = await client.get("/v1/trust/proofs/inclusion")
    assert len(keys) == 2
    assert anchors.text.startswith("-----BEGIN CERTIFICATE-----")
    assert head.json()["statement"] == "a.b.c"
    assert (included.status_code, consistent.status_code, unclear.status_code) == (200, 200, 422)
    assert world.questions(audit.READ_INCLUSION)[0].event_id == ID
    assert world.questions(signing.READ_KEYS)


async def test_operators_pause_resume_and_deal_with_what_failed(world: World) -> None:
    ids = {"delivery_ids": [str(ID)], "reason": "vì"}
    async with world.client(world.gateway.admin) as client:
        client.headers = world.signed_in()
        for path, body in (
            ("lanes/2/pause", {"reason": "vì"}),
            ("lanes/2/resume", None),
            ("agencies/H43.30/pause", {"reason": "vì", "until": "2025-01-01T00:00:00Z"}),
            ("agencies/H43.30/resume", None),
            ("failed/requeue", ids),
            ("failed/cancel", ids),
            ("dead/audit/retry", {"message_ids": [str(ID)]}),
            ("dead/audit/drop", {"message_ids": [str(ID)]}),
        ):
            answer = await client.post(f"/v1/admin/{path}", json=body)
            assert answer.status_code == 200, (path, answer.text)
        assert (await client.get("/v1/admin/queues")).status_code == 200
        assert (await client.get("/v1/admin/failed")).json()["items"] == []
        dead = (await client.get("/v1/admin/dead")).json()
        nobody = await client.post("/v1/admin/dead/gateway/drop", json={"message_ids": [str(ID)]})
    paused = [(q.lane, q.agency, q.paused, q.reason) for q in world.questions(routing.SET_PAUSE)]
    assert paused == [
        (2, None, True, "vì"),
        (2, None, False, ""),
        (None, "H43.30", True, "vì"),
        (None, "H43.30", False, ""),
    ]
    assert [entry["service"] for entry in dead["items"]] == ["audit", "delivery", "routing", "signing", "registry"]
    assert nobody.status_code == 404


async def test_registrars_import_agencies_and_manage_systems(world: World) -> None:
    csv = b"code,name\nH43,Ninh Thu\xe1\xba\xadn\n"
    async with world.client(world.gateway.admin) as client:
        client.headers = world.signed_in()
        imported = await client.post(
            "/v1/admin/agencies/import?as_of=2024-12-31&under=H43&under=H44&level=central&dry_run=true",
            content=csv,
            headers={"Content-Type": "text/csv; charset=utf-8"},
        )
        added = await client.post("/v1/admin/systems", json={"system_id": "sys", "name": "S", "scopes": ["operate"]})
        answers = [
            await client.get("/v1/admin/systems"),
            await client.post("/v1/admin/systems/sys/rotate"),
            await client.post("/v1/admin/systems/sys/rotate", json={"overlap_hours": 1}),
            await client.post("/v1/admin/systems/sys/sources", json={"sources": ["203.0.113.0/24"]}),
            await client.post("/v1/admin/systems/sys/disable", json={"reason": "vì"}),
            await client.post("/v1/admin/systems/sys/enable"),
            await client.post(f"/v1/admin/certificates/{'ab' * 32}/revoke", json={"reason": "keyCompromise"}),
            await client.get("/v1/admin/registrations?status=pending"),
            await client.post(f"/v1/admin/registrations/{ID}/approve"),
            await client.post(f"/v1/admin/registrations/{ID}/refuse", json={"reason": "vì"}),
        ]
    assert imported.json()["added"] == 1
    (question,) = world.questions(registry.IMPORT_AGENCIES)
    assert (question.under, question.levels, question.dry_run) == (("H43", "H44"), ("central",), True)
    assert b"".join([chunk async for chunk in world.blobs.open(question.csv_sha256)]) == csv
    assert (added.status_code, added.json()["secret"]) == (201, "secret")
    assert {answer.status_code for answer in answers} == {200}
    assert [q.overlap_hours for q in world.questions(registry.ROTATE_CREDENTIAL)] == [24, 1]
    assert [q.sources for q in world.questions(registry.SET_SOURCES)] == [("203.0.113.0/24",)]
    assert [q.approve for q in world.questions(registry.DECIDE_REGISTRATION)] == [True, False]


async def test_administration_does_not_stand_on_the_public_listener(world: World) -> None:
    async with world.client() as client:
        answer = await client.get("/v1/admin/queues", headers=world.signed_in())
    assert answer.status_code == 404
