"""Values at the edges of schemas, small ones first: where a witness is likely to be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations, islice
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from scripts.compatibility.json_values import canonical_json, is_list, is_mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
FORMATS = {
    "date": ["2024-02-29"],
    "date-time": ["2024-02-29T23:59:59Z", "2024-01-01T00:00:00.5+01:00"],
    "duration": ["P1D"],
    "email": ["a@b.co"],
    "hostname": ["a.example"],
    "idn-email": ["a@b.co", "ä@b.co"],
    "ipv4": ["127.0.0.1"],
    "ipv6": ["::1"],
    "iri": ["http://a", "http://ä"],
    "iri-reference": ["/", "/ä"],
    "json-pointer": ["/a"],
    "regex": ["a"],
    "time": ["23:59:59Z"],
    "uri": ["http://a", "urn:a"],
    "uri-reference": ["/", "a"],
    "uuid": ["00000000-0000-4000-8000-000000000000"],
}
# Patterns distinguish letters, digits, spaces, control characters, and what is not ASCII.
CHARACTERS = [*map(chr, range(0x180)), "\u2028", "\u3000", "\ufeff", "\U0001f600"]
MANY = 400  # values of a part
LONGEST = 300_000  # characters or items
DEPTH = 4


@dataclass
class Hints:
    """The sizes, numbers, names, values and patterns that schemas mention."""

    sizes: set[int] = field(default_factory=lambda: {0, 1})
    numbers: set[float] = field(default_factory=lambda: {0})
    names: set[str] = field(default_factory=lambda: {"extra"})
    values: list[Any] = field(default_factory=list[Any])
    patterns: set[str] = field(default_factory=set[str])

    def read(self, schema: Any) -> None:
        """Add everything that a schema mentions, at any depth."""
        if is_list(schema):
            for item in schema:
                self.read(item)
        elif is_mapping(schema):
            for keyword, value in schema.items():
                self._keep(keyword, value)
                if keyword not in {"enum", "const"}:
                    self.read(value)
                if keyword == "patternProperties" and is_mapping(value):
                    self.patterns |= set(value)

    def _keep(self, keyword: str, value: Any) -> None:
        if keyword in {"enum", "const"}:
            self.values += value if keyword == "enum" and is_list(value) else [value]
        elif keyword == "pattern" and isinstance(value, str):
            self.patterns.add(value)
        elif (keyword in {"properties", "dependentRequired"} and is_mapping(value)) or (
            keyword == "required" and is_list(value)
        ):
            self.names |= set(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            self.numbers.add(value)
            if isinstance(value, int) and 0 <= value <= LONGEST:
                self.sizes |= {max(0, value - 1), value, value + 1}


class Edges:
    """Values for the parts of one schema; the same ones in every run."""

    def __init__(self, root: Any, hints: Hints) -> None:
        """Keep what the parts refer to."""
        self.definitions: dict[str, Any] = root.get("$defs", {}) if is_mapping(root) else {}
        self.hints = hints
        self.known: dict[str, list[Any]] = {}
        self.types = {"array": self.arrays, "object": self.objects}
        self.scalars = {
            "string": self.strings,
            "integer": self.integers,
            "number": self.numbers,
            "boolean": lambda _: iter((True, False)),
            "null": lambda _: iter((None,)),
        }

    def values(self, schema: Any, depth: int = 0, other: Any = None) -> Iterator[Any]:
        """Yield values that the schema may admit; validate them.

        Parts that are equal in the `other` schema vary less: both treat them alike.
        """
        if not is_mapping(schema) or depth > DEPTH:
            yield from () if schema is False else self.anything()
            return
        if "$ref" in schema:
            target = self.definitions.get(schema["$ref"].rpartition("/")[2])
            yield from self.values(target, depth + 1)
        yield from [schema["const"]] if "const" in schema else schema.get("enum", ())
        for keyword in ("anyOf", "oneOf", "allOf"):
            rest = _without(schema, keyword)
            for branch in filter(is_mapping, schema.get(keyword, ())):
                yield from islice(self.values({**rest, **branch}, depth + 1), MANY)
        types = schema.get("type", TYPES)
        for name in [types] if isinstance(types, str) else types:
            if name in self.types:
                yield from self.types[name](schema, depth, other if is_mapping(other) else {})
            else:
                yield from self.scalars[name](schema)

    def anything(self) -> Iterator[Any]:
        """Yield one value of each type, and all that are mentioned."""
        yield from ("a", 0, True, None, [], {}, 0.5)
        yield from self.hints.values

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
            yield from self.admitted(part, depth + 1)
        else:
            yield from islice(self.values(part, depth + 1, other), 10 * MANY)

    def integers(self, schema: dict[str, Any]) -> Iterator[Any]:
        """Yield every number that is mentioned, its neighbors, and multiples."""
        near = {int(number) + step for number in self.hints.numbers for step in (-1, 0, 1)}
        yield from sorted(near, key=lambda number: (abs(number), number < 0))
        step = schema.get("multipleOf", 1)
        yield from (step * factor for factor in (1, 2, 3, -1))

    def numbers(self, schema: dict[str, Any]) -> Iterator[Any]:
        """Yield integers, and fractions between them."""
        yield from self.integers(schema)
        for number in sorted(self.hints.numbers, key=abs):
            yield from (number, number + 0.5, number - 0.5, number / 2, number + 0.001)

    def strings(self, schema: dict[str, Any]) -> Iterator[str]:
        """Yield strings of every mentioned size, format and pattern, and their neighbors."""
        sizes = sorted(self.hints.sizes)
        mentioned = [value for value in self.hints.values if isinstance(value, str)]
        yield from mentioned
        for letter in ("a", "0", "A", " ", "é"):
            yield from (letter * size for size in sizes)
        samples = sorted(self.samples(schema), key=len)
        yield from samples
        for seed in (*mentioned, *samples[:8]):
            for size in sizes:
                yield seed[:size] + (seed[-1:] or "a") * (size - len(seed))
        for seed in (*mentioned[:1], *samples[:1], "aa"):
            yield from (seed[:-1] + letter for letter in CHARACTERS)
            yield from (letter + seed[1:] for letter in CHARACTERS)

    def samples(self, schema: dict[str, Any]) -> Iterator[str]:
        """Yield strings of the formats and patterns."""
        for holder in (schema, *filter(is_mapping, schema.get("allOf", ()))):
            yield from FORMATS.get(holder.get("format", ""), ())
        for pattern in sorted({schema.get("pattern", ""), *self.hints.patterns} - {""}):
            yield from matching(pattern)

    def arrays(self, schema: dict[str, Any], depth: int, other: dict[str, Any]) -> Iterator[Any]:
        """Yield the empty array, each item alone, and every mentioned size."""
        yield []
        fixed: list[Any] = schema.get("prefixItems", [])
        start = [value for part in fixed for value in self.admitted(part, depth + 1)[:1]]
        yield start
        others: list[Any] = other.get("prefixItems", [])
        for i, part in enumerate(fixed):
            for value in self.varied(part, others[i] if i < len(others) else None, depth):
                yield [*start[:i], value, *start[i + 1 :]]
        items = schema.get("items", True)
        fewest = max(schema.get("minItems", 1) - len(start), 1)
        for value in self.varied(items, other.get("items", True), depth):
            yield [*start, *[value] * min(fewest, MANY)]
        for value in self.admitted(schema.get("contains", False), depth + 1):
            yield [*start, value]
        different = list(islice(self.values(items, depth + 1), MANY))
        for size in sorted(size for size in self.hints.sizes if size <= LONGEST):
            if size <= MANY:
                yield [*start, *different][:size]
                yield [*start, *range(size)][:size]
                yield [*start, *map(str, range(size))][:size]
            for value in self.admitted(items, depth + 1)[: None if size <= MANY else 1]:
                yield [*start, *[value] * size][:size]

    def objects(self, schema: dict[str, Any], depth: int, other: dict[str, Any]) -> Iterator[Any]:
        """Yield the smallest object, each field at its edges, each missing, and one too many."""
        fields: dict[str, Any] = schema.get("properties", {})
        rest = schema.get("additionalProperties", True)
        required = {name: fields.get(name, rest) for name in schema.get("required", ())}
        least = self.filled(required, depth)
        yield from (least, {})
        other_fields: dict[str, Any] = other.get("properties", {})
        other_rest = other.get("additionalProperties", True)
        for name, part in fields.items():
            for value in self.varied(part, other_fields.get(name, other_rest), depth):
                yield {**least, name: value}
        for name in sorted(self.hints.names | set(self.named())):
            plain = self.admitted(fields.get(name, rest), depth + 1)
            for value in (*plain, *islice(self.anything(), 12)):
                yield {**least, name: value}
        full = {**least, **self.filled(fields, depth)}
        yield full
        yield from (_without(full, name) for name in full)
        for size in sorted(size for size in self.hints.sizes if size <= MANY):
            more = self.filled({f"extra{i}": rest for i in range(size)}, depth)
            yield dict(islice({**full, **more}.items(), size))
        for one, two in combinations(full, 2):
            yield {**least, one: full[one], two: full[two]}

    def filled(self, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        """Return an object with one value for each field that can have one."""
        values = {name: self.admitted(part, depth + 1) for name, part in fields.items()}
        return {name: found[0] for name, found in values.items() if found}

    def named(self) -> Iterator[str]:
        """Yield names that the patterns allow: some of them are patterns of names."""
        for pattern in sorted(self.hints.patterns):
            yield from matching(pattern)[:3]


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
    found: dict[str, None] = {}

    @settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=40,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(text: str) -> None:
        found[text.removesuffix("\n") if pattern.endswith("$") else text] = None

    collect()
    return sorted(found, key=lambda text: (len(text), text))
