"""Checks that a response has the format that the contract documents for its status."""

import json
import re
from collections.abc import Iterator
from typing import Any

from support import contract
from support.exchange import Request, Response
from support.rule import Breach
from support.words import describe_value

COMMON_TYPE = re.compile("(text|application)/[a-z.+-]+")


def breaches(request: Request, response: Response) -> Iterator[Breach]:
    """Yield a breach for each rule that the response breaks, starting with the most basic one."""
    status = response.status
    is_documented = status in contract.RESPONSES
    clause = "success-response" if response.succeeded else "error-response"
    if not is_documented:
        expected = f"one of {', '.join(str(status) for status in contract.RESPONSES)}"
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
    is_object = isinstance(response.value, dict)
    if is_documented and is_object:
        yield from _schema(clause, response)
    if is_documented:
        yield from _required_headers(response)
    if is_object:
        yield from _fields(request, response)


def _strict_json(clause: str, response: Response) -> Iterator[Breach]:
    subject = f"the body of a {response.status} response"
    expected = "strict JSON in UTF-8"
    try:
        value = json.loads(response.body.decode("utf-8"), object_pairs_hook=_fields_once)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # rejects lone surrogates
    except (ValueError, RecursionError) as error:
        got = f"invalid JSON: {error}"
        yield Breach(clause, "json", "not-strict", expected, got, subject)
    else:
        if not isinstance(value, dict):
            got = describe_value(value)
            yield Breach(clause, "json", "no-object", "a JSON object", got, subject)


def _fields_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("duplicate field")
    return fields


def _schema(clause: str, response: Response) -> Iterator[Breach]:
    for error in contract.SCHEMAS[response.status].iter_errors(response.value):
        field = str(error.instance_path[-1]) if error.instance_path else "body"
        kind = f"{field}-{error.kind.name}"
        subject = f"`{field}` in a {response.status} response"
        expected = "a value that matches the schema"
        if error.kind.name == "const":
            expected = f"`{field}`: {describe_value(error.kind.as_dict()['expected_value'])}"
        got = describe_value(error.instance)
        yield Breach(clause, kind, "invalid", expected, got, subject)


def _required_headers(response: Response) -> Iterator[Breach]:
    for name, reference in contract.RESPONSES[response.status].get("headers", {}).items():
        header = contract.resolve(reference)
        value = response.header(name)
        if not header.get("required"):
            continue
        if value is not None and re.fullmatch(header["schema"].get("pattern", "(?s).*"), value):
            continue
        is_challenge = response.status == 401
        clause = "challenge" if is_challenge else "error-response"
        expected = f"`{name}: Bearer`" if is_challenge else f"`{name}`"
        outcome = "missing" if value is None else "other"
        got = "no such header" if value is None else f"`{value}`"
        subject = f"the `{name}` header of a {response.status} response"
        yield Breach(clause, name, outcome, expected, got, subject)


def _fields(request: Request, response: Response) -> Iterator[Breach]:
    clause = "success-fields" if response.succeeded else "error-response"
    expected: dict[str, object] = {"success": response.succeeded}
    if response.succeeded and request.id:
        expected["aiLlmId"] = request.id
    for name, true_value in expected.items():
        value = response.field(name)
        if value != true_value or type(value) is not type(true_value):
            outcome = "missing" if value is None else "other"
            wanted = f"`{name}`: {describe_value(true_value)}"
            got = "no such field" if value is None else describe_value(value)
            subject = f"`{name}` in a {response.status} response"
            yield Breach(clause, name, outcome, wanted, got, subject)
