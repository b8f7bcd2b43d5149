"""Generate boundary values, on which two similar schemas are likely to disagree."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import combinations, islice
from typing import TYPE_CHECKING, Any

from scripts.compatibility.schemas import (
    constants,
    difference,
    plain_form,
    subschemas,
    validator,
)
from scripts.compatibility.values import canonical_json, is_mapping, mapping_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scripts.compatibility.schemas import Schema

TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
FORMATS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T23:59:59Z",
    "duration": "P1D",
    "email": "a@b.co",
    "hostname": "a.example",
    "idn-email": "a@b.co",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "iri": "http://a",
    "relative-json-pointer": "0",
    "time": "23:59:59Z",
    "uri": "http://a",
    "uri-reference": "/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
# Characters that common patterns distinguish, such as letters, digits, spaces and control codes.
CHARACTERS = ["\u2028", "\u3000", "\ufeff", "\U0001f600", *map(chr, range(0x180))]
ANYTHING: tuple[Any, ...] = ("a", 0, True, None, [], {}, 0.5)
FEW = 4  # the number of values to keep for each subschema
MANY = 700  # the number of candidates to try for each subschema
DIGITS = 18  # the maximum number of digits in a number
LONGEST = 300_000  # the maximum length of a string or an array
LARGEST = 5_000_000  # the maximum number of characters in an array
PATTERN = 1_500  # generating strings from a pattern counts as this many candidates
LETTERS = 1_000  # a value with this many characters counts as one more candidate


class BoundaryValues:
    """Boundary values, based on the sizes, numbers, names and patterns in two schemas."""

    def __init__(self, small: Schema, large: Schema, most: int) -> None:
        """Collect the boundaries from the sender's schema (`small`) and the receiver's (`large`).

        `most` limits the number of generated values.
        """
        self.remaining = most
        self.form = difference(small, large)
        self.numbers: set[float] = {0, 1}
        self.lengths: set[float] = {0, 1}  # the numbers that limit the lengths of arrays
        self.names: set[str] = {"extra"}
        self.patterns: list[str] = []  # patterns for field names
        self.constants: list[Any] = []
        self.known: dict[str, list[Any]] = {}
        for part in subschemas(self.form, small, large):
            self._read(part)
        self.sizes = _near(self.numbers)
        known = set(map(canonical_json, subschemas(plain_form(small))))
        self.new_checks: list[Callable[[Any], bool]] = []
        for part in subschemas(plain_form(large)):
            if canonical_json(part) not in known:
                self.new_checks.append(validator(part).is_valid)

    def _read(self, schema: dict[str, Any]) -> None:
        self.constants += constants(schema)
        for keyword, value in schema.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                self.numbers.add(value)
                if keyword.endswith(("Items", "Contains")):
                    self.lengths.add(value)
            elif keyword in {"properties", "required"}:
                self.names.update(value)
            elif keyword == "patternProperties":
                self.patterns += value

    def values(self, schema: Any) -> Iterator[Any]:
        """Yield values that might be valid, up to the limit. The caller must validate them."""
        for value in self._candidates(schema):
            self.remaining -= _weight(value)
            if self.remaining < 0:
                return
            yield value

    def _candidates(self, schema: Any) -> Iterator[Any]:
        if schema is False:
            return
        yield from constants(schema)
        yield from self.constants
        if not is_mapping(schema):
            yield from ANYTHING
            return
        for branch in _branches(schema):
            yield from islice(self.values(branch), MANY)
        types = schema.get("type", TYPES)
        if "string" in types:
            yield from self._strings(schema)
        if "integer" in types or "number" in types:
            yield from self._numbers()
        yield from (True, False, None)
        if "array" in types:
            yield from self._arrays(schema)
        if "object" in types:
            yield from self._objects(schema)

    def admitted(self, schema: Any) -> list[Any]:
        """Return a few valid values that match different subschemas of the receiver's schema.

        Ignore subschemas that also occur in the sender's schema. Include null if it is valid.
        """
        text = canonical_json(schema)
        if text in self.known:
            return self.known[text]
        found = self.known[text] = []  # store it first, because the schema could contain itself
        is_valid = validator(schema).is_valid
        kinds: set[tuple[bool, ...]] = set()
        tried = 0
        for value in self.values(plain_form(schema)):
            tried += _weight(value)
            if tried > MANY:
                break
            if is_valid(value):
                kind = (value is None, *(check(value) for check in self.new_checks))
                if kind not in kinds or (len(found) < FEW and value not in found):
                    kinds.add(kind)
                    found.append(value)
        return found

    def _numbers(self) -> Iterator[float]:
        for number in sorted(self.numbers, key=abs):
            yield from (int(number), int(number) + 1, int(number) - 1)
            yield from (number, number + 0.5, number - 0.5, number / 2, number + 0.001)
        for size in self.sizes:
            if size < DIGITS:
                yield 10**size

    def _strings(self, schema: dict[str, Any]) -> Iterator[str]:
        seeds = [FORMATS[schema["format"]]] if schema.get("format") in FORMATS else []
        if "pattern" in schema:
            seeds += self._matching([schema["pattern"]])
        yield from seeds
        for size in self.sizes:
            yield "a" * size
        for seed in seeds:
            for size in self.sizes:
                yield seed[:size] + (seed[-1:] or "a") * (size - len(seed))
        if '"pattern"' in canonical_json(schema):
            for seed in ("a" * schema.get("minLength", 1), *seeds[:2], "aa"):
                for letter in CHARACTERS:
                    yield seed[:-1] + letter
                    yield letter + seed[1:]

    def _arrays(self, schema: dict[str, Any]) -> Iterator[list[Any]]:
        """Yield arrays of zero, one and two items, and arrays of each boundary size."""
        start: list[Any] = []
        prefix = schema.get("prefixItems", ())
        for part in prefix:
            start += self.admitted(part)[:1]
        items = schema.get("items", True)
        found = self.admitted(items)
        if "contains" in schema:
            found = [*self.admitted({"allOf": [items, schema["contains"]]}), *found]
        sizes = (len(start), len(start) + 1, *_near(self.lengths))
        for value in found:
            for size in _fitting(sizes, len(canonical_json(value))):
                yield [*start, *[value] * size][:size]
        if schema.get("uniqueItems"):
            limits = items if is_mapping(items) else {}
            least = int(limits.get("minimum", 0)) + 1
            length = limits.get("minLength", 0)
            for size in _fitting(sizes, length):
                numbers = range(least, least + size)
                yield [*start, *found, *numbers][:size]
                yield [*start, *found, *(str(number).zfill(length) for number in numbers)][:size]
        for pair in combinations(found, 2):
            yield [*start, *pair]
        for index, part in enumerate(prefix):
            for value in self.admitted(part):
                yield [*start[:index], value, *start[index + 1 :]]

    def _objects(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the smallest object, and then objects with other fields and values."""
        fields = mapping_at(schema, "properties")
        required = schema.get("required", ())
        names = [*fields, *sorted(self.names), *self._matching(self.patterns)]
        names += ["a" * size for size in self.sizes if size < MANY]
        rule = schema.get("propertyNames", True)
        if is_mapping(rule):
            names += [name for name in constants(rule) if isinstance(name, str)]
            names += islice(self._strings(rule), FEW)
        parts = {name: _field(schema, name) for name in (*required, *names)}
        least = self._filled(required, parts)
        yield least
        yield {}
        for name, part in parts.items():
            for value in (*self.admitted(part), *ANYTHING):
                yield {**least, name: value}
        most = {**least, **self._filled(names, parts)}
        for size in self.sizes:
            yield dict(islice(most.items(), size))

    def _filled(self, names: Iterable[str], parts: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name in names:
            for value in self.admitted(parts[name])[:1]:
                result[name] = value
        return result

    def _matching(self, patterns: list[str]) -> list[str]:
        found: list[str] = []
        for pattern in dict.fromkeys(patterns):
            if pattern not in self.known:
                self.remaining -= PATTERN
                self.known[pattern] = matching(pattern)
            found += self.known[pattern]
        return found


def _near(numbers: Iterable[float]) -> list[int]:
    sizes: set[int] = set()
    for number in numbers:
        if isinstance(number, int) and 0 <= number <= LONGEST:
            sizes |= {max(number - 1, 0), number, number + 1}
    return sorted(sizes)


def _fitting(sizes: Iterable[int], length: int) -> list[int]:
    """Return the sizes for arrays whose items have `length` characters."""
    return [size for size in sizes if size * length < LARGEST]


def _weight(value: Any) -> int:
    return 1 + len(canonical_json(value)) // LETTERS


def _branches(schema: dict[str, Any]) -> Iterator[Any]:
    """Yield each anyOf, oneOf and allOf branch, combined with the schema's other keywords."""
    for keyword in ("anyOf", "oneOf", "allOf"):
        others = dict(schema)
        for branch in others.pop(keyword, ()):
            if keyword == "allOf" and is_mapping(branch):
                # plain_form might not remove the allOf, and the recursion would then never end.
                yield {**others, **branch}
            elif keyword != "allOf":
                yield plain_form({"allOf": [others, branch]})


def _field(schema: dict[str, Any], name: str) -> Any:
    parts: list[Any] = []
    for pattern, part in mapping_at(schema, "patternProperties").items():
        if re.search(pattern, name):
            parts.append(part)
    fields = mapping_at(schema, "properties")
    if name in fields:
        parts.append(fields[name])
    if len(parts) > 1:
        return {"allOf": parts}
    return parts[0] if parts else schema.get("additionalProperties", True)


@lru_cache(maxsize=256)
def matching(pattern: str) -> list[str]:
    """Return a few strings that match the pattern, or none if the pattern is invalid.

    The strings are the same in every run.
    """
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415 # slow to import
    from hypothesis import strategies as st  # noqa: PLC0415

    try:
        strategy = st.from_regex(re.compile(pattern))
    except (re.error, OverflowError):
        return []
    found: set[str] = set()

    @settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=20,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(strategy)
    def collect(text: str) -> None:
        found.add(text.removesuffix("\n") if pattern.endswith("$") else text)

    collect()
    return sorted(found, key=lambda text: (len(text), text))
