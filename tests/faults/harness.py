"""Serves the mock with one thing changed from outside, and has the contract tests judge it."""

import gc
import inspect
import io
import json
import multiprocessing
import os
import re
import time
from collections.abc import Callable, Generator, Iterable, MutableMapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import flashback_mock
import pytest
from flashback_mock import server, stores
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from scripts.contract import environment

CONTRACT_TESTS = Path(__file__).parents[1] / "contract"
SEED = "1"
KEPT, BROKEN = 0, 1


class Asked:
    """A request on its way to the mock; a fault may change it."""

    def __init__(self, scope: Scope, body: bytes, backend: "ChangedApp") -> None:
        """The request as it came, its body read to the end."""
        self.scope, self.body = scope, body
        self.headers = MutableHeaders(scope=scope)
        self.store, self.memory = backend.store, backend.memory
        self.tokens: dict[str, str] = backend.tokens
        self.ids: dict[str, str] = backend.ids

    @property
    def method(self) -> str:
        """The request's method."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The path as it was sent."""
        return str(self.scope["raw_path"].decode("latin-1"))

    @path.setter
    def path(self, path: str) -> None:
        self.scope["raw_path"] = path.encode("latin-1")

    @property
    def query(self) -> str:
        """What was sent after `?`."""
        return str(self.scope["query_string"].decode("latin-1"))

    @property
    def id(self) -> str:
        """The path's last segment, percent-decoded."""
        return unquote(self.path.rpartition("/")[2])

    @property
    def who(self) -> str:
        """The role of the user whose token was given in the proper place."""
        return next((w for w, t in self.tokens.items() if self.authorization == f"Bearer {t}"), "")

    def by(self, role: str = "owner") -> Self:
        """Be asked by another user."""
        return self.head("Authorization", f"Bearer {self.tokens[role]}")

    def at(self, id: str) -> Self:
        """Be asked for another id."""
        self.path = self.path.rpartition("/")[0] + "/" + id
        return self

    def head(self, name: str, value: str) -> Self:
        """Have another header."""
        self.headers[name] = value
        return self

    def send(self, body: bytes) -> Self:
        """Have another body."""
        self.body = body
        return self

    @property
    def authorization(self) -> str:
        """The header of that name."""
        return self.headers.get("Authorization", "")

    @property
    def token(self) -> str:
        """What stands after the authentication scheme."""
        return self.authorization.partition(" ")[2]

    @property
    def fields(self) -> dict[str, Any]:
        """The body's fields; none if it is no JSON object."""
        try:
            value: Any = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def text(self, field: str) -> str:
        """A field of the body; empty if it is missing or no string."""
        value = self.fields.get(field)
        return value if isinstance(value, str) else ""

    async def name_of(self, id: str) -> str:
        """The name that the mock has stored."""
        return str((await self.store.configuration(id))["name"])

    async def rename(self, name: str) -> None:
        """Have the mock store another name for the configuration that is asked for."""
        await self.store.update(self.tokens["owner"], self.id, {"name": name})

    def times(self, what: object) -> int:
        """How often this was asked, this time included."""
        self.memory[what] = self.memory.get(what, 0) + 1
        return int(self.memory[what])


class Answer:
    """An answer on its way from the mock; a fault may change it."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        """An answer in JSON with these headers."""
        self.status, self.body = status, body
        self.headers = MutableHeaders({"Content-Type": "application/json", **headers})

    @property
    def json(self) -> dict[str, Any]:
        """The body's fields."""
        fields: dict[str, Any] = json.loads(self.body or b"{}")
        return fields

    @json.setter
    def json(self, value: object) -> None:
        self.body = json.dumps(value).encode()

    def set(self, **fields: object) -> Self:
        """Change fields of the body."""
        self.json = {**self.json, **fields} if self.body else fields
        return self

    def drop(self, field: str) -> Self:
        """Leave a field out of the body."""
        self.json = {k: v for k, v in self.json.items() if k != field}
        return self

    def head(self, name: str, value: str) -> Self:
        """Change a header."""
        self.headers[name] = value
        return self

    def behead(self, name: str) -> Self:
        """Leave a header out."""
        del self.headers[name]
        return self

    def say(self, status: int) -> Self:
        """Change the status."""
        self.status = status
        return self

    def become(self, other: "Answer") -> Self:
        """Be another answer instead."""
        self.status, self.body, self.headers = other.status, other.body, other.headers
        return self


def accepted(asked: Asked) -> Answer:
    """What the mock answers when it has updated the configuration."""
    body = {"success": True, "aiLlmId": asked.id, "message": "updated"}
    return Answer(200, json.dumps(body).encode())


def refused(status: int, message: str = "no", **headers: str) -> Answer:
    """What the mock answers when it has not."""
    headers |= {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Answer(status, json.dumps({"success": False, "message": message}).encode(), **headers)


Before = Callable[[Asked], Any]  # an `Answer` is given in the mock's place; may be awaitable
After = Callable[[Asked, Answer], Any]
OnTheWire = Callable[[bytes, Any], None]  # octets, and the transport to write them to


@dataclass(frozen=True)
class Change:
    """How one backend differs from the mock, and which promises are to be asked about it.

    One that names a single promise is there to show that this promise is needed.
    """

    name: str
    family: str
    promises: str  # an expression for pytest's -k
    survives: str = ""  # why the contract tests do not catch it yet, or alarm though it is correct
    before: Before | None = None
    after: After | None = None
    on_the_wire: OnTheWire | None = None

    def named(self, promises: Iterable[str]) -> list[str]:
        """Those of the promises that are named, as pytest's `-k` would choose them."""
        choice = re.sub(r"\b(?!(?:and|or|not)\b)\w+", r"('\g<0>'.lower() in p)", self.promises)
        return [promise for promise in promises if eval(choice, {"p": promise.lower()})]  # noqa: S307


class Changes(dict[str, Change]):
    """All changes of one kind, by name.

    Each method adds some: of a single one the decorators `before`, `after` and `on_the_wire`;
    the others take any number by name, each in one expression.
    """

    family = ""

    def before(self, promises: str = "", survives: str = "") -> Callable[[Before], Before]:
        """Change a request before the mock sees it, or answer in its place."""
        return self._decorator(promises, survives, "before")

    def after(self, promises: str = "", survives: str = "") -> Callable[[After], After]:
        """Change the mock's answer."""
        return self._decorator(promises, survives, "after")

    def on_the_wire(self, promises: str = "") -> Callable[[OnTheWire], OnTheWire]:
        """Change the octets that are sent."""
        return self._decorator(promises, "", "on_the_wire")

    def asks(self, promises: str, survives: str = "", **changes: Before) -> None:
        """Change requests, as `before` does."""
        for name, change in changes.items():
            self.add(name, promises, survives, before=change)

    def answers(self, promises: str, survives: str = "", **changes: After) -> None:
        """Change answers, as `after` does."""
        for name, change in changes.items():
            self.add(name, promises, survives, after=change)

    def accepts(
        self, promises: str, survives: str = "", **conditions: Callable[[Asked], Any]
    ) -> None:
        """Answer 200 in the place of 400 and 404 where a condition holds."""
        for name, condition in conditions.items():

            def change(asked: Asked, answer: Answer, condition: Before = condition) -> None:
                if answer.status in (400, 404) and condition(asked):
                    answer.become(accepted(asked))

            self.add(f"accepts_{name}", promises, survives, after=change)

    def refuses(
        self, promises: str, status: int = 400, survives: str = "", **conditions: Before
    ) -> None:
        """Answer `status` in the place of the mock's where a condition holds."""
        for name, condition in conditions.items():

            def change(asked: Asked, answer: Answer, condition: Before = condition) -> None:
                if answer.status not in (401, 405) and condition(asked):
                    answer.become(refused(status))

            self.add(f"answers_{status}_{name}", promises, survives, after=change)

    def add(self, name: str, promises: str, survives: str = "", **how: Any) -> None:
        """Add a change that is made of one function or more."""
        assert name not in self, f"{name} is there twice"
        self[name] = Change(name, self.family, promises, survives, **how)

    def _decorator(self, promises: str, survives: str, how: str) -> Callable[[Any], Any]:
        def add(change: Any) -> Any:
            self.add(change.__name__, promises, survives, **{how: change})
            return change

        return add


class ChangedApp:
    """The mock's application with a change around it."""

    def __init__(self, app: ASGIApp, mock: flashback_mock.Mock, change: Change) -> None:
        """Put `change` around `app`."""
        self._app, self._change = app, change
        self.store: stores.Store = mock.store
        self.tokens, self.ids = mock.tokens, mock.ids
        self.memory: dict[object, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as the mock would, but for the change."""
        try:
            asked = Asked(scope, await Request(scope, receive).body(), self)
        except ClientDisconnect:
            return
        answer = await _done(self._change.before(asked)) if self._change.before else None
        if not isinstance(answer, Answer):
            answer = await self._ask(asked)
        if self._change.after:
            await _done(self._change.after(asked, answer))
        answer.headers["Content-Length"] = str(len(answer.body))
        start = {"status": answer.status, "headers": answer.headers.raw}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": answer.body})

    async def _ask(self, asked: Asked) -> Answer:
        answer, requests = Answer(500, b""), iter([{"type": "http.request", "body": asked.body}])

        async def receive() -> MutableMapping[str, Any]:
            return next(requests, {"type": "http.disconnect"})

        async def send(message: MutableMapping[str, Any]) -> None:
            answer.status = message.get("status", answer.status)
            answer.headers = MutableHeaders(raw=message.get("headers", answer.headers.raw))
            answer.body += message.get("body", b"")

        await self._app(asked.scope, receive, send)
        return answer


async def _done(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


@contextmanager
def serving(change: Change) -> Generator[flashback_mock.Mock]:
    """A fresh mock with the change around it, on a free loopback port, until the block ends."""
    listener = server.listen("127.0.0.1", 0)
    with listener:
        uvicorn = server.Server(listener, server.mock_at(listener, flashback_mock.Contract()))
        app: Any = uvicorn.config.app
        uvicorn.config.app = ChangedApp(app, uvicorn.mock, change)
        if change.on_the_wire:
            uvicorn.config.http = _protocol(change.on_the_wire)
        with server.in_thread(uvicorn, listener):
            yield uvicorn.mock


def _protocol(change: OnTheWire) -> type[HttpToolsProtocol]:
    class Transport:
        def __init__(self, transport: Any) -> None:
            self._transport = transport

        def __getattr__(self, name: str) -> Any:
            return getattr(self._transport, name)

        def write(self, octets: bytes) -> None:
            change(octets, self._transport)

    class Protocol(HttpToolsProtocol):
        def connection_made(self, transport: Any) -> None:
            changed: Any = Transport(transport)
            super().connection_made(changed)

    return Protocol


@dataclass
class Judgement:
    """What the contract tests made of a backend."""

    status: int = -1
    broken: list[str] = field(default_factory=list[str])
    asked: list[str] = field(default_factory=list[str])
    found: list[str] = field(default_factory=list[str])  # by node id, asked or not
    said: str = ""
    seconds: float = 0  # of a processor's time, the backend's included
    promises: str = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> object:
        """Spare the time that it takes to generate for promises that are not asked for."""
        spared = collector.name.startswith("test_") and collector.name.isidentifier()
        if not spared or any(name in collector.name for name in _names(self.promises)):
            return None
        return pytest.CollectReport(collector.nodeid, "passed", None, [])

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Take down which promises there are."""
        self.found.append(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down which promises are broken: this is the plugin of its own run."""
        name = report.nodeid.rpartition("::")[2]
        if report.failed:
            self.broken.append(name)
        if report.when == "call":
            self.asked.append(name)


def judge(change: Change, *options: str, promises: str = "") -> Judgement:
    """The contract tests' judgement of the mock with a change, on these promises or on all.

    It falls in a process forked from one that has schemathesis imported: that saves a second.
    """
    options = (*_files(promises), "-k", promises, *options)
    here, there = _forks.Pipe(duplex=False)
    process = _forks.Process(
        target=_judge, args=(change.name, change.family, promises, options, there)
    )
    process.start()
    there.close()
    with here:
        judgement: Judgement = here.recv()
    process.join()
    return judgement


_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "schemathesis.pytest.plugin",
        "schemathesis.specs.openapi.checks",
        "schemathesis.specs.openapi.schemas",
        "flashback_mock.server",
        "rich.text",
        "tests.faults.faults",
        "tests.faults.correct",
    ]
)


def _files(promises: str) -> list[str]:
    """The files that hold the promises, or all: what is not collected takes no time."""
    files = sorted(CONTRACT_TESTS.glob("test_*.py"))
    names = [f"def {name}" for name in _names(promises)]
    return [str(file) for file in files if any(name in file.read_text("utf-8") for name in names)]


def _names(promises: str) -> list[str]:
    return re.findall(r"test_\w+", promises) or ["test_"]


def _judge(
    name: str, family: str, promises: str, options: tuple[str, ...], told: Connection
) -> None:
    from tests.faults.correct import CORRECT
    from tests.faults.faults import FAULTS

    gc.freeze()  # pytest collects garbage twice; what was forked is none
    change = (FAULTS if family else CORRECT)[name]
    said, judgement = io.StringIO(), Judgement(promises=promises)
    with serving(change) as mock, redirect_stdout(said), redirect_stderr(said):
        given = {k: v for k, v in environment(mock).items() if not k.startswith("PYTEST_")}
        os.environ.clear()
        os.environ.update(given)
        which = ["--backend-url", mock.base_url, "--id", mock.ids["main"], "--seed", SEED]
        which += ["-c", str(CONTRACT_TESTS / "pytest.toml"), "--capture=no", "--timeout", "4"]
        judgement.status = int(pytest.main([*which, *options], [judgement]))
        judgement.said, judgement.seconds = said.getvalue(), time.process_time()
        told.send(judgement)
        os._exit(0)  # what is left, a server that listens, goes with the process
