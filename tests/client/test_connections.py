"""Tests for certificates, proxies, threads, event loops and forked processes."""

import asyncio
import logging
import socket
import ssl
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from flashback_client import AsyncFlashbackClient, FlashbackClient, FlashbackError, errors
from flashback_runtime.settings import proxy_for
from tests.certificates import self_signed
from tests.client.support import ID, OK, TOKEN, Service, blocking
from tests.client.wire import Request, http_response, serving
from tests.programs import run


def echo_id(connection: socket.socket, request: Request) -> None:
    """Respond with the id from the request's path."""
    connection.sendall(http_response(200, {"success": True, "aiLlmId": request.target[8:]}))


async def call(client: AsyncFlashbackClient) -> Any:
    """Make one call with the async client."""
    return await client.update_ai_llm(ID)


def test_threads_share_one_client() -> None:
    """If 16 threads share a client, each thread receives the response to its own request."""
    gate = threading.Barrier(16)

    def work(number: int) -> bool:
        gate.wait()
        return client.update_ai_llm(str(number)).ai_llm_id == str(number)

    with serving(echo_id) as server:
        with blocking(server.url) as client, ThreadPoolExecutor(16) as threads:
            assert all(threads.map(work, range(16)))
        assert server.all_closed()


def test_async_client_works_in_several_event_loops() -> None:
    """An async client works in several event loops and leaves no connection open."""
    with serving(OK) as server:
        client = AsyncFlashbackClient(TOKEN, base_url=server.url)
        in_memory = AsyncFlashbackClient(TOKEN, transport=Service())
        for used in [client, in_memory] * 3:
            assert asyncio.run(call(used)).success is True
        assert server.connections == 3
        assert server.all_closed()


def test_custom_http_client_belongs_to_one_event_loop() -> None:
    """A client raises an error if its `http_client` is used in a second event loop or is closed."""
    http_client = httpx.AsyncClient(transport=Service())
    client = AsyncFlashbackClient(TOKEN, http_client=http_client)
    asyncio.run(call(client))
    with pytest.raises(FlashbackError, match="another event loop"):
        asyncio.run(call(client))
    asyncio.run(http_client.aclose())
    with pytest.raises(FlashbackError, match="this client is closed"):
        asyncio.run(call(client))


def test_extra_response_does_not_block_the_next_request() -> None:
    """If the server sends an extra response, the client still sends its next request."""
    with serving(OK + OK, OK) as server:
        with blocking(server.url) as client:
            client.update_ai_llm(ID)
            client.update_ai_llm(ID, name="second")
        assert server.all_closed()
        assert server.requests[1].body == b'{"name":"second"}'


FORKING = """
import asyncio, httpx, os, sys
from flashback_client import AsyncFlashbackClient, FlashbackClient, FlashbackError
url = sys.argv[1]
loop = asyncio.new_event_loop()
client = FlashbackClient("tok", base_url=url, max_retries=0)
async_client = AsyncFlashbackClient("tok", base_url=url, max_retries=0)
custom = FlashbackClient("tok", base_url=url, http_client=httpx.Client())
async def awaited(ids):
    return [(await async_client.update_ai_llm(id_)).ai_llm_id for id_ in ids]
def receives_own_responses(who):
    ids = [f"{who}-{number}" for number in range(50)]
    blocking = [client.update_ai_llm(id_).ai_llm_id for id_ in ids]
    return ids == blocking == loop.run_until_complete(awaited(ids))
custom.update_ai_llm("warm")
right = receives_own_responses("parent")
child = os.fork()
right = receives_own_responses("parent" if child else "child") and right
if child == 0:
    try:
        custom.update_ai_llm("warm")
    except FlashbackError as error:
        os._exit(0 if right and "another event loop or process" in str(error) else 2)
    os._exit(1)
_, status = os.waitpid(child, 0)
client.close()
sys.exit(0 if right and status == 0 else 1)
"""


def test_forked_child_uses_its_own_connections() -> None:
    """A forked child opens its own connections and cannot use its parent's `http_client`."""
    with serving(echo_id) as server:
        run(sys.executable, "-c", FORKING, server.url)
    requests = server.requests
    of_child = {request.connection for request in requests if "child" in request.target}
    of_parent = {request.connection for request in requests if "child" not in request.target}
    assert of_child
    assert of_child.isdisjoint(of_parent)


WITHOUT_DESCRIPTORS = r"""
import asyncio, httpx, resource, sys
from flashback_client import AsyncFlashbackClient, FlashbackClient, FlashbackError

most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
def limit(number):
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))
def attempt(call):
    try:
        call()
    except FlashbackError as error:
        print(type(error).__name__, "Too many open files" in str(error), error.maybe_applied)
    limit(most)

for client_class in (FlashbackClient, AsyncFlashbackClient):
    limit(0)
    attempt(lambda: client_class("tok"))
client = FlashbackClient("tok", base_url=sys.argv[1], max_retries=0)
limit(0)
attempt(lambda: client.update_ai_llm("a", secret="s<"))
async def call():
    client = AsyncFlashbackClient("tok", base_url=sys.argv[1], max_retries=0)
    limit(0)
    await client.update_ai_llm("a", secret="s<")
attempt(lambda: asyncio.run(call()))
missing = httpx.Response(404, content=b'\xef\xbb\xbf{"message": "Too many open files"}')
client = FlashbackClient("tok", transport=httpx.MockTransport(lambda request: missing))
limit(0)
attempt(lambda: client.update_ai_llm("a"))
"""


def test_too_many_open_files_raises_flashback_error() -> None:
    """If no file descriptors are available, the constructor and API calls raise FlashbackError."""
    output = run(sys.executable, "-c", WITHOUT_DESCRIPTORS, "http://127.0.0.1:1")
    expected = ["FlashbackError True False"] * 2 + ["ApiConnectionError True False"] * 2
    assert output.splitlines() == [*expected, "NotFoundError True False"]


@pytest.mark.parametrize("content", [None, b"not a certificate"])
def test_unusable_ca_file_raises_argument_error(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The constructor raises ArgumentError if SSL_CERT_FILE names a missing or invalid file.

    Clients share the loaded certificates until the file changes.
    """
    file = self_signed(tmp_path / "ca.pem", "a.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    FlashbackClient(TOKEN)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(errors.ArgumentError, match="SSL_CERT_FILE cannot be used"):
        FlashbackClient(TOKEN)


def test_https_is_tunneled_through_the_proxy(
    update: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an https:// URL, the proxy receives a CONNECT request and then only encrypted data."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "ca.pem", "inside.test"))
    received = bytearray()

    def respond(connection: socket.socket, _: Request) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as secure:
            while b'"tunnel"}' not in received:
                received.extend(secure.recv(65536))
            secure.sendall(OK)

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with serving(respond) as proxy:
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
    """Loopback requests never use a proxy, because a proxy could read the unencrypted token."""
    with serving(OK) as proxy, serving(OK) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert update(server.url.replace("127.0.0.1", host)).success is True
        assert (len(proxy.requests), len(server.requests)) == (0, 1)


EXEMPTING = [
    *("*", ".inside.test", "a.test, INSIDE.test", "test", "inside.test:8080"),
    *("http://inside.test", "HTTP://test.", "*.inside.test", "a.test,*", "http://inside.test/"),
]
EXEMPTING_IPV6 = ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:8080"]
NOT_EXEMPTING = ["", "inside.test:80", "https://inside.test", "side.test", "a.inside.test"]


@pytest.mark.parametrize("no_proxy", EXEMPTING + EXEMPTING_IPV6 + NOT_EXEMPTING)
def test_the_no_proxy_variable_exempts_urls(no_proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY can list hosts, domain suffixes, IPv6 addresses, ports, schemes and `*`."""
    monkeypatch.setenv("http_proxy", "proxy.test:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    host = "[2001:db8::1]" if no_proxy in EXEMPTING_IPV6 else "inside.test"
    proxy = proxy_for(httpx.URL(f"http://{host}:8080"))
    assert (proxy is None) is (no_proxy not in NOT_EXEMPTING)


@pytest.mark.parametrize(
    "proxy", ["http://u:p4ss@x:99999", "http://u:p4ss@", "ftp://u:p4ss@x", "http://u:p4ss#@x:1"]
)
def test_invalid_proxy_error_hides_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ArgumentError for an invalid proxy URL names the variable but hides the password."""
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(errors.ArgumentError, match="HTTPS_PROXY is not a proxy URL") as caught:
        FlashbackClient(TOKEN)
    assert "p4ss" not in str(caught.value)


@pytest.mark.parametrize("client_class", [FlashbackClient, AsyncFlashbackClient])
def test_missing_socks_package_is_an_error(
    client_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the SOCKS package is missing, the error shows the command that installs it."""
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1080")
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(FlashbackError, match=r"pip install httpx\[socks\]"):
        client_class(TOKEN)


@pytest.mark.parametrize("userinfo", ["u:p4ss%23", "p4ss%23", "p4ss%23:"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_echoed_proxy_password_is_redacted(
    update: Any,
    scheme: str,
    userinfo: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If a proxy echoes its password in plain text or Base64, errors and logs do not show it.

    Some proxies expect an API key as the user name, and no password.
    """
    caplog.set_level(logging.DEBUG, "flashback_client")

    def respond(connection: socket.socket, request: Request) -> None:
        received = request.headers["proxy-authorization"]
        connection.sendall(f"HTTP/1.1 malformed {received} p4ss#\r\n\r\n".encode())

    with serving(respond) as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", proxy.url.replace("//", f"//{userinfo}@"))
        echoed = r"malformed Basic \*\*\* \*\*\*"
        with pytest.raises(errors.ApiConnectionError, match=echoed) as caught:
            update(f"{scheme}://inside.test", allow_http=True, max_retries=0)
    assert "p4ss" not in f"{caught.value.__cause__} {caplog.text}"


@pytest.mark.parametrize(("status", "attempts"), [(407, 1), (403, 1), (502, 2)])
@pytest.mark.usefixtures("waits")
def test_tunnel_that_a_proxy_rejects_is_not_retried(
    update: Any, status: int, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 4xx response to CONNECT is not retried: repeated 407s can lock the proxy account."""
    with serving(http_response(status)) as proxy:
        # The user name is redacted from the proxy's error, but the client still knows the status.
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", f"//{status}@"))
        with pytest.raises(errors.ApiConnectionError, match=r"ProxyError: \*\*\* ") as caught:
            update("https://inside.test", max_retries=1)
        assert (len(proxy.requests), caught.value.attempts) == (attempts, attempts)
    assert not caught.value.maybe_applied


def test_custom_transport_ignores_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid proxy variable has no effect if the client has a custom transport."""
    monkeypatch.setenv("all_proxy", "ftp://proxy.test")
    blocking(Service()).update_ai_llm(ID)
    http_client = httpx.Client(transport=Service(), trust_env=False)
    blocking(http_client=http_client).update_ai_llm(ID)
