"""Values at the edges of schemas, small ones first: where a witness is likely to be."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from itertools import chain, combinations, islice
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from scripts.compatibility.values import canonical_json, is_list, is_mapping, mapping_at

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
FORMATS = {
    "date": ["2024-02-29"],
    "date-time": ["2024-02-29T23:59:59Z"],
    "duration": ["P1D"],
    "email": ["a@b.co"],
    "hostname": ["a.example"],
    "ipv4": ["127.0.0.1"],
    "ipv6": ["::1"],
    "time": ["23:59:59Z"],
    "uri": ["http://a", "urn:a"],
    "uri-reference": ["/"],
    "uuid": ["00000000-0000-4000-8000-000000000000"],
}
# What makes a value of a format longer: a start, what repeats, an end.
LONGER = {
    "date-time": ("2024-02-29T23:59:59.", "0", "Z"),
    "time": ("23:59:59.", "0", "Z"),
    "email": ("a@", "b.", "co"),
    "hostname": ("a.", "b.", "co"),
    "uri": ("http://a/", "b", ""),
}
# Patterns distinguish letters, digits, spaces, control characters, and what is not ASCII.
CHARACTERS = [*map(chr, range(0x180)), "\u2028", "\u3000", "\ufeff", "\U0001f600"]
ANYTHING: tuple[Any, ...] = ("a", 0, True, None, [], {}, 0.5)
MANY = 400  # values of a part
LONGEST = 300_000  # characters or items
DIGITS = 18  # of a number: its text may be too long
DEPTH = 8
PAIRED = 12  # values of items that are tried in pairs
PATTERNS = 8  # of other parts: it takes a tenth of a second to match one


class Edges:
    """Values at the edges of some schemas: sizes, numbers, names and patterns they mention."""

    def __init__(self, schemas: list[Any], examples: tuple[Any, ...]) -> None:
        """Collect what the schemas mention."""
        self.definitions: dict[str, Any] = {}
        self.sizes: set[int] = {0, 1}
        self.numbers: set[float] = {0}
        self.names: set[str] = {"extra"}
        self.patterns: set[str] = set()
        self.mentioned: list[Any] = list(examples)
        self.known: dict[str, list[Any]] = {}
        self.waited = 0.0  # CPU seconds for strings that match: most of it is an import
        for schema in schemas:
            self.definitions |= mapping_at(schema, "$defs")
            self._read(schema)
        self.mentioned = list({canonical_json(value): value for value in self.mentioned}.values())

    def _read(self, schema: Any) -> None:
        for part in schema if is_list(schema) else ():
            self._read(part)
        for keyword, value in schema.items() if is_mapping(schema) else ():
            if keyword in {"enum", "const"}:
                self.mentioned += value if keyword == "enum" and is_list(value) else [value]
            elif isinstance(value, int | float) and not isinstance(value, bool):
                self._read_number(value)
            elif keyword == "pattern" and isinstance(value, str):
                self.patterns.add(value)
            elif is_mapping(value) or is_list(value):
                if keyword in {"properties", "dependentRequired", "required"}:
                    self.names.update(value)
                self.patterns.update(value if keyword == "patternProperties" else ())
                self._read(value)

    def _read_number(self, number: float) -> None:
        self.numbers.add(number)
        if isinstance(number, int) and 0 <= number <= LONGEST:
            self.sizes |= {max(0, number - 1), number, number + 1}

    def values(self, schema: Any, depth: int = 0, other: Any = None) -> Iterator[Any]:
        """Yield values that the schema may admit; validate them.

        Parts that are equal in the `other` schema vary less: both treat them alike.
        """
        if not is_mapping(schema) or depth > DEPTH:
            yield from () if schema is False else chain(ANYTHING, self.mentioned)
            return
        if "$ref" in schema:
            yield from self.values(self.definitions.get(schema["$ref"][8:]), depth + 1)
        for keyword in ("anyOf", "oneOf", "allOf"):
            yield from self.alternatives(keyword, schema, depth, other)
        yield from schema.get("enum", ())
        types = schema.get("type", TYPES)
        for name in [types] if isinstance(types, str) else types:
            if name == "object":
                yield from self.objects(schema, depth, other)
            elif name == "array":
                yield from self.arrays(schema, depth, other)
            elif name == "string":
                yield from self.strings(schema)
            else:
                yield from self.scalars(name, schema)

    def alternatives(
        self, keyword: str, schema: dict[str, Any], depth: int, other: Any
    ) -> Iterator[Any]:
        """Yield values of each branch, more of those that differ in the other schema."""
        branches: list[Any] = list(filter(is_mapping, schema.get(keyword, ())))
        others: list[Any] = other.get(keyword, []) if is_mapping(other) else []
        changed = [branch for branch in others if branch not in branches]
        most = 10 * MANY // max(len([part for part in branches if part not in others]), 1)
        for branch in branches:
            merged = {**_without(schema, keyword), **branch}
            if branch in others:
                yield from self.admitted(merged, depth + 1)
                continue
            unlike = changed.pop(0) if changed else None
            yield from islice(self.values(merged, depth + 1, unlike), most)

    def admitted(self, schema: Any, depth: int) -> list[Any]:
        """Return a few values that the schema admits."""
        key = canonical_json(schema)
        if key not in self.known:
            self.known[key] = []
            is_valid = validator(schema, self.definitions).is_valid
            candidates = islice(self.values(schema, min(depth, DEPTH - 1)), 4 * MANY)
            self.known[key] = list(islice(filter(is_valid, candidates), 3))
        return self.known[key]

    def varied(self, part: Any, other: Any, depth: int) -> Iterator[Any]:
        """Yield many values of a part that differs in the other schema, else a few."""
        if part == other:
            return iter(self.admitted(part, depth + 1))
        return islice(self.values(part, depth + 1, other), 10 * MANY)

    def scalars(self, name: str, schema: dict[str, Any]) -> Iterator[Any]:
        """Yield every number that is mentioned, its neighbors, and fractions between."""
        if name not in {"integer", "number"}:
            yield from (None,) if name == "null" else (True, False)
            return
        near = {int(number) + step for number in self.numbers for step in (-1, 0, 1)}
        yield from sorted(near, key=lambda number: (abs(number), number < 0))
        yield from (schema.get("multipleOf", 1) * factor for factor in (1, 2, 3, -1))
        yield from (10**size for size in sorted(self.sizes) if size < DIGITS)
        for number in sorted(self.numbers, key=abs) if name == "number" else ():
            yield from (number, number + 0.5, number - 0.5, number / 2, number + 0.001)

    def strings(self, schema: dict[str, Any]) -> Iterator[str]:
        """Yield strings of every mentioned size, format and pattern, and their neighbors."""
        mentioned = [value for value in self.mentioned if isinstance(value, str)]
        yield from mentioned
        sizes = sorted(self.sizes)
        for letter in ("a", "0", "A", " ", "é"):
            yield from (letter * size for size in sizes)
        parts = filter(is_mapping, (schema, *schema.get("allOf", ())))
        formats = [part.get("format", "") for part in parts]
        samples = [text for name in formats for text in FORMATS.get(name, ())]
        samples += (longer(name, size) for name in formats for size in sizes if name in LONGER)
        patterns = [schema["pattern"]] if "pattern" in schema else []
        for pattern in dict.fromkeys([*patterns, *sorted(self.patterns)[:PATTERNS]]):
            samples += self.matching(pattern)
        samples.sort(key=len)
        yield from samples
        for seed in (*mentioned, *samples[:8]):
            for size in sizes:
                yield seed[:size] + (seed[-1:] or "a") * (size - len(seed))
        for seed in (*mentioned[:1], *samples[:1], "aa"):
            yield from (seed[:-1] + letter for letter in CHARACTERS)
            yield from (letter + seed[1:] for letter in CHARACTERS)

    def arrays(self, schema: dict[str, Any], depth: int, other: Any) -> Iterator[list[Any]]:
        """Yield the empty array, single items, and arrays of every mentioned size."""
        yield []
        start = [
            value
            for part in schema.get("prefixItems", ())
            for value in self.admitted(part, depth + 1)[:1]
        ]
        items = schema.get("items", True)
        fewest = min(max(schema.get("minItems", 1) - len(start), 1), MANY)
        others = other.get("items", True) if is_mapping(other) else None
        for value in self.varied(items, others, depth):
            yield [*start, *[value] * fewest]
        different = list(islice(self.values(items, depth + 1), MANY))
        types = items.get("type", TYPES) if is_mapping(items) else ()
        kinds = [{**items, "type": name} for name in types if not isinstance(types, str)]
        mixed = [value for kind in kinds for value in self.admitted(kind, depth + 1)[:1]]
        for pair in combinations([*mixed, *different[:PAIRED]], 2):
            yield [*start, *pair]
        for size in sorted(self.sizes):
            for value in self.admitted(items, depth + 1):
                yield [*start, *[value] * size][:size]
            if size <= MANY:
                yield [*start, *different][:size]
                yield [*start, *range(size)][:size]
                yield [*start, *map(str, range(size))][:size]

    def objects(self, schema: dict[str, Any], depth: int, other: Any) -> Iterator[dict[str, Any]]:
        """Yield the smallest object, each field at its edges, each missing, and one too many."""
        fields = mapping_at(schema, "properties")
        rest = schema.get("additionalProperties", True)
        required = {name: fields.get(name, rest) for name in schema.get("required", ())}
        least = self.filled(required, depth)
        yield from (least, {})
        others = mapping_at(other, "properties")
        for name, part in fields.items():
            for value in self.varied(part, others.get(name), depth):
                yield {**least, name: value}
        for name, value in self.other_fields(schema, depth, other):
            yield {**least, name: value}
        patterns = sorted(self.patterns)[:PATTERNS]
        samples = [text for pattern in patterns for text in self.matching(pattern)[:3]]
        if "propertyNames" in schema:
            samples += ("a" * size for size in self.sizes if size <= MANY)
        for name in sorted(self.names | set(samples)):
            for value in (*self.admitted(fields.get(name, rest), depth + 1), *ANYTHING):
                yield {**least, name: value}
        full = {**least, **self.filled(fields, depth)}
        yield from (full, *(_without(full, name) for name in full))
        for size in sorted(size for size in self.sizes if size <= MANY):
            more = self.filled({f"extra{i}": rest for i in range(size)}, depth)
            yield dict(islice({**full, **more}.items(), size))
        for one, two in combinations(full, 2):
            yield {**least, one: full[one], two: full[two]}

    def other_fields(
        self, schema: dict[str, Any], depth: int, other: Any
    ) -> Iterator[tuple[str, Any]]:
        """Yield fields that only `additionalProperties` or `patternProperties` describe."""
        rest = other.get("additionalProperties", True) if is_mapping(other) else None
        for value in self.varied(schema.get("additionalProperties", True), rest, depth):
            yield "extra", value
        others = mapping_at(other, "patternProperties")
        for pattern, part in mapping_at(schema, "patternProperties").items():
            for name in self.matching(pattern)[:1]:
                for value in self.varied(part, others.get(pattern), depth):
                    yield name, value

    def matching(self, pattern: str) -> list[str]:
        """Return a few strings that match."""
        started = time.process_time()
        found = matching(pattern)
        self.waited += time.process_time() - started
        return found

    def filled(self, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        """Return an object with one value for each field that can have one."""
        values = {name: self.admitted(part, depth + 1) for name, part in fields.items()}
        return {name: found[0] for name, found in values.items() if found}


def longer(name: str, size: int) -> str:
    """Return a value of a format that has this many characters, if it can be so short."""
    start, unit, end = LONGER[name]
    missing = size - len(start) - len(end)
    padding = "a" if missing > 0 and missing % len(unit) else ""
    return padding + start + unit * max(missing // len(unit), 1) + end


def validator(schema: Any, definitions: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Return the validator of a part, formats included."""
    if is_mapping(schema) and definitions:
        schema = {**schema, "$defs": definitions}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def _without(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key != name}


@lru_cache(maxsize=256)
def matching(pattern: str) -> list[str]:
    """Return a few strings that match, the same in every run; none if Python cannot read it."""
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415 # slow to import
    from hypothesis import strategies as st  # noqa: PLC0415

    try:
        strategy = st.from_regex(re.compile(pattern))
    except (re.error, OverflowError):
        return []
    found: set[str] = set()
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much]

    @settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=20,
        phases=[Phase.generate],
        suppress_health_check=quiet,
    )
    @given(strategy)
    def collect(text: str) -> None:
        found.add(text.removesuffix("\n") if pattern.endswith("$") else text)

    collect()
    return sorted(found, key=lambda text: (len(text), text))
