"""The response that the contract requires for a request."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from support import contract
from support.body import CONTROL, reasons_against
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
    access: Rule | None = None
    reasons: list[Rule] = []
    if request.method == "PUT":
        access = _access(request)
        reasons = list(reasons_against(request))
    if not rule:
        rule = _forbidden(access, reasons) if access else _permitted(request, reasons)
    if request.words:
        rule = replace(rule, words=f"{rule.words}; {request.words}")
    return Expectation(rule, None if 200 in rule.statuses else access, reasons)


def _access(request: Request) -> Rule | None:
    """Return the rule that forbids the update regardless of the body, or None."""
    user = request.user
    place = request.place
    if 200 in place.statuses:
        return None if 200 in user.statuses else user
    return user if user.statuses == {401} and place.has_documented_form else place


def _forbidden(access: Rule, reasons: list[Rule]) -> Rule:
    if not access.has_documented_form:
        return access
    if access.statuses == {401}:
        access = replace(access, clause="unauthorized")
        reasons = [reason for reason in reasons if reason.precedes_token]
    return replace(access, statuses=_statuses([access, *reasons]))


def _permitted(request: Request, reasons: list[Rule]) -> Rule:
    for reason in reasons:
        if not reason.is_open:
            return replace(reason, statuses=_statuses(reasons))
    rule = reasons[0] if reasons else rule_of_valid(request)
    return replace(rule, statuses=_statuses(reasons) | {200})


def _statuses(rules: Iterable[Rule]) -> frozenset[int]:
    statuses = frozenset[int]()
    for rule in rules:
        statuses |= rule.statuses
    return statuses


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
        words = f"`{'`, `'.join(fields)}`"
        return Rule("update", "fields-together", words)
    [(name, value)] = fields.items()
    return rule_of_field(name, value)


def rule_of_field(name: str, value: str) -> Rule:
    """Return the rule for a body that contains only this field, with a valid value."""
    trait = trait_of(name, value)
    clause = "endpoint-url" if name == "endpoint" else "update"
    if trait == "long":
        clause = "lengths"
    return Rule(clause, f"{name}-{trait}", f"`{name}`: a valid value, {trait}")


def trait_of(name: str, value: str) -> str:
    """Return one word that describes the value, to be used in a finding's id."""
    if len(value) > 100:
        return "long"
    traits = _url_traits(value) if name == "endpoint" else _text_traits(value)
    for trait, applies in traits.items():
        if applies:
            return trait
    return "plain"


def _text_traits(value: str) -> dict[str, bool]:
    return {
        "control": CONTROL.search(value) is not None,
        "blank": not value.strip(),
        "astral": max(value, default="") > "\uffff",
        "non-ascii": not value.isascii(),
        "padded": value != value.strip(),
        "punctuation": not value.replace(" ", "").replace("-", "").isalnum(),
    }


def _url_traits(value: str) -> dict[str, bool]:
    scheme, _, rest = value.partition("://")
    host, slash, _ = rest.partition("/")
    return {
        "http": scheme.lower() == "http",
        "scheme-case": not scheme.islower(),
        "port": ":" in host,
        "query": "?" in value or "#" in value,
        "host": "_" in host or host.endswith(".") or host != host.lower(),
        "path": bool(slash),
    }
