"""
A node that answers as told, for tests of what speaks to one; it gives receipts of every kind, good and bad.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from shared.jose import RECEIPT, sign_compact, thumbprint, to_jwks
from shared.testing.pki import MOMENT, Authority, Signer

URL = "http://node.test"
DOCUMENT_ID = UUID("01940000-0000-7000-8000-000000000001")
DISPATCH_ID = UUID("01940000-0000-7000-8000-000000000002")
PACKET = b"<edXML>packet</edXML>"

Answer = Callable[[httpx.Request], httpx.Response] | httpx.Response | Exception


def a_problem(status: int, code: str, *, retry_after: int | None = None, **more: Any) -> httpx.Response:
    """
    Make the answer to something refused.
    """
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    body = {"code": code, "title": "Title", "detail": "Detail", "correlation_id": "c-1", "status": status, **more}
    return httpx.Response(status, json=body, headers=headers | {"Content-Type": "application/problem+json"})


@dataclass
class StandInNode:
    """
    Answers each path with what was laid out for it, in order; the last answer stays.

    Attributes:
        signer: Signs receipts.
        requests: Every request seen, its body read.
        published: Public keys in the JWK set.
    """

    authority: Authority
    signer: Signer
    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    published: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        self.published = (self.signer.certificate.public_key(),)
        self.on("POST", "/oauth2/token", lambda _: httpx.Response(200, json={"access_token": "t", "expires_in": 600}))
        self.on("GET", "/.well-known/axis", lambda _: httpx.Response(200, json={"issuer": URL}))
        self.on("GET", "/v1/trust/jwks.json", lambda _: httpx.Response(200, json=to_jwks(self.published)))
        self.on("GET", "/v1/trust/anchors", lambda _: httpx.Response(200, text=self.anchor_pem))

    @property
    def anchor_pem(self) -> str:
        """
        Give the root certificate, PEM.
        """
        return self.authority.certificate.public_bytes(Encoding.PEM).decode()

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """
        Lay out answers for a path.
        """
        self.answers[method, path] = list(answers)

    def called(self, method: str, path: str) -> list[httpx.Request]:
        """
        Give the requests a path has seen.
        """
        return [one for one in self.requests if (one.method, one.url.path) == (method, path)]

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """
        Answer a request; for `httpx.MockTransport`.
        """
        await request.aread()
        self.requests.append(request)
        laid_out = self.answers[request.method, request.url.path]
        answer = laid_out.pop(0) if len(laid_out) > 1 else laid_out[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def receipt(
        self, *, signer: Signer | None = None, typ: str = RECEIPT, with_chain: bool = True, **claims: Any
    ) -> str:
        """
        Sign a receipt for `PACKET`; with no choices made it is a good one.
        """
        by = signer or self.signer
        assert isinstance(by.key, ec.EllipticCurvePrivateKey), "receipts are signed with P-256"
        said = {
            "iss": URL,
            "jti": "01940000-0000-7000-8000-000000000004",
            "iat": int(MOMENT.timestamp()),
            "event": "SubmissionAcceptance",
            "document_id": str(DOCUMENT_ID),
            "dispatch_id": str(DISPATCH_ID),
            "packet_sha256": hashlib.sha256(PACKET).hexdigest(),
        }
        x5c = (by.certificate, *by.chain) if with_chain else None
        return sign_compact(said | claims, typ=typ, key=by.key, kid=thumbprint(by.key.public_key()), x5c=x5c)

    def accepts(self, receipt: str, *, status: int = 201) -> httpx.Response:
        """
        Make the answer to a packet that is accepted.
        """
        body = {
            "document_id": str(DOCUMENT_ID),
            "dispatch_id": str(DISPATCH_ID),
            "accepted_at": "2024-12-31T03:00:00Z",
            "packet_sha256": hashlib.sha256(PACKET).hexdigest(),
            "addressees": [],
            "warnings": [],
            "receipt": receipt,
        }
        return httpx.Response(status, content=json.dumps(body).encode())
