"""What an operator can set for delivery."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Network = IPv4Network | IPv6Network


def read_networks(text: str) -> tuple[Network, ...]:
    """
    Read networks in CIDR form, separated by commas.
    """
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _checked(text: str) -> str:
    read_networks(text)
    return text


Networks = Annotated[str, AfterValidator(_checked)]


class Settings(BaseSettings):
    """
    Settings of delivery, from the environment with the prefix `DELIVERY_`.
    """

    model_config = SettingsConfigDict(env_prefix="DELIVERY_")

    node_id: str = Field(description="Identifier of this node, such as H43.")
    public_url: str = Field(
        description="URL under which the node's gateway is reached; the issuer of its tokens, and the source of events."
    )
    database_url: SecretStr = Field(
        description="Where notifications lie: postgresql+asyncpg://…, with a role that owns the schema delivery.",
    )
    allowed_networks: Networks = Field(
        default="127.0.0.0/8,::1/128",
        description="Networks that endpoints may stand in, CIDR, separated by commas. State networks are private "
        "ranges, so there is no other rule: what is not named here is never connected to.",
    )
    plain_http_networks: Networks = Field(
        default="127.0.0.0/8,::1/128",
        description="Networks in which an endpoint may do without TLS, CIDR, separated by commas.",
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file of further authorities that endpoints' certificates may come from."
    )
    timeout_seconds: float = Field(
        default=15.0, gt=0, le=30, description="An endpoint that has not answered by then has failed."
    )
    disable_after: timedelta = Field(
        default=timedelta(days=5), description="An endpoint that has only failed for this long is switched off."
    )
    national_axis_url: str | None = Field(
        default=None,
        description="Base URL of a national axis this node is attached to, a path prefix included, such as "
        "https://trucvanban.example/XrdAdapter/adapter. None: it is attached to none.",
    )
    national_axis_name: str = Field(
        default="national",
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="What is known of the national axis is kept under this name, so that its URL may change. "
        "Another axis needs another name.",
    )
    national_axis_system_id: str = Field(
        default="", pattern=r"^[!-~]*$", description="Code of this node's system, as the national axis assigned it."
    )
    national_axis_secret_file: Path | None = Field(
        default=None,
        description="File that holds the secret of the system and nothing else; readable by delivery only.",
    )
    national_axis_ca_file: Path | None = Field(
        default=None, description="PEM file of further authorities that the national axis' certificate may come from."
    )
    national_axis_plain_http: bool = Field(
        default=False,
        description="Reach the national axis without TLS. Signed headers can be replayed by whoever sees them, so only "
        "where a tunnel protects the line.",
    )
    national_axis_timeout_seconds: float = Field(
        default=60.0, gt=0, le=600, description="Deadline of a call to the national axis that carries no package."
    )
    national_axis_transfer_seconds: float = Field(
        default=1800.0, gt=0, le=86_400, description="Deadline of a call that carries a package or the list of units."
    )
    national_axis_max_packet_bytes: int = Field(
        default=1024 * 1024 * 1024, gt=0, description="A package of the national axis that is larger is not taken."
    )

    @model_validator(mode="after")
    def _national_axis_is_complete(self) -> Self:
        if self.national_axis_url is None:
            return self
        if not self.national_axis_system_id or self.national_axis_secret_file is None:
            raise ValueError("with national_axis_url go national_axis_system_id and national_axis_secret_file")
        schemes = ("https://", "http://") if self.national_axis_plain_http else ("https://",)
        if not self.national_axis_url.startswith(schemes):
            raise ValueError(f"national_axis_url must begin with {' or '.join(schemes)}")
        return self
