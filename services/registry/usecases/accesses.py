"""Where systems may call from."""

from services.registry.domain.sources import may_call_from, read_sources
from services.registry.domain.texts import clean_text
from services.registry.errors import NotFound, SystemInvalid
from services.registry.repository import addresses, versions
from services.registry.repository import systems as stored
from services.registry.usecases.collaborators import Collaborators
from services.registry.usecases.systems import VXP
from shared.contracts.registry import Scope, SetSources, SystemAccess, SystemsChanged
from shared.outbox import UnitOfWork


async def set_sources(its: Collaborators, request: SetSources) -> SystemAccess:
    """
    Say where a system may call from, and let the addresses pass that it has called from and may.

    Raises:
        NotFound: There is no such system.
        SystemInvalid: Something is no network, or the system is not of the dialect that has ranges.
    """
    await its.identify(request.token, Scope.OPERATE)
    sources = read_sources(request.sources)
    system_id = clean_text(request.system_id)
    now = its.clock.now()
    async with its.store.begin() as uow:
        await versions.begin_change(uow.connection)
        entry = (await stored.read_systems(uow.connection, [system_id], now)).get(system_id)
        if entry is None:
            raise NotFound("there is no such system")
        if entry.dialect != VXP:
            raise SystemInvalid("only a system of dialect vxp has source ranges")
        before = await _read(uow, system_id)
        passing = [one.address for one in before.addresses if may_call_from(one.address, sources)]
        await addresses.set_sources(uow.connection, system_id, sources)
        await addresses.settle_addresses(uow.connection, system_id, passing)
        after = await _read(uow, system_id)
        if after != before:
            version = await versions.advance(uow.connection)
            await stored.touch_system(uow.connection, system_id, version=version, now=now)
            uow.outbox.add(SystemsChanged(version=version, system_ids=(system_id,), change="sources-set"))
            its.announce(uow, version)
        await uow.commit()
    return after


async def _read(uow: UnitOfWork, system_id: str) -> SystemAccess:
    found = await addresses.read_accesses(uow.connection, [system_id])
    return found.get(system_id) or SystemAccess(system_id=system_id)
