"""
The proxy as a process: started, told of changes, ended.
"""

import asyncio
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import gateway.api.node
from deploy.embedded.listeners import KEEP_ALIVE_SECONDS
from deploy.proxy.certificates import ProxyCertificate, make_certificate
from deploy.proxy.errors import ProxyError
from deploy.proxy.nginx import Proxy
from deploy.proxy.watch import addresses_of
from gateway.settings import Settings
from tests.integration.proxy.conftest import MakeProxy, MakeUpstream
from tests.integration.proxy.upstream import Seen, Upstream

ROOT = Path(__file__).parents[3]


def processes_of(proxy: Proxy) -> set[int]:
    """
    Every living process that has a file of the proxy's folder open, or names it.
    """
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (place / "cmdline").read_bytes()
            files = {str(file.readlink()) for file in (place / "fd").iterdir()} if b"nginx" in arguments else set()
        except OSError:
            continue
        if b"nginx" in arguments and any(file.startswith(str(proxy.folder)) for file in files):
            found.add(int(place.name))
    return found


async def served_by(proxy: Proxy, certificate: ProxyCertificate) -> bool:
    """
    Whether a client that trusts only this certificate's authority gets an answer.
    """
    context = ssl.create_default_context(cafile=certificate.authority)
    try:
        async with httpx.AsyncClient(base_url=proxy.url, verify=context, timeout=30) as client:
            return (await client.get("/")).status_code == 200
    except httpx.ConnectError:
        return False


async def test_a_stopped_proxy_leaves_nothing_running(make_proxy: MakeProxy, upstream: Upstream) -> None:
    proxy = await make_proxy(upstream)
    assert processes_of(proxy)
    await asyncio.to_thread(proxy.stop)
    assert processes_of(proxy) == set()
    assert proxy.pid is None
    await asyncio.to_thread(proxy.stop)


async def test_another_object_on_the_folder_finds_and_ends_it(make_proxy: MakeProxy, upstream: Upstream) -> None:
    proxy = await make_proxy(upstream)
    other = Proxy(proxy.folder, gateways=proxy.gateways, certificate=proxy.certificate, key=proxy.key)
    with pytest.raises(ProxyError, match="runs in"):
        other.start()
    await asyncio.to_thread(other.stop)
    assert processes_of(proxy) == set()


async def test_workers_of_a_killed_proxy_do_not_keep_the_next_from_its_port(
    make_proxy: MakeProxy, upstream: Upstream, server_certificate: ProxyCertificate
) -> None:
    proxy = await make_proxy(upstream)
    port, pid = proxy.port, proxy.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while proxy.pid is not None:
        await asyncio.sleep(0.01)
    again = Proxy(
        proxy.folder, gateways=proxy.gateways, certificate=proxy.certificate, key=proxy.key, port=port, workers="1"
    )
    await asyncio.to_thread(again.start)
    try:
        assert await served_by(again, server_certificate)
    finally:
        await asyncio.to_thread(again.stop)
    assert processes_of(proxy) == set()


async def test_a_new_certificate_is_taken_up_while_requests_are_open(
    make_proxy: MakeProxy, make_upstream: MakeUpstream, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    async def talk(upstream: Upstream, seen: Seen, reader: object, writer: asyncio.StreamWriter) -> None:
        if "/wait" in seen.line:
            await upstream.turn.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    upstream = await make_upstream(talk=talk)
    old, new = make_certificate(tmp_path / "old"), make_certificate(tmp_path / "new")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    _put(old, certificate, key)
    proxy = await make_proxy(upstream, certificate=certificate, key=key)
    assert await served_by(proxy, old)
    context = ssl.create_default_context(cafile=old.authority)
    async with httpx.AsyncClient(base_url=proxy.url, verify=context, timeout=30) as client:
        waiting = asyncio.create_task(client.get("/wait"))
        while not any("/wait" in seen.line for seen in upstream.requests):
            await asyncio.sleep(0.01)
        _put(new, certificate, key)
        await asyncio.to_thread(proxy.reload)
        assert await served_by(proxy, new)
        assert not await served_by(proxy, old)
        upstream.turn.set()
        assert (await waiting).status_code == 200


async def test_a_certificate_that_does_not_fit_its_key_changes_nothing(
    make_proxy: MakeProxy, upstream: Upstream, tmp_path: Path
) -> None:
    old, new = make_certificate(tmp_path / "old"), make_certificate(tmp_path / "new")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    _put(old, certificate, key)
    proxy = await make_proxy(upstream, certificate=certificate, key=key)
    shutil.copy(new.certificate, certificate)
    with pytest.raises(ProxyError, match="Give the key that belongs to the certificate"):
        await asyncio.to_thread(proxy.reload)
    assert await served_by(proxy, old)


async def test_gateways_may_change_while_it_runs(
    make_proxy: MakeProxy, make_upstream: MakeUpstream, server_certificate: ProxyCertificate
) -> None:
    first, second = await make_upstream(), await make_upstream()
    proxy = await make_proxy(first)
    await asyncio.to_thread(lambda: proxy.reload(gateways=[second.address]))
    assert await served_by(proxy, server_certificate)
    assert (len(first.requests), len(second.requests)) == (0, 1)


def test_what_keeps_it_from_starting_is_said_with_a_remedy(
    folder: Path, server_certificate: ProxyCertificate, tmp_path: Path
) -> None:
    def start(**options: object) -> str:
        given = {
            "gateways": ["127.0.0.1:9"],
            "certificate": server_certificate.certificate,
            "key": server_certificate.key,
            **options,
        }
        with pytest.raises(ProxyError) as caught:
            Proxy(tmp_path / "proxy", **given).start()  # type: ignore[arg-type]
        assert Proxy(tmp_path / "proxy", gateways=[], certificate=tmp_path, key=tmp_path).pid is None
        return caught.value.remedy

    assert "PEM files" in start(certificate=tmp_path / "nothing.pem")
    assert "host:port" in start(gateways=[])
    assert "addresses" in start(gateways=["no-such-name.invalid:80"])
    assert "without such signs" in start(gateways=["127.0.0.1:80; include /etc/passwd"])
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port}" in start(port=port)


def test_an_ordinary_user_can_run_it(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("every other test here runs as an ordinary user already")
    home = Path(tempfile.mkdtemp(prefix="axis-proxy-user-"))
    code = (
        "import encodings.ascii, encodings.idna, os, pathlib, sys\n"
        "from deploy.proxy.certificates import make_certificate\n"
        "from deploy.proxy.nginx import Proxy\n"
        # Only now, because an ordinary user may not reach the environment of root's.
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "files = make_certificate(home / 'certificate')\n"
        "with Proxy(home / 'proxy', gateways=['127.0.0.1:9'], certificate=files.certificate, key=files.key) as proxy:\n"
        "    print(pathlib.Path('/proc', str(proxy.pid)).stat().st_uid)\n"
        "print(proxy.pid)\n"
    )
    try:
        os.chown(home, 65534, 65534)
        done = subprocess.run(
            [sys.executable, "-c", code, str(home)],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["65534", "None"]
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def own_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    _put(make_certificate(tmp_path / "old"), tmp_path / "certificate.pem", tmp_path / "key.pem")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PROXY_CERTIFICATE_FILE": str(tmp_path / "certificate.pem"),
        "PROXY_KEY_FILE": str(tmp_path / "key.pem"),
        "PROXY_PUBLIC_URL": "https://truc.example.vn",
        "PROXY_FOLDER": str(tmp_path / "proxy"),
        "PROXY_GATEWAYS": "localhost:9",
        "PROXY_PORT": str(_free_port()),
        "PROXY_LOOK_SECONDS": "0.2",
        "PROXY_SHUTDOWN_SECONDS": "2",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.proxy"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def said(process: subprocess.Popen[str], words: str) -> str:
    """
    The next line with these words.
    """
    assert process.stdout is not None
    return next(line for line in process.stdout if words in line)


def served_certificate(line: str) -> str:
    """
    The certificate that the proxy shows, whose address stands in its own line.
    """
    port = re.findall(r"https://127\.0\.0\.1:(\d+)", line)[0]
    return ssl.get_server_certificate(("127.0.0.1", int(port)))


def test_a_certificate_that_is_replaced_is_taken_up_by_itself(
    own_process: subprocess.Popen[str], tmp_path: Path
) -> None:
    line = said(own_process, "proxy ready")
    assert served_certificate(line) == (tmp_path / "old" / "certificate.pem").read_text()
    new = make_certificate(tmp_path / "new")
    shutil.copy(new.certificate, tmp_path / "certificate.pem")
    # The key does not fit yet: the old pair stays, and the next look finds the new one whole.
    assert "Give the key that belongs" in said(own_process, "old configuration")
    assert served_certificate(line) == (tmp_path / "old" / "certificate.pem").read_text()
    shutil.copy(new.key, tmp_path / "key.pem")
    said(own_process, "took a change")
    assert served_certificate(line) == new.certificate.read_text()


def test_as_a_process_of_its_own_it_ends_with_everything_it_started(
    own_process: subprocess.Popen[str], tmp_path: Path
) -> None:
    said(own_process, "proxy ready")
    pid = int((tmp_path / "proxy" / "nginx.pid").read_text())
    own_process.terminate()
    assert own_process.wait(20) == 0
    assert not Path("/proc", str(pid)).exists()


def test_a_process_that_lacks_settings_names_them() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.proxy"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "PROXY_GATEWAYS" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_stands_for_all_its_addresses() -> None:
    assert "127.0.0.1:80" in addresses_of(["localhost:80"])
    assert addresses_of(["no-such-name.invalid:80", "rubbish", "127.0.0.1:81"]) == ["127.0.0.1:81"]


def test_its_patience_fits_that_of_the_gateways(proxy: Proxy) -> None:
    text = (proxy.folder / "nginx.conf").read_text(encoding="utf-8")
    settings = Settings()

    def seconds(directive: str) -> int:
        return int(re.findall(rf"^\s*{directive} (\d+)s;", text, re.MULTILINE)[-1])

    longest = max(settings.submit_seconds, gateway.api.node.Limits.model_fields["max_wait_seconds"].default)
    assert seconds("proxy_read_timeout") > longest
    assert seconds("client_body_timeout") > settings.body_idle_seconds
    upstream = text[text.index("upstream gateways") :]
    assert int(re.findall(r"keepalive_timeout (\d+)s", upstream)[0]) < KEEP_ALIVE_SECONDS
    number, kib = re.findall(r"large_client_header_buffers (\d+) (\d+)k", text)[0]
    assert int(kib) * 1024 > settings.max_header_bytes
    assert int(number) > 1


def _put(files: ProxyCertificate, certificate: Path, key: Path) -> None:
    shutil.copy(files.certificate, certificate)
    shutil.copy(files.key, key)


def _free_port() -> int:
    import socket

    for port in range(20_000 + time.time_ns() % 10_000, 32_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
