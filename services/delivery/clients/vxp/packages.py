"""
Tells a package from whatever else may come in its place; what is in it is judged by those who read it.
"""

import re
from typing import Final

HEAD_BYTES: Final = 4096
TAIL_BYTES: Final = 256

_ROOT: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--[^>]*-->\s*)*<(?:[\w.-]+:)?edXML[\s>]", re.ASCII
)
_END: Final = re.compile(rb"</(?:[\w.-]+:)?edXML\s*>\s*\Z", re.ASCII)


class PackageCheck:
    """
    Looks at the beginning and the end of bytes that pass by: an error page does not begin like a package, and one that
    was cut off does not end like one.
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        self._head = b""
        self._tail = b""

    def feed(self, piece: bytes) -> None:
        """
        Look at the next bytes.
        """
        self.size_bytes += len(piece)
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
        self._tail = (self._tail + piece[-TAIL_BYTES:])[-TAIL_BYTES:]

    def finding(self) -> str | None:
        """
        Say what is wrong with all that has passed, or None.
        """
        if not self.size_bytes:
            return "nothing came"
        if not _ROOT.match(self._head):
            return "what came does not begin like an edXML package"
        if not _END.search(self._tail):
            return "the package is cut off"
        return None
