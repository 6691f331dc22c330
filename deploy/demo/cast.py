"""Who plays: agencies of four levels, each with a system of its own, and one system that serves all the others."""

from dataclasses import dataclass, field
from pathlib import Path

from deploy.embedded.papers import seal_of
from deploy.embedded.systems import ensure_system, import_table
from shared.client import AxisClient, Call, Credential, Transport
from shared.contracts.registry import AgencyEntry, AgencyPage, ImportReport
from shared.edxml import Seal

PROVINCE = "H43"
DEPARTMENT = "H43.11"
DISTRICT = "H43.31"
COMMUNE = "H43.31.01"
MINISTRY = "G14"
DATA = Path(__file__).parents[1] / "data"
AS_OF = "2024-12-31"


@dataclass(frozen=True)
class RunningNode:
    """
    A node to play on, however it is deployed.

    Attributes:
        public_url: Where agencies reach it.
        admin_credential: File of the administrator's credential, which names the administrative listener.
        systems: Folder for keys and credentials of those who play.
    """

    public_url: str
    admin_credential: Path
    systems: Path


@dataclass
class Player:
    """
    One agency with its own system.
    """

    agency: AgencyEntry
    credential: Credential
    client: AxisClient
    seal: Seal

    @property
    def address(self) -> tuple[str, str]:
        """
        Code and name, as papers write them.
        """
        return self.agency.code, self.agency.name


@dataclass
class Cast:
    """
    Everyone on the stage.

    Attributes:
        players: Agencies with systems of their own, by code.
        shared: The system that serves every other commune and district, as a provincial platform does.
        circle: All communes and districts.
    """

    node: RunningNode
    admin: Transport
    public: Transport
    players: dict[str, Player] = field(default_factory=dict)
    circle: list[AgencyEntry] = field(default_factory=list)
    shared: Player | None = None
    imported: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, code: str) -> Player:
        return self.players[code]

    def reader_of(self, code: str) -> AxisClient:
        """
        The client that sees an agency's mailbox.
        """
        if code in self.players:
            return self.players[code].client
        assert self.shared is not None
        return self.shared.client

    async def close(self) -> None:
        """
        Close every connection.
        """
        for player in self.players.values():
            await player.client.close()
        if self.shared is not None:
            await self.shared.client.close()
        await self.admin.close()
        await self.public.close()


async def open_cast(node: RunningNode) -> Cast:
    """
    Open the ways to a node.
    """
    credential = Credential.read(node.admin_credential)
    return Cast(node, Transport(credential.url, credential), Transport(node.public_url))


async def import_agencies(cast: Cast) -> ImportReport:
    """
    Take the real agencies: the ministries, and the province with everything below it.
    """
    table = (DATA / "agencies-2024.csv").read_bytes()
    report = await import_table(cast.admin, table, as_of=AS_OF, under=PROVINCE, level="central")
    for level in ("central", "province", "district", "commune"):
        found = await _all_agencies(cast.public, level)
        cast.imported[level] = len(found)
        cast.imported["department"] = cast.imported.get("department", 0) + sum(
            one.kind == "department" for one in found
        )
        if level in {"district", "commune"}:
            cast.circle += found
    cast.imported["province"] -= cast.imported["department"]
    return report


async def hire(cast: Cast) -> None:
    """
    Make systems with keys, certificates and credentials for those who play.
    """
    for code in (COMMUNE, DISTRICT, DEPARTMENT, PROVINCE, MINISTRY):
        agency = await cast.public.ask(Call("GET", f"/v1/agencies/{code}", bearer=""), AgencyEntry)
        cast.players[code] = await engage(cast, f"qlvb-{code.lower()}", agency, [code])
    others = [agency for agency in cast.circle if agency.code not in cast.players]
    cast.shared = await engage(cast, "lgsp-ninh-thuan", others[0], [agency.code for agency in others])


async def engage(cast: Cast, system_id: str, agency: AgencyEntry, codes: list[str]) -> Player:
    """
    Make one system and its client.
    """
    credential = await ensure_system(
        cast.admin, cast.public, cast.node.systems, system_id=system_id, name=agency.name, agencies=codes
    )
    return Player(agency, credential, AxisClient(credential), seal_of(credential))


async def _all_agencies(public: Transport, level: str) -> list[AgencyEntry]:
    found: list[AgencyEntry] = []
    cursor = None
    while True:
        params = {"level": level, "limit": 500, "cursor": cursor}
        page = await public.ask(Call("GET", "/v1/agencies", params=params, bearer=""), AgencyPage)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
