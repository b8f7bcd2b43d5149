"""A mock as Python code sees it: what it knows, what it was asked, what it is to answer."""

import asyncio
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from starlette.types import ASGIApp

from .app import BEARER, App
from .contract import Contract
from .control import Control, Entry
from .fixtures import Configuration, Fixtures, Member, Token
from .stores import LEVELS, NAME_TAKEN, NameTakenError, NotFoundError, Store
from .tracebacks import without_frames

T = TypeVar("T")
SECONDS = 30.0  # for the store to answer a test


@dataclass
class Mock:
    """A mock that is listening. Its methods are for any thread but the one that it serves in."""

    base_url: str
    contract: Contract = field(repr=False)
    fixtures: Fixtures = field(repr=False)
    store: Store = field(repr=False)
    control: Control = field(init=False, repr=False)
    loop: asyncio.AbstractEventLoop = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Begin with nothing planned, and an empty journal."""
        self.control = Control(tuple(self.contract.answers))
        self.answer_next = self.control.answer_next

    @property
    def tokens(self) -> dict[str, str]:
        """The bearer tokens by role: owner, admin, reader, stranger, expired."""
        return {token.user: token.value for token in self.fixtures.tokens}

    @property
    def ids(self) -> dict[str, str]:
        """The configurations' ids by role: main, sibling, foreign (another workspace)."""
        return {given.role: given.id for given in self.fixtures.configurations}

    @cached_property
    def asgi(self) -> ASGIApp:
        """The operation as an ASGI application, for `httpx.ASGITransport`; the same state.

        With a store in PostgreSQL it works in the loop alone that serves.
        """
        return App(self.contract, self.store, self.control)

    @property
    def requests(self) -> list[Entry]:
        """The journal: what was asked so far, the oldest first."""
        return list(self.control.journal)

    @without_frames
    def configuration(self, id: str) -> dict[str, Any]:
        """What is stored now, of a credential only that it is set, and when it changed.

        Raises `ValueError` for an id that no configuration has.
        """
        try:
            return self._wait(self.store.configuration(id))
        except NotFoundError:
            raise ValueError(f"id: no configuration has it; there are {self.ids}") from None

    @without_frames
    def reveals(self, id: str, **credentials: str) -> bool:
        """Whether these are the stored credentials, as in `reveals(id, secret="…")`."""
        self.configuration(id)
        fields = {self._field(name): value for name, value in credentials.items()}
        if plain := fields.keys() - self.contract.credentials:
            raise TypeError(f"{', '.join(plain)}: is no credential; configuration(id) shows it")
        return all(self._wait(self.store.reveals(id, *given)) for given in fields.items())

    @without_frames
    def add_configuration(self, *, workspace: str = "", id: str = "", **fields: str) -> str:
        """Add a configuration, by default to the first workspace; its id.

        Raises `ValueError` for what the contract does not allow.
        """
        fields = {self._field(name): value for name, value in fields.items()}
        more = self.new_configuration(fields, workspace, id)
        self._add(more)
        return more.configurations[0].id

    def new_configuration(
        self, fields: dict[str, str], workspace: str = "", id: str = ""
    ) -> Fixtures:
        """A configuration to add, by default in the first workspace; raises `ValueError`."""
        id = id or str(uuid.uuid4())
        if why := self.contract.why_not_id(id) or self.contract.why_not_body(fields):
            raise ValueError(why)
        place = workspace or self.fixtures.first_workspace
        return Fixtures(configurations=(Configuration("", place, id, fields),))

    @without_frames
    def add_member(
        self, user: str, *, workspace: str = "", access: str = "WRITE", token: str = ""
    ) -> str:
        """Add a user to a workspace, by default the first, or change the access; the token.

        Raises `ValueError` for another access than READ, WRITE and ADMIN, or what is no token.
        """
        if access not in LEVELS:
            raise ValueError(f"access: must be one of {', '.join(LEVELS)}")
        token = token or self.tokens.get(user) or f"{user}-token"
        if not BEARER.fullmatch(f"Bearer {token}"):
            raise ValueError("token: must be a bearer token: letters, digits and -._~+/")
        member = Member(workspace or self.fixtures.first_workspace, user, access)
        self._add(Fixtures(tokens=(Token(token, user),), members=(member,)))
        return token

    def reset(self) -> None:
        """Be as at the start: the fixtures, nothing planned, an empty journal."""
        self._wait(self.store.reset(self.fixtures))
        self.control.clear()

    @without_frames
    def assert_updated(self, id: str, **fields: str) -> None:
        """Raise `AssertionError` unless the configuration was updated, and has these fields now.

        Credentials must have been sent, too. It says what there is instead, field by field; of a
        credential only that it `differs`.
        """
        stored = self.configuration(id)
        wrong = [why for name in fields if (why := self._why_not(id, stored, name, fields[name]))]
        mine = [entry for entry in self.requests if entry.configuration == id]
        sent = {field for entry in mine if entry.updated for field in entry.fields}
        secrets = self.contract.credentials & {self._field(name) for name in fields}
        wrong += [f"{name}: was not sent" for name in sorted(secrets - sent)]
        if wrong or not any(entry.updated for entry in mine):
            what = "is not as expected:" if wrong else "was not updated"
            others = f"none, and {len(self.requests) - len(mine)} other(s)"
            asked = [f"  {_in_words(entry)}" for entry in mine] or [f"  {others}"]
            raise AssertionError(
                "\n  ".join([f"configuration {id} {what}", *wrong, "requests for it:", *asked])
            )

    def _why_not(self, id: str, stored: dict[str, Any], given: str, value: str) -> str:
        """How a field is stored, if not so; of a credential only since when."""
        name = self._field(given)
        if name not in self.contract.credentials:
            is_now = stored.get(name)
            return "" if is_now == value else f"{name}: is {is_now!r}, expected {value!r}"
        if name not in stored:
            return f"{name}: is not set"
        since = stored[name]["changedAt"]
        same = self._wait(self.store.reveals(id, name, value))
        return "" if same else f"{name}: differs; it is what it was set to at {since}"

    def _field(self, name: str) -> str:
        """The contract's name of a field that may be spelt as in the Python client."""
        plain: dict[str, str] = {field.lower(): field for field in self.contract.fields}
        try:
            return plain[name.replace("_", "").lower()]
        except KeyError:
            known = ", ".join(self.contract.fields)
            raise TypeError(f"{name}: is no field; the fields are {known}") from None

    def _add(self, more: Fixtures) -> None:
        try:
            self._wait(self.store.add(more))
        except NameTakenError:
            raise ValueError(NAME_TAKEN) from None

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        if self.loop.is_closed():
            work.close()
            raise RuntimeError("the mock has stopped; ask it before its block ends")
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)


def _in_words(entry: Entry) -> str:
    changed = f" ({', '.join(entry.fields)})" if entry.fields else ""
    fault = f" {entry.fault}" if entry.fault else ""
    return f"{entry.method} {entry.status}{fault} as {entry.user or 'nobody'}{changed}"
