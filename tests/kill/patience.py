"""What a patient client does: the same call again until there is an answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from shared.client import ClientError, DigestMismatch, NodeFault, ReceiptInvalid, Rejected, RetryPolicy

PATIENT: Final = RetryPolicy(attempts=3, first_seconds=0.2, longest_seconds=1.0, patience_seconds=5.0)
PAUSE_SECONDS: Final = 0.1

AnswerT = TypeVar("AnswerT")


async def patiently(
    call: Callable[[], Awaitable[AnswerT]], complain: Callable[[str], None] = lambda _: None
) -> AnswerT | None:
    """
    Repeat a call until it is answered; None where the node refuses what is right.

    Args:
        call: Safe to repeat.
        complain: Told what no kill excuses: refusals, defects, and answers that are not what they should be.
    """
    while True:
        try:
            return await call()
        except Rejected as refused:
            complain(f"refused: {refused} (correlation {refused.correlation_id})")
            return None
        except (NodeFault, ReceiptInvalid, DigestMismatch) as wrong:
            complain(f"{type(wrong).__name__}: {wrong} (correlation {getattr(wrong, 'correlation_id', None)})")
        except ClientError:
            pass
        await asyncio.sleep(PAUSE_SECONDS)
