"""The backend under test: its URL, its tokens and ids, and how requests reach it."""

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

# The meaning of each variable: shown for every promise that is not tested without it.
MEANINGS = {
    "FLASHBACK_TOKEN": "a token that may update the configuration",
    "FLASHBACK_ADMIN_TOKEN": "a token of an ADMIN of the id's workspace",
    "FLASHBACK_READER_TOKEN": "a token of a member of the id's workspace who may only read",
    "FLASHBACK_STRANGER_TOKEN": "a token of a user who is not a member of the id's workspace",
    "FLASHBACK_EXPIRED_TOKEN": "an expired token",
    "FLASHBACK_FOREIGN_AI_LLM_ID": "the id of a configuration of another workspace",
    "FLASHBACK_SIBLING_AI_LLM_ID": "the id of another throwaway configuration of its workspace",
}
WRITER, ADMIN, READER, STRANGER, EXPIRED, FOREIGN_ID, SIBLING_ID = MEANINGS
TOKENS = (WRITER, ADMIN, READER, STRANGER, EXPIRED)

USERS = {
    WRITER: User("WRITE", "with a token that may update"),
    ADMIN: User("ADMIN", "with the token of an ADMIN"),
    READER: User("READ", "with the token of a reader", may_update=False, clause="access-levels"),
    STRANGER: User(
        "stranger", "with the token of a stranger", may_update=False, clause="workspace-access"
    ),
    EXPIRED: User("expired", "with an expired token", is_valid=False),
}
NOBODY = User("no-token", "without a token", is_valid=False)

UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
ATTEMPTS = 4  # per request, while the backend or a proxy in front of it is too busy
TIMEOUTS_IN_FULL = 3  # after these, the run waits only a second for each response


class Backend:
    """Sends requests to one backend, and recognizes when the backend cannot be judged."""

    def __init__(self, option: argparse.Namespace, given: Mapping[str, str]) -> None:
        """Connect to the backend of the options; `given` has tokens and ids by variable."""
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
        """Return the variables whose tokens are set."""
        return [variable for variable in variables if variable in self.given]

    def place(self, id: str) -> Place:
        """Return what the tests know about the configuration with this id."""
        if id in self.own_ids:
            return Place("own", "the configuration", id)
        if id == self.given.get(FOREIGN_ID):
            words = "a configuration of another workspace"
            return Place("foreign", words, "", frozenset({403}), "workspace-access")
        # Unknown ids are UUIDs, for safety: a backend with ids of another form may return 400.
        statuses = frozenset({404} if UUID.fullmatch(self.id) else {400, 404})
        return Place("unknown", "an id that no configuration has", "", statuses, "id")

    def url_of(self, request: Request) -> str:
        """Return the full URL of the request."""
        return self.url + request.target

    def exchange(self, request: Request) -> Exchange:
        """Send the request, and retry while the backend is too busy; raise if it stays busy."""
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
            f"the backend, or a proxy before it, was too busy {ATTEMPTS} times in a row",
            "run again when it has time, or slower with --rate-limit",
        )

    def send(self, request: Request) -> Exchange:
        """Send the request once."""
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
        """Record that the backend cannot be judged; return the error that ends the run."""
        redact = self.redactor.redact
        self.no_verdict = NoVerdictError(redact(reason), redact(cure))
        return self.no_verdict

    def control(self, body: object, *, id: str | None = None) -> Request:
        """Return an update by the writer, on a new connection, that must always work."""
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
