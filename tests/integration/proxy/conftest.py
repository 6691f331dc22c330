import asyncio
import os
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from deploy.proxy.certificates import ProxyCertificate, make_certificate
from deploy.proxy.errors import ProxyError
from deploy.proxy.nginx import Proxy
from deploy.proxy.programs import find_nginx
from tests.integration.proxy.upstream import Upstream

_PREFIX = "axis-proxy-tests-"

MakeProxy = Callable[..., Awaitable[Proxy]]
MakeUpstream = Callable[..., Awaitable[Upstream]]


@pytest.fixture(scope="session", autouse=True)
def nginx() -> Path:
    try:
        return find_nginx()
    except ProxyError as error:
        pytest.skip(f"LEFT OUT: tests of the proxy. {error}")


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """
    A folder that the next run finds, with what still runs in it, if this one is killed.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).split("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists() and left.stat().st_uid == os.getuid():
            for file in left.glob("*/nginx.pid"):
                Proxy(file.parent, gateways=[], certificate=file, key=file).stop(seconds=0)
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server_certificate(folder: Path) -> ProxyCertificate:
    return make_certificate(folder / "certificate")


@pytest.fixture
async def make_proxy(folder: Path, server_certificate: ProxyCertificate) -> AsyncIterator[MakeProxy]:
    """
    `await make_proxy(upstream, …)`: a proxy in front of some upstreams or addresses.
    """
    async with AsyncExitStack() as stack:

        async def make(*gateways: Upstream | str, **options: object) -> Proxy:
            given = {
                "certificate": server_certificate.certificate,
                "key": server_certificate.key,
                "workers": "1",
                "shutdown_seconds": 5,
                **options,
            }
            addresses = [gateway if isinstance(gateway, str) else gateway.address for gateway in gateways]
            proxy = Proxy(Path(tempfile.mkdtemp(prefix="proxy-", dir=folder)), gateways=addresses, **given)  # type: ignore[arg-type]
            await asyncio.to_thread(proxy.start)
            stack.push_async_callback(asyncio.to_thread, proxy.stop)
            return proxy

        yield make


@pytest.fixture
async def make_upstream() -> AsyncIterator[MakeUpstream]:
    """
    `await make_upstream(talk)`: a server behind the proxy.
    """
    async with AsyncExitStack() as stack:

        async def make(**options: object) -> Upstream:
            return await stack.enter_async_context(Upstream(**options).listening())  # type: ignore[arg-type]

        yield make


@pytest.fixture
async def upstream(make_upstream: MakeUpstream) -> Upstream:
    return await make_upstream()


@pytest.fixture
async def proxy(make_proxy: MakeProxy, upstream: Upstream) -> Proxy:
    return await make_proxy(upstream)


@pytest.fixture
def trusting(server_certificate: ProxyCertificate) -> ssl.SSLContext:
    """
    What a client that trusts the proxy's certificate connects with.
    """
    return ssl.create_default_context(cafile=server_certificate.authority)


@pytest.fixture
async def client(proxy: Proxy, trusting: ssl.SSLContext) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=proxy.url, verify=trusting, timeout=30) as client:
        yield client
