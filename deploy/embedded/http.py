"""How the doors speak HTTP, where the server's own way would leave a client without an answer it can read."""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.vxp import is_vxp, refuse_unreadable

MAX_HEAD_BYTES: Final = 2 * 1024 * 1024
"""The gateway refuses heads of half that size in words; this is only for those that never end."""


class Protocol(HttpToolsProtocol):
    """
    HTTP as the server speaks it, with two differences. A request of the national dialect that cannot even be parsed is
    refused in that dialect: its clients write letters beyond ASCII as control characters, and read plain text as no
    answer. And a head that never ends is not collected for ever.
    """

    _head_bytes: int | None = None

    def data_received(self, data: bytes) -> None:
        """
        Take bytes from the line.
        """
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response("The head of the request is too long.")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """
        Begin a request.
        """
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """
        Hand a request over whose head is there.
        """
        self._head_bytes = None
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """
        Refuse what cannot be parsed, and hang up.
        """
        path = self.url.decode("latin-1").partition("?")[0]
        if not is_vxp(path):
            super().send_400_response(msg)
            return
        refusal = refuse_unreadable(path)
        lines = [f"HTTP/1.1 {refusal.status_code} Refused".encode()]
        lines += [name + b": " + value for name, value in refusal.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(refusal.body)]))
        self.transport.close()
