"""Checks that a response has the format that the contract documents for its status."""

import json
import re
from collections.abc import Iterator
from typing import Any

from support import contract
from support.exchange import Request, Response
from support.rule import Breach, describe

COMMON_TYPE = re.compile("(text|application)/[a-z.+-]+")


def breaches(request: Request, response: Response) -> Iterator[Breach]:
    """Yield a breach for each rule that the response breaks, starting with the most basic one."""
    status = response.status
    is_documented = status in contract.RESPONSES
    is_object = isinstance(response.value, dict)
    clause = "success-response" if response.succeeded else "error-response"
    if not is_documented:
        expected = f"one of {', '.join(map(str, contract.RESPONSES))}"
        subject = "a status that the contract does not document"
        yield Breach("statuses", "undocumented", str(status), expected, str(status), subject)
    if response.media_type != "application/json":
        got = response.media_type or "no Content-Type"
        subject = f"the media type of a {status} response"
        # An unusual media type could contain a token, which must not be part of the finding's id.
        outcome = got if COMMON_TYPE.fullmatch(got) or not response.media_type else "unusual"
        yield Breach(clause, "media-type", outcome, "application/json", got, subject)
    # Skip other bodies, such as HTML, because their wrong media type has already been reported.
    if "json" in response.media_type or response.value is not None:
        yield from _strict_json(clause, response)
    if is_documented and is_object:
        yield from _schema(clause, response)
    if is_documented:
        yield from _required_headers(response)
    if is_object:
        yield from _fields(request, response)


def _strict_json(clause: str, response: Response) -> Iterator[Breach]:
    subject = f"the body of a {response.status} response"
    try:
        value = json.loads(response.body.decode("utf-8"), object_pairs_hook=_fields_once)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # rejects lone surrogates
    except (ValueError, RecursionError) as error:
        got = f"invalid JSON: {error}"
        yield Breach(clause, "json", "not-strict", "strict JSON in UTF-8", got, subject)
        return
    if not isinstance(value, dict):
        yield Breach(clause, "json", "no-object", "a JSON object", describe(value), subject)


def _fields_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("duplicate field")
    return fields


def _schema(clause: str, response: Response) -> Iterator[Breach]:
    for error in contract.SCHEMAS[response.status].iter_errors(response.value):
        field = str(error.instance_path[-1]) if error.instance_path else "body"
        kind = error.kind.name
        subject = f"`{field}` in a {response.status} response"
        expected = "a value that matches the schema"
        if kind == "const":
            expected = f"`{field}`: {describe(error.kind.as_dict()['expected_value'])}"
        got = describe(error.instance)
        yield Breach(clause, f"{field}-{kind}", "invalid", expected, got, subject)


def _required_headers(response: Response) -> Iterator[Breach]:
    clause, scheme = ("challenge", ": Bearer") if response.status == 401 else ("error-response", "")
    for name, reference in contract.RESPONSES[response.status].get("headers", {}).items():
        header = contract.resolve(reference)
        if not header.get("required"):
            continue
        expected = f"`{name}{scheme}`"
        subject = f"the `{name}` header of a {response.status} response"
        value = response.header(name)
        if value is None:
            yield Breach(clause, name, "missing", expected, "no such header", subject)
        elif not re.fullmatch(header["schema"].get("pattern", "(?s).*"), value):
            yield Breach(clause, name, "other", expected, f"`{value}`", subject)


def _fields(request: Request, response: Response) -> Iterator[Breach]:
    clause = "success-fields" if response.succeeded else "error-response"
    correct: dict[str, object] = {"success": response.succeeded}
    if response.succeeded and request.id:
        correct["aiLlmId"] = request.id
    for name, expected in correct.items():
        value = response.field(name)
        words = f"`{name}`: {describe(expected)}"
        subject = f"`{name}` in a {response.status} response"
        if value is None:
            yield Breach(clause, name, "missing", words, "no such field", subject)
        elif value != expected or type(value) is not type(expected):
            yield Breach(clause, name, "other", words, describe(value), subject)
