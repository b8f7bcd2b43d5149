"""The mock as Python code sees it."""

from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from flashback_mock.contract import Contract
from flashback_mock.fixtures import Fixtures
from flashback_mock.stores import NotFoundError, Store
from flashback_mock.tracebacks import without_frames

from .backend import Backend
from .journal import Entry
from .plans import Fault, Step

T = TypeVar("T")


class Run(Protocol):
    """Runs a coroutine in the event loop that serves, and returns what it returns."""

    def __call__(self, work: Coroutine[Any, Any, T], timeout: float) -> T:
        """Wait for at most `timeout` seconds."""
        ...


SECONDS = 30.0  # for the store to answer


class Mock:
    """A running mock. Its methods block, so call them from any thread but the one that serves."""

    def __init__(self, base_url: str, backend: Backend, run: Run) -> None:
        """Control what `backend` serves at `base_url`."""
        self.base_url = base_url
        self._backend = backend
        self._run = run

    def __repr__(self) -> str:
        """Return where it serves."""
        return f"Mock({self.base_url!r})"

    @property
    def contract(self) -> Contract:
        """Return the contract that it serves."""
        return self._backend.contract

    @property
    def fixtures(self) -> Fixtures:
        """Return what it started with."""
        return self._backend.fixtures

    @property
    def store(self) -> Store:
        """Return its store, whose methods are for `call`."""
        return self._backend.store

    @property
    def tokens(self) -> dict[str, str]:
        """Return the bearer tokens by role: owner, admin, reader, stranger, expired."""
        return self._backend.tokens

    @property
    def ids(self) -> dict[str, str]:
        """Return the configurations' ids by role: main, sibling, foreign (another workspace)."""
        return self._backend.ids

    @property
    def requests(self) -> list[Entry]:
        """Return the request log, oldest first."""
        return self._backend.journal.entries

    @property
    def delay(self) -> float:
        """Return the delay of every answer, in seconds; it can be set."""
        return self._backend.plans.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._backend.plans.delay = seconds

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
        self.call(self._backend.plan(list(steps)))

    def clear_planned(self) -> None:
        """Forget all planned answers, and the delay."""
        self._backend.plans.clear()

    def wait_for(self, count: int = 1, timeout: float = 5.0, **criteria: Any) -> list[Entry]:
        """Return the requests that match, as in `wait_for(2, status=200)`, once there are `count`.

        Raise `TimeoutError`, which lists the requests that came instead, after `timeout` seconds.
        """
        work = self._backend.journal.wait_for(count, timeout, criteria)
        return self._run(work, timeout + SECONDS)

    @without_frames
    def configuration(self, id: str) -> dict[str, Any]:
        """Return what is stored now; of a credential only that it is set, and when it changed."""
        return self.call(self._backend.store.configuration(id))

    @without_frames
    def reveals(self, id: str, **credentials: str) -> bool:
        """Return whether these are the stored credentials, as in `reveals(id, secret="…")`."""
        return self.call(self._backend.reveals(id, self._fields(credentials)))

    @without_frames
    def assert_updated(self, id: str, **fields: str) -> None:
        """Raise `AssertionError` unless the configuration was updated and has these fields now.

        Credentials must have been sent, too. The message says how each field differs (of a
        credential only that it does), and why requests were refused.
        """
        failure = self.call(self._backend.update_failure(id, self._fields(fields)))
        if failure:
            raise AssertionError(failure)

    @without_frames
    def add_configuration(self, *, workspace: str = "", id: str = "", **fields: str) -> str:
        """Add a configuration, by default to the first workspace; return its id."""
        work = self._backend.add_configuration(self._fields(fields), workspace, id)
        return self.call(work)

    @without_frames
    def delete_configuration(self, id: str) -> None:
        """Delete a configuration; updates of it answer 404 from now on."""
        self.call(self._backend.delete_configuration(id))

    @without_frames
    def add_member(
        self, user: str, *, workspace: str = "", access: str = "WRITE", token: str = ""
    ) -> str:
        """Add a user to a workspace, by default the first, or change the access; return a token."""
        return self.call(self._backend.add_member(user, workspace, access, token))

    def set_access(self, user: str, access: str, *, workspace: str = "") -> None:
        """Change a user's access to READ, WRITE or ADMIN, by default in the first workspace."""
        self.call(self._backend.set_access(user, access, workspace))

    @without_frames
    def expire_token(self, token: str) -> None:
        """Let a token expire now."""
        self.call(self._backend.expire_token(token))

    @without_frames
    def revoke_token(self, token: str) -> None:
        """Remove a token."""
        self.call(self._backend.revoke_token(token))

    def reset(self) -> None:
        """Restore the fixtures, and clear plans, delay and log."""
        self.call(self._backend.reset())

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

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine, such as one of the store, in the event loop that serves."""
        try:
            return self._run(work, SECONDS)
        except NotFoundError:
            raise ValueError(f"id: no configuration has it; the fixtures' are {self.ids}") from None
