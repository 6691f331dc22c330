from tests.services.gateway.world import World


async def test_every_finding_has_a_page_for_people_and_for_programs(world: World) -> None:
    async with world.client() as client:
        listed = (await client.get("/findings")).json()["items"]
        assert len(listed) > 50
        spoiled = await client.get("/findings/attachment-spoiled")
        assert spoiled.json()["grade"] == "warning"
        page = await client.get("/findings/attachment-spoiled", headers={"Accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html")
        assert 'lang="vi"' in page.text
        assert 'lang="en"' in page.text
        everything = await client.get("/findings", headers={"Accept": "text/html"})
        assert all(f"/findings/{item['code']}" in everything.text for item in listed)
        assert (await client.get("/findings/nothing")).json()["code"] == "not-found"
        assert (await client.get("/.well-known/axis")).json()["links"]["findings"].endswith("/findings")
