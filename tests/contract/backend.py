"""The backend under test: a URL, tokens and ids, and the one session that speaks to it."""

import json
import shlex
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import contract
import requests
from wire import Wire

WRITER = "FLASHBACK_TOKEN"
ADMIN = "FLASHBACK_ADMIN_TOKEN"
READER = "FLASHBACK_READER_TOKEN"
STRANGER = "FLASHBACK_STRANGER_TOKEN"
EXPIRED = "FLASHBACK_EXPIRED_TOKEN"
FOREIGN_ID = "FLASHBACK_FOREIGN_AI_LLM_ID"
SIBLING_ID = "FLASHBACK_SIBLING_AI_LLM_ID"

# What the run needs each variable for: shown for every promise that could not be tested.
MEANINGS = {
    WRITER: "a token that may update the configuration",
    ADMIN: "a token of an ADMIN of the configuration's workspace",
    READER: "a token of a member of the configuration's workspace who may only read",
    STRANGER: "a token of a user who is no member of the configuration's workspace",
    EXPIRED: "a token that was valid once",
    FOREIGN_ID: "the id of a configuration of another workspace",
    SIBLING_ID: "the id of another throwaway configuration of the same workspace",
}
TOKENS = (WRITER, ADMIN, READER, STRANGER, EXPIRED)

ATTEMPTS = 4  # at a request that the backend, or a proxy before it, is too busy to answer
LONGEST_PAUSE = 10.0  # seconds, whatever Retry-After says


class NoVerdictError(BaseException):
    """The backend cannot be judged; the message names the cure.

    No `Exception`, so that nothing between here and pytest takes it for a finding.
    """


class BrokenPromiseError(AssertionError):
    """The backend did not answer as the contract says."""


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    request: requests.PreparedRequest
    response: requests.Response
    base: str  # the backend's URL

    @property
    def status(self) -> int:
        """The answer's status."""
        return self.response.status_code

    def field(self, name: str) -> object:
        """A field of the answer's body; None if the body is no JSON object that has it."""
        try:
            answer: Any = self.response.json()
        except ValueError:
            return None
        return answer.get(name) if isinstance(answer, dict) else None

    @property
    def sent(self) -> bytes:
        """The request's body."""
        body: Any = self.request.body or b""
        if isinstance(body, str):
            return body.encode()
        sent: bytes = body if isinstance(body, bytes) else b"".join(body)
        return sent

    @property
    def given(self) -> dict[str, str]:
        """The fields that were sent; those only that are text."""
        try:
            body: Any = json.loads(self.sent)
        except (ValueError, RecursionError):
            return {}
        fields = body.items() if isinstance(body, dict) else ()
        return {name: value for name, value in fields if isinstance(value, str)}

    @property
    def id(self) -> str | None:
        """The id that was asked for; None on any other path."""
        url = (self.request.url or "").partition("?")[0]
        prefix, _, last = url.rpartition("/")
        if not last or prefix != self.base + contract.PATH.rpartition("/")[0]:
            return None
        return unquote_to_bytes(last).decode(errors="replace")


class Backend(requests.Session):
    """Sends requests to one backend, watches the answers, and knows what must not be printed."""

    def __init__(
        self, url: str, id: str, given: Mapping[str, str], pause: float, seconds: float = 10.0
    ) -> None:
        """Speak to `url`.

        `given` holds tokens and further ids by variable, `pause` are seconds between requests,
        `seconds` the longest that an answer may take.
        """
        super().__init__()
        self.trust_env = False  # nothing of the machine (proxies, .netrc) takes part
        wire = Wire()
        self.mount("http://", wire)
        self.mount("https://", wire)
        self.url, self.id, self.given = url, id, given
        self.seconds, self.pause = seconds, pause
        self.statuses: Counter[int] = Counter()
        self.first: Exchange | None = None
        self.last: Exchange | None = None
        self.watchers: list[Callable[[Exchange], None]] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request once the backend has time for it; redirects are never followed."""
        options |= {"allow_redirects": False, "timeout": self.seconds, "stream": False}
        for attempt in range(ATTEMPTS):
            if self.pause:  # to sleep for nothing takes its time, too
                time.sleep(self.pause)
            response = self._send_once(request, options)
            if not _busy(response):
                self.watch(Exchange(request, response, self.url))
                return response
            time.sleep(_pause_asked_for(response, attempt))
        raise NoVerdictError(
            f"the backend, or a proxy before it, was too busy {ATTEMPTS} times in a row; "
            "run again when it has time, or slower with --rate-limit"
        )

    def control(self) -> requests.PreparedRequest:
        """The request that must always work: change nothing, as the writer."""
        request = requests.Request(
            "PUT",
            self.url + contract.PATH.replace("{id}", quote(self.id, safe="")),
            headers={"Authorization": f"Bearer {self.given[WRITER]}"},
            json=contract.EXAMPLES["nothing"],
        )
        return self.prepare_request(request)

    def redact(self, text: str) -> str:
        """The text with every given token replaced by the shell expression that gives it."""
        for name, token in self._tokens():
            text = text.replace(token, f"${{{name}}}")
        return text

    def curl(self, exchange: Exchange) -> str:
        """A command line that repeats the request, with given tokens as shell expressions."""
        request = exchange.request
        words = ["curl -i", f"-X {request.method}", self._word(request.url or "")]
        defaults = {*self.headers, "Content-Length", "X-Schemathesis-TestCaseId"}
        headers = {n: v for n, v in request.headers.items() if n not in defaults}
        if exchange.sent and "Content-Type" not in headers:
            headers["Content-Type"] = ""  # or curl would add its own
        words += [f"-H {self._word(f'{name}: {_text(value)}')}" for name, value in headers.items()]
        if not exchange.sent:
            return " ".join(words)
        text = exchange.sent.decode(errors="replace")
        if text.isprintable() and text.encode() == exchange.sent:
            return " ".join([*words, f"--data-binary {self._word(text)}"])
        octets = "".join(f"\\{octet:03o}" for octet in exchange.sent)
        return f"printf '{octets}' | {' '.join(words)} --data-binary @-"

    def _send_once(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        with suppress(requests.RequestException):
            return super().send(request, **options)
        # The connection that was kept may have been closed meanwhile: once more, on a new one.
        try:
            return super().send(request, **options)
        except requests.RequestException as error:
            self._make_sure_it_lives()
            what = "no answer in time" if isinstance(error, requests.Timeout) else "no answer"
            self.last = Exchange(request, requests.Response(), self.url)
            raise BrokenPromiseError(
                f"expected an answer within {self.seconds:g} s, came: {what} "
                f"({type(error).__name__}), while the control request still works"
            ) from None

    def watch(self, exchange: Exchange) -> None:
        """Hold the rules for all answers against an exchange."""
        self.last = exchange
        self.statuses[exchange.status] += 1
        for watcher in self.watchers:
            watcher(exchange)

    def _make_sure_it_lives(self) -> None:
        for attempt in range(ATTEMPTS):
            try:
                super().send(self.control(), allow_redirects=False, timeout=self.seconds)
            except requests.RequestException:
                time.sleep(0.5 * attempt)
            else:
                return
        raise NoVerdictError(
            f"{self.url} does not answer any more, the control request included; "
            "see whether the backend still runs, then run again"
        )

    def _tokens(self) -> list[tuple[str, str]]:
        named = [(name, self.given[name]) for name in TOKENS if name in self.given]
        return sorted(named, key=lambda pair: -len(pair[1]))  # one token may begin with another

    def _word(self, text: str) -> str:
        """One word of a shell command that stands for the text."""
        for name, token in self._tokens():
            before, found, after = text.partition(token)
            if found:
                return f'{self._word(before)}"${{{name}}}"{self._word(after) if after else ""}'
        return shlex.quote(text)


def _busy(response: requests.Response) -> bool:
    if response.status_code == requests.codes.too_many_requests:
        return True
    gateway = response.status_code in (502, 503, 504)
    return gateway and "json" not in response.headers.get("Content-Type", "")


def _pause_asked_for(response: requests.Response, attempt: int) -> float:
    try:
        asked = float(response.headers.get("Retry-After", ""))
    except ValueError:
        asked = 0.5 * 2**attempt
    return min(max(asked, 0.0), LONGEST_PAUSE)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
