"""One mock as tests see it: from Python, and through `/__admin`."""

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from flashback_mock.contract import Contract
from flashback_mock.fixtures import Configuration, Fixtures, Member, Token, is_bearer_token
from flashback_mock.stores import (
    LEVELS,
    NAME_TAKEN,
    NameTakenError,
    NotFoundError,
    Store,
    UnauthorizedError,
)
from flashback_mock.tracebacks import without_frames

from .journal import Entry, Journal
from .plans import Fault, Plan, Plans, Step, plans_of

T = TypeVar("T")

SECONDS = 30.0  # for the store to answer


class UnknownIdError(ValueError):
    """No configuration has this id."""


class Mock:
    """A contract, a store with its fixtures, planned answers, and the request log.

    Its methods block, so never call them from the thread that serves. Every method raises
    `ValueError` for arguments that break a rule.
    """

    def __init__(self, contract: Contract, fixtures: Fixtures, store: Store) -> None:
        """Start with nothing planned and an empty log."""
        self.contract = contract
        self.fixtures = fixtures
        self.store = store
        self.plans = Plans()
        self.journal = Journal()
        # The log names a configuration only if its id is known: another could be a secret.
        self.known_ids = set(self.ids.values())
        # Set while it serves.
        self.base_url = ""
        self.loop: asyncio.AbstractEventLoop | None = None
        self.close_port: Callable[[float], Coroutine[Any, Any, None]]

    def __repr__(self) -> str:
        """Return where it serves."""
        return f"Mock({self.base_url!r})"

    @property
    def tokens(self) -> dict[str, str]:
        """Return the bearer tokens by role: owner, admin, reader, stranger, expired."""
        return {token.user: token.value for token in self.fixtures.tokens}

    @property
    def ids(self) -> dict[str, str]:
        """Return the configurations' ids by role: main, sibling, foreign (another workspace)."""
        return {given.role: given.id for given in self.fixtures.configurations}

    @property
    def requests(self) -> list[Entry]:
        """Return the request log, oldest first."""
        return self.journal.entries

    @property
    def delay(self) -> float:
        """Return the delay of every answer, in seconds; it can be set."""
        return self.plans.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self.plans.delay = seconds

    def answer_next(  # noqa: PLR0913 - all by name
        self,
        status: int | None = None,
        *,
        example: str = "",
        headers: Mapping[str, str] | None = None,
        delay: float = 0,
        fault: Fault | None = None,
        duration: float = 0,
        times: int = 1,
        after_update: bool = False,
        id: str = "",
    ) -> None:
        """Plan how the next `times` requests (for this `id` only) are answered.

        By a `status` (200, or any 4xx or 5xx) or a named `example` of the contract, with more
        `headers`, after `delay` seconds, or by a `fault`: `reset`, `empty` (closed without an
        answer), `timeout` (never), `truncated`, `malformed`, or `refused` (the port is closed for
        `duration` seconds from now on). Nothing is stored, unless only headers or a delay are
        planned, or `after_update` is true. Raise `ValueError` for a plan that is empty or
        contradicts itself.
        """
        self.answer_sequence(
            {
                "status": status,
                "example": example,
                "headers": headers or {},
                "delay": delay,
                "fault": fault,
                "duration": duration,
                "times": times,
                "after_update": after_update,
                "id": id,
            }
        )

    def answer_sequence(self, *steps: Step) -> None:
        """Plan the answers to the next requests in order; a step is as in `answer_next`."""
        plans: list[Plan] = []
        closed = 0.0
        for step in steps:
            planned = plans_of(self.contract, step)
            if step.get("fault") == "refused":
                closed = max(closed, step.get("duration", 0))
            else:
                plans += planned
        self.plans.extend(plans)
        if closed:
            self.call(self.close_port(closed))

    def clear_planned(self) -> None:
        """Forget all planned answers, and the delay."""
        self.plans.clear()

    def wait_for(self, count: int = 1, timeout: float = 5.0, **criteria: Any) -> list[Entry]:
        """Return the requests that match, as in `wait_for(2, status=200)`, once there are `count`.

        After `timeout` seconds, raise `TimeoutError`, which lists the requests received instead.
        """
        return self.call(self.journal.wait_for(count, timeout, criteria), timeout + SECONDS)

    @without_frames
    def configuration(self, id: str) -> dict[str, Any]:
        """Return what is stored now; of a credential only that it is set, and when it changed."""
        return self.call(self.store.configuration(id))

    @without_frames
    def reveals(self, id: str, **credentials: str) -> bool:
        """Return whether these are the stored credentials, as in `reveals(id, secret="…")`."""
        fields = self._fields(credentials)
        for name in fields:
            if name not in self.contract.credentials:
                raise ValueError(f"{name}: not a credential; read the configuration")
        self.call(self.store.configuration(id))
        return all(self._is_stored(id, name, value) for name, value in fields.items())

    @without_frames
    def assert_updated(self, id: str, **fields: str) -> None:
        """Raise `AssertionError` unless the configuration was updated and has these fields now.

        Credentials must have been sent, too. The message says how each field differs (of a
        credential only that it does), and why requests were refused.
        """
        expected = self._fields(fields)
        stored = self.configuration(id)
        entries = self.requests
        updates = [entry for entry in entries if entry.configuration == id and entry.updated]
        sent = {field for entry in updates for field in entry.fields}
        problems: list[str] = []
        for name, value in expected.items():
            problems += self._differences(id, stored, name, value)
            if name in self.contract.credentials - sent:
                problems.append(f"{name}: was not sent")
        if problems or not updates:
            headline = "is not as expected:" if problems else "was not updated"
            lines = [f"configuration {id} {headline}", *problems, *_history(id, entries)]
            raise AssertionError("\n  ".join(lines))

    @without_frames
    def add_configuration(self, *, workspace: str = "", id: str = "", **fields: str) -> str:
        """Add a configuration, by default to the first workspace; return its id."""
        given = self._fields(fields)
        id = id or str(uuid.uuid4())
        if error := self.contract.id_error(id) or self.contract.body_error(given):
            raise ValueError(error)
        workspace = workspace or self.fixtures.first_workspace
        self._add(Fixtures(configurations=(Configuration("", workspace, id, given),)))
        self.known_ids.add(id)
        return id

    @without_frames
    def delete_configuration(self, id: str) -> None:
        """Delete a configuration; updates of it answer 404 from now on."""
        self.call(self.store.delete_configuration(id))

    @without_frames
    def add_member(
        self, user: str, *, workspace: str = "", access: str = "WRITE", token: str = ""
    ) -> str:
        """Add a user to a workspace, by default the first, or change the access; return a token."""
        token = token or self.tokens.get(user) or f"{user}-token"
        if not is_bearer_token(token):
            raise ValueError("token: must be a bearer token: letters, digits and -._~+/")
        self._set_access(user, access, workspace, Token(token, user))
        return token

    def set_access(self, user: str, access: str, *, workspace: str = "") -> None:
        """Change a user's access to READ, WRITE or ADMIN, by default in the first workspace."""
        self._set_access(user, access, workspace)

    @without_frames
    def expire_token(self, token: str) -> None:
        """Expire a token now."""
        self.call(self.store.expire_token(token))

    @without_frames
    def revoke_token(self, token: str) -> None:
        """Remove a token."""
        self.call(self.store.revoke_token(token))

    def reset(self) -> None:
        """Restore the fixtures, and clear plans, delay and log."""
        self.call(self.store.reset(self.fixtures))
        self.known_ids = set(self.ids.values())
        self.plans.clear()
        self.journal.clear()

    def call(self, work: Coroutine[Any, Any, T], timeout: float = SECONDS) -> T:
        """Run a coroutine, such as one of the store, in the event loop that serves."""
        if self.loop is None:
            work.close()
            raise RuntimeError("the mock has stopped; use it before its block ends")
        try:
            return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)
        except NotFoundError:
            raise UnknownIdError(
                f"id: no configuration has it; the fixtures' are {self.ids}"
            ) from None
        except NameTakenError:
            raise ValueError(NAME_TAKEN) from None
        except UnauthorizedError:
            raise ValueError("token: is unknown") from None

    def _set_access(self, user: str, access: str, workspace: str, *tokens: Token) -> None:
        if not user:
            raise ValueError("user: is missing")
        if access not in LEVELS:
            raise ValueError(f"access: must be one of {', '.join(LEVELS)}")
        member = Member(workspace or self.fixtures.first_workspace, user, access)
        self._add(Fixtures(tokens=tokens, members=(member,)))

    def _add(self, more: Fixtures) -> None:
        self.call(self.store.add(more))

    def _is_stored(self, id: str, credential: str, value: str) -> bool:
        return self.call(self.store.reveals(id, credential, value))

    def _differences(
        self, id: str, stored: Mapping[str, Any], name: str, expected: str
    ) -> list[str]:
        """Return how a stored field differs; of a credential only since when it is stored."""
        if name not in self.contract.credentials:
            got = stored.get(name)
            return [] if got == expected else [f"{name}: expected {expected!r}, got {got!r}"]
        if name not in stored:
            return [f"{name}: is not set"]
        if self._is_stored(id, name, expected):
            return []
        return [f"{name}: differs; last changed at {stored[name]['changedAt']}"]

    def _fields(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the fields by the contract's names; the Python client's are accepted too."""
        known: dict[str, str] = {name.lower(): name for name in self.contract.fields}
        fields: dict[str, str] = {}
        for name, value in given.items():
            field = known.get(name.replace("_", "").lower())
            if field is None:
                raise TypeError(f"{name}: not a field; the fields are {', '.join(known.values())}")
            fields[field] = value
        return fields


def _history(id: str, entries: list[Entry]) -> list[str]:
    """Return lines for the requests for a configuration, and for the others."""
    own = [entry for entry in entries if entry.configuration == id]
    others = [entry for entry in entries if entry.configuration != id]
    lines = ["requests for it, in order:" if own else "requests for it: none"]
    lines += [f"  {entry}" for entry in own[-20:]]
    if others:
        lines.append("other requests:")
        lines += [f"  {entry} (id {entry.configuration or 'unknown'})" for entry in others[-10:]]
    return lines
