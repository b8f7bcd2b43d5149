"""How the contract says that a request must be answered, derived from the request itself."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from support import contract
from support.body import Reason, reasons_against
from support.exchange import Request
from support.words import id_of, of_statuses

REFUSALS = frozenset(range(300, 500))
LARGE_BODY = 65536  # bytes, more than some servers take


@dataclass(frozen=True)
class Expectation:
    """The expected statuses, and the rule that any other status breaks."""

    statuses: frozenset[int]
    clause: str  # that another status breaks
    kind: str  # kind of value, part of a finding's id
    words: str  # what is special about the request
    access: Reason | None = None  # why a 2xx would let somebody in who may not
    reasons: list[Reason] = field(default_factory=list)  # in headers and body
    has_documented_form: bool = True  # JSON with the documented headers, as of the operation

    @property
    def must_succeed(self) -> bool:
        """Whether only a 200 is right."""
        return self.statuses == frozenset({200})

    @property
    def rule(self) -> str:
        """The id of the rule that another status breaks."""
        return id_of(self.clause, self.kind)

    @property
    def expected(self) -> str:
        """The statuses in words."""
        return of_statuses(self.statuses)

    @property
    def source(self) -> str:
        """Where the value that would break is from."""
        return contract.CLAUSES[self.clause].source

    def but(self, statuses: Iterable[int], *, clause: str, kind: str, words: str) -> Self:
        """Return the expectation of other statuses, for a reason that only the test knows."""
        allowed = frozenset(statuses)
        access = None
        if self.access and 200 not in allowed:
            access = replace(self.access, clause=clause, kind=kind)
        return replace(self, statuses=allowed, clause=clause, kind=kind, words=words, access=access)


def expectation_of(request: Request) -> Expectation:
    """Return the response that the contract requires."""
    expectation = _expectation_of(request)
    if request.words:
        return replace(expectation, words=f"{expectation.words}; {request.words}")
    return expectation


def _expectation_of(request: Request) -> Expectation:
    reasons = reasons_against(request)
    access = _access_reason(request)
    if access is None:
        return _of_body(request, reasons)
    if request.place.is_open:
        return Expectation(
            REFUSALS, access.clause, access.kind, access.words, access, reasons,
            has_documented_form=False,
        )  # fmt: skip
    clause = access.clause
    also_right = reasons
    if not request.user.is_valid:
        clause = "unauthorized"
        also_right = [reason for reason in reasons if reason.precedes_token]
    statuses = _statuses(access, *also_right)
    return Expectation(statuses, clause, access.kind, access.words, access, reasons)


def _access_reason(request: Request) -> Reason | None:
    """Return why the request may not lead to an update, no matter what its body is."""
    user = request.user
    place = request.place
    if place.is_open:
        return Reason(place.clause, place.kind, place.words)
    if not user.is_valid:
        return Reason("authentication", user.kind, user.words, frozenset({401}))
    if place.statuses:
        return Reason(place.clause, place.kind, place.words, place.statuses)
    if not user.may_update:
        return Reason(user.clause, user.kind, user.words, frozenset({403}))
    return None


def _of_body(request: Request, reasons: list[Reason]) -> Expectation:
    """Return the expectation of a request whose body alone decides."""
    closed = [reason for reason in reasons if not reason.is_open]
    statuses = _statuses(*reasons) | (frozenset() if closed else {200})
    if not reasons:
        return Expectation(statuses, *kind_of_valid(request))
    first = (closed or reasons)[0]
    return Expectation(statuses, first.clause, first.kind, first.words, reasons=reasons)


def _statuses(*reasons: Reason) -> frozenset[int]:
    return frozenset[int]().union(*(reason.statuses for reason in reasons))


def kind_of_valid(request: Request) -> tuple[str, str, str]:
    """Return clause, kind and words of a valid request: what may be special about its body."""
    fields = request.text_fields
    media_type = request.header("Content-Type") or ""
    if media_type != "application/json":
        kind = "charset" if "charset" in media_type.lower() else "case"
        return "media-type", kind, f"`Content-Type: {media_type}`"
    if request.chunks is not None:
        return "chunked", "in-chunks", f"a valid body in {len(request.chunks)} chunks"
    size = len(request.body)
    if size > LARGE_BODY:
        kind = "largest" if size == contract.LARGEST_BODY else "large"
        return "body-size", kind, f"{size:,} bytes, the limit is {contract.LARGEST_BODY:,}"
    if len(fields) != 1:
        words = ", ".join(f"`{name}`" for name in fields)
        return "update", "fields-together" if fields else "no-fields", words or "`{}`"
    [(name, value)] = fields.items()
    character = character_of(name, value)
    clause = "update"
    if character == "long":
        clause = "lengths"
    elif name == "endpoint":
        clause = "endpoint-url"
    return clause, f"{name}-{character}", f"`{name}`: a valid value, {character}"


def character_of(name: str, value: str) -> str:
    """Return what is special about a valid value, in one stable word."""
    if len(value) > 100:
        return "long"
    if name == "endpoint":
        return _character_of_url(value)
    if not value.strip():
        return "blank"
    special = {
        "control": any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in value),
        "astral": any(ord(char) > 0xFFFF for char in value),
        "non-ascii": not value.isascii(),
        "padded": value != value.strip(),
        "punctuation": not value.replace(" ", "").replace("-", "").isalnum(),
    }
    return next((word for word, is_so in special.items() if is_so), "plain")


def _character_of_url(value: str) -> str:
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
