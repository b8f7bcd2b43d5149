"""The response that the contract requires for a request."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from support import contract
from support.body import reasons_against
from support.exchange import Request
from support.rule import Rule
from support.words import describe_statuses

REFUSALS = frozenset(range(300, 500))
LARGE_BODY = 65536  # bytes; some servers do not accept larger bodies


@dataclass(frozen=True)
class Expectation(Rule):
    """The response that the contract requires, and the reasons to refuse the request."""

    access: Rule | None = None  # the rule that a 2xx breaks if nothing may be updated
    reasons: list[Rule] = field(default_factory=list)  # other reasons to refuse the request
    has_documented_form: bool = True  # whether the response must have the documented form

    @property
    def must_succeed(self) -> bool:
        """Whether 200 is the only allowed status."""
        return self.statuses == {200}

    @property
    def expected(self) -> str:
        """The allowed statuses in words."""
        return describe_statuses(self.statuses)

    def words_for(self, status: int) -> str:
        """Describe the request, including a flaw in its body that may have caused the status."""
        if self.access:
            for reason in self.reasons:
                if status in reason.statuses:
                    return f"{self.words}; {reason.words}"
        return self.words

    def with_rule(self, rule: Rule) -> Self:
        """Return a copy with the given rule, which may depend on more than the request itself."""
        access = self.access
        if access:
            access = replace(access, clause=rule.clause, kind=rule.kind)
        return replace(
            self,
            clause=rule.clause,
            kind=rule.kind,
            words=rule.words,
            statuses=rule.statuses,
            access=None if 200 in rule.statuses else access,
        )


def expectation_of(request: Request) -> Expectation:
    """Return the response that the contract requires for the request."""
    reasons = reasons_against(request)
    access = _access(request)
    if access is None:
        expectation = _body_expectation(request, reasons)
    elif request.place.is_open:
        expectation = _expectation(access, REFUSALS, access, reasons)
        expectation = replace(expectation, has_documented_form=False)
    elif request.user.is_valid:
        expectation = _expectation(access, _statuses([access, *reasons]), access, reasons)
    else:
        before = [reason for reason in reasons if reason.precedes_token]
        rule = replace(access, clause="unauthorized")
        expectation = _expectation(rule, _statuses([access, *before]), access, reasons)
    if request.words:
        return replace(expectation, words=f"{expectation.words}; {request.words}")
    return expectation


def _expectation(
    rule: Rule, statuses: frozenset[int], access: Rule | None, reasons: list[Rule]
) -> Expectation:
    return Expectation(rule.clause, rule.kind, rule.words, statuses, access=access, reasons=reasons)


def _access(request: Request) -> Rule | None:
    """Return the rule that forbids the update regardless of the body, or None."""
    user = request.user
    place = request.place
    if place.is_open:
        return Rule(place.clause, place.kind, place.words)
    if not user.is_valid:
        return Rule("authentication", user.kind, user.words, frozenset({401}))
    if place.statuses:
        return Rule(place.clause, place.kind, place.words, place.statuses)
    if not user.may_update:
        return Rule(user.clause, user.kind, user.words, frozenset({403}))
    return None


def _body_expectation(request: Request, reasons: list[Rule]) -> Expectation:
    """Return the expectation for a request from a user who may update the configuration."""
    closed = [reason for reason in reasons if not reason.is_open]
    statuses = _statuses(reasons) | (frozenset() if closed else {200})
    decisive = closed or reasons or [rule_of_valid(request)]
    return _expectation(decisive[0], statuses, None, reasons)


def _statuses(rules: Iterable[Rule]) -> frozenset[int]:
    return frozenset[int]().union(*(rule.statuses for rule in rules))


def rule_of_valid(request: Request) -> Rule:
    """Return the rule for a valid request; its kind says what is special about the request."""
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
    return rule_of_field(*next(iter(fields.items())))


def rule_of_field(name: str, value: str) -> Rule:
    """Return the rule for a body that contains only this field, with a valid value."""
    character = trait_of(name, value)
    clause = "endpoint-url" if name == "endpoint" else "update"
    if character == "long":
        clause = "lengths"
    return Rule(clause, f"{name}-{character}", f"`{name}`: a valid value, {character}")


def trait_of(name: str, value: str) -> str:
    """Return one word for what is special about a valid value, for use in an id."""
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
