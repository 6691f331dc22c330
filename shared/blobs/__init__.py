"""
Packets as they came, stored once under the SHA-256 of their bytes.

    store.writer(limit)   stream in, hashing; whole and durable at `commit`, or not there at all
    store.open(digest)    stream out, from and to any byte
    renew                 before a reference is committed
    idle, trash,          for the collector: sets aside what nobody refers to and nobody has renewed, and looks for
    trashed, restore,     references once more an hour later, before it deletes
    purge
"""

from shared.blobs.errors import BlobMissing, PacketTooLarge, StorageLow
from shared.blobs.folder import FolderBlobStore
from shared.blobs.port import BlobStat, BlobStore, BlobWriter, StoredBlob

__all__ = [
    "BlobMissing",
    "BlobStat",
    "BlobStore",
    "BlobWriter",
    "FolderBlobStore",
    "PacketTooLarge",
    "StorageLow",
    "StoredBlob",
]
