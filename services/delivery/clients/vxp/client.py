"""
The calls a national axis knows; nothing is remembered here.
"""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Final, Self, TypeVar

import httpx

from services.delivery.clients.vxp import answers
from services.delivery.clients.vxp.answers import Listed, SentRow, Unit
from services.delivery.clients.vxp.packages import PackageCheck
from services.delivery.clients.vxp.reading import AnswerReader, DataKind, NotAnAnswer
from services.delivery.clients.vxp.signing import Credentials, write_codes, write_hash
from services.delivery.clients.vxp.transport import PAUSES, Call, Transport
from services.delivery.domain.national import MessageType, TransferState
from services.delivery.settings import Settings
from shared.blobs import BlobMissing, BlobStore, StoredBlob
from shared.clock import Clock

SERVICE_TYPE: Final = "eDoc"
CRLF: Final = b"\r\n"
"""Follows a package on the wire; belongs neither to it nor to its digest."""

MAX_LISTED: Final = 200_000
"""Items of a list that is held in memory; nobody has so many."""

PIECE_BYTES: Final = 65_536
UNITS_AT_ONCE: Final = 500

_EMPTY_OBJECT: Final = b"{}"
_T = TypeVar("_T")


def open_national_http(settings: Settings) -> httpx.AsyncClient:
    """
    Make the client for the national axis: no proxy of the environment, no redirects, no client certificate, which the
    protocol has no use for.

    Raises:
        OSError: The file with further authorities cannot be read.
    """
    trust = ssl.create_default_context()
    if settings.national_axis_ca_file is not None:
        trust.load_verify_locations(settings.national_axis_ca_file)
    return httpx.AsyncClient(verify=trust, trust_env=False, follow_redirects=False)


class VxpClient:
    """
    Speaks to one national axis by its own protocol. Every call may be repeated.

    Args:
        http: Carries the requests; closed with the client.
        url: Base URL of the axis.
        credentials: What it gave us.
        blobs: Where packages come from and go to.
        clock: Tells the moment.
        timeout_seconds: Deadline of a call that carries no package.
        transfer_seconds: Deadline of one that does.
        max_packet_bytes: A larger package is not taken.
        pauses: Seconds before each further try of a call.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        credentials: Credentials,
        blobs: BlobStore,
        clock: Clock,
        *,
        timeout_seconds: float,
        transfer_seconds: float,
        max_packet_bytes: int,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._http = http
        self._transport = Transport(http, url, credentials, clock, pauses=pauses)
        self._blobs = blobs
        self._timeout_seconds = timeout_seconds
        self._transfer_seconds = transfer_seconds
        self._max_packet_bytes = max_packet_bytes

    @classmethod
    def by_settings(
        cls, settings: Settings, blobs: BlobStore, clock: Clock, *, pauses: Sequence[float] = PAUSES
    ) -> Self:
        """
        Make the client the operator has set up.

        Raises:
            OSError: A file that the settings name cannot be read.
            ValueError: The settings name no national axis.
        """
        if settings.national_axis_url is None or settings.national_axis_secret_file is None:
            raise ValueError("no national axis is set up")
        secret = settings.national_axis_secret_file.read_text(encoding="utf-8").strip()
        return cls(
            open_national_http(settings),
            settings.national_axis_url,
            Credentials(settings.national_axis_system_id, secret),
            blobs,
            clock,
            timeout_seconds=settings.national_axis_timeout_seconds,
            transfer_seconds=settings.national_axis_transfer_seconds,
            max_packet_bytes=settings.national_axis_max_packet_bytes,
            pauses=pauses,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """
        Close every connection.
        """
        await self._http.aclose()

    # --- sending ---

    async def send(
        self, message_type: MessageType, packet_sha256: str, *, sender: str, addressees: Sequence[str] = ()
    ) -> str:
        """
        Send a package of the blob store; the axis' id of it comes back.

        Args:
            message_type: Document or status.
            packet_sha256: Which package.
            sender: Code of the agency it is from.
            addressees: Codes to deliver to; none: those the package names.

        Raises:
            NationalAxisRefused: It was not taken.
            NationalAxisUnavailable: It may have been taken or not.
            BlobMissing: There are no such bytes.
        """
        found = await self._blobs.stat(packet_sha256)
        if found is None:
            raise BlobMissing(f"the package {packet_sha256} is not there")

        async def stream() -> AsyncIterator[bytes]:
            async for piece in self._blobs.open(packet_sha256):
                yield piece
            yield CRLF

        parameters = {"servicetype": SERVICE_TYPE, "messagetype": message_type.value}
        parameters |= {"hash-file": write_hash(packet_sha256), "from": sender}
        if addressees:
            parameters["to"] = write_codes(addressees)
        call = Call(
            "sendEdoc",
            parameters,
            content_type="application/octet-stream",
            stream=stream,
            stream_bytes=found.size_bytes + len(CRLF),
            seconds=self._transfer_seconds,
        )

        async def take(response: httpx.Response) -> str:
            return answers.read_doc_id(await _read(response))

        return await self._transport.call(call, take)

    async def sent_list(self, message_type: MessageType, *, doc_id: str | None = None) -> list[SentRow]:
        """
        List what became of what was sent, a row for each package and receiver.

        Args:
            message_type: Documents or statuses.
            doc_id: Only this one.
        """
        parameters = {"servicetype": SERVICE_TYPE, "messagetype": message_type.value}
        if doc_id is not None:
            parameters["docId"] = doc_id
        return await self._list("getSentEdocList", parameters, answers.read_sent_row)

    # --- receiving ---

    async def inbox(self, message_type: MessageType) -> list[Listed]:
        """
        List what lies there and is not finished, each item once.
        """

        def read(item: object) -> Listed:
            return answers.read_listed(item, message_type)

        parameters = {"servicetype": SERVICE_TYPE, "messagetype": message_type.value}
        listed = await self._list("getReceivedEdocList", parameters, read)
        return list({item.doc_id: item for item in listed}.values())

    async def count(self, message_type: MessageType) -> int:
        """
        Count what lies there and is not finished.
        """
        operation = "countReceiveEdoc" if message_type is MessageType.DOCUMENT else "countReceiveStatus"
        parameters = {"servicetype": SERVICE_TYPE, "messagetype": message_type.value}
        return answers.read_count(await self._ask(operation, parameters, body=_EMPTY_OBJECT))

    async def fetch(self, doc_id: str) -> StoredBlob:
        """
        Fetch a package into the blob store.

        The raw form is asked for first. It has no way to say why it gives nothing, so that whatever is no whole package
        is asked for once more in the form that has.

        Raises:
            NationalAxisRefused: The axis does not give it.
            PacketTooLarge: It is larger than we take.
        """
        return await self.get_raw(doc_id) or await self.get_encoded(doc_id)

    async def get_raw(self, doc_id: str) -> StoredBlob | None:
        """
        Fetch a package as it is; None for whatever is no whole package.
        """

        async def take(response: httpx.Response) -> StoredBlob | None:
            if not response.is_success:
                return None
            check = PackageCheck()
            async with self._blobs.writer(self._max_packet_bytes) as writer:
                async for piece in response.aiter_raw(PIECE_BYTES):
                    check.feed(piece)
                    await writer.write(piece)
                return None if check.finding() else await writer.commit()

        call = Call("downloadEdoc", {"docId": doc_id}, method="GET", seconds=self._transfer_seconds)
        return await self._transport.call(call, take)

    async def get_encoded(self, doc_id: str) -> StoredBlob:
        """
        Fetch a package in the form that every axis has, and that can say no.
        """

        async def take(response: httpx.Response) -> StoredBlob:
            reader, check = AnswerReader(), PackageCheck()
            async with self._blobs.writer(self._max_packet_bytes) as writer:

                async def pass_on() -> None:
                    decoded = reader.take_bytes()
                    check.feed(decoded)
                    await writer.write(decoded)

                async for piece in response.aiter_raw(PIECE_BYTES):
                    reader.feed(piece)
                    await pass_on()
                reader.close()
                await pass_on()
                _require(reader, DataKind.TEXT)
                if finding := check.finding():
                    raise NotAnAnswer(finding)
                return await writer.commit()

        call = Call("getEdoc", {"docId": doc_id}, body=_EMPTY_OBJECT, seconds=self._transfer_seconds)
        return await self._transport.call(call, take)

    async def update_status(self, doc_id: str, state: TransferState, description: str = "") -> None:
        """
        Say what became of an item; saying it again is welcome.

        Args:
            doc_id: The item.
            state: Anything but the state it came in.
            description: For the axis' operators; only what is ASCII of it can travel.
        """
        parameters = {"docid": doc_id, "status": state.value}
        if words := answers.plain(description):
            parameters["description"] = words
        await self._ask("updateStatus", parameters, body=_EMPTY_OBJECT)

    # --- units ---

    async def units(self) -> AsyncGenerator[Sequence[Unit], None]:
        """
        Go through every unit of the axis, 500 at a time: there may be more than a hundred thousand.

        The answer is first stored and judged as a whole, so that nothing is given out of one that is not complete.
        """
        with tempfile.TemporaryFile() as file:

            async def take(response: httpx.Response) -> None:
                await asyncio.to_thread(_empty, file)
                reader = AnswerReader()
                async for piece in response.aiter_raw(PIECE_BYTES):
                    reader.feed(piece)
                    for item in reader.take_items():
                        answers.read_unit(item)
                    await asyncio.to_thread(file.write, piece)
                reader.close()
                for item in reader.take_items():
                    answers.read_unit(item)
                _require(reader, DataKind.LIST)

            call = Call("getSynchronizeUnit", seconds=self._transfer_seconds)
            await self._transport.call(call, take)
            await asyncio.to_thread(file.seek, 0)
            reader = AnswerReader()
            waiting: list[Unit] = []
            while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                reader.feed(piece)
                waiting += [answers.read_unit(item) for item in reader.take_items()]
                while len(waiting) >= UNITS_AT_ONCE:
                    yield waiting[:UNITS_AT_ONCE]
                    waiting = waiting[UNITS_AT_ONCE:]
            reader.close()
            waiting += [answers.read_unit(item) for item in reader.take_items()]
            for start in range(0, len(waiting), UNITS_AT_ONCE):
                yield waiting[start : start + UNITS_AT_ONCE]

    # --- what the calls are made of ---

    async def _ask(self, operation: str, parameters: dict[str, str], *, body: bytes) -> Mapping[str, Any]:
        call = Call(operation, parameters, body=body, seconds=self._timeout_seconds)
        return await self._transport.call(call, _read)

    async def _list(self, operation: str, parameters: dict[str, str], read: Callable[[object], _T]) -> list[_T]:
        async def take(response: httpx.Response) -> list[_T]:
            reader = AnswerReader()
            found: list[_T] = []
            async for piece in response.aiter_raw(PIECE_BYTES):
                reader.feed(piece)
                found += [read(item) for item in reader.take_items()]
                if len(found) > MAX_LISTED:
                    raise NotAnAnswer(f"it lists more than {MAX_LISTED} items")
            reader.close()
            found += [read(item) for item in reader.take_items()]
            _require(reader, DataKind.LIST)
            return found

        return await self._transport.call(Call(operation, parameters, seconds=self._timeout_seconds), take)


async def _read(response: httpx.Response) -> Mapping[str, Any]:
    reader = AnswerReader(passes_data_on=False)
    async for piece in response.aiter_raw(PIECE_BYTES):
        reader.feed(piece)
    reader.close()
    answers.judge(reader.members)
    return reader.members


def _require(reader: AnswerReader, kind: DataKind) -> None:
    answers.judge(reader.members)
    if reader.kind is not kind:
        raise NotAnAnswer(f"it says OK without its {'list' if kind is DataKind.LIST else 'package'}")
    if reader.fault:
        raise NotAnAnswer(reader.fault)


def _empty(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()
