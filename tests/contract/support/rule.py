"""Rules for the responses to each kind of request."""

import json
import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

# CSafeLoader is 8 times faster than SafeLoader, but PyYAML can be built without it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(text: str) -> Any:
    """Return the parsed YAML document."""
    return yaml.load(text, LOADER)  # noqa: S506 - both loaders are safe


DATA = parse_yaml((Path(__file__).parents[1] / "rules.yaml").read_text("utf-8"))

# Rules about missing authentication. Their findings always fail the run and cannot be accepted.
NO_AUTHENTICATION = (
    "authentication/no-token",
    "authentication/unknown-token",
    "authentication/malformed",
    "authentication/applied",
)

ACCEPTED = ": the update was accepted"  # appended to the status if a rejection was expected
LONGEST = 60  # describe longer values only by their length


def slug(text: str) -> str:
    """Return the text in a form that can be part of an id."""
    return re.sub(r"[^\w.]+", "-", text).strip("-")


def describe(value: object) -> str:
    """Return the value as JSON on one line; describe a long value only by its length.

    The value is never truncated, because the redactor cannot recognize a truncated token.
    """
    try:
        text = json.dumps(value)
    except RecursionError:
        return "a deeply nested value"
    if len(text) > LONGEST:
        return f"a value of {len(text):,} characters"
    return text


@dataclass(frozen=True)
class Rule:
    """The statuses that the contract allows for a kind of request (by default, only 400)."""

    id: str  # the clause and the kind of request; must not depend on generated values
    words: str  # a description of the request
    statuses: AbstractSet[int] = frozenset({400})
    is_open: bool = False  # whether a backend may also accept the request
    has_documented_form: bool = True  # whether the response must have the documented form
    depends_on_earlier: bool = False  # whether earlier requests also affect the response

    @property
    def clause(self) -> str:
        """The id of the clause in the contract."""
        return self.id.partition("/")[0]

    @property
    def kind(self) -> str:
        """The kind of request."""
        return self.id.partition("/")[2]

    @property
    def must_succeed(self) -> bool:
        """Whether 200 is the only allowed status."""
        return self.statuses == {200}

    @property
    def expected(self) -> str:
        """The allowed statuses as a phrase such as "400, 413 or 415"."""
        names = []
        for status in sorted(self.statuses):
            name = f"{status // 100}xx"
            if not self.statuses >= {*_range_of(name)}:
                name = str(status)
            if name not in names:
                names.append(name)
        *others, last = names
        if not others:
            return last
        return f"{', '.join(others)} or {last}"


def _named_rules() -> dict[str, Rule]:
    rules = {}
    for group in DATA["rules"]:
        requests = group.pop("requests")
        ranges = map(_range_of, group.pop("statuses"))
        statuses = frozenset(chain.from_iterable(ranges))
        for id, words in requests.items():
            rules[id] = Rule(id, words, statuses, **group)
    return rules


def _range_of(status: int | str) -> Iterable[int]:
    """Return the statuses in a class such as `4xx`, or only the given status if it is a number."""
    if isinstance(status, int):
        return [status]
    first = int(status[0]) * 100
    return range(first, first + 100)


RULES = _named_rules()
NO_RULE = Rule("", "")


def named(rule: Rule | str) -> Rule:
    """Return the given rule, or look it up in rules.yaml if `rule` is an id."""
    return RULES[rule] if isinstance(rule, str) else rule
