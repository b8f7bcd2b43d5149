"""Whether a response has the form that the contract documents for its status."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from support import contract
from support.breach import Breach
from support.exchange import Request, Response
from support.words import of_value

_breach = partial(Breach, is_basic=True)


def breaches(request: Request, response: Response) -> Iterator[Breach]:
    """Yield the rules that the response breaks, the most basic first."""
    for rule in RULES:
        yield from rule(response)
    if isinstance(response.value, dict):  # if not, that was accepted
        yield from _success(response)
        yield from _id(request, response)


def _clause(response: Response) -> str:
    return "success-response" if response.succeeded else "error-response"


def _documented_status(response: Response) -> Iterator[Breach]:
    if response.status not in contract.STATUSES:
        documented = ", ".join(str(status) for status in contract.STATUSES)
        expected = f"one of {documented}"
        subject = "a status that the contract does not document"
        got = str(response.status)
        yield _breach("statuses", "undocumented", got, expected, got, subject)


def _media_type(response: Response) -> Iterator[Breach]:
    if response.media_type != "application/json":
        got = response.media_type or "no Content-Type"
        subject = f"the media type of a {response.status}"
        yield _breach(_clause(response), "media-type", got, "application/json", got, subject)


def _strict_json(response: Response) -> Iterator[Breach]:
    if "json" not in response.media_type and response.value is None:
        return  # a page: its media type was accepted
    subject = f"the body of a {response.status}"
    invalid = partial(_breach, _clause(response), "json", subject=subject)
    try:
        text = response.body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_fields_once)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # no lone surrogates
    except UnicodeDecodeError:
        yield invalid("not-strict", "strict JSON in UTF-8", "not UTF-8")
    except (ValueError, RecursionError) as error:
        yield invalid("not-strict", "strict JSON in UTF-8", f"other text: {error}")
    else:
        if not isinstance(value, dict):
            yield invalid("no-object", "a JSON object", of_value(value))


def _fields_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a field twice")
    return dict(pairs)


def _schema(response: Response) -> Iterator[Breach]:
    documented = contract.STATUSES.get(response.status)
    if documented is None or not isinstance(response.value, dict):  # which was accepted
        return
    for error in documented.schema.iter_errors(response.value):
        field = str(error.instance_path[-1]) if error.instance_path else "body"
        kind = f"{field}-{error.kind.name}"
        subject = f"`{field}` of a {response.status}"
        expected = "what the schema says"
        yield _breach(_clause(response), kind, "invalid", expected, str(error.message), subject)


def _required_headers(response: Response) -> Iterator[Breach]:
    documented = contract.STATUSES.get(response.status)
    required = documented.required_headers if documented else {}
    for name, pattern in required.items():
        value = response.header(name)
        if value is not None and (not pattern or contract.matches(pattern, value)):
            continue
        is_challenge = response.status == 401
        yield _breach(
            clause="challenge" if is_challenge else "error-response",
            kind=name,
            outcome="missing" if value is None else "other",
            expected=f"`{name}: Bearer`" if is_challenge else f"`{name}`",
            got="no such header" if value is None else f"`{name}: {value}`",
            subject=f"the header `{name}` of a {response.status}",
        )


def _success(response: Response) -> Iterator[Breach]:
    value = response.field("success")
    if value is not response.succeeded:
        yield _breach(
            clause="success-fields" if response.succeeded else "error-response",
            kind="success",
            outcome="missing" if value is None else "other",
            expected=f"`success`: {json.dumps(response.succeeded)}",
            got="no such field" if value is None else of_value(value),
            subject=f"`success` of a {response.status}",
        )


def _id(request: Request, response: Response) -> Iterator[Breach]:
    id = request.place.id
    value = response.field("aiLlmId")
    if response.succeeded and id and value != id:
        yield _breach(
            clause="success-fields",
            kind="aiLlmId",
            outcome="missing" if value is None else "other",
            expected=f"`aiLlmId`: {of_value(id)}, as in the request",
            got="no such field" if value is None else of_value(value),
            subject="`aiLlmId` of a 200",
        )


RULES: tuple[Callable[[Response], Iterator[Breach]], ...] = (
    _documented_status,
    _media_type,
    _strict_json,
    _schema,
    _required_headers,
)
