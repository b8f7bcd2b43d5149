"""Planned responses: statuses, examples, delays and faults for the next requests."""

import re
from collections.abc import Mapping
from typing import Any, Literal, TypedDict, get_type_hints

from flashback_mock.contract import Contract

from .arguments import check_types

Fault = Literal["reset", "empty", "refused", "timeout", "truncated", "malformed"]
WITHOUT_STATUS = ("reset", "empty", "refused", "timeout")
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
RESERVED_HEADERS = ("connection", "content-length", "transfer-encoding", "x-request-id")


class Step(TypedDict, total=False):
    """A planned response to one or more requests. See `Mock.answer_next` for the fields."""

    status: int
    example: str
    headers: dict[str, str]
    delay: float
    fault: Fault
    duration: float
    times: int
    after_update: bool
    id: str


STEP = get_type_hints(Step)


def take_plan(planned: list[Step], id: str) -> Step:
    """Return the first plan for this id, and decrement its `times`. Without a plan, return {}."""
    for index, plan in enumerate(planned):
        if plan.get("id", id) == id:
            remaining = plan.get("times", 1) - 1
            if remaining:
                planned[index] = {**plan, "times": remaining}
            else:
                del planned[index]
            return plan
    return {}


def check_step(contract: Contract, step: Step) -> None:
    """Raise `ValueError` if the step is invalid."""
    if not isinstance(step, dict):
        raise ValueError("a step must be a dict")
    check_types(step, STEP)
    if step.get("id") == "":
        raise ValueError("id: must not be empty")
    if step.get("times", 1) < 1:
        raise ValueError("times: must be at least 1")
    if step.get("status", 200) not in (200, *range(400, 600)):
        raise ValueError("status: must be 200 or a number from 400 to 599")
    if "example" in step:
        contract.example(step["example"], step.get("status"))
    _check_headers(step.get("headers", {}))
    fault = step.get("fault")
    if fault == "refused" or "duration" in step:
        if fault != "refused" or step.keys() != {"fault", "duration"}:
            raise ValueError(
                "fault: refused requires duration, and neither can be combined with other options"
            )
    elif not any(map(step.get, ("status", "example", "headers", "delay", "fault"))):
        raise ValueError("nothing planned; specify status, example, headers, delay or fault")
    elif fault in WITHOUT_STATUS and step.keys() & {"status", "example", "headers"}:
        raise ValueError(
            f"fault: {fault} sends no response; do not combine it with status, example or headers"
        )


def _check_headers(headers: Mapping[Any, object]) -> None:
    if len({str(name).lower() for name in headers}) < len(headers):
        raise ValueError("headers: a header is specified twice")
    for name, value in headers.items():
        if not isinstance(name, str) or not HEADER.fullmatch(name):
            raise ValueError("headers: a header name contains invalid characters")
        if name.lower() in RESERVED_HEADERS:
            raise ValueError(
                f"headers: {name} is set by the mock; to send an invalid response, plan a fault"
            )
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise ValueError(f"headers: {name} must be a string of printable ASCII characters")
