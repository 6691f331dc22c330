"""
Two releases side by side on one bus and one database: documents go their whole way.
"""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.registry import AgencyEntry, Changes
from shared.contracts.routing import ACKNOWLEDGE, DocumentAccepted
from shared.contracts.routing import Acknowledge as Acknowledgement
from shared.messaging import Bus
from shared.testing.postgres import SampleDatabase
from tests.contract.compatibility import widen
from tests.services.routing.conftest import COMMUNE, DISTRICT, House, _make_house, an_agency, as_is
from tests.services.routing.releases import TODAY, OfLastRelease, OfNextRelease, Release

Speaks = Callable[[Bus], Bus]

SIDE_BY_SIDE: dict[str, tuple[Sequence[type[Release] | None], type[Release] | None]] = {
    "two copies, one of the last release": ((OfLastRelease, None), None),
    "two copies, one of the next release": ((None, OfNextRelease), None),
    "the last beside the next": ((OfLastRelease, OfNextRelease), None),
    "all others of the next": ((None, None), OfNextRelease),
    "all others of the last": ((OfNextRelease, None), OfLastRelease),
}


@pytest.fixture(params=SIDE_BY_SIDE.values(), ids=SIDE_BY_SIDE)
async def mixed(
    request: pytest.FixtureRequest, database: SampleDatabase, signing_keys: Path, tmp_path: Path
) -> AsyncIterator[tuple[House, list[Release]]]:
    copies, others = request.param
    made: list[Release] = []

    def speaks(release: type[Release] | None) -> Speaks:
        def wrap(bus: Bus) -> Bus:
            made.append(release(bus))
            return made[-1]

        return as_is if release is None else wrap

    async for house in _make_house(
        database,
        signing_keys,
        tmp_path,
        running=True,
        signing_speaks=speaks(others),
        registry_speaks=speaks(others),
        routing_speaks=[speaks(release) for release in copies],
    ):
        if others is OfNextRelease:
            house.register.says = as_the_next_release_says
        yield house, made


def as_the_next_release_says(items: dict[str, Any]) -> dict[str, Any]:
    """
    What it signs is what it sends, so with all it has added.
    """
    schema = TODAY["operations"]["registry.read_changes"]["reply"]
    said = widen(items, schema, schema)
    return {name: said[name] for name in items}


async def test_documents_go_their_whole_way_whichever_copy_takes_which_step(
    mixed: tuple[House, list[Release]],
) -> None:
    house, releases = mixed
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    sent = [await house.submit(sender) for _ in range(6)]
    for one in sent:
        item = await house.arrival(receiver, one.document_id)
        await house.fetch(receiver, item.delivery_id)
        token = await house.register.token(receiver)
        answer = Acknowledgement(token=token, delivery_id=item.delivery_id, result="done")
        await house.ask(ACKNOWLEDGE, answer)
        assert (await house.document(sender, one.document_id)).counts == {"delivered": 1}

    async def all_heard() -> bool:
        return len(house.events(DocumentAccepted)) == len(sent)

    await house.until(all_heard)
    await house.check_invariants()
    assert all(release.heard for release in releases)


def test_a_signed_page_of_the_register_is_judged_as_it_came() -> None:
    # A reader that digested what it had understood would refuse every page of a release that says more, or less.
    page = Changes(after=0, version=1, latest=1, agencies=(an_agency("H43"),), systems=())
    wire = json.loads(page.model_dump_json())
    schema = TODAY["operations"]["registry.read_changes"]["reply"]
    more = widen(wire, schema, schema)
    less = json.loads(page.model_dump_json())
    optional = {name for name, field in AgencyEntry.model_fields.items() if not field.is_required()}
    less["agencies"][0] = {name: value for name, value in wire["agencies"][0].items() if name not in optional}
    digests = {Changes.model_validate_json(json.dumps(one)).items_sha256() for one in (wire, more, less)}
    assert len(digests) == 3
    assert page.items_sha256() == Changes.model_validate_json(json.dumps(wire)).items_sha256()
