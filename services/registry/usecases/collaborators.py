"""What the use cases work with."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.registry.clients import SigningClient
from services.registry.domain.kept_tokens import KeptTokens
from services.registry.domain.vault import Vault
from services.registry.repository.credentials import is_still_good
from services.registry.settings import Settings
from shared.blobs import BlobStore
from shared.clock import Clock
from shared.contracts.registry import RegistryBeat
from shared.identifiers import IdSource
from shared.messaging import Bus
from shared.outbox import Store, UnitOfWork
from shared.tokens import Caller, TokenInvalid, TokenVerifier


@dataclass(frozen=True)
class Collaborators:
    """
    Everything a use case may need; built once by `create_app`.
    """

    settings: Settings
    store: Store
    signing: SigningClient
    verifier: TokenVerifier
    blobs: BlobStore
    vault: Vault
    bus: Bus
    clock: Clock
    new_id: IdSource
    tokens: KeptTokens = field(default_factory=KeptTokens)

    async def identify(self, token: str, *scopes: str) -> Caller:
        """
        Check a token, and that its system and credential are good at this very moment: here is where that is known.

        Raises:
            TokenMissing, TokenInvalid, ScopeMissing: The token does not do.
        """
        caller = await self.verifier.verify(token, *scopes)
        async with self.store.read() as connection:
            good = await is_still_good(connection, caller.system_id, _to_uuid(caller.credential_id), self.clock.now())
        if not good:
            raise TokenInvalid("the system is disabled, or the credential has ended")
        return caller

    def announce(self, uow: UnitOfWork, version: int) -> None:
        """
        Tell every reader of the register about a version as soon as it is committed.
        """
        uow.after_commit(lambda: self.beat(version, self.clock.now()))

    def beat(self, version: int, at: datetime) -> None:
        """
        Tell every reader that the register stands at a version.
        """
        self.bus.hint(RegistryBeat(version=version, at=at))


def _to_uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise TokenInvalid("the token names no credential of ours") from error
