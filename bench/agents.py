"""A sending and a receiving system as the load generator plays them."""

import base64
import json
from typing import Any, Final
from urllib.parse import urlencode

from bench.connection import Address, Answer, Connection, Pool
from bench.packets import SealedPacket
from shared.client import Credential

PAGE: Final = 200
"""Items of one look into a mailbox; the most the node gives."""


class UnexpectedAnswerError(Exception):
    """
    The deployment under test answered otherwise than a sound one does; the measurement is worth nothing.
    """

    def __init__(self, what: str, answer: Answer) -> None:
        super().__init__(f"{what}: {answer.status} {answer.body[:500].decode(errors='replace')}")


class System:
    """
    One system with its access token and its connections.

    Args:
        address: Of the node.
        credential: With a secret.
    """

    def __init__(self, address: Address, credential: Credential) -> None:
        self.pool = Pool(address)
        self._host = address.name
        self._credential = credential
        self._common = b""

    async def sign_in(self) -> None:
        """
        Get a token; it lasts longer than any measurement.
        """
        secret = self._credential.secret
        assert secret is not None
        proof = base64.b64encode(f"{self._credential.system_id}:{secret.get_secret_value()}".encode()).decode()
        body = urlencode({"grant_type": "client_credentials"}).encode()
        head = (
            f"POST /oauth2/token HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Basic {proof}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        async with self.pool.take() as connection:
            answer = await connection.request(head.encode(), body)
        if answer.status != 200:
            raise UnexpectedAnswerError("signing in", answer)
        token = json.loads(answer.body)["access_token"]
        self._common = f" HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {token}\r\n".encode()

    async def get(self, connection: Connection, target: str) -> Answer:
        """
        Send a GET.
        """
        return await connection.request(b"GET " + target.encode() + self._common + b"\r\n")

    async def post(self, connection: Connection, target: str, media_type: str, *pieces: bytes) -> Answer:
        """
        Send a POST.
        """
        size = sum(map(len, pieces))
        head = f"Content-Type: {media_type}\r\nContent-Length: {size}\r\n\r\n".encode()
        return await connection.request(b"POST " + target.encode() + self._common + head, *pieces)

    async def send(self, connection: Connection, packet: SealedPacket) -> Answer:
        """
        Post a packet.
        """
        return await self.post(connection, "/v1/documents", "application/edxml+xml", packet.head, packet.tail)

    async def list_inbox(self, connection: Connection, *, wait: int, shard: str) -> list[dict[str, Any]]:
        """
        Look for what has not been fetched yet.
        """
        target = f"/v1/inbox?state=available&limit={PAGE}&wait={wait}&shard={shard}"
        answer = await self.get(connection, target)
        if answer.status != 200:
            raise UnexpectedAnswerError("listing a mailbox", answer)
        items: list[dict[str, Any]] = json.loads(answer.body)["items"]
        return items

    async def take(self, connection: Connection, item: dict[str, Any]) -> int:
        """
        Fetch a packet and acknowledge it.

        Returns:
            Bytes of the packet.
        """
        place = f"/v1/inbox/{item['delivery_id']}"
        packet = await self.get(connection, f"{place}/packet")
        if packet.status != 200 or packet.size != item["packet_bytes"]:
            raise UnexpectedAnswerError("fetching a packet", packet)
        answer = await self.post(connection, f"{place}/acknowledgement", "application/json", b'{"result":"done"}')
        if answer.status != 201:
            raise UnexpectedAnswerError("acknowledging", answer)
        return packet.size
