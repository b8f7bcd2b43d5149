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
    """Planned answers in order, and a delay in seconds for every response."""

    def __init__(self) -> None:
        """Start with nothing planned."""
        self.delay = 0.0
        self.planned: list[Step] = []  # the next one first; only the event loop changes it

    def extend(self, plans: list[Step]) -> None:
        """Append plans; raise `ValueError` if there are too many."""
        if len(self.planned) + len(plans) > MAX_PLANS:
            raise ValueError(f"at most {MAX_PLANS} answers may be planned")
        self.planned += plans

    def next(self, id: str) -> Step:
        """Return the plan for the next request for this id, and count it as used.

        It is empty if nothing is planned.
        """
        plan: Step = {}
        for index, planned in enumerate(self.planned):
            if planned.get("id", id) == id:
                plan = planned
                left = plan.get("times", 1) - 1
                self.planned[index : index + 1] = [{**plan, "times": left}] if left else []
                break
        if self.delay:
            return {**plan, "delay": plan.get("delay", 0) + self.delay}
        return plan

    def clear(self) -> None:
        """Remove all plans and the delay."""
        self.planned.clear()
        self.delay = 0.0


def plan_of(contract: Contract, step: Step) -> Step:
    """Return a step without empty fields; raise `ValueError` if it is invalid."""
    if not isinstance(step, Mapping):
        raise ValueError("a step must be a dict")
    fields = cast("dict[str, Any]", step).items()
    given = {name: value for name, value in fields if value is not None}
    check_types(given, STEP)
    check_seconds("delay", given.get("delay", 0))
    check_seconds("duration", given.get("duration", 0))
    if not 1 <= given.get("times", 1) <= MAX_PLANS:
        raise ValueError(f"times: must be from 1 to {MAX_PLANS}")
    plan = cast("Step", {name: value for name, value in given.items() if value})
    for name, value in plan.get("headers", {}).items():
        _check_header(name, value)
    if plan.get("fault", "reset") not in FAULTS:
        raise ValueError(f"fault: must be one of {', '.join(FAULTS)}")
    if plan.get("status", 200) not in (200, *range(400, 600)):
        raise ValueError("status: must be 200, or from 400 to 599")
    if "example" in plan:
        contract.example(plan.get("status", 0), plan["example"])
    _check_combination(plan)
    return plan


def _check_combination(plan: Step) -> None:
    fault = plan.get("fault", "")
    if not plan.keys() & {"status", "example", "headers", "delay", "fault"}:
        raise ValueError("nothing planned; give status, example, headers, delay or fault")
    if excluded := plan.keys() & EXCLUDED.get(fault, set()):
        names = ", ".join(sorted(excluded))
        raise ValueError(f"fault: {fault} sends no response, so it excludes {names}")
    if fault == "refused" and plan.keys() - {"fault", "duration"}:
        raise ValueError("fault: refused closes the port, and can be combined with duration only")
    if (fault == "refused") != ("duration" in plan):
        raise ValueError("duration: is needed for the fault refused, and for no other")


def _check_header(name: Any, value: Any) -> None:
    if not isinstance(name, str) or not HEADER.fullmatch(name):
        raise ValueError("headers: a name has characters that header names cannot have")
    if name.lower() in OWN_HEADERS:
        raise ValueError(f"headers: {name} is set by the mock; plan a fault to break responses")
    if not isinstance(value, str) or not value.isprintable() or not value.isascii():
        raise ValueError(f"headers: {name} must be a string of printable ASCII characters")
