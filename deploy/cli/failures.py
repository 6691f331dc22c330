"""
How a command that failed says so: what happened, what to do, and an exit code a script can act on.
"""

from typing import Any, assert_never
from urllib.parse import urlsplit

import typer
from rich.markup import escape
from typer.core import TyperGroup

from deploy.cli.errors import ExitCode, LocalProblem
from deploy.cli.output import problems
from deploy.embedded.errors import NodeError
from shared.client import (
    ClientError,
    CredentialInvalid,
    DigestMismatch,
    NodeUnreachable,
    ProblemEntry,
    ProblemError,
    ReceiptInvalid,
    Rejected,
)
from shared.errors import AxisError
from shared.errors import Rejected as PacketRejected

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class AxisGroup(TyperGroup):
    """
    The root command: every failure we know of ends here.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (ClientError, AxisError, LocalProblem, OSError) as failure:
            raise typer.Exit(explain(failure)) from failure


def explain(failure: ClientError | AxisError | LocalProblem | OSError) -> ExitCode:
    """
    Say what went wrong and choose the exit code.
    """
    match failure:
        case ProblemError():
            _explain_problem(failure)
            return ExitCode.REFUSED if isinstance(failure, Rejected) else ExitCode.LATER
        case NodeUnreachable():
            _explain_silence(failure)
            return ExitCode.LATER
        case ReceiptInvalid() | DigestMismatch():
            _say("Câu trả lời của nút không đáng tin", "What the node gave cannot be trusted", str(failure))
            _remedy("Gửi hoặc tải lại; nếu vẫn vậy, báo quản trị nút. / Try again; if it stays so, tell the operator.")
            return ExitCode.LATER
        case CredentialInvalid():
            _say("Không dùng được tệp thông tin kết nối", "The credential cannot be used", str(failure))
            _remedy(
                "Chỉ ra tệp bằng --credential hoặc AXIS_CREDENTIAL; lấy tệp bằng `axis register collect`. / "
                "Name the file with --credential or AXIS_CREDENTIAL; `axis register collect` writes it."
            )
        case LocalProblem() | NodeError():
            _say("Không làm được", "That did not work", failure.problem)
            _remedy(failure.remedy)
        case PacketRejected():
            _say("Gói tin không hợp lệ", "The packet is not valid", failure.detail)
            _entries(tuple(ProblemEntry.model_validate(one.model_dump()) for one in failure.errors))
        case OSError():
            what = f"{failure.filename}: {failure.strerror}" if failure.filename else str(failure)
            _say("Không đọc hoặc ghi được tệp", "A file cannot be read or written", what)
        case ClientError() | AxisError():
            _say("Không làm được", "That did not work", str(failure))
        case _:
            assert_never(failure)
    return ExitCode.LOCAL


def _explain_problem(problem: ProblemError) -> None:
    heading = problem.title or problem.code
    remedy = problem.remedy
    if problem.code == "invalid-client":
        # The token endpoint answers in the words of RFC 6749, which has no place for either.
        heading = "Không xác thực được hệ thống / the system is not authenticated"
        remedy = (
            "Kiểm tra tệp thông tin kết nối; hỏi quản trị nút xem hệ thống có bị khóa không. / "
            "Check the credential file, and ask the operator whether the system is disabled."
        )
    problems.print(f"[bold red]✗ {escape(heading)}[/bold red]", soft_wrap=True)
    if problem.detail:
        problems.print(f"  {escape(problem.detail)}", soft_wrap=True)
    _entries(problem.errors)
    if remedy:
        _remedy(remedy)
    if problem.retry_after is not None:
        seconds = f"{problem.retry_after:g}"
        _remedy(f"Thử lại sau {seconds} giây. / Try again in {seconds} seconds.")
    problems.print(f"  mã / code: {escape(problem.code)}  (HTTP {problem.status})", soft_wrap=True)
    if problem.correlation_id:
        problems.print(f"  mã đối chiếu / correlation id: {escape(problem.correlation_id)}", soft_wrap=True)


def _explain_silence(silence: NodeUnreachable) -> None:
    _say("Nút không trả lời", "The node does not answer", f"{silence.url}: {silence.reason}")
    if urlsplit(silence.url).hostname in _LOOPBACK:
        _remedy(
            "Nút chưa chạy? Khởi động: `axis run` hoặc `make up`. / Is it running? Start it: `axis run` or `make up`."
        )
    else:
        _remedy("Kiểm tra đường truyền và địa chỉ, rồi thử lại. / Check line and address, then try again.")


def _say(vi: str, en: str, detail: str) -> None:
    problems.print(f"[bold red]✗ {vi}[/bold red] [dim]/ {en}[/dim]", soft_wrap=True)
    problems.print(f"  {escape(detail)}", soft_wrap=True)


def _entries(entries: tuple[ProblemEntry, ...]) -> None:
    for entry in entries:
        line = f" (dòng / line {entry.line})" if entry.line else ""
        problems.print(f"  • {escape(entry.pointer)}{line}: {escape(entry.detail)}", soft_wrap=True, end="")
        problems.print(f" [dim]{escape(entry.code)}[/dim]" if entry.code else "", soft_wrap=True)


def _remedy(remedy: str) -> None:
    problems.print(f"  → {escape(remedy)}", soft_wrap=True)
