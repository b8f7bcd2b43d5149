"""What every answer must keep, whatever was asked: rules that OpenAPI cannot say."""

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import contract
from backend import BrokenPromiseError, Exchange, credentials_in

SHORTEST = 8  # characters of a credential that cannot stand in an answer by chance


class Watch:
    """One rule held against every exchange of the run; keeps the shortest one that broke it."""

    def __init__(self) -> None:
        """Nothing is broken yet."""
        self.broken: tuple[Exchange, BrokenPromiseError] | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Judge an exchange of the operation."""
        if exchange.request.method != "PUT" or exchange.status not in contract.STATUSES:
            return
        try:
            self.judge(exchange)
        except BrokenPromiseError as error:
            if self.broken is None or len(exchange.sent) < len(self.broken[0].sent):
                self.broken = exchange, error

    def judge(self, exchange: Exchange) -> None:
        """Raise `BrokenPromiseError` if the exchange breaks the rule."""
        raise NotImplementedError


class CredentialsStayInside(Watch):
    """No answer carries a credential, in any spelling."""

    def judge(self, exchange: Exchange) -> None:
        """Look for the credentials of the request in the status line, headers and body."""
        response = exchange.response
        head = [response.reason, *(f"{n}: {v}" for n, v in response.headers.items())]
        answer = "\n".join([*head, response.content.decode("latin-1")])
        for credential in credentials_in(exchange.sent):
            # The contract's own words may come back: an answer that has them leaks nothing.
            if len(credential) < SHORTEST or credential in contract.TEXT:
                continue
            for how, spelling in spellings(credential):
                if spelling in answer:
                    raise BrokenPromiseError(
                        f"expected no credential in the answer, came one of the request's, {how}"
                    )


class SuccessIsTrue(Watch):
    """`success` says what the status says."""

    def judge(self, exchange: Exchange) -> None:
        """Compare `success` with the status."""
        wanted = exchange.status == 200
        came = exchange.field("success")
        if came is not wanted:
            raise BrokenPromiseError(
                f'expected "success": {json.dumps(wanted)} in a {exchange.status}, came {came!r}'
            )


class IdIsTrue(Watch):
    """`aiLlmId` is the id that was asked for."""

    def judge(self, exchange: Exchange) -> None:
        """Compare `aiLlmId` of a 200 with the path's id."""
        came = exchange.field("aiLlmId")
        if exchange.status == 200 and came != exchange.id:
            raise BrokenPromiseError(f'expected "aiLlmId" to be the id asked for, came {came!r}')


def spellings(credential: str) -> Iterator[tuple[str, str]]:
    """The ways in which a credential may hide in an answer, each with its name."""
    octets = credential.encode()
    yield "as it is", octets.decode("latin-1")
    yield "in base64", base64.b64encode(octets).decode().rstrip("=")
    yield "in hex", octets.hex()
    yield "percent-encoded", quote(credential, safe="")
    yield "with JSON escapes", json.dumps(credential)[1:-1]
    yield "reversed", credential[::-1].encode().decode("latin-1")
