"""Settings of the routing service."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.edxml.limits import PacketLimits
from shared.edxml.secrecy import SECRECY_WORDS


class Settings(BaseSettings):
    """
    Everything routing can be told; read from the environment with the prefix `ROUTING_`.
    """

    model_config = SettingsConfigDict(env_prefix="ROUTING_", env_nested_delimiter="__", frozen=True)

    database_url: str = Field(description="Where the schema `routing` is: postgresql+asyncpg://…")
    public_url: str = Field(
        description="URL of this node as the world sees it; issuer of tokens, receipts and evidence."
    )
    node_id: str = Field(
        description="Identity of this node; agencies with this serving node have their mailboxes here."
    )
    database_connections: int = Field(
        default=16, ge=4, description="Connections to the database; each lane and each relay uses its own at times."
    )
    lane_window: int = Field(
        default=500, ge=1, le=500, description="Chunks of one lane that may be outstanding on the bus at a time."
    )
    lane_concurrency: int = Field(default=2, ge=1, description="Chunks of one lane that are opened at a time.")
    secrecy_words: tuple[str, ...] = Field(
        default=SECRECY_WORDS, description="Marks of state secrecy that keep a packet out, in capitals."
    )
    packet_limits: PacketLimits = Field(
        default=PacketLimits(), description="How much of a packet is read before it is refused."
    )
    dialects_that_must_sign: tuple[str, ...] = Field(
        default=("rest",), description="Dialects whose packets need a signature of profile axis-1."
    )
    register_max_age: timedelta = Field(
        default=timedelta(seconds=5), description="Age from which the read model asks the registry before it answers."
    )
    late_after: timedelta = Field(
        default=timedelta(days=1),
        description="A mailbox whose oldest document waits longer for its acknowledgement counts as late.",
    )
    urgent_late_after: timedelta = Field(default=timedelta(hours=1), description="The same for lanes 2 to 4.")
    keep_unreferenced: timedelta = Field(
        default=timedelta(hours=24), description="How long a packet without a reference stays before it is set aside."
    )
    keep_trashed: timedelta = Field(
        default=timedelta(hours=1), description="How long bytes set aside stay before they are deleted for good."
    )
