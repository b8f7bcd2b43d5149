"""The backend under test, with its URL, tokens and ids."""

import argparse
import re
import time
from collections import Counter, deque
from collections.abc import Mapping

from support import contract
from support.curl import Redactor
from support.exchange import Exchange, NoVerdictError, Place, Request, User
from support.proxies import Shape
from support.wire import Wire, WireError

# Descriptions of the environment variables, shown if a variable is needed but not set.
MEANINGS = {
    "FLASHBACK_TOKEN": "a token that can update the configuration",
    "FLASHBACK_ADMIN_TOKEN": "a token for an ADMIN of the configuration's workspace",
    "FLASHBACK_READER_TOKEN": "a token for a member of the workspace who has only READ access",
    "FLASHBACK_STRANGER_TOKEN": "a token for a user who is not a member of the workspace",
    "FLASHBACK_EXPIRED_TOKEN": "an expired token",
    "FLASHBACK_FOREIGN_AI_LLM_ID": "the id of a configuration in another workspace",
    "FLASHBACK_SIBLING_AI_LLM_ID": "the id of a second throwaway configuration in the workspace",
}
WRITER, ADMIN, READER, STRANGER, EXPIRED, FOREIGN_ID, SIBLING_ID = MEANINGS
TOKENS = (WRITER, ADMIN, READER, STRANGER, EXPIRED)

USERS = {
    WRITER: User("WRITE", "with a token that can update"),
    ADMIN: User("ADMIN", "with an ADMIN's token"),
    READER: User(
        "READ",
        "with a READ member's token",
        may_update=False,
        clause="access-levels",
    ),
    STRANGER: User(
        "stranger", "with a non-member's token", may_update=False, clause="workspace-access"
    ),
    EXPIRED: User("expired", "with an expired token", is_valid=False),
}
NOBODY = User("no-token", "without a token", is_valid=False)

UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
ATTEMPTS = 4  # attempts per request if the backend, or a proxy in front of it, is too busy
TIMEOUTS_IN_FULL = 3  # after this many timeouts, the timeout is reduced to one second


class Backend:
    """Sends requests to the backend and, if a run ends without a verdict, records the reason."""

    def __init__(self, option: argparse.Namespace, given: Mapping[str, str]) -> None:
        """Use the backend at `--backend-url`; `given` maps environment variables to values."""
        self.given = given
        self.url: str = option.backend_url.rstrip("/")
        self.id: str = option.id or contract.EXAMPLE_ID
        self.own_ids = [self.id, *filter(None, [given.get(SIBLING_ID)])]
        self.statuses: Counter[int] = Counter()
        self.shape = Shape()
        self.latest: deque[Exchange] = deque(maxlen=3)
        self.no_verdict: NoVerdictError | None = None
        self.redactor = Redactor({name: given[name] for name in TOKENS if name in given})
        self._pause = 1 / option.rate_limit if option.rate_limit else 0.0
        self._wire = Wire(self.url, option.timeout, option.ca)
        self._timeouts = 0

    def users(self, *variables: str) -> list[str]:
        """Return those of the given token variables that are set."""
        return [variable for variable in variables if variable in self.given]

    def place(self, id: str) -> Place:
        """Describe the configuration with this id."""
        if id in self.own_ids:
            return Place("own", "the configuration", id)
        if id == self.given.get(FOREIGN_ID):
            words = "a configuration in another workspace"
            return Place("foreign", words, "", frozenset({403}), "workspace-access")
        # Unknown ids are random UUIDs. If the backend's ids are not UUIDs, it may return 400.
        statuses = frozenset({404} if UUID.fullmatch(self.id) else {400, 404})
        return Place("unknown", "an unknown id", "", statuses, "id")

    def url_of(self, request: Request) -> str:
        """Return the request's full URL."""
        return self.url + request.target

    def exchange(self, request: Request) -> Exchange:
        """Send the request; retry while the backend is busy, and raise after the last attempt."""
        for attempt in range(ATTEMPTS):
            if self._pause:
                time.sleep(self._pause)
            exchange = self.send(request)
            response = exchange.response
            if response is None or not response.is_too_busy:
                self.latest.append(exchange)
                return exchange
            time.sleep(response.pause(0.5 * 2**attempt))
        raise self.give_up(
            f"the backend, or a proxy in front of it, was too busy {ATTEMPTS} times in a row",
            "run again later, or reduce the load with --rate-limit",
        )

    def send(self, request: Request) -> Exchange:
        """Send the request once, without retries."""
        try:
            exchange = Exchange(request, self._wire.send(request))
        except WireError as error:
            exchange = Exchange(request, None, str(error), error.never_sent)
            if error.timed_out:
                self._timeouts += 1
                if self._timeouts >= TIMEOUTS_IN_FULL:
                    self._wire.timeout = min(self._wire.timeout, 1.0)
        self.statuses[exchange.status] += 1
        return exchange

    def give_up(self, reason: str, cure: str = "") -> NoVerdictError:
        """Record why the run ends without a verdict; return the error to raise."""
        redact = self.redactor.redact
        self.no_verdict = NoVerdictError(redact(reason), redact(cure))
        return self.no_verdict

    def control(self, body: object, *, id: str | None = None) -> Request:
        """Return a control request: an update that must always succeed, on a new connection."""
        content = contract.to_json(body)
        headers = (
            ("Content-Type", "application/json"),
            ("Authorization", f"Bearer {self.given[WRITER]}"),
            ("Content-Length", str(len(content))),
        )
        id = id or self.id
        return Request(
            target=contract.path_of(id), headers=headers, body=content, user=USERS[WRITER],
            place=self.place(id), words="the control request", on_new_connection=True,
        )  # fmt: skip

    def close(self) -> None:
        """Close every connection."""
        self._wire.close()
