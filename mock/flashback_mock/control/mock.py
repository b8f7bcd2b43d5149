"""One mock as tests see it: from Python, and through `/__admin`."""

import re
import uuid
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Unpack

from flashback_mock.contract import Contract
from flashback_mock.fixtures import Configuration, Fixtures, Member, Token, is_bearer_token
from flashback_mock.stores import LEVELS, Store, UnauthorizedError
from flashback_mock.tracebacks import without_frames

from .calls import check_seconds, check_types, control
from .journal import Entry, Journal
from .plans import Plans, Step, plan_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

CAPITAL = re.compile("[A-Z]")


class Mock:
    """A contract, a store with its fixtures, planned answers, and the request log.

    The methods block, so never call them from the thread that serves. Each raises `ValueError`
    for invalid arguments.
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
        self.known_tokens = set(self.tokens.values())
        # Set while it serves.
        self.base_url = ""
        self.loop: AbstractEventLoop | None = None
        self.close_port: Callable[[float], Coroutine[Any, Any, None]]
        self.open_port: Callable[[], Coroutine[Any, Any, None]]

    def __repr__(self) -> str:
        """Return the URL of the mock."""
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
        """Return the delay of every response, in seconds; it can be set."""
        return self.plans.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        check_seconds("delay", seconds)
        self.plans.delay = seconds

    @without_frames
    def answer_next(self, status: int | None = None, /, **options: Unpack[Step]) -> None:
        """Plan the answer to the next request, or to the next `times` (only for `id`, if set).

        Plan a `status` (200, or any 4xx or 5xx) or a named `example` of the contract, additional
        `headers`, a `delay` in seconds, or a `fault`: `reset`, `empty` (closed without a response),
        `timeout` (no response), `truncated`, `malformed`, or `refused` (the port is closed for
        `duration` seconds, starting now). The update is not stored, unless only `headers` or
        `delay` are planned, or `after_update` is true. Raise `ValueError` for a plan that is empty
        or contradicts itself.
        """
        if status is not None:
            if "status" in options:
                raise ValueError("status: is given twice")
            options["status"] = status
        self.answer_sequence(options)

    @control
    async def answer_sequence(self, *steps: Step) -> None:
        """Plan the answers to the next requests in order; for a step see `answer_next`."""
        plans = [plan_of(self.contract, step) for step in steps]
        if not plans:
            raise ValueError("nothing planned; give at least one step")
        self.plans.extend([plan for plan in plans if "duration" not in plan])
        if closed := max(plan.get("duration", 0) for plan in plans):
            await self.close_port(closed)

    @control
    async def clear_planned(self) -> None:
        """Remove all planned answers and the delay, and open a port that `refused` closed."""
        self.plans.clear()
        await self.open_port()

    @control
    async def clear_requests(self) -> None:
        """Clear the request log."""
        self.journal.clear()

    @control
    async def wait_for(
        self,
        /,
        count: int = 1,
        timeout: float = 5.0,  # noqa: ASYNC109 - the caller's
        **criteria: Any,
    ) -> list[Entry]:
        """Return the requests that match, as in `wait_for(2, status=200)`, once there are `count`.

        After `timeout` seconds, raise `TimeoutError`, which lists the requests received instead.
        """
        return await self.journal.wait_for(count, timeout, criteria)

    @control
    async def configuration(self, id: str) -> dict[str, Any]:
        """Return the stored configuration; for a credential, only that it is set and since when."""
        return await self.store.configuration(id)

    @control
    async def reveals(self, /, id: str, **credentials: str) -> bool:
        """Return whether these are the stored credentials, as in `reveals(id, secret="…")`."""
        fields = self._fields(credentials)
        if not fields or fields.keys() - self.contract.credentials:
            names = ", ".join(sorted(self.contract.credentials))
            raise ValueError(f"expected credentials ({names}); read the rest with configuration()")
        await self.store.configuration(id)
        for name, value in fields.items():
            if not await self.store.reveals(id, name, value):
                return False
        return True

    @control
    async def assert_updated(self, /, id: str, **fields: str) -> None:
        """Raise `AssertionError` unless the configuration was updated and now has these fields.

        A credential must also have been sent. The message shows how each field differs (except for
        the value of a credential), and why requests were refused.
        """
        expected = self._fields(fields)
        stored = await self.store.configuration(id)
        updates = [entry for entry in self.requests if entry.configuration == id and entry.updated]
        sent = {field for entry in updates for field in entry.fields}
        problems: list[str] = []
        for name, value in expected.items():
            if name not in self.contract.credentials:
                if stored.get(name) != value:
                    problems.append(f"{name}: expected {value!r}, got {stored.get(name)!r}")
                continue
            if name not in stored:
                problems.append(f"{name}: is not set")
            elif not await self.store.reveals(id, name, value):
                problems.append(f"{name}: differs; last changed at {stored[name]['changedAt']}")
            if name not in sent:
                problems.append(f"{name}: was not sent")
        if problems or not updates:
            headline = "is not as expected:" if problems else "was not updated"
            lines = [f"configuration {id} {headline}", *problems, *self.journal.history(id)]
            raise AssertionError("\n  ".join(lines))

    @control
    async def add_configuration(
        self, /, *, workspace: str = "", id: str = "", **fields: str
    ) -> str:
        """Add a configuration, by default to the first workspace; return its id."""
        given = self._fields(fields, "workspace", "id")
        id = id or str(uuid.uuid4())
        if error := self.contract.id_error(id) or self.contract.body_error(given):
            raise ValueError(error)
        added = Configuration("", workspace or self.fixtures.first_workspace, id, given)
        await self.store.add(Fixtures(configurations=(added,)))
        self.known_ids.add(id)
        return id

    @control
    async def delete_configuration(self, id: str) -> None:
        """Delete a configuration; updates of it get a 404 from now on."""
        await self.store.delete_configuration(id)

    @control
    async def add_member(
        self, user: str, *, workspace: str = "", access: str = "WRITE", token: str = ""
    ) -> str:
        """Add a user to a workspace, by default to the first one; return the user's token.

        For a known member, change the access level.
        """
        token = token or self.tokens.get(user) or f"{user}-token"
        if not is_bearer_token(token):
            raise ValueError("token: must be a bearer token: letters, digits and -._~+/")
        self.known_tokens.add(token)
        await self._add_member(user, access, workspace, Token(token, user))
        return token

    @control
    async def set_access(self, user: str, access: str, *, workspace: str = "") -> None:
        """Set a user's access level in a workspace, by default the first: READ, WRITE or ADMIN."""
        await self._add_member(user, access, workspace)

    @control
    async def expire_token(self, token: str) -> None:
        """Expire a token now."""
        user = await self.store.user_of(token)
        if user is None:
            raise UnauthorizedError
        expired = Token(token, user, datetime.now(UTC))
        await self.store.add(Fixtures(tokens=(expired,)))

    @control
    async def revoke_token(self, token: str) -> None:
        """Remove a token."""
        await self.store.revoke_token(token)

    @control
    async def reset(self) -> None:
        """Restore the fixtures, and clear plans, delay and log."""
        await self.store.reset(self.fixtures)
        self.known_ids = set(self.ids.values())
        self.known_tokens = set(self.tokens.values())
        self.plans.clear()
        self.journal.clear()
        await self.open_port()

    async def _add_member(self, user: str, access: str, workspace: str, *tokens: Token) -> None:
        if not user:
            raise ValueError("user: is missing")
        if access not in LEVELS:
            raise ValueError(f"access: must be one of {', '.join(LEVELS)}")
        member = Member(workspace or self.fixtures.first_workspace, user, access)
        await self.store.add(Fixtures(tokens=tokens, members=(member,)))

    def _fields(self, given: Mapping[str, str], *other_names: str) -> dict[str, str]:
        """Return the fields under the contract's names; accept the Python client's names, too."""
        names = {CAPITAL.sub(r"_\g<0>", name).lower(): name for name in self.contract.fields}
        fields: dict[str, str] = {}
        for given_name, value in given.items():
            name = names.get(given_name, given_name)
            if name in fields:
                raise ValueError(f"{name}: is given twice")
            fields[name] = value
        check_types(fields, dict.fromkeys(self.contract.fields, str), *other_names)
        return fields
