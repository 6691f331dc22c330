"""Agencies and systems made on the node's own machine: the echo agency, for trying out, for the demonstration."""

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from shared.client import Call, Credential, Rejected, Transport
from shared.client.keys import PURPOSES, keep_key
from shared.client.registration import Issued, assemble, key_requests
from shared.client.trust import read_anchors
from shared.contracts.registry import ImportReport, Role


async def import_table(admin: Transport, table: bytes, **choice: str) -> ImportReport:
    """
    Take a table of agencies into the register.

    Args:
        admin: Way to the administrative listener, with an administrator's credential.
        table: CSV.
        choice: Day the table stands for (`as_of`), and which part of it is taken (`under`, `level`).
    """
    call = Call("POST", "/v1/admin/agencies/import", params=choice, content=table, content_type="text/csv")
    return await admin.ask(call, ImportReport)


async def ensure_system(
    admin: Transport,
    node: Transport,
    folder: Path,
    *,
    system_id: str,
    name: str,
    agencies: Sequence[str],
    roles: Sequence[Role] = (Role.SENDER, Role.READER, Role.RECEIVER),
) -> Credential:
    """
    Make a system with keys, certificates and a credential file, or find it as it was made before.

    A crash half-way is mended by the next call: the keys on disk are used again, and a system that exists but whose
    credential was never written gets another one.

    Args:
        admin: Way to the administrative listener, with an administrator's credential.
        node: Way to the node's public address.
        folder: Where keys and credential go: `<folder>/<system_id>/`.
        system_id: Identifier of the system.
        name: For people.
        agencies: Codes it acts for.
        roles: What it may do for them.
    """
    place = folder / system_id
    file = place / "credential.json"
    if file.exists():
        return Credential.read(file)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_files = {purpose: f"{purpose}.pem" for purpose in PURPOSES}
    requests = key_requests({purpose: keep_key(place / name) for purpose, name in key_files.items()}, system_id)
    body = {
        "system_id": system_id,
        "name": name,
        "agencies": list(agencies),
        "roles": [role.value for role in roles],
        "keys": requests,
    }
    try:
        issued = await admin.ask(Call("POST", "/v1/admin/systems", json=body), Issued)
    except Rejected as refused:
        if refused.code != "system-id-taken":
            raise
        again = {"overlap_hours": 0}
        issued = await admin.ask(Call("POST", f"/v1/admin/systems/{system_id}/rotate", json=again), Issued)
    anchors = [one.public_bytes(Encoding.PEM).decode("ascii") for one in await read_anchors(node)]
    credential = assemble(
        issued,
        url=node.url,
        issuer=await node.issuer(),
        anchors=anchors,
        key_files=key_files,
    )
    credential.write(file)
    return Credential.read(file)
