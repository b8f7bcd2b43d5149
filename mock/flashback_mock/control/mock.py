"""The `Mock` class, which tests use directly or through `/__admin`."""

import asyncio
import re
import uuid
from collections import deque
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Unpack

from flashback_mock.contract import Contract
from flashback_mock.fixtures import BEARER_TOKEN, Configuration, Fixtures, Member, Token
from flashback_mock.stores.store import Access, Store
from flashback_mock.tracebacks import without_frames

from .arguments import check_types
from .blocking import blocking
from .journal import CRITERIA, Entry, history, matches
from .plans import Step, check_step

if TYPE_CHECKING:
    from flashback_mock.http.server import Server

MAX_LOGGED = 10_000
CAPITAL = re.compile("[A-Z]")


class Mock:
    """A mock backend: its contract, fixtures, store, planned responses and request log.

    All methods block, so code in the mock's event loop must not call them. They raise `ValueError`
    for invalid arguments.
    """

    def __init__(self, contract: Contract, fixtures: Fixtures, store: Store) -> None:
        self.contract = contract
        self.fixtures = fixtures
        self.store = store
        self.planned: list[Step] = []  # only code in the event loop changes this list
        self._log = deque[Entry](maxlen=MAX_LOGGED)
        self._clear()
        self._waiting = set[asyncio.Queue[Entry]]()  # each queue receives every new entry
        # The following attributes get their values when the mock starts.
        self.base_url = ""
        self.loop: asyncio.AbstractEventLoop | None = None
        self.server: Server

    def _clear(self) -> None:
        # The tokens are keyed by user, such as `owner`, and the ids by role, such as `main`.
        self.tokens = {token.user: token.value for token in self.fixtures.tokens}
        self.ids = {given.role: given.id for given in self.fixtures.configurations}
        self.planned.clear()
        self._delay = 0.0
        self._log.clear()

    @property
    def delay(self) -> float:
        """Return the delay before every response, in seconds. This property can be set."""
        return self._delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        check_types({"delay": seconds}, {"delay": float})
        self._delay = seconds

    @property
    def requests(self) -> list[Entry]:
        """Return all entries in the request log, oldest first."""
        return list(self._log)

    def log(self, entry: Entry) -> None:
        """Add an entry to the request log. Call this method only from the event loop."""
        self._log.append(entry)
        for logged in self._waiting:
            logged.put_nowait(entry)

    @without_frames
    def answer_next(self, status: int | None = None, /, **options: Unpack[Step]) -> None:
        """Plan the response to the next request, or to the next `times` requests.

        If `id` is set, the plan applies only to requests for this id. Set at least one of these
        options:

        - `status`: 200, or any 4xx or 5xx status
        - `example`: the name of an example in the contract
        - `headers`: additional headers
        - `delay`: a delay in seconds
        - `fault`: `reset`, `empty` (close the connection without a response), `timeout` (do not
          respond), `truncated`, `malformed`, or `refused` (close the port for `duration` seconds,
          starting immediately)

        The update is stored only if `after_update` is true, or if no status, example or fault is
        planned. Raise `ValueError` if the plan is empty or contradicts itself.
        """
        if status is not None:
            if "status" in options:
                raise ValueError("status: is specified twice")
            options["status"] = status
        self.answer_sequence(options)

    @blocking
    async def answer_sequence(self, *steps: Step) -> None:
        """Plan one response per step. A step is a dictionary of arguments for `answer_next`."""
        if not steps:
            raise ValueError("no steps were given; specify at least one")
        for step in steps:
            check_step(self.contract, step)
            id = step.get("id", "")
            # This id could be a role, such as `main`, that was passed by mistake. In that case,
            # `find` raises an error unless a configuration has this id.
            if id in self.ids:
                await self.store.find(id)
        # Also copy the headers, because callers can change them later.
        self.planned += [deepcopy(step) for step in steps if "duration" not in step]
        durations = [step["duration"] for step in steps if "duration" in step]
        if durations:
            await self.server.close_port(max(durations))

    @blocking
    async def clear_planned(self) -> None:
        """Remove all planned responses and the delay, and reopen a port closed by `refused`."""
        self.planned.clear()
        self.delay = 0.0
        await self.server.open_port()

    @blocking
    async def clear_requests(self) -> None:
        """Clear the request log."""
        self._log.clear()

    @blocking
    async def wait_for(
        self,
        /,
        count: int = 1,
        timeout: float = 5.0,  # noqa: ASYNC109 - part of the public API
        **criteria: Any,
    ) -> list[Entry]:
        """Wait until `count` requests match the criteria, and return all matching requests.

        For example, `wait_for(2, status=200)` waits for two requests with status 200. After
        `timeout` seconds, raise a `TimeoutError` that lists the latest requests.
        """
        check_types(criteria, CRITERIA, "count", "timeout")
        if count < 1:
            raise ValueError("count: must be at least 1")
        found = [entry for entry in self._log if matches(entry, criteria)]
        logged = asyncio.Queue[Entry]()
        self._waiting.add(logged)
        try:
            async with asyncio.timeout(timeout):
                while len(found) < count:
                    entry = await logged.get()
                    if matches(entry, criteria):
                        found.append(entry)
        except TimeoutError:
            # Show only the names of the criteria, because a value could be a misplaced credential.
            given = f" matching the criteria ({', '.join(criteria)})" if criteria else ""
            expected = f"expected {count} request(s){given} within {timeout:g} s, got {len(found)}"
            lines = [expected, *history(self.requests)]
            raise TimeoutError("\n  ".join(lines)) from None
        finally:
            self._waiting.remove(logged)
        return found

    @blocking
    async def configuration(self, id: str) -> dict[str, Any]:
        """Return the stored configuration, without the values of credentials."""
        return (await self.store.find(id)).describe()

    @blocking
    async def reveals(self, /, id: str, **credentials: str) -> bool:
        """Return whether the given credentials, such as `secret="…"`, equal the stored ones."""
        fields = self._fields(credentials)
        if not fields or fields.keys() - self.contract.credentials:
            names = ", ".join(sorted(self.contract.credentials))
            raise ValueError(
                f"expected credentials ({names}); use configuration() for other fields"
            )
        stored = await self.store.find(id)
        return all(stored.has(name, value) for name, value in fields.items())

    @blocking
    async def assert_updated(self, /, id: str, **fields: str) -> None:
        """Raise `AssertionError` unless the configuration was updated and has these field values.

        Each given credential must also have been sent in a successful update. The error message
        shows how each field differs and why requests were rejected, but contains no credentials.
        """
        expected = self._fields(fields)
        stored = await self.store.find(id)
        described = stored.describe()
        updates = [entry for entry in self._log if entry.configuration == id and entry.updated]
        problems: list[str] = []
        for name, value in expected.items():
            if name not in self.contract.credentials:
                if not stored.has(name, value):
                    problems.append(f"{name}: expected {value!r}, got {described.get(name)!r}")
            elif name not in described:
                problems.append(f"{name}: is not set")
            elif not stored.has(name, value):
                problems.append(f"{name}: differs")
            elif not any(name in entry.fields for entry in updates):
                problems.append(f"{name}: was not updated")
        if problems or not updates:
            headline = "is not as expected:" if problems else "was not updated"
            lines = [f"configuration {id} {headline}", *problems, *history(self.requests)]
            raise AssertionError("\n  ".join(lines))

    @blocking
    async def add_configuration(
        self, /, *, workspace: str = "", id: str = "", **fields: str
    ) -> str:
        """Add a configuration, by default to the first workspace, and return the new id.

        Fields can be named as in the contract (`aiType`) or as in the Python client (`ai_type`).
        """
        contract_fields = self._fields(fields, "workspace", "id")
        id = id or str(uuid.uuid4())
        if error := self.contract.id_error(id) or self.contract.body_error(contract_fields):
            raise ValueError(error)
        workspace = workspace or self.fixtures.first_workspace
        added = Configuration("", workspace, id, contract_fields)
        await self.store.add(Fixtures(configurations=(added,)))
        return id

    @blocking
    async def delete_configuration(self, id: str) -> None:
        """Delete a configuration. Later updates to it return 404."""
        await self.store.delete_configuration(id)

    @blocking
    async def add_member(
        self, user: str, *, workspace: str = "", access: Access = "WRITE", token: str = ""
    ) -> str:
        """Add a user to a workspace, by default the first one, and return the user's token.

        If the user is already a member of the workspace, change the user's access level.
        """
        token = token or self.tokens.get(user) or f"{user}-token"
        if not user:
            raise ValueError("user: is required")
        if not BEARER_TOKEN.fullmatch(token):
            raise ValueError(
                "token: must be a bearer token of letters, digits and -._~+/ (default: USER-token)"
            )
        member = Member(workspace or self.fixtures.first_workspace, user, access)
        await self.store.add(Fixtures((Token(token, user),), (member,)))
        return token

    @blocking
    async def expire_token(self, token: str) -> None:
        """Make a token expire immediately."""
        user = await self.store.user_of(token)
        if user is None:
            raise ValueError(
                "token: unknown or expired; specify a token such as owner-token, not a role"
            )
        # Do not use the current time, because a test can freeze the clock or set it back.
        expired = Token(token, user, datetime.fromtimestamp(0, UTC))
        await self.store.add(Fixtures(tokens=(expired,)))

    revoke_token = expire_token  # the service returns 401 for both expired and revoked tokens

    @blocking
    async def reset(self) -> None:
        """Restore the fixtures, and clear the planned responses, the delay and the request log."""
        await self.store.reset(self.fixtures)
        self._clear()
        await self.server.open_port()

    def _fields(self, given: Mapping[str, str], *other_names: str) -> dict[str, str]:
        """Return the fields with the contract's names, such as `aiType` instead of `ai_type`."""
        names = {CAPITAL.sub(r"_\g<0>", name).lower(): name for name in self.contract.fields}
        fields = {names.get(name, name): value for name, value in given.items()}
        if len(fields) < len(given):
            raise ValueError("a field is specified twice, under both of its names")
        check_types(fields, dict.fromkeys(self.contract.fields, str), *other_names)
        return fields
