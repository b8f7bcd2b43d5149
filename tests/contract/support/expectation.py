"""The response that the contract requires for a request."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from support import contract
from support.body import reasons_against
from support.exchange import Request
from support.rule import Rule

REFUSALS = frozenset(range(300, 500))
LARGE_BODY = 65536  # bytes; some servers do not accept larger bodies


@dataclass(frozen=True)
class Expectation:
    """What the contract requires for a request: the rule for its response, and related rules."""

    rule: Rule
    access: Rule | None  # the access rule that a 2xx would break, if any
    reasons: list[Rule]  # other reasons to refuse the request


def expectation_of(request: Request, rule: Rule | None = None) -> Expectation:
    """Return what the contract requires for the request.

    `rule` replaces the rule that is derived from the request. It is needed, for example, if the
    expected response also depends on earlier requests.
    """
    is_update = request.method == "PUT"
    reasons = reasons_against(request) if is_update else []
    access = _access(request) if is_update else None
    rule = rule or _rule(request, access, reasons)
    if request.words:
        rule = replace(rule, words=f"{rule.words}; {request.words}")
    return Expectation(rule, None if 200 in rule.statuses else access, reasons)


def _rule(request: Request, access: Rule | None, reasons: list[Rule]) -> Rule:
    if access is None:
        closed = [reason for reason in reasons if not reason.is_open]
        accepted = frozenset[int]() if closed else frozenset({200})
        [decisive, *_] = closed or reasons or [rule_of_valid(request)]
        return replace(decisive, statuses=_statuses(reasons) | accepted)
    if not access.has_documented_form:
        return access
    if access.statuses == {401}:
        before = [reason for reason in reasons if reason.precedes_token]
        return replace(access, clause="unauthorized", statuses=_statuses([access, *before]))
    return replace(access, statuses=_statuses([access, *reasons]))


def _access(request: Request) -> Rule | None:
    """Return the rule that forbids the update regardless of the body, or None."""
    user = request.user
    place = request.place
    if 200 in user.statuses and 200 in place.statuses:
        return None
    is_user_decisive = user.statuses == {401} and place.has_documented_form
    return user if is_user_decisive or 200 in place.statuses else place


def _statuses(rules: Iterable[Rule]) -> frozenset[int]:
    return frozenset[int]().union(*(rule.statuses for rule in rules))


def rule_of_valid(request: Request) -> Rule:
    """Return the rule for a valid request, with a kind that describes the request."""
    fields = request.text_fields
    size = len(request.body)
    media_type = request.header("Content-Type") or ""
    if media_type != "application/json":
        kind = "charset" if "charset" in media_type.lower() else "case"
        return Rule("media-type", kind, f"`Content-Type: {media_type}`")
    if request.chunks is not None:
        return Rule("chunked", "in-chunks", f"a valid body in {len(request.chunks)} chunks")
    if size > LARGE_BODY:
        kind = "largest" if size == contract.LARGEST_BODY else "large"
        words = f"a body of {size:,} bytes (the limit is {contract.LARGEST_BODY:,})"
        return Rule("body-size", kind, words)
    if not fields:
        return Rule("update", "no-fields", "`{}`")
    if len(fields) > 1:
        words = ", ".join(f"`{name}`" for name in fields)
        return Rule("update", "fields-together", words)
    return rule_of_field(next(iter(fields.items())))


def rule_of_field(field: tuple[str, str]) -> Rule:
    """Return the rule for a body that contains only this field, with a valid value."""
    name, value = field
    character = trait_of(name, value)
    clause = "endpoint-url" if name == "endpoint" else "update"
    if character == "long":
        clause = "lengths"
    return Rule(clause, f"{name}-{character}", f"`{name}`: a valid value, {character}")


def trait_of(name: str, value: str) -> str:
    """Return one word that describes the value, to be used in a finding's id."""
    if len(value) > 100:
        return "long"
    if name == "endpoint":
        return _url_trait(value)
    special = {
        "control": any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in value),
        "blank": not value.strip(),
        "astral": any(ord(char) > 0xFFFF for char in value),
        "non-ascii": not value.isascii(),
        "padded": value != value.strip(),
        "punctuation": not value.replace(" ", "").replace("-", "").isalnum(),
    }
    return next((word for word, is_so in special.items() if is_so), "plain")


def _url_trait(value: str) -> str:
    host = value.split("/", 3)[2] if value.count("/") > 1 else ""
    special = {
        "http": value.lower().startswith("http:"),
        "scheme-case": value.partition(":")[0] not in ("http", "https"),
        "port": ":" in host,
        "query": "?" in value or "#" in value,
        "host": "_" in host or host.endswith(".") or host != host.lower(),
        "path": "/" in value.partition("//")[2],
    }
    return next((word for word, is_so in special.items() if is_so), "plain")
