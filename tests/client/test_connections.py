"""Connections of threads, event loops and processes; certificates and proxies."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import httpx
import pytest

from flashback_client import AsyncFlashbackClient, FlashbackClient, FlashbackError, errors
from flashback_runtime.settings import proxy_for
from tests.certificates import self_signed
from tests.client.support import ID, TOKEN, UPDATED, Service, blocking
from tests.client.wire import Request, answer, says, serving

if TYPE_CHECKING:
    import socket

FINE = answer(200, UPDATED)
KINDS = [FlashbackClient, AsyncFlashbackClient]


def echo(connection: socket.socket, request: Request, _: int) -> None:
    """Answer with the ID of the request."""
    connection.sendall(answer(200, {"success": True, "aiLlmId": request.target[8:]}))


async def call(client: AsyncFlashbackClient) -> Any:
    """Make one call with the async client."""
    return await client.update_ai_llm(ID)


def test_threads_share_one_client() -> None:
    """Sixteen threads that use a new client at once get their own responses."""
    gate = threading.Barrier(16)

    def work(number: int) -> bool:
        gate.wait()
        return client.update_ai_llm(str(number)).ai_llm_id == str(number)

    with serving(echo) as wire:
        with blocking(wire.url) as client, ThreadPoolExecutor(16) as threads:
            assert all(threads.map(work, range(16)))
        assert wire.all_end()


def test_tasks_share_one_client() -> None:
    """Fifty concurrent calls each get their own response."""

    async def many(url: str) -> list[Any]:
        async with AsyncFlashbackClient(TOKEN, base_url=url) as client:
            calls = [client.update_ai_llm(str(number)) for number in range(50)]
            return [updated.ai_llm_id for updated in await asyncio.gather(*calls)]

    with serving(echo) as wire:
        assert asyncio.run(many(wire.url)) == [str(number) for number in range(50)]


def test_client_serves_several_event_loops() -> None:
    """Each `asyncio.run` gets its own connections and leaves none open."""
    with serving(says(FINE)) as wire:
        client = AsyncFlashbackClient(TOKEN, base_url=wire.url)
        for _ in range(3):
            assert asyncio.run(call(client)).success is True
        assert wire.connections == 3
        assert wire.all_end()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer every call with success, as an ASGI application."""
    del scope, receive
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"success": true}'})


@pytest.mark.parametrize(
    "transport", [Service(), httpx.ASGITransport(application)], ids=["mock", "asgi"]
)
def test_in_memory_transport_works_in_every_event_loop(transport: Any) -> None:
    """A module-level client with such a transport works in every test of pytest-asyncio."""
    client = AsyncFlashbackClient(TOKEN, transport=transport)
    for _ in range(3):
        assert asyncio.run(call(client)).success is True


def test_given_httpx_client_belongs_to_one_event_loop() -> None:
    """Using it in another event loop raises an error."""
    given = httpx.AsyncClient(transport=Service())
    client = AsyncFlashbackClient(TOKEN, http_client=given)
    asyncio.run(call(client))
    with pytest.raises(FlashbackError, match="another event loop"):
        asyncio.run(call(client))


def test_given_httpx_client_belongs_to_one_process() -> None:
    """Using it in a forked child raises an error."""
    with httpx.Client(transport=Service()) as given:
        client = FlashbackClient(TOKEN, http_client=given)
        client.update_ai_llm(ID)
        child = os.fork()
        if child == 0:
            try:
                client.update_ai_llm(ID)
            except FlashbackError as error:
                os._exit(0 if "after the fork" in str(error) else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0


def test_call_after_the_given_httpx_client_is_closed() -> None:
    """The error is the same as after close()."""
    with httpx.Client(transport=Service()) as given:
        client = FlashbackClient(TOKEN, http_client=given)
        client.update_ai_llm(ID)
    with pytest.raises(FlashbackError, match="this client is closed"):
        client.update_ai_llm(ID)


FORKING = """
import os, sys
from flashback_client import FlashbackClient
client = FlashbackClient("tok", base_url=sys.argv[1], max_retries=0)
def all_are_mine(who):
    ids = [f"{who}-{number}" for number in range(50)]
    return [client.update_ai_llm(id_, name="n").ai_llm_id for id_ in ids] == ids
client.update_ai_llm("warm", name="n")
child = os.fork()
right = all_are_mine("child" if child == 0 else "parent")
if child == 0:
    os._exit(0 if right else 1)
_, status = os.waitpid(child, 0)
client.close()
sys.exit(0 if right and status == 0 else 1)
"""


def test_forked_child_uses_its_own_connections() -> None:
    """Parent and child make fifty calls at the same time, and each gets its own responses."""
    with serving(echo) as wire:
        command = [sys.executable, "-c", FORKING, wire.url]
        assert subprocess.run(command, timeout=60, check=False).returncode == 0
    parents = {r.connection for r in wire.requests if "child" not in r.target}
    children = {r.connection for r in wire.requests if "child" in r.target}
    assert parents.isdisjoint(children)


def test_request_is_sent_even_if_a_response_is_waiting() -> None:
    """A server that sent one response too many still receives the next request."""
    with serving(says(FINE + FINE, FINE)) as wire:
        with blocking(wire.url) as client:
            client.update_ai_llm(ID)
            client.update_ai_llm(ID, name="second")
        assert wire.all_end()
        assert [request.body for request in wire.requests] == [b"{}", b'{"name":"second"}']


def test_closing_an_async_client_closes_its_connections() -> None:
    """After aclose(), no connection is open."""

    async def close(url: str) -> None:
        async with AsyncFlashbackClient(TOKEN, base_url=url) as client:
            await client.update_ai_llm(ID)
        await asyncio.sleep(0)
        assert await asyncio.to_thread(wire.all_end)

    with serving(says(FINE)) as wire:
        asyncio.run(close(wire.url))
        assert wire.connections == 1


WITHOUT_DESCRIPTORS = """
import asyncio, os, resource, sys
from flashback_client import AsyncFlashbackClient, FlashbackClient, FlashbackError

most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
def limit(number):
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))
def used():
    return len(os.listdir("/proc/self/fd")) - 1
def attempt(call):
    try:
        call()
    except FlashbackError as error:
        applied = ", may be applied" if error.maybe_applied else ""
        print(f"{type(error).__name__} {'Too many open files' in str(error)}{applied}")
    limit(most)

for _ in range(2):
    for kind in (FlashbackClient, AsyncFlashbackClient):
        limit(0)
        attempt(lambda: kind("tok"))
    import httpcore, flashback_runtime.async_transport
url = sys.argv[1]
async def call():
    client = AsyncFlashbackClient("tok", base_url=url, max_retries=0)
    await client.update_ai_llm("a", secret="s<")
    limit(used())
    await client.with_options(base_url=url.replace("127.0.0.1", "localhost")).update_ai_llm("a")
attempt(lambda: asyncio.run(call()))
client = FlashbackClient("tok", base_url=url, max_retries=0)
limit(used())
attempt(lambda: client.update_ai_llm("a", secret="s<"))
"""


def test_too_many_open_files_is_a_flashback_error() -> None:
    """Without a free file descriptor, the constructor and a call raise a FlashbackError."""
    with serving(says(FINE)) as wire:
        command = [sys.executable, "-c", WITHOUT_DESCRIPTORS, wire.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    expected = ["FlashbackError True"] * 4 + ["ApiConnectionError True"] * 2
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [None, b"not a certificate"])
def test_error_names_the_variable_of_an_unusable_ca_file(
    kind: Any, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The constructor raises an ArgumentError for a missing or invalid SSL_CERT_FILE."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(errors.ArgumentError, match="SSL_CERT_FILE cannot be used"):
        kind(TOKEN)
    kind(TOKEN, base_url="http://127.0.0.1")  # http does not need certificates


def test_only_the_ca_variable_that_applies_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE overrides SSL_CERT_DIR, which may list several folders."""
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}{os.pathsep}{tmp_path}")
    FlashbackClient(TOKEN).close()
    monkeypatch.setenv("SSL_CERT_DIR", "/nonexistent")
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    FlashbackClient(TOKEN).close()
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(errors.ArgumentError, match="SSL_CERT_DIR cannot be used"):
        FlashbackClient(TOKEN)


def test_changed_ca_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new client reads a file that has changed; an unchanged file is read once."""
    made: list[ssl.SSLContext] = []
    create = httpx.create_ssl_context

    def counted() -> ssl.SSLContext:
        made.append(create())
        return made[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", counted)
    file = tmp_path / "ca.pem"
    file.write_bytes(Path(certifi.where()).read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    for _ in range(3):
        FlashbackClient(TOKEN).close()
    assert len(made) == 1
    file.write_bytes(Path(certifi.where()).read_bytes() + b"\n")
    FlashbackClient(TOKEN).close()
    assert len(made) == 2


def test_proxy_of_the_environment_is_used(update: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client uses HTTP_PROXY, with a login whose password contains #, @ and /."""
    with serving(says(FINE)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//us%65r:p#a@s/s@") + "\n")
        assert update("http://inside.test", allow_http=True).success is True
        (request,) = proxy.requests
    assert request.target == f"http://inside.test/ai/llm/{ID}"
    assert request.headers["proxy-authorization"] == "Basic dXNlcjpwI2FAcy9z"


def test_https_is_tunneled_through_the_proxy(
    update: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy receives CONNECT and then only encrypted data."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "ca.pem", "inside.test"))
    received = bytearray()

    def behave(connection: socket.socket, _: Request, __: int) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as secure:
            while b'"tunnel"}' not in received:
                received.extend(secure.recv(65536))
            secure.sendall(FINE)

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with serving(behave) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        assert update("https://inside.test", name="tunnel", max_retries=0).success is True
        (request,) = proxy.requests
    assert (request.method, request.target) == ("CONNECT", "inside.test:443")
    assert "authorization" not in request.headers
    assert f"Bearer {TOKEN}".encode() in received


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_proxy_is_never_used_for_loopback(
    update: Any, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests to loopback may be unencrypted, so they must not leave this machine."""
    with serving(says(FINE)) as proxy, serving(says(FINE)) as wire:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert update(wire.url.replace("127.0.0.1", host)).success is True
        assert (len(proxy.requests), len(wire.requests)) == (0, 1)


EXEMPT = [
    *((entry, "http://inside.test:8080") for entry in ("*", "inside.test", ".inside.test")),
    *((entry, "http://inside.test:8080") for entry in ("test", "a.test, INSIDE.test.", "*.test")),
    ("inside.test:8080", "http://inside.test:8080"),
    ("https://inside.test", "https://inside.test:443"),
    ("10.1.2.3", "http://10.1.2.3:80"),
    ("[fd00::1]", "http://[fd00::1]:80"),
]
NOT_EXEMPT = [
    *(
        (entry, "http://inside.test:8080")
        for entry in ("", "inside.test:80", "https://inside.test")
    ),
    *((entry, "http://inside.test:8080") for entry in ("side.test", "a.inside.test")),
    ("[fd00::1]:81", "http://[fd00::1]:80"),
]


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_exempt"),
    [*((*case, True) for case in EXEMPT), *((*case, False) for case in NOT_EXEMPT)],
)
def test_no_proxy_is_read_like_curl_does(
    no_proxy: str,
    url: str,
    is_exempt: bool,  # noqa: FBT001 - a parameter
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NO_PROXY may contain names, suffixes, ports, schemes, addresses and `*`."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    address = httpx.URL(url)
    found = proxy_for(address.scheme, address.host, address.port or 443)
    assert (found is None) is is_exempt


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "proxy",
    [
        *("http://user:p4ss@proxy:99999", "http://u:p4ss@", "ftp://u:p4ss@proxy", "http://"),
        "http://u:p4ss@pröxy:1",
    ],
)
def test_error_of_an_invalid_proxy_hides_its_password(
    kind: Any, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The constructor raises an ArgumentError that names the variable."""
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(errors.ArgumentError, match="HTTPS_PROXY is not a proxy URL") as caught:
        kind(TOKEN)
    assert "p4ss" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_socks_proxy_without_its_package(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the package to install."""
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1080")
    monkeypatch.setattr(sys, "path", [])  # as if nothing were installed
    with pytest.raises(errors.ArgumentError, match=r"ALL_PROXY.*pip install 'httpx\[socks\]'"):
        kind(TOKEN)


def test_proxy_is_not_read_for_a_given_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the client does not use cannot break it."""
    monkeypatch.setenv("all_proxy", "not a proxy")
    blocking(Service()).update_ai_llm(ID)
    with httpx.Client(transport=Service(), trust_env=False) as given:
        FlashbackClient(TOKEN, http_client=given).update_ai_llm(ID)
