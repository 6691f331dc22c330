from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.proxied import read_networks

_MIB = 1024 * 1024


def _checked(text: str) -> str:
    read_networks(text)
    return text


Networks = Annotated[str, AfterValidator(_checked)]


class Settings(BaseSettings):
    """
    What the gateway must be told; every field can come from the environment as `GATEWAY_…`.
    """

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    node_id: str = Field(default="H43", description="Identifier of this node, the code of the agency that runs it.")
    node_name: str = Field(default="Document axis", description="Name of this node, for people.")
    public_url: str = Field(
        default="http://127.0.0.1:8080",
        description="Address under which callers reach this node; issuer of its access tokens, root of its links.",
    )
    trusted_proxies: Networks = Field(
        default="",
        description="Networks of the reverse proxies in front, CIDR, separated by commas. From them alone are the "
        "caller's address, scheme and certificate taken that they name; empty: callers come directly.",
    )

    max_packet_bytes: int = Field(default=1024 * _MIB, gt=0, description="Largest packet taken.")
    max_json_bytes: int = Field(default=_MIB, gt=0, description="Largest JSON or form body taken.")
    max_import_bytes: int = Field(default=64 * _MIB, gt=0, description="Largest table of agencies taken.")
    max_header_bytes: int = Field(default=_MIB, gt=0, description="All header lines of a request together.")
    max_uploads: int = Field(default=64, gt=0, description="Packets received at the same time.")
    max_urgent_uploads: int = Field(
        default=16, ge=0, description="Further packets received at the same time if sent with Axis-Priority 2 to 4."
    )
    max_uploads_per_system: int = Field(
        default=32, gt=0, description="Packets that one system may send at the same time."
    )
    max_urgent_uploads_per_system: int = Field(
        default=4, ge=0, description="Further packets of one system if sent with Axis-Priority 2 to 4."
    )
    max_waiting: int = Field(default=10_000, ge=0, description="Long polls held open; beyond that they answer at once.")
    min_free_bytes: int = Field(
        default=512 * _MIB, ge=0, description="Room that must stay free where packets lie; below it intake answers 503."
    )

    body_idle_seconds: float = Field(default=30, gt=0, description="Longest pause inside a request body.")
    min_upload_bytes_per_second: int = Field(
        default=8 * 1024, ge=0, description="A packet that comes more slowly is ended; 0: no limit."
    )
    upload_grace_seconds: float = Field(
        default=30, gt=0, description="A packet may come as slowly as it likes for so long."
    )
    upload_window_seconds: float = Field(
        default=10, gt=0, description="Afterwards its speed is judged over spans of this length."
    )
    submit_seconds: float = Field(default=60, gt=0, description="How long acceptance or checking of a packet may take.")
    poll_seconds: float = Field(default=5, gt=0, description="A long poll asks again this often, hint or not.")

    rate_per_second: float = Field(default=500, ge=0, description="Requests per second of one credential; 0: no limit.")
    rate_burst: int = Field(default=2_000, gt=0, description="Requests one credential may make at once.")
    address_rate_per_second: float = Field(
        default=2_000, ge=0, description="Requests per second from one address; 0: no limit."
    )
    address_rate_burst: int = Field(default=8_000, gt=0, description="Requests one address may make at once.")
