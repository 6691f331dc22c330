"""
The two ways to a node: the public one with an agency's credential, and the administrative one.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import httpx
import typer

from deploy.cli.errors import LocalProblem
from shared.client import AxisClient, Credential, CredentialInvalid, RegistrationClient, RetryPolicy, Transport
from shared.client.credential import ENVIRONMENT

RETRIES = RetryPolicy(attempts=3, first_seconds=0.3, longest_seconds=2.0, patience_seconds=10.0)
"""A person waits at the terminal: a few quick attempts, then the truth."""

AnswerT = TypeVar("AnswerT")

CredentialFile = Annotated[
    Path | None,
    typer.Option(
        "--credential",
        envvar=ENVIRONMENT,
        help="Tệp thông tin kết nối của hệ thống. / The system's credential file.",
        show_default=False,
    ),
]

AsJson = Annotated[bool, typer.Option("--json", help="In JSON cho chương trình khác. / Print JSON, for scripts.")]


@dataclass(frozen=True)
class Place:
    """
    Where a command works.

    Attributes:
        home: Folder of the node.
        http: Way of HTTP; None is the network.
        retries: When to try again.
    """

    home: Path = Path("var")
    http: httpx.AsyncBaseTransport | None = None
    retries: RetryPolicy = RETRIES

    def client(self, credential: Path | None) -> AxisClient:
        """
        Connect with the credential in a file.
        """
        return self.connect(read_credential(credential))

    def connect(self, credential: Credential) -> AxisClient:
        """
        Connect with a credential.
        """
        return AxisClient(credential, retries=self.retries, http=self.http)

    def registration(self, url: str) -> RegistrationClient:
        """
        Connect without any credential.
        """
        return RegistrationClient(url, retries=self.retries, http=self.http)

    def public(self, url: str) -> Transport:
        """
        Connect to a node's public address without any credential.
        """
        return Transport(url, retries=self.retries, http=self.http)

    def admin(self) -> Transport:
        """
        Connect to the administrative listener of the node in the home folder.
        """
        credential = self.admin_credential()
        return Transport(credential.url, credential, retries=self.retries, http=self.http)

    def admin_credential(self) -> Credential:
        """
        Read the administrative credential of the node in the home folder.

        Raises:
            LocalProblem: There is none.
        """
        path = self.home / "admin-credential.json"
        if not path.exists():
            raise LocalProblem(
                f"{self.home} không có admin-credential.json. / {self.home} holds no admin-credential.json.",
                remedy=(
                    "Chỉ đúng thư mục bằng --home; tệp có sau lần đầu `axis run`. / "
                    "Name the node's folder with --home; the first `axis run` writes the file."
                ),
            )
        return Credential.read(path)

    def public_url(self, credential: Path | None) -> str:
        """
        Find the public address of a node: the agency's credential names it, else the administrator's does.
        """
        if credential is not None:
            return Credential.read(credential.expanduser()).url
        found = self.admin_credential()
        return found.issuer or found.url


def place_of(context: typer.Context) -> Place:
    """
    Give the place the root command has set.
    """
    return context.ensure_object(Place)


def read_credential(path: Path | None) -> Credential:
    """
    Read an agency's credential.

    Raises:
        CredentialInvalid: None is named, or it is no good.
    """
    if path is None:
        raise CredentialInvalid("không có tệp nào được chỉ ra / no credential file is named")
    return Credential.read(path.expanduser())


def wait_for(work: Coroutine[Any, Any, AnswerT]) -> AnswerT:
    """
    Run a command's work to its end.
    """
    return asyncio.run(work)


def example(*lines: str) -> str:
    """
    Make the closing part of a command's help.
    """
    return "\n\n".join(("Ví dụ / Example:", *lines))
