"""Who sends and who receives in a measurement: agencies made for it, and four systems."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bench.deployments import Deployment
from deploy.embedded.systems import ensure_system, import_table
from shared.client import Credential, Transport
from shared.contracts.registry import Role

SENDER: Final = "H43"
RECEIVERS: Final = 3
AGENCIES_OF_A_RECEIVER: Final = 10
VALID_FROM: Final = "2024-01-01"
_AS_OF: Final = "2024-12-31"


@dataclass(frozen=True)
class Stage:
    """
    Everyone a measurement needs.

    Attributes:
        sender: Credential file of the system that sends for `SENDER`.
        receivers: Credential files of the systems that receive.
        addressees: Codes that each receiver acts for.
    """

    sender: Path
    receivers: tuple[Path, ...]
    addressees: tuple[tuple[str, ...], ...]


def agency_code(number: int) -> str:
    """
    Code of an agency made for measurements.
    """
    return f"{SENDER}.{number // 1000:03d}.{number % 1000:03d}"


async def set_stage(deployment: Deployment) -> Stage:
    """
    Make agencies and systems; those that are there stay.
    """
    await import_agencies(deployment, RECEIVERS * AGENCIES_OF_A_RECEIVER)
    admin, public = open_ways(deployment)
    async with admin, public:
        await ensure_system(
            admin, public, deployment.systems, system_id="sender", name="Sender", agencies=[SENDER], roles=[Role.SENDER]
        )
        addressees = []
        for number in range(RECEIVERS):
            first = number * AGENCIES_OF_A_RECEIVER
            codes = tuple(agency_code(first + place) for place in range(AGENCIES_OF_A_RECEIVER))
            addressees.append(codes)
            await ensure_system(
                admin,
                public,
                deployment.systems,
                system_id=f"receiver-{number}",
                name=f"Receiver {number}",
                agencies=codes,
                roles=[Role.READER, Role.RECEIVER],
            )
    files = [deployment.systems / f"receiver-{number}" / "credential.json" for number in range(RECEIVERS)]
    return Stage(deployment.systems / "sender" / "credential.json", tuple(files), tuple(addressees))


async def import_agencies(deployment: Deployment, count: int) -> None:
    """
    Make the sender and so many agencies below it, by the import that operators use.
    """
    table = io.StringIO()
    table.write("code,code102,name,level,kind,parent,gso_code,lat,lon,valid_from,valid_to\n")
    table.write(f"{SENDER},,Tỉnh đo hiệu năng,province,province,,,,,{VALID_FROM},\n")
    table.writelines(
        f"{agency_code(number)},,Xã {number},commune,commune,{SENDER},,,,{VALID_FROM},\n" for number in range(count)
    )
    content = table.getvalue().encode()
    admin, public = open_ways(deployment)
    async with admin, public:
        report = await import_table(admin, content, as_of=_AS_OF)
    if report.errors:
        raise ValueError(f"the register refused the agencies: {report.errors[0]}")


def open_ways(deployment: Deployment) -> tuple[Transport, Transport]:
    """
    Ways to the administrative and to the public listener.
    """
    credential = Credential.read(deployment.admin_credential)
    return Transport(credential.url, credential), Transport(deployment.url, http=_transport(deployment))


def _transport(deployment: Deployment) -> httpx.AsyncBaseTransport | None:
    return httpx.AsyncHTTPTransport(verify=deployment.ca_file) if deployment.ca_file else None
