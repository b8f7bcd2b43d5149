"""Planned answers: statuses, examples, delays and faults for the next requests."""

import re
from collections.abc import Mapping
from typing import Any, Literal, TypedDict, cast, get_args, get_type_hints

from flashback_mock.contract import Contract

from .calls import check_seconds, check_types

Fault = Literal["reset", "empty", "refused", "timeout", "truncated", "malformed"]
FAULTS: tuple[str, ...] = get_args(Fault)
WITHOUT_STATUS = ("reset", "empty", "refused", "timeout")
CONTENT = {"status", "example", "headers"}
EXCLUDED: dict[str, set[str]] = {  # by fault: the fields that cannot be combined with it
    "reset": CONTENT,
    "empty": CONTENT,
    "timeout": CONTENT | {"delay"},
}
MAX_PLANS = 10_000
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
RESERVED_HEADERS = ("connection", "content-length", "transfer-encoding", "x-request-id")


class Step(TypedDict, total=False):
    """A planned answer to one or more requests. See `Mock.answer_next` for the fields."""

    status: int
    example: str
    headers: Mapping[str, str]
    delay: float
    fault: Fault
    duration: float
    times: int
    after_update: bool
    id: str


STEP = get_type_hints(Step)


class Plans:
    """A queue of planned answers, and a delay in seconds for every response."""

    def __init__(self) -> None:
        """Create an empty queue with no delay."""
        self.delay = 0.0
        self.planned: list[Step] = []  # in order; changed only by the event loop

    def extend(self, plans: list[Step]) -> None:
        """Add plans to the queue. Raise `ValueError` if the queue would become too long."""
        if len(self.planned) + len(plans) > MAX_PLANS:
            raise ValueError(f"at most {MAX_PLANS} answers can be planned")
        self.planned += plans

    def next(self, id: str) -> Step:
        """Return the plan that applies to a request for this id, and decrement the plan's `times`.

        If no plan applies, the result contains only the delay for every response, if one is set.
        """
        plan: Step = {}
        for index, planned in enumerate(self.planned):
            if planned.get("id", id) == id:
                plan = planned
                remaining = plan.get("times", 1) - 1
                if remaining:
                    self.planned[index] = {**plan, "times": remaining}
                else:
                    del self.planned[index]
                break
        if self.delay:
            return {**plan, "delay": plan.get("delay", 0) + self.delay}
        return plan

    def clear(self) -> None:
        """Remove all plans and the delay."""
        self.planned.clear()
        self.delay = 0.0


def validate_step(contract: Contract, step: Step) -> Step:
    """Return a step without its empty fields. Raise `ValueError` if the step is invalid."""
    if not isinstance(step, Mapping):
        raise ValueError("a step must be a dict")
    fields = cast("dict[str, Any]", step).items()
    given = {name: value for name, value in fields if value is not None}
    check_types(given, STEP)
    check_seconds("delay", given.get("delay", 0))
    check_seconds("duration", given.get("duration", 0))
    if not 1 <= given.get("times", 1) <= MAX_PLANS:
        raise ValueError(f"times: must be a number from 1 to {MAX_PLANS}")
    plan = cast("Step", {name: value for name, value in given.items() if value})
    for name, value in plan.get("headers", {}).items():
        _check_header(name, value)
    if plan.get("fault", "reset") not in FAULTS:
        raise ValueError(f"fault: must be one of {', '.join(FAULTS)}")
    if plan.get("status", 200) not in (200, *range(400, 600)):
        raise ValueError("status: must be 200 or a number from 400 to 599")
    if "example" in plan:
        contract.example(plan.get("status", 0), plan["example"])
    _check_combination(plan)
    return plan


def _check_combination(plan: Step) -> None:
    fault = plan.get("fault", "")
    if not plan.keys() & {"status", "example", "headers", "delay", "fault"}:
        raise ValueError("nothing planned; specify status, example, headers, delay or fault")
    if excluded := plan.keys() & EXCLUDED.get(fault, set()):
        names = ", ".join(sorted(excluded))
        raise ValueError(f"fault: {fault} sends no response and cannot be combined with {names}")
    if fault == "refused" and plan.keys() - {"fault", "duration"}:
        raise ValueError("fault: refused closes the port and can only be combined with duration")
    if (fault == "refused") != ("duration" in plan):
        raise ValueError("duration: is required for the refused fault and not allowed otherwise")


def _check_header(name: Any, value: Any) -> None:
    if not isinstance(name, str) or not HEADER.fullmatch(name):
        raise ValueError("headers: a header name contains invalid characters")
    if name.lower() in RESERVED_HEADERS:
        raise ValueError(f"headers: {name} is set by the mock; to break a response, use a fault")
    if not isinstance(value, str) or not value.isprintable() or not value.isascii():
        raise ValueError(f"headers: {name} must be a string of printable ASCII characters")
