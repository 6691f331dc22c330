"""A client that fetches a document and then waits to be killed: `python -m deploy.demo.dying_client FILE DOCUMENT`."""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.client import AxisClient


async def fetch_and_wait(credential: Path, document_id: str) -> None:
    """
    Fetch one document, say so, and never acknowledge.
    """
    async with AxisClient(credential) as client:
        for item in (await client.inbox()).items:
            if str(item.document_id) == document_id:
                with TemporaryDirectory() as folder:
                    await client.fetch(item.delivery_id, Path(folder) / "packet.edxml")
                print("fetched", flush=True)  # noqa: T201 - the sign its murderer waits for
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(fetch_and_wait(Path(sys.argv[1]), sys.argv[2]))
