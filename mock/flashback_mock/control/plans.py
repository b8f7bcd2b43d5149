"""Planned answers: statuses, examples, delays and faults for the next requests."""

import re
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypedDict, get_args

from flashback_mock.contract import Contract

Fault = Literal["reset", "empty", "refused", "timeout", "truncated", "malformed"]
FAULTS: tuple[str, ...] = get_args(Fault)
WITHOUT_STATUS = ("reset", "empty", "refused", "timeout")
CONTENT = {"status", "example", "headers"}
EXCLUDED: dict[str, set[str]] = {  # fields that make no sense with a fault
    "reset": CONTENT,
    "empty": CONTENT,
    "timeout": CONTENT | {"delay"},
    "refused": CONTENT | {"delay", "id", "times", "after_update"},
}
MAX_PLANNED = 10_000
MAX_SECONDS = 3600.0
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
OWN_HEADERS = ("connection", "content-length", "transfer-encoding")


class Step(TypedDict, total=False):
    """A plan for the next request, or for the next `times`; see `Mock.answer_next`."""

    status: int | None
    example: str
    headers: Mapping[str, str]
    delay: float
    fault: Fault | None
    duration: float
    times: int
    after_update: bool
    id: str


class Plan(NamedTuple):
    """How one request is answered. Without status, example and fault the answer is the real one."""

    status: int = 0
    example: str = ""
    headers: Mapping[str, str] = {}
    delay: float = 0
    fault: str = ""
    update: bool = True
    id: str = ""

    @property
    def replaces_answer(self) -> bool:
        """Return whether the plan replaces the real answer."""
        return bool(self.status or self.example)


NO_PLAN = Plan()


class Plans:
    """Planned answers in order, and a delay in seconds for every answer. Any thread may use it."""

    def __init__(self) -> None:
        """Start with nothing planned."""
        self._delay = 0.0
        self._planned = deque[Plan]()
        self._lock = threading.Lock()

    @property
    def delay(self) -> float:
        """Return the delay of every answer, in seconds."""
        return self._delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._delay = checked_seconds("delay", seconds)

    @property
    def planned(self) -> list[Plan]:
        """Return the planned answers, the next one first."""
        with self._lock:
            return list(self._planned)

    def extend(self, plans: list[Plan]) -> None:
        """Plan answers after those that are planned already; raise `ValueError` for too many."""
        with self._lock:
            if len(self._planned) + len(plans) > MAX_PLANNED:
                raise ValueError(f"times: at most {MAX_PLANNED} answers may be planned")
            self._planned.extend(plans)

    def next(self, id: str) -> Plan:
        """Return the plan for a request for this id, and remove it."""
        plan = self._pop(id) if self._planned else NO_PLAN
        if self._delay:
            return plan._replace(delay=plan.delay + self._delay)
        return plan

    def _pop(self, id: str) -> Plan:
        with self._lock:
            for index, plan in enumerate(self._planned):
                if plan.id in ("", id):
                    del self._planned[index]
                    return plan
        return NO_PLAN

    def clear(self) -> None:
        """Forget all plans, and the delay."""
        with self._lock:
            self._planned.clear()
        self._delay = 0


def plans_of(contract: Contract, step: Step) -> list[Plan]:
    """Return the plans of one step; raise `ValueError` if it is empty or contradicts itself."""
    status = step.get("status") or 0
    example = step.get("example") or ""
    fault = step.get("fault") or ""
    times = step.get("times", 1)
    headers = checked_headers(step.get("headers") or {})
    delay = checked_seconds("delay", step.get("delay") or 0)
    checked_seconds("duration", step.get("duration") or 0)
    if fault not in ("", *FAULTS):
        raise ValueError(f"fault: must be one of {', '.join(FAULTS)}")
    if not 1 <= times <= MAX_PLANNED:
        raise ValueError(f"times: must be from 1 to {MAX_PLANNED}")
    if status not in (0, 200, *range(400, 600)):
        raise ValueError("status: must be 200, or from 400 to 599")
    if example:
        try:
            contract.example(str(status or ""), example)
        except LookupError as error:
            raise ValueError(f"example: {error}") from None
    _check_combination(step, fault)
    update = bool(step.get("after_update")) or not (status or example or fault)
    return [Plan(status, example, headers, delay, fault, update, step.get("id") or "")] * times


def _check_combination(step: Step, fault: str) -> None:
    given = {name for name, value in step.items() if value and (name, value) != ("times", 1)}
    if not given & {"status", "example", "headers", "delay", "fault"}:
        raise ValueError("nothing planned; give status, example, headers, delay or fault")
    if excluded := given & EXCLUDED.get(fault, set()):
        names = ", ".join(sorted(excluded))
        raise ValueError(f"fault: {fault} sends no such answer, so it excludes {names}")
    if fault == "refused" and "duration" not in given:
        raise ValueError("duration: is missing; give the seconds that the port is closed")
    if fault != "refused" and "duration" in given:
        raise ValueError("duration: goes with the fault refused only")


def checked_seconds(name: str, seconds: float) -> float:
    """Return a time in seconds; raise `ValueError` if it is negative or over an hour."""
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"{name}: must be from 0 to {MAX_SECONDS:.0f} seconds")
    return float(seconds)


def checked_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return response headers; raise `ValueError` for those that cannot be sent."""
    for name, value in headers.items():
        if not HEADER.fullmatch(name):
            raise ValueError("headers: a name has characters that no header name may have")
        if name.lower() in OWN_HEADERS:
            raise ValueError(f"headers: {name} is set by the mock; faults change how it answers")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise ValueError(f"headers: {name} must be a string of printable ASCII characters")
    return dict(headers)
