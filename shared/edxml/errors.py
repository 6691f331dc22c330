"""
Why a packet is refused.

    Rejected
    ├── PacketMalformed      it could not be read to its end
    ├── PacketInvalid        it was read whole, and parts of it are missing, doubled or wrong
    └── DocumentIdMissing    all is well except that the document has no identifier
"""

from typing import ClassVar

from shared.errors import Rejected


class PacketMalformed(Rejected):
    """
    The packet is not an edXML packet that can be read safely.

    It is not well-formed XML in UTF-8, is of another format, carries a DOCTYPE or entities, exceeds a limit, or holds
    an attachment that does not decode. `errors` names the first place where reading stopped. Write the packet anew.
    """

    code: ClassVar[str] = "packet-malformed"


class PacketInvalid(Rejected):
    """
    The packet was read, and its content breaks the rules of the format.

    `errors` lists every place found wrong, up to fifty, each with a code of its own, the path of the element and its
    line. Correct them all and send again.
    """

    code: ClassVar[str] = "packet-invalid"


class DocumentIdMissing(Rejected):
    """
    The packet has no DocumentId.

    The axis never changes a packet it receives, so it cannot add one: put the identifier of the document
    (`<OrganId>,<yyyy/MM/dd>,<number>/<notation>`) into MessageHeader/DocumentId and send again.
    """

    code: ClassVar[str] = "document-id-missing"
