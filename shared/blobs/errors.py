"""
What can go wrong with stored bytes.

    AxisError
    ├── Rejected
    │   └── PacketTooLarge   413
    └── Unavailable
        ├── StorageLow       503, until room is made
        └── BlobMissing      503, until somebody brings the bytes back
"""

from shared.errors import Rejected, Unavailable


class PacketTooLarge(Rejected):
    """
    More bytes came than the axis takes in one packet; nothing was kept.

    Send fewer or smaller attachments, or several documents.
    """

    code = "packet-too-large"


class StorageLow(Unavailable):
    """
    The disk that holds the packets is full; nothing was kept. Send again when the operator has made room.
    """

    code = "storage-low"


class BlobMissing(Unavailable):
    """
    Bytes that should be stored are not there: the operator has to bring them back from a backup.
    """

    code = "blob-missing"
