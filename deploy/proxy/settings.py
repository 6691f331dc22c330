"""What the proxy must be told where it runs as a process of its own, as in a container."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """
    Settings of `python -m deploy.proxy`, read from `PROXY_…`.
    """

    model_config = SettingsConfigDict(env_prefix="PROXY_", frozen=True)

    gateways: str = Field(
        description="Gateways as host:port, separated by commas. A name with several addresses stands for all of them, "
        "and is looked up again every few seconds."
    )
    certificate_file: Path = Field(
        description="PEM file: the certificate of the public address, then its chain. A changed file is taken up."
    )
    key_file: Path = Field(description="PEM file of its key.")
    client_ca_file: Path | None = Field(
        default=None,
        description="PEM file of authorities whose client certificates are taken, others refused; without it any "
        "certificate is passed on, marked as not verified.",
    )
    public_url: str = Field(description="Public address of the node; root of the pages that explain problems.")
    folder: Path = Field(default=Path("var/proxy"), description="Where the proxy keeps its files.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8443, ge=1, le=65535, description="Port to listen on.")
    workers: str = Field(default="auto", pattern=r"auto|[0-9]+", description="Worker processes; auto: one per core.")
    shutdown_seconds: int = Field(
        default=65, ge=1, description="How long open requests may take to end; a long poll takes up to 60."
    )
    look_seconds: float = Field(
        default=5.0, gt=0, description="How often addresses of gateways and files of certificates are looked at."
    )
