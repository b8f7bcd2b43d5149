"""The backend under test: a URL, tokens and ids, and the one session that speaks to it."""

import re
import shlex
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping
from typing import Any

import answers
import contract
import requests
from exchange import BrokenPromiseError, Exchange, NoVerdictError
from wire import Wire

# What the run needs each variable for: shown for every promise that could not be tested.
MEANINGS = {
    "FLASHBACK_TOKEN": "a token that may update the configuration",
    "FLASHBACK_ADMIN_TOKEN": "a token of an ADMIN of the id's workspace",
    "FLASHBACK_READER_TOKEN": "a token of a member of the id's workspace who may only read",
    "FLASHBACK_STRANGER_TOKEN": "a token of a user who is no member of the id's workspace",
    "FLASHBACK_EXPIRED_TOKEN": "a token that was valid once",
    "FLASHBACK_FOREIGN_AI_LLM_ID": "the id of a configuration of another workspace",
    "FLASHBACK_SIBLING_AI_LLM_ID": "the id of another throwaway configuration of its workspace",
}
WRITER, ADMIN, READER, STRANGER, EXPIRED, FOREIGN_ID, SIBLING_ID = MEANINGS
TOKENS = (WRITER, ADMIN, READER, STRANGER, EXPIRED)

ATTEMPTS = 4  # at a request that the backend, or a proxy before it, is too busy to answer


class Backend(requests.Session):
    """Sends requests to one backend, watches the answers, and knows what must not be printed."""

    def __init__(self, settings: Namespace, given: Mapping[str, str]) -> None:
        """Speak to the settings' backend; `given` holds tokens and further ids by variable."""
        super().__init__()
        self.trust_env = False  # nothing of the machine (proxies, .netrc) takes part
        self.settings, self.given = settings, given
        self.url, self.id = settings.backend_url.rstrip("/"), settings.id
        self.own_ids = [self.id, *filter(None, [given.get(SIBLING_ID)])]
        self.statuses: Counter[int] = Counter()
        self.first: Exchange | None = None
        self.last: Exchange | None = None
        self._wire = Wire(self.url, settings.timeout)
        self._shown = {given[name]: f"${{{name}}}" for name in TOKENS if name in given}
        longest_first = sorted(self._shown, key=len, reverse=True)  # one may begin with another
        self._token = re.compile("|".join(map(re.escape, longest_first)))

    def send(self, request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        """The answer, as schemathesis asks for it; redirects are never followed."""
        return self.exchange(request).response

    def exchange(self, request: requests.PreparedRequest) -> Exchange:
        """The request and its answer, once the backend has time for one."""
        for attempt in range(ATTEMPTS):
            time.sleep(1 / self.settings.rate_limit if self.settings.rate_limit else 0)
            exchange = Exchange(request, self._send_once(request), self.url)
            if not exchange.busy:
                self.watch(exchange)
                return exchange
            time.sleep(exchange.pause_asked_for(0.5 * 2**attempt))
        raise NoVerdictError(
            f"the backend, or a proxy before it, was too busy {ATTEMPTS} times in a row; "
            "run again when it has time, or slower with --rate-limit"
        )

    def watch(self, exchange: Exchange) -> None:
        """Hold the rules for all answers against an exchange."""
        self.last = exchange
        self.statuses[exchange.status] += 1
        answers.judge(exchange)

    def control(self, body: Mapping[str, str] | None = None) -> requests.PreparedRequest:
        """The request that must always work: by default, change nothing, as the writer."""
        url = self.url + contract.path_of(self.id)
        headers = {"Authorization": f"Bearer {self.given[WRITER]}"}
        return self.prepare_request(requests.Request("PUT", url, headers, json=body or {}))

    def close(self) -> None:
        """Let go of every connection."""
        self._wire.close()

    def redact(self, text: str) -> str:
        """The text with every given token replaced by the shell expression that gives it."""
        return self._token.sub(lambda found: self._shown[found[0]], text)

    def curl(self, exchange: Exchange) -> str:
        """A command line that repeats the request, with given tokens as shell expressions."""
        request, sent = exchange.request, exchange.sent
        defaults = {*self.headers, "Content-Length", "X-Schemathesis-TestCaseId"}
        headers = {n: _text(v) for n, v in request.headers.items() if n not in defaults}
        if sent and "Content-Type" not in headers:
            headers["Content-Type"] = ""  # or curl would add its own
        words = ["curl -i", f"-X {request.method}", self._word(request.url or "")]
        words += [f"-H {self._word(f'{name}: {value}')}" for name, value in headers.items()]
        if not sent:
            return " ".join(words)
        text = sent.decode(errors="replace")
        if text.isprintable() and text.encode() == sent:
            return " ".join([*words, f"--data-binary {self._word(text)}"])
        octets = "".join(f"\\{octet:03o}" for octet in sent)
        return f"printf '{octets}' | {' '.join(words)} --data-binary @-"

    def _word(self, text: str) -> str:
        """One word of a shell command that stands for the text."""
        parts = filter(None, re.split(f"({self._token.pattern})", text))
        return "".join(f'"{self._shown[p]}"' if p in self._shown else shlex.quote(p) for p in parts)

    def _send_once(self, request: requests.PreparedRequest) -> requests.Response:
        try:
            try:
                return self._wire.send(request)
            except OSError:  # the connection that was kept may have been closed meanwhile
                return self._wire.send(request)
        except OSError as error:
            self._make_sure_it_lives()
            self.last = Exchange(request, requests.Response(), self.url)
            raise BrokenPromiseError(
                f"expected an answer within {self.settings.timeout:g} s, came: {error}, "
                "while the control request still works"
            ) from None

    def _make_sure_it_lives(self) -> None:
        why = ""
        for attempt in range(ATTEMPTS):
            try:
                self._wire.send(self.control())
            except OSError as error:
                why = str(error)
                time.sleep(0.5 * attempt)
            else:
                return
        if not self.first:
            raise NoVerdictError(f"{self.url} does not answer: {why}; see --backend-url")
        raise NoVerdictError(
            f"{self.url} does not answer any more ({why}), the control request included; "
            "see whether the backend still runs, then run again"
        )


under_test: Backend  # set by conftest.py; test modules need it as they are collected


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
