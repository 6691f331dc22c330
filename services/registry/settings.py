"""What the registry must be told."""

from datetime import timedelta

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_SECRET_LENGTH = 32


class Settings(BaseSettings):
    """
    Settings of the registry, read from `REGISTRY_…`.
    """

    model_config = SettingsConfigDict(env_prefix="REGISTRY_", frozen=True)

    database_url: str = Field(description="Where the schema `registry` is: postgresql+asyncpg://…")
    node_id: str = Field(
        description="Identifier of this node; new agencies are served by it unless the import says otherwise."
    )
    public_url: str = Field(description="Public address of the node: issuer of tokens, audience of client assertions.")
    pepper: SecretStr = Field(
        min_length=MIN_SECRET_LENGTH,
        description="Key under which secrets of systems are stored as HMAC; changing it voids every credential.",
    )
    webhook_key: SecretStr = Field(
        min_length=MIN_SECRET_LENGTH,
        description="Key under which signing secrets of webhooks and of systems of dialect `vxp` are encrypted; "
        "changing it makes them unreadable.",
    )
    access_lifetime: timedelta = Field(
        default=timedelta(minutes=10),
        ge=timedelta(minutes=1),
        le=timedelta(days=1),
        description="How long an access token is good; a disabled system is refused at once all the same.",
    )
    max_import_bytes: int = Field(
        default=32 * 1024 * 1024, ge=1, description="Largest table of agencies that an import takes."
    )
    max_pending_per_contact: int = Field(
        default=5, ge=1, description="Registrations of one contact address that may wait for a decision."
    )
    max_pending: int = Field(default=1_000, ge=1, description="Registrations that may wait for a decision in all.")
    certificate_days: int = Field(default=365, ge=1, le=1826, description="Days of validity of certificates asked for.")
