"""The settings of the signing service."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """
    Read from the environment, prefix `SIGNING_`.
    """

    model_config = SettingsConfigDict(env_prefix="SIGNING_", frozen=True)

    database_url: SecretStr = Field(description="Where the schema `signing` is: `postgresql+asyncpg://…`.")
    node_id: str = Field(description="Identity of the node, such as `H43`; named in its certificates.")
    public_url: str = Field(description="Address of the node's gateway; issuer of everything it signs.")
    key_file: Path = Field(description="Encrypted file with the node's keys; made by `axis init`, mode 0600.")
    passphrase_file: Path = Field(description="File whose whole content opens the key file, mode 0600.")
    production: bool = Field(default=False, description="True refuses to start with stand-ins, such as keys in a file.")
    revocation_list_lasts: timedelta = Field(
        default=timedelta(days=7),
        gt=timedelta(minutes=1),
        description="How long a revocation list may be used; a new one is signed after half of it.",
    )
