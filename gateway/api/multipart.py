"""Forms with files, taken apart while they come: the JSON part in memory, every file on disk."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, NoReturn
from urllib.parse import unquote

from gateway.errors import RequestInvalid

FORM_TYPE: Final = "multipart/form-data"
DOCUMENT: Final = "document"
"""Name of the part that describes the packet."""
SIGNATURE: Final = "signature"
"""Name of the part with the `ds:Signature` over the parts of the packet, if it is to be sealed."""

_MAX_HEAD_BYTES: Final = 16 * 1024
_MAX_PARTS: Final = 1_001
_BOUNDARY: Final = re.compile(r"""boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))""", re.IGNORECASE)
_PARAMETER: Final = re.compile(r""";\s*([a-z]+\*?)=(?:"([^"]*)"|([^\s;]*))""", re.IGNORECASE)


@dataclass(frozen=True)
class FormFile:
    """
    A file of a form.

    Attributes:
        part: Name of its part.
        name: File name as sent, without folders.
        path: Where it lies.
    """

    part: str
    name: str
    path: Path


@dataclass
class Form:
    """
    What came.

    Attributes:
        texts: `document` and `signature`, as far as they came.
    """

    texts: dict[str, bytes] = field(default_factory=dict)
    files: list[FormFile] = field(default_factory=list)


class FormReader:
    """
    Takes a form apart; `feed` may block for as long as the disk takes.

    Args:
        content_type: Of the request, with the boundary.
        folder: An empty folder for the files.
        max_json_bytes: Largest part that is no file.

    Raises:
        RequestInvalid: The content type names no boundary.

    Source:
        RFC 7578, RFC 2046 section 5.1.
    """

    def __init__(self, content_type: str, folder: Path, *, max_json_bytes: int) -> None:
        found = _BOUNDARY.search(content_type)
        if found is None:
            _refuse("Content-Type must name the boundary of the form")
        self.form = Form()
        self._delimiter = b"\r\n--" + (found[1] or found[2]).encode()
        self._folder = folder
        self._max_json_bytes = max_json_bytes
        # The first delimiter needs no line break before it.
        self._held = bytearray(b"\r\n")
        self._state = "before"
        self._file: BinaryIO | None = None
        self._text = DOCUMENT

    def feed(self, piece: bytes) -> None:
        """
        Take the next piece.

        Raises:
            RequestInvalid: It is no form, or one beyond the limits.
        """
        self._held += piece
        while self._step():
            pass

    def finish(self) -> Form:
        """
        End the form.

        Raises:
            RequestInvalid: It stops before its end, or nothing describes the packet.
        """
        if self._state != "after":
            _refuse("the form has no end")
        if DOCUMENT not in self.form.texts:
            _refuse(f"the form has no part {DOCUMENT}")
        return self.form

    def close(self) -> None:
        """
        Let go of a file that is not whole.
        """
        if self._file is not None:
            self._file.close()
            self._file = None

    def _step(self) -> bool:
        if self._state == "after":
            self._held.clear()
            return False
        if self._state in {"before", "body"}:
            return self._take_content()
        return self._take_head()

    def _take_content(self) -> bool:
        at = self._held.find(self._delimiter)
        # The beginning of a delimiter may stand at the end of what came so far.
        end = at if at >= 0 else max(0, len(self._held) - len(self._delimiter))
        if self._state == "body":
            self._write(bytes(self._held[:end]))
        if at < 0:
            del self._held[:end]
            return False
        del self._held[: at + len(self._delimiter)]
        self.close()
        self._state = "head"
        return True

    def _take_head(self) -> bool:
        if len(self._held) < 2:
            return False
        if self._held.startswith(b"--"):
            self._state = "after"
            return True
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            if len(self._held) > _MAX_HEAD_BYTES:
                _refuse("the head of a part is too long")
            return False
        head = self._held[:end].decode("utf-8", "replace")
        del self._held[: end + 4]
        self._open(head)
        self._state = "body"
        return True

    def _open(self, head: str) -> None:
        line = next((line for line in head.split("\r\n") if line.lower().startswith("content-disposition:")), "")
        parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(line)}
        part = parameters.get("name", "")
        if not part:
            _refuse("a part of the form has no name")
        if part in self.form.texts or any(file.part == part for file in self.form.files):
            _refuse("two parts of the form have the same name")
        if part in {DOCUMENT, SIGNATURE}:
            self._text = part
            self.form.texts[part] = b""
            return
        if len(self.form.files) >= _MAX_PARTS:
            _refuse("the form has too many parts")
        path = self._folder / str(len(self.form.files))
        self.form.files.append(FormFile(part, _file_name(parameters) or part, path))
        self._file = path.open("wb")

    def _write(self, octets: bytes) -> None:
        if self._file is not None:
            self._file.write(octets)
        else:
            self.form.texts[self._text] += octets
            if len(self.form.texts[self._text]) > self._max_json_bytes:
                _refuse(f"the part {self._text} may have at most {self._max_json_bytes} bytes")


def _file_name(parameters: dict[str, str]) -> str:
    extended = parameters.get("filename*", "")
    if extended.lower().startswith("utf-8''"):
        name = unquote(extended[7:])
    else:
        # Browsers write these three so, and nothing else.
        name = parameters.get("filename", "").replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
    name = re.split(r"[/\\]", name)[-1]
    return "".join(letter for letter in name if letter.isprintable()).strip()


def _refuse(detail: str) -> NoReturn:
    raise RequestInvalid(detail)
