"""The broker: can each process work with it, is the topology there and the one of this release, is it this node's."""

from collections.abc import AsyncIterator, Iterable
from typing import Final

from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
    InvalidFrameError,
    ProbableAuthenticationError,
)

from deploy.distributed.broker_checks import CLAIM, connected
from deploy.distributed.database import Identity, connect
from deploy.doctor.database import read_owner
from deploy.doctor.finding import Finding, bad, good, sample
from deploy.doctor.subject import Subject
from deploy.embedded.errors import NodeError
from shared.messaging.rabbitmq.topology import AXIS, Queue

_SET_UP: Final = (
    "Chạy `axis broker setup`, hoặc nạp kết quả của `axis broker definitions` bằng rabbitmqctl import_definitions.",
    "Run `axis broker setup`, or load what `axis broker definitions` prints with rabbitmqctl import_definitions.",
)


async def look_at_broker(subject: Subject) -> AsyncIterator[Finding]:
    """
    Look at the broker as each process does, with its own user.
    """
    identity = await _owner(subject)
    for process, url in subject.brokers.items():
        try:
            async with connected(url, process) as connection:
                findings = [one async for one in _look_inside(connection, process)]
                claimed = None if identity is None else await _claimed(connection, identity)
        except NodeError as error:
            yield _refused(process, error)
            continue
        except (AMQPError, OSError) as error:
            yield bad(
                "broker",
                (f"broker ngắt kết nối của {process}", f"the broker ended the connection: {error}"),
                ("Xem nhật ký của RabbitMQ.", "Read the log of RabbitMQ."),
            )
            continue
        for finding in findings:
            yield finding
        if claimed is not None:
            yield claimed


def _refused(process: str, error: NodeError) -> Finding:
    variable = f"{process.upper()}_BROKER_URL"
    match error.__cause__:
        case AuthenticationError() | ProbableAuthenticationError():
            return bad(
                "broker-credentials",
                (f"broker từ chối tên hoặc mật khẩu của {process}", error.problem),
                (f"Sửa {variable}; `axis broker setup` đặt mật khẩu theo đó.", error.remedy),
            )
        case ConnectionNotAllowed() | InvalidFrameError():
            return bad(
                "broker-credentials",
                (f"broker không cho {process} vào virtual host này", error.problem),
                (f"Sửa virtual host trong {variable}.", error.remedy),
            )
        case _:
            return bad(
                "broker",
                (f"{process} không tới được broker", error.problem),
                (f"Khởi động RabbitMQ, hoặc sửa máy chủ, cổng trong {variable}.", error.remedy),
            )


async def _look_inside(connection: AbstractConnection, process: str) -> AsyncIterator[Finding]:
    if process not in AXIS.parties:
        return
    lasting = [*AXIS.event_queues(process), *AXIS.dead_queues(process)]
    names = [one.name for one in AXIS.exchanges()] if process == "routing" else []
    missing = [name for name in names if not await _has_exchange(connection, name)]
    missing += [one.name for one in lasting if not await _has_queue(connection, one.name)]
    if missing:
        yield bad(
            "topology",
            (f"broker thiếu hàng đợi, exchange của {process}: {sample(missing)}", "the broker lacks the topology"),
            _SET_UP,
        )
    own = [one for one in AXIS.event_queues(process) if one.name not in missing]
    conflicting = await _conflicting(connection, own)
    if conflicting:
        yield bad(
            "topology",
            (
                f"hàng đợi của {process} khác với bản này: {sample(conflicting)}",
                "queues of that name have other arguments than this release declares",
            ),
            (
                "Chờ chúng vơi, xóa (rabbitmqctl delete_queue TÊN), rồi `axis broker setup`.",
                "Let them drain, delete them (rabbitmqctl delete_queue NAME), then `axis broker setup`.",
            ),
        )
    if not missing and not conflicting:
        yield good("topology", f"{process} vào được broker và đủ hàng đợi", "it reaches the broker and its queues")


async def _has_queue(connection: AbstractConnection, name: str) -> bool:
    # A refusal closes the channel, so each question has its own.
    channel = await connection.channel()
    try:
        await channel.queue_declare(name, passive=True)
    except ChannelNotFoundEntity:
        return False
    except (ChannelAccessRefused, ChannelLockedResource):
        return True  # it is there, and somebody else's
    await channel.close()
    return True


async def _has_exchange(connection: AbstractConnection, name: str) -> bool:
    channel = await connection.channel()
    try:
        await channel.exchange_declare(name, passive=True)
    except ChannelNotFoundEntity:
        return False
    await channel.close()
    return True


async def _conflicting(connection: AbstractConnection, queues: Iterable[Queue]) -> list[str]:
    found = []
    for queue in queues:
        channel: AbstractChannel = await connection.channel()
        try:
            await channel.queue_declare(queue.name, durable=queue.durable, arguments=dict(queue.arguments))
        except ChannelPreconditionFailed:
            found.append(queue.name)
            continue
        await channel.close()
    return found


async def _owner(subject: Subject) -> Identity | None:
    url = subject.databases.get("routing")
    if url is None or not subject.brokers:
        return None
    try:
        connection = await connect(url, "routing")
    except NodeError:
        return None  # said where the database is looked at
    try:
        return await read_owner(connection)
    finally:
        await connection.close()


async def _claimed(connection: AbstractConnection, identity: Identity) -> Finding:
    if await _has_exchange(connection, f"{CLAIM}.{identity.node_id}.{identity.installation}"):
        return good("identity", "broker là của nút này", "the broker is this node's")
    if await _has_exchange(connection, CLAIM):
        return bad(
            "identity",
            (
                "broker đang phục vụ nút khác, hoặc nút này với cơ sở dữ liệu khác",
                "the broker serves another node, or this one with another database",
            ),
            (
                "Dừng bản kia nếu là bản sao; nếu không, ghi virtual host khác vào …_BROKER_URL.",
                "If one is a copy, stop it; else name another virtual host in …_BROKER_URL: nodes never share one.",
            ),
        )
    return bad("identity", ("broker chưa gắn với nút nào", "the broker was not claimed by any node"), _SET_UP)
