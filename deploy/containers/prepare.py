"""`python -m deploy.containers.prepare`: the node's keys and its first administrative credential, made once."""

import asyncio
import sys
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.composition import create_keys, ensure_administrator
from deploy.distributed.settings import Given
from deploy.embedded.errors import NodeError
from shared.clock import SystemClock
from shared.identifiers import Uuid7Source


class Settings(BaseSettings):
    """
    What the job is told beside the settings of signing and registry, which it reads too: `PREPARE_…`.
    """

    model_config = SettingsConfigDict(env_prefix="PREPARE_", frozen=True)

    credential_file: Path = Field(
        default=Path("/srv/axis/operator/admin-credential.json"),
        description="Where the first administrative credential goes; an existing file stays.",
    )
    admin_url: str = Field(
        default="http://127.0.0.1:8081",
        description="The gateways' administrative listener, as whoever uses the credential reaches it.",
    )


async def prepare(settings: Settings) -> None:
    """
    Make what is missing; what exists stays.

    Raises:
        NodeError: A setting of signing or registry is missing or wrong.
    """
    clock = SystemClock()
    await create_keys(Given("signing").values(), clock)
    await ensure_administrator(
        Given("registry").values(),
        file=settings.credential_file,
        url=settings.admin_url,
        clock=clock,
        new_id=Uuid7Source(clock),
    )


def main() -> int:
    """
    Do it; 1 where it cannot be done.
    """
    try:
        asyncio.run(prepare(Settings()))
    except NodeError as error:
        sys.stderr.write(f"{error.problem} {error.remedy}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
