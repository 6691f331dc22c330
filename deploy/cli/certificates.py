"""`axis systems certificates`: certificates bound to systems, seen and revoked."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from deploy.cli.connections import AsJson, Place, example, place_of, wait_for
from deploy.cli.errors import LocalProblem
from deploy.cli.output import local_time, print_json, say, table, terminal
from deploy.cli.systems import list_all
from shared.client import Call
from shared.contracts.registry import SystemEntry

app = typer.Typer(no_args_is_help=True, help="Chứng thư của các hệ thống. / Certificates of systems.")

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Reason(StrEnum):
    """
    Why a certificate is revoked: RFC 5280 section 5.3.1, as far as an operator can know.
    """

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"


@app.command("list", epilog=example("axis systems certificates list", "axis systems certificates list --json"))
def list_certificates(context: typer.Context, as_json: AsJson = False) -> None:
    """
    Liệt kê chứng thư con dấu còn dùng. / List the seal certificates in use.
    """
    entries = wait_for(list_all(place_of(context)))
    found = [(entry, seal) for entry in entries for seal in entry.seals]
    if as_json:
        print_json([{"system_id": entry.id, **seal.model_dump(mode="json")} for entry, seal in found])
        return
    rows = [(entry.id, seal.certificate_sha256, local_time(seal.valid_to)) for entry, seal in found]
    terminal.print(table("", ("Hệ thống / System", "SHA-256", "Hết hạn / Ends"), rows))


@app.command(
    epilog=example(
        "axis systems certificates revoke seal.pem --reason keyCompromise",
        "axis systems certificates revoke 5f70…c3 --reason superseded --yes",
    )
)
def revoke(
    context: typer.Context,
    certificate: Annotated[
        str, typer.Argument(help="SHA-256 của chứng thư, hoặc tệp PEM. / Its SHA-256, or its PEM file.")
    ],
    reason: Annotated[Reason, typer.Option(help="Lý do theo RFC 5280. / Why, in words of RFC 5280.")],
    yes: Annotated[bool, typer.Option("--yes", help="Không hỏi lại. / Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """
    Thu hồi chứng thư, không hoàn lại được; có hiệu lực trong 5 giây. / Revoke a certificate for good, within 5 seconds.
    """
    digest = _digest(certificate)
    if not yes:
        typer.confirm(f"Thu hồi vĩnh viễn {digest}? / Revoke it for good?", abort=True, err=True)
    entry = wait_for(_revoke(place_of(context), digest, reason))
    if as_json:
        print_json(entry)
        return
    say(f"Đã thu hồi chứng thư của {entry.id}.", f"Revoked, and on the next revocation list: {reason.value}.")
    if not entry.seals:
        say(f"{entry.id} không còn con dấu nào.", "It has no seal left and cannot send until it has a new one.")


def _digest(certificate: str) -> str:
    # As people copy it from elsewhere: in capitals, or with colons.
    digest = certificate.replace(":", "").lower()
    if _DIGEST.fullmatch(digest):
        return digest
    path = Path(certificate)
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex()
    except ValueError as error:
        raise LocalProblem(
            f"{path} không phải chứng thư PEM. / {path} is no PEM certificate.",
            remedy="Đưa SHA-256 (64 chữ số hệ 16) hoặc tệp PEM. / Give a SHA-256 in hex, or a PEM file.",
        ) from error


async def _revoke(place: Place, digest: str, reason: Reason) -> SystemEntry:
    async with place.admin() as admin:
        call = Call("POST", f"/v1/admin/certificates/{digest}/revoke", json={"reason": reason.value})
        return await admin.ask(call, SystemEntry)
