"""What an operator can set for audit."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """
    Settings of audit, from the environment with the prefix `AUDIT_`.
    """

    model_config = SettingsConfigDict(env_prefix="AUDIT_")

    node_id: str = Field(description="Identifier of this node, such as H43.")
    public_url: str = Field(description="URL under which the node's gateway is reached; the issuer of its tokens.")
    database_url: str = Field(
        description="Where the journal lies: postgresql+asyncpg://…, with a role that owns the schema audit.",
        repr=False,
    )
    head_interval_seconds: float = Field(
        default=60.0, gt=0, description="A signed tree head is made this often, whether or not the journal has grown."
    )
