"""Planned answers: statuses, examples, delays and faults for the next requests."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypedDict, get_args, get_type_hints

from flashback_mock.contract import Contract

from .calls import check_seconds, check_types

Fault = Literal["reset", "empty", "refused", "timeout", "truncated", "malformed"]
FAULTS: tuple[str, ...] = get_args(Fault)
WITHOUT_STATUS = ("reset", "empty", "refused", "timeout")
CONTENT = {"status", "example", "headers"}
EXCLUDED: dict[str, set[str]] = {  # fields that make no sense with a fault
    "reset": CONTENT,
    "empty": CONTENT,
    "timeout": CONTENT | {"delay"},
}
MAX_PLANS = 10_000
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
OWN_HEADERS = ("connection", "content-length", "transfer-encoding", "x-request-id")


class Step(TypedDict, total=False):
    """A plan for the next request, or for the next `times`; see `Mock.answer_next`."""

    status: int | None
    example: str
    headers: Mapping[str, str] | None
    delay: float
    fault: Fault | None
    duration: float
    times: int
    after_update: bool
    id: str


STEP = get_type_hints(Step)


@dataclass(frozen=True)
class Plan:
    """A validated step. The real response is sent unless it has a status, an example or a fault."""

    status: int = 0
    example: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    delay: float = 0
    fault: str = ""
    duration: float = 0
    times: int = 1
    after_update: bool = False
    id: str = ""

    @property
    def replaces_answer(self) -> bool:
        """Return whether the plan replaces the real response."""
        return bool(self.status or self.example)

    @property
    def stores(self) -> bool:
        """Return whether a valid update is stored."""
        return self.after_update or not (self.replaces_answer or self.fault)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults."""
        fields = vars(self).items()
        return {name: value for name, value in fields if value != getattr(NO_PLAN, name)}


NO_PLAN = Plan()


class Plans:
    """Planned answers in order, and a delay in seconds for every response."""

    def __init__(self) -> None:
        """Start with nothing planned."""
        self.delay = 0.0
        self.planned: list[Plan] = []  # the next one first; only the event loop changes it

    def extend(self, plans: list[Plan]) -> None:
        """Append plans; raise `ValueError` if there are too many."""
        if len(self.planned) + len(plans) > MAX_PLANS:
            raise ValueError(f"at most {MAX_PLANS} answers may be planned")
        self.planned += plans

    def next(self, id: str) -> Plan:
        """Return the plan for the next request for this id, and count it as used."""
        plan = NO_PLAN
        for index, planned in enumerate(self.planned):
            if planned.id in ("", id):
                plan = planned
                rest = [replace(plan, times=plan.times - 1)] if plan.times > 1 else []
                self.planned[index : index + 1] = rest
                break
        if self.delay:
            return replace(plan, delay=plan.delay + self.delay)
        return plan

    def clear(self) -> None:
        """Remove all plans and the delay."""
        self.planned.clear()
        self.delay = 0.0


def plan_of(contract: Contract, step: Step) -> Plan:
    """Return the plan of a step; raise `ValueError` if it is invalid."""
    if not isinstance(step, Mapping):
        raise ValueError("a step must be a dict")
    check_types(step, STEP)
    given: dict[str, Any] = {name: value for name, value in step.items() if value is not None}
    plan = Plan(**given)
    check_seconds("delay", plan.delay)
    check_seconds("duration", plan.duration)
    for name, value in plan.headers.items():
        _check_header(name, value)
    if plan.fault not in ("", *FAULTS):
        raise ValueError(f"fault: must be one of {', '.join(FAULTS)}")
    if not 1 <= plan.times <= MAX_PLANS:
        raise ValueError(f"times: must be from 1 to {MAX_PLANS}")
    if plan.status not in (0, 200, *range(400, 600)):
        raise ValueError("status: must be 200, or from 400 to 599")
    if plan.example:
        contract.example(plan.status, plan.example)
    _check_combination(plan)
    return plan


def _check_combination(plan: Plan) -> None:
    given = plan.to_dict().keys()
    if not given & {"status", "example", "headers", "delay", "fault"}:
        raise ValueError("nothing planned; give status, example, headers, delay or fault")
    if excluded := given & EXCLUDED.get(plan.fault, set()):
        names = ", ".join(sorted(excluded))
        raise ValueError(f"fault: {plan.fault} sends no response, so it excludes {names}")
    if plan.fault == "refused" and given - {"fault", "duration"}:
        raise ValueError("fault: refused closes the port, and can be combined with duration only")
    if (plan.fault == "refused") != ("duration" in given):
        raise ValueError("duration: is needed for the fault refused, and for no other")


def _check_header(name: str, value: object) -> None:
    if not HEADER.fullmatch(name):
        raise ValueError("headers: a name has characters that header names cannot have")
    if name.lower() in OWN_HEADERS:
        raise ValueError(f"headers: {name} is set by the mock; plan a fault to break responses")
    if not isinstance(value, str) or not value.isprintable() or not value.isascii():
        raise ValueError(f"headers: {name} must be a string of printable ASCII characters")
