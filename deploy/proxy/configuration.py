"""The proxy's configuration file, filled in from a template."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.proxy.errors import ProxyError
from gateway.languages import Language
from gateway.problems import PROBLEMS, ProblemKind
from gateway.vxp import BASE, VxpOperation, write_refusal
from shared.http import PROBLEM_MEDIA_TYPE, ProblemDetails

_TEMPLATE: Final = Path(__file__).with_name("nginx.conf.template")
_LANGUAGES: Final[tuple[Language, ...]] = ("vi", "en")

_REFUSALS: Final[Mapping[str, tuple[int, ...]]] = {
    # 497 is plain HTTP on the port for HTTPS, 501 a transfer coding nobody knows, 505 another HTTP.
    "request-malformed": (400, 497, 501, 505),
    "client-certificate-refused": (495, 496),
    "not-found": (404,),
    "method-not-allowed": (405,),
    "request-too-large": (413,),
    "uri-too-long": (414,),
    "headers-too-large": (494, 431),
    "internal-error": (500,),
    "gateway-unreachable": (502,),
    "unavailable": (503,),
    "gateway-timeout": (504,),
}
"""What nginx finds wrong by itself, by the problem that says so; what a gateway answers is passed on as it is."""

_RETRY_AFTER: Final = {"unavailable": 1}
"""Seconds, where the problem itself names none."""

_PAGES: Final = "/.proxy/"
"""Where the proxy finds its own answers, by who reads them; nobody can ask for them."""

_VXP_ADDRESSES: Final = f"/(?:{BASE}/+[A-Za-z0-9]+|{'|'.join(VxpOperation)})"
"""Ends of addresses of the national dialect, as the gateway knows them too."""

_PLAIN: Final = re.compile(r"[^\s;{}$'\"\\#]+")


@dataclass(frozen=True)
class ProxyConfiguration:
    """
    What the proxy must be told.

    Attributes:
        folder: Where it keeps its files; a path without blanks.
        gateways: `host:port` of each.
        certificate: PEM file: the server's certificate, then its chain.
        key: PEM file of its key.
        public_url: Address callers see; root of the pages that explain problems.
        host: Address to listen on.
        port: Port to listen on.
        client_ca: PEM file of authorities whose client certificates are taken, others refused; None: any certificate
            is passed on, marked as not verified.
        user: Account of the worker processes; None: that of the proxy itself, which is not root's.
        workers: Worker processes; `auto` for one per core.
        access_log: File, or `/dev/stdout`.
        error_log: File, or `stderr`.
        shutdown_seconds: How long open requests may take to end.
    """

    folder: Path
    gateways: Sequence[str]
    certificate: Path
    key: Path
    public_url: str
    host: str
    port: int
    client_ca: Path | None = None
    user: str | None = None
    workers: str = "auto"
    access_log: str = ""
    error_log: str = ""
    shutdown_seconds: int = 65

    def render(self) -> str:
        """
        Write the configuration file.

        Raises:
            ProxyError: A value would mean something else to nginx than what it is.
        """
        if not self.gateways:
            raise ProxyError("The proxy has no gateway to pass requests to.", remedy="Name at least one host:port.")
        host = f"[{self.host}]" if ":" in self.host else self.host
        words = {
            "user": f"user {_plain(self.user)};" if self.user else "",
            "workers": _plain(self.workers),
            "folder": _plain(self.folder),
            "pid_file": _plain(self.folder / "nginx.pid"),
            "access_log": _plain(self.access_log or self.folder / "access.log"),
            "error_log": _plain(self.error_log or self.folder / "error.log"),
            "shutdown_seconds": str(self.shutdown_seconds),
            "gateways": "\n".join(
                # A gateway that failed is tried again after a few seconds: a restart takes no longer.
                f"        server {_plain(gateway)} max_fails=1 fail_timeout=3s;"
                for gateway in self.gateways
            ),
            "listen": _plain(f"{host}:{self.port}"),
            "backlog": " backlog=2048",
            "certificate": _plain(self.certificate),
            "key": _plain(self.key),
            "client_certificates": self._client_certificates(),
            "vxp_addresses": _VXP_ADDRESSES,
            "problem_texts": self._problem_texts(),
            "error_pages": _error_pages(),
        }
        return re.sub(r"@(\w+)@", lambda found: words[found[1]], _TEMPLATE.read_text(encoding="utf-8"))

    def _client_certificates(self) -> str:
        if self.client_ca is None:
            return "        ssl_verify_client optional_no_ca;"
        return "\n".join(
            f"        {line};"
            for line in (
                "ssl_verify_client optional",
                f"ssl_client_certificate {_plain(self.client_ca)}",
                "ssl_verify_depth 3",
            )
        )

    def _problem_texts(self) -> str:
        lines = []
        for code in _REFUSALS:
            lines.append(f"    map $problem_language ${_variable(code)} {{")
            lines += [f"        {language} {_quoted(self._problem(code, language))};" for language in _LANGUAGES]
            lines.append("    }")
        return "\n".join(lines)

    def _problem(self, code: str, language: Language) -> str:
        kind = PROBLEMS[code]
        details = ProblemDetails(
            type=f"{self.public_url.rstrip('/')}/problems/{code}",
            title=kind.title.in_language(language),
            status=kind.status,
            detail=kind.example,
            instance="@instance@",
            code=code,
            remedy=kind.change.in_language(language),
            correlation_id="@correlation@",
        )
        text = details.model_dump_json()
        if "$" in text:
            raise ProxyError(f"The text of {code} holds a $, which nginx would replace.", remedy="Word it otherwise.")
        return text.replace("@instance@", "$problem_instance").replace("@correlation@", "$correlation_id")


def _error_pages() -> str:
    lines = []
    for code, statuses in _REFUSALS.items():
        kind = PROBLEMS[code]
        found = " ".join(str(status) for status in statuses)
        # An address rather than a name: a request too broken to have an address cannot go to a named location.
        lines.append(f"        error_page {found} ={kind.status} {_PAGES}$reader/{code};")
        lines += _error_page(kind, "problems", PROBLEM_MEDIA_TYPE, f"${_variable(code)}", "$problem_language")
        lines += _error_page(kind, "vxp", "application/json", _quoted(_in_vxp(kind)))
        lines += _error_page(kind, "download", "application/octet-stream", "$nothing")
    return "\n".join(lines)


def _error_page(kind: ProblemKind, reader: str, media_type: str, body: str, language: str = "") -> list[str]:
    lines = [
        f"        location = {_PAGES}{reader}/{kind.code} {{",
        "            internal;",
        # Neither a file's ending nor the failed request decides about the type.
        "            types { }",
        f"            default_type {media_type};",
        "            add_header Cache-Control no-store always;",
        "            add_header X-Correlation-Id $correlation_id always;",
    ]
    if language:
        lines.append(f"            add_header Content-Language {language} always;")
    if (seconds := _RETRY_AFTER.get(kind.code, kind.retry_after)) is not None:
        lines.append(f"            add_header Retry-After {seconds} always;")
    return [*lines, f"            return {kind.status} {body};", "        }"]


def _in_vxp(kind: ProblemKind) -> str:
    """An error page of a proxy reads as an empty inbox to one release of the client, so it gets its own form too."""
    text = write_refusal(kind, kind.example).decode()
    if "$" in text:
        raise ProxyError(f"The text of {kind.code} holds a $, which nginx would replace.", remedy="Word it otherwise.")
    return text


def _variable(code: str) -> str:
    return f"problem_{code.replace('-', '_')}"


def _plain(value: object) -> str:
    """Nginx has no quoting that is safe in every place, so a word that needs any is refused."""
    text = str(value)
    if not _PLAIN.fullmatch(text):
        raise ProxyError(f"{text!r} cannot stand in nginx's configuration.", remedy="Use a name without such signs.")
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
