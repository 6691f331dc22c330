"""The first administrator, made before anybody could ask for one."""

from services.registry.domain.vault import Vault
from services.registry.repository import credentials as stored_credentials
from services.registry.repository import systems as stored
from services.registry.repository import versions
from services.registry.repository.credentials import StoredCredential
from services.registry.repository.systems import NewSystem
from shared.contracts.registry import Credential, Scope, SystemsChanged, SystemStatus
from shared.outbox import Store

ADMINISTRATOR = "administrator"
NAME = "Quản trị nút trục"
SCOPES = (Scope.OPERATE, Scope.REGISTER, Scope.APPROVE)


async def ensure_administrator(store: Store, vault: Vault) -> Credential:
    """
    Make the system `administrator` and give its credential.

    Calling again changes nothing but the secret: as long as the credential has not got a token, a fresh secret takes
    the place of the former, so whoever died before it was on disk is not locked out; later a fresh credential does,
    and the former ends at once. Only who may write to the register's database can call this.
    """
    now = store.clock.now()
    credential_id, secret = store.new_id(), vault.new_secret()
    scopes = tuple(scope.value for scope in SCOPES)
    async with store.begin() as uow:
        connection = uow.connection
        await versions.begin_change(connection)
        known = await stored_credentials.find_good_credentials(connection, ADMINISTRATOR, now, of_disabled=True)
        unused = [credential.id for credential in known if not credential.in_use]
        if unused:
            credential_id = unused[0]
            await stored_credentials.replace_secret(
                connection, credential_id, vault.digest_credential(credential_id, secret)
            )
        else:
            version = await versions.advance(connection)
            if not await stored.system_id_taken(connection, ADMINISTRATOR):
                await stored.add_system(connection, NewSystem(ADMINISTRATOR, NAME, "rest"), version=version, now=now)
            # A disabled administrator could not let itself in again.
            await stored.set_status(connection, ADMINISTRATOR, SystemStatus.ACTIVE, "", version=version, now=now)
            await stored_credentials.let_end(connection, [credential.id for credential in known], now)
            secret_hmac = vault.digest_credential(credential_id, secret)
            fresh = StoredCredential(credential_id, ADMINISTRATOR, secret_hmac, scopes, in_use=False)
            await stored_credentials.add_credential(connection, fresh, now)
            change = "credential-rotated" if known else "added"
            uow.outbox.add(SystemsChanged(version=version, system_ids=(ADMINISTRATOR,), change=change))
        await uow.commit()
    return Credential(system_id=ADMINISTRATOR, credential_id=str(credential_id), secret=secret, scopes=scopes)
