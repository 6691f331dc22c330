"""
A stand-in for the client that agencies have: what it sends is what the real one was seen to send.

One object keeps every parameter of every call and signs them all again; its timestamp is that of its making.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from tests.vxp.java_map import in_java_order
from tests.vxp.line import Answer, Lines, Socket
from tests.vxp.reading import (
    Release,
    Result,
    read_common,
    read_count,
    read_download,
    read_list,
    read_package,
    read_sent,
)

AGENT: Final = "JAVASDKAgent/1.0.0 XRoad/VPCP"
VERSION: Final = "3.0.201608"
JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"

_INBOX: Final = dict.fromkeys(
    ("docId", "serviceType", "messageType", "created_time", "updated_time", "from", "to", "status", "status_desc"), str
)
_SENT: Final = dict.fromkeys(
    (
        "serviceType",
        "messageType",
        "senderDocId",
        "receiverDocId",
        "fromCode",
        "toCode",
        "title",
        "notation",
        "sentTime",
        "receivedTime",
        "sendStatus",
        "sendStatusDesc",
        "receiveStatus",
        "receiveStatusDesc",
    ),
    str,
)
_AGENCIES: Final = dict.fromkeys(("id", "pid", "code", "name", "mail", "oldCode"), str)
_AGENCIES_102: Final = dict.fromkeys(("id", "code", "name", "mail", "code102"), str)
_UNITS: Final[dict[str, type]] = {
    **dict.fromkeys(("id", "pid", "code", "name", "mail", "centerCode", "modifyDate"), str),
    "version": int,
    "deleted": bool,
    "isAgency": bool,
}


@dataclass
class JavaSdk:
    """
    One client object.

    Attributes:
        socket: Where it talks.
        system_id: As the axis assigned it.
        secret: Used as text, however much it looks like base64.
        release: Of the client.
        file_encoding: Of its Java machine; only `sendEdoc` shows it.
    """

    socket: Socket
    system_id: str
    secret: str
    release: Release = "2.0.1"
    file_encoding: str = "utf-8"
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    parameters: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parameters["systemid"] = self.system_id
        # Four digits of milliseconds, which look like a zone.
        moment = self.created_at.strftime("%d%m%YT%H%M%S")
        self.parameters["timestamp"] = f"{moment}+{self.created_at.microsecond // 1000:04d}"

    async def get_agencies_list(self) -> Result | None:
        return read_list(self.release, await self._empty_post("getAgenciesList"), _AGENCIES)

    async def get_agencies_list_qd20(self, **parameters: str) -> Result | None:
        return read_list(self.release, await self._empty_post("getAgenciesListQD20", parameters), _AGENCIES_102)

    async def get_synchronize_unit(self) -> Result | None:
        return read_list(self.release, await self._empty_post("getSynchronizeUnit"), _UNITS)

    async def register_agency(self, unit: Mapping[str, str]) -> Result | None:
        body = json.dumps(unit, ensure_ascii=False, separators=(",", ":")).encode()
        return read_common(await self._json_post("registerAgency", {}, body))

    async def delete_agency(self, code: str) -> Result | None:
        return read_common(await self._json_post("deleteAgency", {"AgencyCode": code}))

    async def send_edoc(self, package: bytes, **parameters: str) -> Result | None:
        """
        Send a package; `from` is written `from_`.
        """
        named = {name.rstrip("_"): value for name, value in parameters.items()}
        given = {"servicetype": "eDoc", "messagetype": "edoc", **named, "hash-file": hash_file(package)}
        lines = self._signed({name: value for name, value in given.items() if value}, OCTETS)
        answer = await self.socket.by_jdk("sendEdoc", lines, package + b"\r\n", file_encoding=self.file_encoding)
        return read_sent(self.release, answer)

    async def get_received_edoc_list(self, messagetype: str = "edoc", **parameters: str) -> Result | None:
        given = {"servicetype": "eDoc", "messagetype": messagetype, **parameters}
        answer = await self._empty_post("getReceivedEdocList", given)
        return read_list(self.release, answer, _INBOX, inbox=True)

    async def get_edoc(self, doc_id: str | UUID, file_path: str = "in") -> Result | None:
        given = {"docId": str(doc_id), "filePath": file_path}
        return read_package(self.release, await self._json_post("getEdoc", given))

    async def download_edoc(self, doc_id: str | UUID, file_path: str = "in") -> Result:
        lines = self._signed({"docId": str(doc_id), "filePath": file_path}, JSON)
        return read_download(await self.socket.by_apache("GET", "downloadEdoc", lines, None))

    async def update_status(
        self, doc_id: str | UUID, status: str, *, spelling: str = "docid", description: str = ""
    ) -> Result | None:
        given = {spelling: str(doc_id), "status": status}
        if description:
            given["description"] = description
        return read_common(await self._json_post("updateStatus", given))

    async def get_sent_edoc_list(self, messagetype: str = "edoc", **parameters: str) -> Result | None:
        given = {"servicetype": "eDoc", "messagetype": messagetype, **parameters}
        return read_list(self.release, await self._empty_post("getSentEdocList", given), _SENT)

    async def count_receive_edoc(self) -> Result | None:
        given = {"servicetype": "eDoc", "messagetype": "edoc"}
        return read_count(await self._json_post("countReceiveEdoc", given))

    async def count_receive_status(self) -> Result | None:
        given = {"servicetype": "eDoc", "messagetype": "status"}
        return read_count(await self._json_post("countReceiveStatus", given))

    async def _empty_post(self, operation: str, parameters: Mapping[str, str] | None = None) -> Answer:
        return await self.socket.by_apache("POST", operation, self._signed(parameters or {}, JSON), b"")

    async def _json_post(self, operation: str, parameters: Mapping[str, str], body: bytes = b"{}") -> Answer:
        return await self.socket.by_apache("POST", operation, self._signed(parameters, JSON), body)

    def _signed(self, parameters: Mapping[str, str], content_type: str) -> Lines:
        self.parameters |= {**parameters, "Content-Type": content_type}
        names = in_java_order(["systemid", "timestamp", "Content-Type", *self.parameters])
        return sign([(name, self.parameters[name]) for name in names], self.secret)


def sign(parameters: Lines, secret: str) -> Lines:
    """
    Write the headers of a call in the order of its parameters, with their signature.
    """
    signed = write_json([(f"XroadVnpt-{name}", value) for name, value in parameters])
    return [
        ("Content-Type", dict(parameters)["Content-Type"]),
        *((f"XroadVnpt-{name}", value) for name, value in parameters),
        ("XroadVnpt-sign-header-key", ";".join(name for name, _ in parameters)),
        ("XroadVnpt-sign-header", signed),
        ("XroadVnpt-hash-header", hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()),
        ("User-Agent", AGENT),
        ("XroadVnpt-version", VERSION),
    ]


def write_json(parameters: Lines) -> str:
    """
    Write compact JSON; only the quotation mark and the backslash are escaped.
    """
    return json.dumps(dict(parameters), ensure_ascii=False, separators=(",", ":"))


def hash_file(package: bytes) -> str:
    """
    Write the SHA-256 of a package without a leading zero for bytes below 16.
    """
    return "".join(format(byte, "x") for byte in hashlib.sha256(package).digest())


def as_stored(result: Result) -> bytes:
    """
    What the client writes to its disk after `getEdoc`: the base64 decoded, read as UTF-8 and written again.
    """
    return base64.b64decode(result.data).decode("utf-8", "replace").encode()
