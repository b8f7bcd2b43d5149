"""The hazards of the plain generated client, each stated as what holds instead."""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
from pathlib import Path
from typing import Any

import attrs
import httpcore
import httpx
import pytest

from tests.client import subject
from tests.client.subject import ID, SECRET, TOKEN, aclient, aupdate, body, client, update
from tests.client.wire import Request, answer, drips, hangs_up, says, serving

FINE = answer(200, {"success": True, "aiLlmId": ID, "message": "updated"})


def answering(content: bytes, status: int = 200, **headers: str) -> httpx.MockTransport:
    """A transport that always answers so."""
    return httpx.MockTransport(lambda _: httpx.Response(status, content=content, headers=headers))


@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 418, 429, 500, 502, 503])
def test_01_whatever_is_no_success_is_raised(status: int) -> None:
    """Every status but a documented success raises, with the status in the error."""
    with pytest.raises(subject.Error) as caught:
        update(client("http://127.0.0.1", transport=answering(b"", status)), name="n")
    assert getattr(caught.value, "status_code", None) == status


def test_01_success_false_in_a_200_is_raised() -> None:
    """A 200 whose body says that nothing succeeded is no success."""
    with pytest.raises(subject.Error):
        update(client("http://127.0.0.1", transport=answering(b'{"success": false}')), name="n")


@pytest.mark.parametrize("part", ["head", "body"])
def test_02_a_dripping_server_cannot_outlast_the_deadline(part: str) -> None:
    """The timeout bounds the whole call, however often a byte arrives."""
    head, _, tail = FINE.partition(b"\r\n\r\n")
    slow = FINE if part == "head" else tail
    timeout: Any = httpx.Timeout(0.4) if subject.PLAIN else 0.4

    def behave(connection: Any, request: Request, number: int) -> None:
        if part == "body":
            connection.sendall(head + b"\r\n\r\n")
        drips(slow[:15], 0.1)(connection, request, number)

    with serving(behave) as wire:
        started = time.monotonic()
        with pytest.raises(Exception, match=r"."):
            update(client(wire.url, timeout=timeout), name="n")
        assert time.monotonic() - started < 1.3


def test_02_a_call_does_not_wait_for_ever_by_default() -> None:
    """Without any setting, httpx is told limits of time."""
    seen: list[Any] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200, json={"success": True})

    update(client("http://127.0.0.1", transport=httpx.MockTransport(handle)), name="n")
    assert seen[0]["connect"] == 5
    assert 29 < seen[0]["read"] <= 30


def test_03_secrets_are_not_printable() -> None:
    """Neither a body nor a client shows a credential in repr, str or a dump."""
    made = body(key=SECRET, secret=SECRET)
    used = client("http://127.0.0.1", transport=answering(b'{"success": true}'))
    update(used, secret=SECRET)
    shown = f"{made!r} {made} {attrs.asdict(made)} {used!r} {used} {getattr(used, '__dict__', '')}"
    assert SECRET not in shown
    assert TOKEN not in shown


def locals_of(error: BaseException) -> str:
    """What a crash reporter captures of the frames that are not the test's own."""
    ours = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [
        frame
        for each in (ours, ours.__cause__, ours.__context__)
        if each is not None
        for frame in each.stack
        if frame.filename not in {__file__, subject.__file__}
    ]
    assert frames
    return "\n".join(str(frame.locals) for frame in frames)


@pytest.mark.parametrize("status", [200, 400, 502])
@pytest.mark.parametrize("fields", [{"secret": SECRET}, {"secret": SECRET + "\ud800"}])
def test_03_tracebacks_with_captured_locals_show_no_secret(
    status: int, fields: dict[str, str]
) -> None:
    """What a crash reporter sends holds no credential outside the caller's own frame."""
    used = client("http://127.0.0.1", transport=answering(b"<html>", status))
    with pytest.raises(Exception, match=r".") as caught:
        update(used, **fields)
    assert SECRET not in locals_of(caught.value)
    assert TOKEN not in locals_of(caught.value)


def test_04_the_callers_headers_stay_the_callers() -> None:
    """A dict of headers that was handed in is not written into."""
    headers = {"X-Trace": "1"}
    used = client("http://127.0.0.1", headers=headers, transport=answering(b'{"success": true}'))
    update(used, name="n")
    assert headers == {"X-Trace": "1"}


@pytest.mark.parametrize("status", [499, 520, 527, 530, 599])
def test_05_statuses_that_iana_does_not_know_are_errors_like_others(status: int) -> None:
    """A proxy's own status is an error that names it."""
    with pytest.raises(subject.Error, match=str(status)):
        update(client("http://127.0.0.1", transport=answering(b"", status)), name="n")


@pytest.mark.parametrize(
    "content",
    [
        b"null",
        b"[" * 100000,
        b"\xff",
        b"[]",
        b"[[1,2]]",
        b"",
        b"<html>",
        b'{"success":"yes"}',
        b'{"success":true,"aiLlmId":7}',
        b'"text"',
        b'{"success":1}',
    ],
)
def test_06_a_200_that_is_not_what_was_promised_is_one_kind_of_error(content: bytes) -> None:
    """Whatever a body breaks, the error is a ResponseDecodeError with status and body."""
    with pytest.raises(subject.Error) as caught:
        update(client("http://127.0.0.1", transport=answering(content)), name="n")
    error: Any = caught.value
    assert (type(error).__name__, error.status_code) == ("ResponseDecodeError", 200)
    assert error.body == content[: 1 << 16]


def test_06_the_html_of_a_proxy_keeps_status_and_headers() -> None:
    """An error whose body is HTML is still the error of its status."""
    transport = answering(b"<html>", 500, **{"x-request-id": "r-1"})
    with pytest.raises(subject.Error) as caught:
        update(client("http://127.0.0.1", transport=transport), name="n")
    error: Any = caught.value
    assert (error.status_code, error.body, error.request_id) == (500, b"<html>", "r-1")


@pytest.mark.parametrize("packed", [True, False])
def test_06_answers_are_capped_after_decompression(packed: bool) -> None:  # noqa: FBT001
    """50 MB, or the 48 kB of gzip that they fit in, are refused without being held in memory."""
    content = b" " * 50_000_000
    sent = answer(200, gzip.compress(content), Content_Encoding="gzip")
    with serving(says(sent if packed else answer(200, content))) as wire:
        used = client(wire.url)
        tracemalloc.start()
        with pytest.raises(subject.Error, match="larger than 1048576"):
            update(used, name="n")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        used.close()
    assert most < 16_000_000


@pytest.mark.parametrize("id_", ["..", ".", "", None, 7, "x" * 256, "\ud800"])
def test_07_an_id_that_is_none_never_reaches_the_wire(id_: Any) -> None:
    """Ids that would be another path, or no id of the contract, are refused before sending."""
    sent: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(str(request.url))
        return httpx.Response(200, json={"success": True})

    used = client("http://127.0.0.1", transport=httpx.MockTransport(handle))
    with pytest.raises((ValueError, TypeError), match="id must"):
        update(used, id_, name="n")
    assert sent == []


def test_08_a_derived_client_changes_nothing_in_the_original() -> None:
    """Headers of a derived client are sent by it alone."""
    seen: list[str | None] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("x-tenant"))
        return httpx.Response(200, json={"success": True})

    used = client("http://127.0.0.1", transport=httpx.MockTransport(handle))
    update(used, name="n")
    headers = {"X-Tenant": "other"}
    derived = used.with_headers(headers) if subject.PLAIN else used.with_options(headers=headers)
    update(used, name="n")
    update(derived, name="n")
    assert seen == [None, None, "other"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_09_a_redirect_is_never_followed(status: int) -> None:
    """Not even by a client that was told to: the body would go to another host."""
    with serving(says(FINE)) as other:
        with serving(says(answer(status, Location=other.url + "/x?y"))) as wire:
            given = httpx.Client(base_url=wire.url, follow_redirects=True)
            with given, pytest.raises(subject.Error, match="redirects are not followed") as caught:
                update(client(wire.url, http_client=given), secret=SECRET)
        assert other.url in str(caught.value)
        assert other.requests == []


@pytest.mark.parametrize("url", ["http://backend.flashback.tech", "http://127.0.0.1.evil.test"])
def test_10_http_is_refused_where_the_token_would_be_in_clear(url: str) -> None:
    """Plain http is for loopback, or asked for by name."""
    with pytest.raises(ValueError, match="allow_http"):
        client(url)


def test_11_threads_share_one_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen threads that use a fresh client at once build one pool, not sixteen."""
    built: list[int] = []

    class Counted(httpcore.ConnectionPool):
        def __init__(self, *args: Any, **options: Any) -> None:
            built.append(1)
            time.sleep(0.01)
            super().__init__(*args, **options)

    monkeypatch.setattr(httpcore, "ConnectionPool", Counted)
    gate = threading.Barrier(16)
    with serving(says(FINE)) as wire:
        used = client(wire.url)

        def work() -> None:
            gate.wait()
            update(used, name="n")

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(built), len(wire.requests)) == (1, 16)
        used.close()


def test_12_a_client_serves_one_event_loop_after_the_other() -> None:
    """A second asyncio.run gets connections of its own, and the first leaves none open."""
    with serving(says(FINE)) as wire:
        used = aclient(wire.url)
        for _ in range(3):
            assert asyncio.run(aupdate(used, name="n")).success is True
        assert wire.connections == 3
        assert wire.all_end()


FORKING = """
import os, sys
sys.path.insert(0, {root!r})
from tests.client.subject import client, update
used = client({url!r})
def mine(who):
    ids = [f"{{who}}-{{n}}" for n in range(200)]
    return [update(used, each, name="n").ai_llm_id for each in ids] == ids
update(used, "warm", name="n")
child = os.fork()
right = mine("child" if child == 0 else "parent")
if child == 0:
    os._exit(0 if right else 1)
_, status = os.waitpid(child, 0)
getattr(used, "close", bool)()
sys.exit(0 if right and status == 0 else 1)
"""


def test_12_after_a_fork_nobody_gets_the_other_ones_answer() -> None:
    """Parent and child use their own connections, two hundred calls each at the same time."""

    def echo(connection: Any, request: Request, _: int) -> None:
        connection.sendall(answer(200, {"success": True, "aiLlmId": request.target[8:]}))

    root = str(Path(__file__).parents[2])
    with serving(echo) as wire:
        script = FORKING.format(root=root, url=wire.url)
        path = os.pathsep.join(filter(None, [os.environ.get("CLIENT_UNDER_TEST", ""), root]))
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": path},
            timeout=30,
            check=False,
        )
    assert done.returncode == 0
    used: dict[bool, set[int]] = {True: set(), False: set()}
    for request in wire.requests:
        used["child" in request.target].add(request.connection)
    assert used[True].isdisjoint(used[False])


def test_12_a_closed_client_says_so() -> None:
    """Use after close() is an error that names the cause."""
    used = client("http://127.0.0.1", transport=answering(b'{"success": true}'))
    used.close()
    with pytest.raises(subject.Error, match="closed"):
        update(used, name="n")


def test_12_a_handed_in_httpx_client_sends_the_token_too() -> None:
    """Whose httpx client it is does not change who is asking."""
    seen: list[str | None] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(200, json={"success": True})

    transport = httpx.MockTransport(handle)
    with httpx.Client(base_url="http://127.0.0.1", transport=transport) as given:
        update(client("http://127.0.0.1", http_client=given), name="n")
    assert seen == [f"Bearer {TOKEN}"]


def pickled(given: Any) -> Any:
    """What comes out of a pickle."""
    return pickle.loads(pickle.dumps(given))  # noqa: S301


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, pickled])
def test_13_a_copied_body_is_the_same_body(again: Any) -> None:
    """UNSET stays UNSET in copies and pickles, so that a copied body can be sent."""
    made = again(body(secret=SECRET))
    assert made == body(secret=SECRET)
    assert json.loads(json.dumps(made.to_dict())) == {"secret": SECRET}
    assert repr(again(body()).name) == "UNSET"


def test_14_the_text_of_an_enum_is_as_good_as_its_member() -> None:
    """ai_type="OPENAI" is sent."""
    used = client("http://127.0.0.1", transport=answering(b'{"success": true}'))
    assert update(used, ai_type="OPENAI").success is True


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", None, "leave it out"),
        ("name", "", "at least 1"),
        ("name", "n" * 256, "at most 255"),
        ("name", "line\n", "must have no control characters"),
        ("name", "\ud800", "surrogate"),
        ("name", 7, "must be of type str"),
        ("ai_type", "OPENAPI", "OPENAI, GOOGLE, ANTHROPIC, AWS, OTHER"),
        ("ai_type", None, "leave it out"),
        ("endpoint", "api.openai.com", "must be an absolute http or https URL"),
        ("endpoint", "https://user:pass@host/", "must be an absolute http or https URL"),
        ("endpoint", "https://host/\n", "must be an absolute http or https URL"),
        ("key", "", "at least 1"),
        ("secret", SECRET * 1000, "at most 8192"),
        ("secret", SECRET + "\ud800", "surrogate"),
        ("secret", SECRET.encode(), "must be of type str"),
    ],
)
def test_14_arguments_are_judged_by_the_contract(field: str, value: Any, told: str) -> None:
    """A wrong argument names its rule, quotes no secret, and nothing is sent."""
    used = client("http://127.0.0.1", transport=httpx.MockTransport(lambda _: pytest.fail("sent")))
    with pytest.raises((ValueError, TypeError), match=told) as caught:
        update(used, **{field: value})
    assert SECRET not in str(caught.value)
    assert field in str(caught.value)


@pytest.mark.parametrize(
    "token", ["", " ", None, "a b", " abc", "abc\n", "Bearer abc", "bearer x", "tökén", b"abc", 7]
)
def test_15_a_token_that_cannot_be_one_is_refused_at_construction(token: Any) -> None:
    """A wrong token is told before the first call, and not shown."""
    with pytest.raises((ValueError, TypeError), match="token") as caught:
        client("http://127.0.0.1", token)
    shown = str(caught.value).replace("Bearer", "")
    assert ("the client adds it" in shown) == str(token).lower().startswith("bearer")
    if isinstance(token, str) and token.strip():
        assert token not in shown
        assert repr(token) not in locals_of(caught.value)


def test_15_a_token_may_change() -> None:
    """A callable gives the token for every call."""
    seen: list[str | None] = []
    tokens = iter(["one", "two"])

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(200, json={"success": True})

    used = client("http://127.0.0.1", lambda: next(tokens), transport=httpx.MockTransport(handle))
    update(used, name="n")
    update(used, name="n")
    assert seen == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize(
    "url",
    [
        "backend.flashback.tech",
        "https://",
        "ftp://host",
        "https://host?x=1",
        "https://host#x",
        "https://host//",
        "https://host/a//b",
        "https://user:pass@host",
        "https://host/../x",
        "",
        " ",
        "https://ho st",
        "https://host:99999",
        "https://[::1",
        "https://host\n",
        7,
    ],
)
def test_16_a_base_url_that_cannot_be_one_is_refused_at_construction(url: Any) -> None:
    """A garbled base URL is told before the first call, and its password is not shown."""
    with pytest.raises(ValueError, match="base_url") as caught:
        client(url)
    assert "pass@" not in str(caught.value)


def test_16_the_contracts_server_is_the_default() -> None:
    """Without any setting, calls go to the first server of the contract."""
    used = client()
    used.close()
    assert "base_url='https://backend.flashback.tech'" in repr(used)


def test_18_errors_can_be_pickled_and_are_short() -> None:
    """An error survives pickling with its facts, and five megabytes stay out of its text."""
    transport = answering(b"x" * 5_000_000, 404, **{"x-request-id": "r-1"})
    with pytest.raises(subject.Error) as caught:
        update(client("http://127.0.0.1", transport=transport), name="n")
    again = pickled(caught.value)
    assert (type(again), str(again)) == (type(caught.value), str(caught.value))
    assert vars(again) == vars(caught.value)
    assert (again.method, again.path, again.attempts) == ("PUT", f"/ai/llm/{ID}", 1)
    assert len(str(again)) < 1000
    assert len(again.body) <= 1 << 16


def test_18_a_refused_connection_is_an_error_of_the_same_family() -> None:
    """Whoever catches the base class catches what httpx raised as well."""
    with serving(hangs_up) as wire:
        pass
    with pytest.raises(subject.Error, match="ConnectError"):
        update(client(wire.url), name="n")


def test_19_a_stale_connection_is_tried_again() -> None:
    """A server that hangs up on the second request of a connection loses no call."""

    def behave(connection: Any, request: Request, number: int) -> None:
        if number == 1:
            hangs_up(connection, request, number)
        else:
            connection.sendall(FINE)

    with serving(behave) as wire:
        used = client(wire.url, max_retries=1)
        assert [update(used, name="n").success for _ in range(2)] == [True, True]
        assert len(wire.requests) == 3
        used.close()


def test_20_the_package_is_typed() -> None:
    """Mypy and basedpyright find py.typed, without which they look at nothing."""
    assert (Path(subject.package.__file__).parent / "py.typed").exists()
