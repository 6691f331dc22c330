"""What signing tells Prometheus: how long its own certificates and its revocation list still last."""

from services.signing.domain.keys import Role
from services.signing.ports import KeyStore
from services.signing.repository import certificates as repository
from services.signing.usecases.certificates import Authority
from shared.outbox import MessagingFigures
from shared.telemetry.figures import Figures

DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600


class SigningFigures:
    """
    Looks up what ends.

    Args:
        authority: Whose revocation list it is.
        keys: The node's own.
        figures: Where what was found is shown.
    """

    def __init__(self, authority: Authority, keys: KeyStore, figures: Figures) -> None:
        self._authority = authority
        self._keys = keys
        self._figures = figures
        self._messaging = MessagingFigures(authority.store, figures)

    async def look(self) -> None:
        """
        Look once.
        """
        now = self._authority.store.clock.now()
        for role in Role:
            newest = self._keys.active(role)[0].certificate
            if newest is not None:
                left = newest.not_valid_after_utc - now
                self._figures.certificate_days.labels(role.value).set(left.total_seconds() / DAY_SECONDS)
        async with self._authority.store.read() as connection:
            stored = await repository.read_list(connection, self._authority.sha256)
        if stored is not None:
            left = stored.next_update_at - now
            self._figures.revocation_list_hours.set(left.total_seconds() / HOUR_SECONDS)
        await self._messaging.look()
