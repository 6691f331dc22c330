"""The collector: what no document and no status refers to is set aside after a day, and deleted an hour after that."""

from services.routing.repository import documents as repository
from services.routing.repository import status_items
from services.routing.usecases.context import Context
from shared.telemetry import get_logger

BATCH = 500

_logger = get_logger(__name__)


async def collect_blobs(context: Context) -> None:
    """
    Set aside what has had no reference for long, bring back what got one meanwhile, delete what stayed aside.

    Raises:
        Unavailable: The database is out of reach; nothing is deleted without its word.
    """
    now = context.clock.now()
    # 1. What was set aside and is referred to after all comes back before anything is deleted.
    deadline = now - context.settings.keep_trashed
    trashed = [sha256 async for sha256 in context.blobs.trashed(deadline)]
    for start in range(0, len(trashed), BATCH):
        for sha256 in await _referenced(context, trashed[start : start + BATCH]):
            await context.blobs.restore(sha256)
    deleted = await context.blobs.purge(deadline)
    # 2. What nobody refers to and nobody has renewed is set aside.
    since = now - context.settings.keep_unreferenced
    idle = [sha256 async for sha256 in context.blobs.idle(since)]
    set_aside = 0
    for start in range(0, len(idle), BATCH):
        batch = idle[start : start + BATCH]
        referenced = await _referenced(context, batch)
        for sha256 in batch:
            if sha256 not in referenced and await context.blobs.trash(sha256, idle_since=since):
                set_aside += 1
    if set_aside or deleted:
        _logger.info("blobs collected", set_aside=set_aside, deleted=deleted)


async def _referenced(context: Context, digests: list[str]) -> set[str]:
    async with context.store.read() as connection:
        packets = await repository.referenced_packets(connection, digests)
        return packets | await status_items.referenced_bytes(connection, digests)
