"""Generate boundary values, on which two similar schemas are likely to disagree."""

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import combinations, cycle, islice, product
from typing import Any

from scripts.compatibility.schemas import (
    Schema,
    constants,
    difference,
    plain_form,
    subschemas,
    validator,
)
from scripts.compatibility.values import canonical_json, mapping_at

TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
# A short and a long example of each format, or two examples in different notations
FORMATS = {
    "date": ["2024-02-29"],
    "date-time": ["2024-02-29T23:59:59Z", "2024-02-29T23:59:59.123456+01:00"],
    "email": ["a@b.co", f"{'a' * 64}@{'a' * 63}.{'a' * 63}.a"],
    "hostname": ["a.example", f"{'a' * 63}.{'a' * 63}.{'a' * 63}.a"],
    "ipv4": ["127.0.0.1", "255.255.255.255"],
    "ipv6": ["::1", "1111:2222:3333:4444:5555:6666:7777:8888"],
    "time": ["23:59:59Z", "23:59:59.123456+01:00"],
    "uri": ["http://a"],
    "uuid": ["00000000-0000-4000-8000-000000000000", "AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA"],
}
# Characters that common patterns distinguish, such as letters, digits, spaces and control codes.
# Printable ASCII characters come first, because reports show the first character that differs.
RARE = ["\u2028", "\u3000", "\ufeff", "\U0001f600", *map(chr, range(0x20))]
CHARACTERS = [*map(chr, range(0x20, 0x7F)), *RARE, *map(chr, range(0x7F, 0x180))]
TYPICAL = " !/0<@A\né\U0001f600"  # characters to try if only another subschema has a pattern
QUANTIFIER = re.compile(r"[{,](\d{1,3})(?=[,}])")  # a limit in a pattern, such as 8 in `{1,8}`
ANYTHING: tuple[Any, ...] = ("a", 0, True, None, [], {}, 0.5)
FEW = 4  # the number of values to keep for each subschema
MANY = 700  # the number of candidates to try for each subschema
LONGEST = 70_000  # the maximum length of a string, an array or an object
LARGEST = 400_000  # the maximum length, in characters, of the JSON for an array of repeated items
DIGITS = 18  # the maximum number of digits in a number
PATTERN = 1_500  # generating strings from a pattern counts as trying this many candidates


class BoundaryValues:
    """Boundary values, based on the limits, names and patterns in two schemas."""

    def __init__(self, small: Schema, large: Schema, most: int) -> None:
        """Collect the boundaries from the sender's schema (`small`) and the receiver's (`large`).

        `most` limits the number of generated values.
        """
        self.remaining = most
        self.form = difference(small, large)
        self.known: dict[str, list[Any]] = {}
        # Start with the constants that only one of the schemas contains.
        in_both = _constants_in(small).keys() & _constants_in(large).keys()
        known = _constants_in(self.form, small, large)
        self.constants = [known[text] for text in sorted(known, key=in_both.__contains__)]
        self.has_patterns = '"pattern"' in canonical_json([small, large])
        self.names = {"extra"}
        # For each unit, such as `Items` (from maxItems and maxContains), the sizes near its limits.
        self.sizes: dict[str, set[int]] = defaultdict(lambda: {0, 1, 2})
        self.numbers: set[float] = {0, 1}
        for part in subschemas(self.form, small, large):
            self._read(part)
        self.checks = [validator(part).is_valid for part in subschemas(plain_form(large))]

    def _read(self, schema: dict[str, Any]) -> None:
        self.names.update(mapping_at(schema, "properties"), schema.get("required", ()))
        self.names.update(mapping_at(schema, "dependentRequired"))
        for keyword, value in schema.items():
            if isinstance(value, int | float):
                self.numbers.add(value)
            if isinstance(value, int):
                unit = keyword[3:].replace("Contains", "Items")
                self._add_sizes(unit, value)
        for limit in QUANTIFIER.findall(str(schema.get("pattern"))):
            self._add_sizes("Length", int(limit))

    def _add_sizes(self, unit: str, limit: int) -> None:
        if limit < LONGEST:
            self.sizes[unit] |= {max(limit - 1, 0), limit, limit + 1}

    def values(self, schema: dict[str, Any]) -> Iterator[Any]:
        """Yield up to `most` values that might be valid. The caller must validate them."""
        for value in self._candidates(schema):
            self.remaining -= 1
            if self.remaining < 0:
                return
            yield value

    def _candidates(self, schema: dict[str, Any]) -> Iterator[Any]:
        yield from self.constants[: MANY // 4]  # leave room for other values
        yield from constants(schema)
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
        """Return a few valid values that match different subschemas of the receiver's schema."""
        text = canonical_json(schema)
        if text in self.known:
            return self.known[text]
        found = self.known[text] = []  # store it now, because the schema could contain itself
        is_valid = validator(schema).is_valid
        kinds: set[tuple[bool, ...]] = set()
        candidates = islice(self.values(plain_form(schema)), MANY)
        for value in filter(is_valid, candidates):
            kind = tuple(check(value) for check in self.checks)
            is_one_of_few = len(found) < FEW and value not in found
            if is_one_of_few or kind not in kinds:
                kinds.add(kind)
                found.append(value)
        return found

    def _numbers(self) -> Iterator[float]:
        for number in sorted(self.numbers, key=abs):
            yield from (int(number), int(number) + 1, int(number) - 1)
            yield from (number, number + 0.5, number - 0.5, number / 2, number + 0.001)
        for size in self.sizes["Length"]:
            yield 10 ** min(size, DIGITS)

    def _strings(self, schema: dict[str, Any]) -> Iterator[str]:
        matches: list[str] = []
        if "pattern" in schema:
            self.remaining -= PATTERN
            matches = matching(schema["pattern"])
        examples = FORMATS.get(schema.get("format", ""), [])
        seeds = ["a", *matches, *examples]
        yield from seeds
        if self.constants:
            seeds.append("z")  # try another letter, because "a" and "aa" might be constants
        for seed, size in product(seeds, sorted(self.sizes["Length"])):
            yield seed[:size].ljust(size, seed[-1:] or "a")
        shortest = "a" * schema.get("minLength", 1)
        if '"pattern"' in canonical_json(schema):
            for seed in (*matches[:2], shortest, "aa"):
                for letter in CHARACTERS:
                    yield seed[:-1] + letter
                    yield letter + seed[1:]
        elif self.has_patterns:
            for letter in TYPICAL:
                yield shortest[:-1] + letter

    def _arrays(self, schema: dict[str, Any]) -> Iterator[list[Any]]:
        """Yield arrays of each boundary size, made from one or two distinct items."""
        found = self.admitted(schema.get("items", True))
        sizes = sorted(self.sizes["Items"])
        mixes = [*combinations(found, 1), *combinations(found, 2)]
        for values, size in product(mixes, sizes):
            if size * len(canonical_json(values)) < LARGEST:
                yield list(islice(cycle(values), size))
        if schema.get("uniqueItems"):
            for size in sizes:
                yield list(range(size))
                yield [f"{number:06}" for number in range(size)]

    def _objects(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the smallest object, and then objects with other fields and values."""
        required = schema.get("required", ())
        found: dict[str, list[Any]] = {}
        first: dict[str, Any] = {}
        others = schema.get("additionalProperties", True)
        fields = mapping_at(schema, "properties")
        for name in (*required, *fields, *sorted(self.names)):
            found[name] = self.admitted(fields.get(name, others))
            if found[name]:
                first[name] = found[name][0]
        least = {name: first[name] for name in required if name in first}
        yield least
        yield {}
        for pattern, part in mapping_at(schema, "patternProperties").items():
            values = self.admitted(part)
            for name in matching(pattern)[:FEW]:
                found[name] = values
        found.setdefault(" ", self.admitted(others))  # most patterns for names reject a space
        for name, values in found.items():
            for value in (*values, *ANYTHING):
                yield {**least, name: value}
        sizes = sorted(self.sizes["Properties"])
        examples = self.admitted(others)
        if examples:
            for index in range(max(sizes)):
                first.setdefault(f"a{index}", examples[0])
        for size in sizes:
            yield dict(islice(first.items(), size))


def _constants_in(*schemas: Schema) -> dict[str, Any]:
    """Return the constants in the schemas and their subschemas, keyed by their JSON text."""
    found: dict[str, Any] = {}
    for schema in subschemas(*schemas):
        for constant in constants(schema):
            found[canonical_json(constant)] = constant
    return found


def _branches(schema: dict[str, Any]) -> Iterator[Any]:
    """Yield each anyOf and oneOf branch, combined with the schema's other keywords."""
    for keyword in ("anyOf", "oneOf"):
        others = dict(schema)
        for branch in others.pop(keyword, ()):
            yield plain_form({"allOf": [others, branch]})


@lru_cache(maxsize=256)
def matching(pattern: str) -> list[str]:
    """Return a few printable ASCII strings that match the pattern. Every run returns the same ones.

    Return an empty list if the pattern is invalid or matches no such string.
    """
    from hypothesis import HealthCheck, errors, given, settings  # noqa: PLC0415 # slow to import
    from hypothesis.strategies import characters, from_regex  # noqa: PLC0415

    printable = characters(codec="ascii", exclude_categories=["Cc"])
    try:
        strategy = from_regex(re.compile(pattern), alphabet=printable)
    except (re.error, OverflowError):
        return []
    found: set[str] = set()
    # Stop if most of the generated strings do not match, as happens with some lookarounds.
    quiet = set(HealthCheck) - {HealthCheck.filter_too_much}

    @settings(
        database=None, deadline=None, derandomize=True, max_examples=10, suppress_health_check=quiet
    )
    @given(strategy)
    def collect(text: str) -> None:
        found.add(text.removesuffix("\n"))  # `$` also matches before a final line break

    with suppress(errors.FailedHealthCheck, errors.InvalidArgument, errors.Unsatisfiable):
        collect()
    return sorted(found, key=lambda text: (len(text), text))
