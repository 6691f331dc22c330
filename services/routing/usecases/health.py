"""Whether routing can do its work now."""

from sqlalchemy import text

from services.routing.usecases.context import Context
from shared.contracts.base import Health
from shared.errors import Unavailable


async def read_health(context: Context) -> Health:
    """
    Ready when the database answers and the register is fresh, or can be asked.
    """
    try:
        async with context.store.read() as connection:
            await connection.execute(text("SELECT 1"))
        await context.register.current()
    except Unavailable as error:
        return Health(ready=False, detail=error.detail)
    return Health(ready=True)
