"""What an operator can set for delivery."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
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
