"""Packets in the blob store, read by workers that may die of them."""

import io
import tempfile
from pathlib import Path

from services.routing.clients.registry import Offload
from shared.blobs import BlobMissing, BlobStore, StoredBlob
from shared.edxml import Attachment, Packet, PacketLimits, StatusReport, write_status
from shared.sandbox import Sandbox

READ_PACKET = "read_packet"
EXTRACT_ATTACHMENT = "extract_attachment"

SANDBOX_JOBS = {
    READ_PACKET: "shared.edxml.jobs:read_packet_job",
    EXTRACT_ATTACHMENT: "shared.edxml.jobs:extract_attachment_job",
}
"""What the sandbox given to routing must offer."""

_CHUNK_BYTES = 1024 * 1024
_SMALL_BYTES = 32 * 1024


class Packets:
    """
    Reads packets and their attachments.

    Args:
        blobs: Where the bytes lie.
        sandbox: Offers `SANDBOX_JOBS`.
        limits: What is spent on one packet.
        offload: Runs a function off the event loop.
    """

    def __init__(self, blobs: BlobStore, sandbox: Sandbox, limits: PacketLimits, *, offload: Offload) -> None:
        self._blobs = blobs
        self._sandbox = sandbox
        self._limits = limits
        self._offload = offload

    async def read(self, sha256: str, *, urgent: bool = False) -> Packet:
        """
        Read a packet, in a place of its own where it is urgent.

        Raises:
            PacketMalformed, PacketInvalid, DocumentIdMissing: As the packet deserves.
            BlobMissing: The bytes are not there, or not those of the digest.
            Unavailable: No worker can be had.
        """
        if not await self._blobs.exists(sha256):
            raise BlobMissing(f"the packet {sha256} is not in the store")
        arguments = {"path": str(self._blobs.path(sha256)), "limits": self._limits.model_dump()}
        found = await self._sandbox.run(READ_PACKET, arguments, urgent=urgent)
        packet: Packet
        if found["packet_size"] <= _SMALL_BYTES:  # going to a thread and back takes longer
            packet = Packet.model_validate(found)
        else:
            packet = await self._offload(Packet.model_validate, found)
        if packet.packet_sha256 != sha256:
            raise BlobMissing(f"the stored bytes are not those of {sha256}")
        return packet

    async def keep(self, sha256: str) -> None:
        """
        Make sure that a packet stays, just before a reference to it is committed.

        Raises:
            BlobMissing: It is gone.
        """
        if not await self._blobs.renew(sha256):
            raise BlobMissing(f"the packet {sha256} is not in the store any more")

    async def write_status(self, status: StatusReport) -> StoredBlob:
        """
        Write a status package into the store; the same status makes the same bytes.
        """

        def write() -> bytes:
            out = io.BytesIO()
            write_status(status, out)
            return out.getvalue()

        octets = await self._offload(write)
        async with self._blobs.writer(len(octets)) as writer:
            await writer.write(octets)
            return await writer.commit()

    async def provide_attachment(self, packet_sha256: str, index: int, attachment: Attachment) -> None:
        """
        Put an attachment's own bytes into the store under their digest, if they are not there; only a cache.

        Raises:
            BlobMissing: The packet is gone, or yields other bytes than at acceptance.
            Unavailable: No worker can be had.
        """
        if await self._blobs.renew(attachment.content_sha256):
            return
        if not await self._blobs.exists(packet_sha256):
            raise BlobMissing(f"the packet {packet_sha256} is not in the store")
        with tempfile.TemporaryDirectory(prefix="axis-attachment-") as folder:
            target = Path(folder) / "content"
            arguments = {
                "path": str(self._blobs.path(packet_sha256)),
                "index": index,
                "target": str(target),
                "limits": self._limits.model_dump(),
            }
            await self._sandbox.run(EXTRACT_ATTACHMENT, arguments)
            async with self._blobs.writer(attachment.content_size) as writer:
                with target.open("rb") as content:
                    while octets := await self._offload(content.read, _CHUNK_BYTES):
                        await writer.write(octets)
                stored = await writer.commit()
        if stored.sha256 != attachment.content_sha256:
            raise BlobMissing(f"attachment {index} of {packet_sha256} has other bytes than at acceptance")
