"""Values at the edges of a schema, small ones first: what a witness is likely to be."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import combinations, islice
from typing import TYPE_CHECKING, Any

import jsonschema_rs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scripts.compatibility.shapes import is_mapping, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.hints import Hints

TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
FORMATS = {
    "date": ["2024-02-29"],
    "date-time": ["2024-02-29T23:59:59Z", "2024-01-01t00:00:00.5+01:00"],
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
# One of each kind that patterns tell apart: letters, digits, spaces, controls, beyond ASCII.
CHARACTERS = [*map(chr, range(0x180)), "\u2028", "\u3000", "\ufeff", "\U0001f600"]
MANY = 400
QUIET = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=40,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class Candidates:
    """Values for the parts of one canonical schema; the sames ones in every run."""

    def __init__(self, root: Any, hints: Hints) -> None:
        """Keeps what the parts refer to."""
        self.definitions: dict[str, Any] = root.get("$defs", {}) if is_mapping(root) else {}
        self.hints = hints
        self.firsts: dict[str, list[Any]] = {}

    def values(self, schema: Any, depth: int = 0, other: Any = None) -> Iterator[Any]:
        """Values that the schema may admit; who wants only such as it does admit asks it.

        Parts that are the same in the `other` schema are not varied: no witness differs there.
        """
        if not is_mapping(schema) or depth > 4:  # deep enough for any body
            yield from () if schema is False else self.anything()
            return
        known = schema
        if "$ref" in known:
            yield from self.values(
                self.definitions.get(known["$ref"].rpartition("/")[2]), depth + 1
            )
        yield from [known["const"]] if "const" in known else known.get("enum", ())
        for keyword in ("anyOf", "oneOf", "allOf"):
            for branch in known.get(keyword, ()):
                yield from islice(
                    self.values({**_without(known, keyword), **branch}, depth + 1), MANY
                )
        types = known.get("type", TYPES)
        beside = other if is_mapping(other) else {}
        for each in [types] if isinstance(types, str) else types:
            if each in {"array", "object"}:
                yield from getattr(self, each)(known, depth, beside)
            else:
                yield from getattr(self, each)(known, depth)

    def varied(self, inner: Any, other: Any, depth: int) -> Iterator[Any]:
        """Many values of a part that the other schema has otherwise, else a few."""
        if inner == other:
            yield from self.admitted(inner, depth + 1)
        else:
            yield from islice(self.values(inner, depth + 1, other), 10 * MANY)

    def anything(self) -> Iterator[Any]:
        """One value of each type."""
        yield from ("a", 0, True, None, [], {}, 0.5)
        yield from self.hints.values

    def admitted(self, schema: Any, depth: int) -> list[Any]:
        """A few values that the schema does admit."""
        key = json.dumps(schema, sort_keys=True)
        if key not in self.firsts:
            self.firsts[key] = []
            judge = validator(schema, self.definitions)
            found = (
                each
                for each in islice(self.values(schema, min(depth, 3)), 4 * MANY)  # a level more
                if judge.is_valid(each)
            )
            self.firsts[key] = list(islice(found, 3))
        return self.firsts[key]

    def null(self, _schema: Any, _depth: int) -> Iterator[Any]:
        """Null."""
        yield None

    def boolean(self, _schema: Any, _depth: int) -> Iterator[Any]:
        """Both."""
        yield from (True, False)

    def integer(self, schema: dict[str, Any], _depth: int) -> Iterator[Any]:
        """Numbers at, and one beside, every number that is mentioned, and multiples."""
        near = {int(each) + step for each in self.hints.numbers for step in (-1, 0, 1)}
        step = schema.get("multipleOf", 1)
        yield from sorted(near, key=lambda each: (abs(each), each < 0))
        yield from (step * factor for factor in (1, 2, 3, -1))

    def number(self, schema: dict[str, Any], depth: int) -> Iterator[Any]:
        """The same, and fractions between."""
        yield from self.integer(schema, depth)
        for each in sorted(self.hints.numbers, key=abs):
            yield from (each, each + 0.5, each - 0.5, each / 2, each + 0.001)

    def string(self, schema: dict[str, Any], _depth: int) -> Iterator[str]:
        """Texts of every size that is mentioned, of the formats and patterns, and near those."""
        sizes = sorted(self.hints.sizes)
        shown = [each for each in self.hints.values if isinstance(each, str)]
        yield from shown
        for letter in ("a", "0", "A", " ", "é"):
            yield from (letter * size for size in sizes)
        formats = [schema.get("format"), *(each.get("format") for each in schema.get("allOf", ()))]
        samples = [each for name in formats if name for each in FORMATS.get(name, ())]
        for pattern in sorted({schema.get("pattern", ""), *self.hints.patterns} - {""}):
            samples += matching(pattern)
        yield from sorted(samples, key=len)
        for seed in (*shown, *sorted(samples, key=len)[:8]):
            yield from (
                seed + (seed[-1:] or "a") * (size - len(seed)) for size in sizes if size > len(seed)
            )
            yield from (seed[:size] for size in sizes if size < len(seed))
        for seed in (*shown[:1], *sorted(samples, key=len)[:1], "aa"):
            yield from (seed[:-1] + letter for letter in CHARACTERS)
            yield from (letter + seed[1:] for letter in CHARACTERS)

    def array(
        self, schema: dict[str, Any], depth: int, other: dict[str, Any]
    ) -> Iterator[list[Any]]:
        """No item, each item alone, and as many as are mentioned, equal and different."""
        yield []
        fixed = [self.admitted(each, depth + 1)[:1] for each in schema.get("prefixItems", ())]
        start = [each for found in fixed for each in found]
        yield start
        beside: dict[int, Any] = dict(enumerate(listed(other, "prefixItems")))
        for i, inner in enumerate(schema.get("prefixItems", ())):
            for each in self.varied(inner, beside.get(i), depth):
                yield [*start[:i], each, *start[i + 1 :]]
        fewest = max(schema.get("minItems", 1) - len(start), 1)
        for each in self.varied(schema.get("items", True), other.get("items", True), depth):
            yield [*start, *[each] * fewest]
        for each in self.needed(schema, depth):
            yield [*start, each]
        items = list(islice(self.values(schema.get("items", True), depth + 1), MANY))
        plain = self.admitted(schema.get("items", True), depth + 1)
        for size in sorted(each for each in self.hints.sizes if each <= MANY):
            yield from (([*start, *[each] * size])[:size] for each in plain)
            yield ([*start, *items])[:size]
            yield [*start, *range(size)][:size]
            yield [*start, *map(str, range(size))][:size]

    def needed(self, schema: dict[str, Any], depth: int) -> Iterator[Any]:
        """What an array has to contain."""
        if "contains" in schema:
            yield from self.admitted(schema["contains"], depth + 1)

    def object(
        self, schema: dict[str, Any], depth: int, other: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """The least object, each field at each edge, each one missing, and one too many."""
        fields: dict[str, Any] = schema.get("properties", {})
        rest = schema.get("additionalProperties", True)
        least = self.filled(
            {each: fields.get(each, rest) for each in schema.get("required", ())}, depth
        )
        yield from (least, {})
        beside, others = other.get("properties", {}), other.get("additionalProperties", True)
        for name, inner in fields.items():
            values = self.varied(inner, beside.get(name, others), depth)
            yield from (least | {name: each} for each in values)
        for name in sorted(self.hints.names | set(_named(schema))):
            plain = (
                *self.admitted(fields.get(name, rest), depth + 1),
                *islice(self.anything(), 12),
            )
            yield from (least | {name: each} for each in plain)
        full = least | self.filled(fields, depth)
        yield from (full, *(_without(full, name) for name in full))
        for size in sorted(each for each in self.hints.sizes if each <= MANY):
            more = self.filled({f"extra{i}": rest for i in range(size)}, depth)
            yield dict(islice({**full, **more}.items(), size))
        for one, two in combinations(full, 2):
            yield least | {one: full[one], two: full[two]}

    def filled(self, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        """An object with one value for each field that can have any."""
        values = {name: self.admitted(inner, depth + 1) for name, inner in fields.items()}
        return {name: each[0] for name, each in values.items() if each}


def validator(schema: Any, definitions: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """The real validator, formats included."""
    if is_mapping(schema) and definitions:
        schema = {**schema, "$defs": definitions}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def _named(schema: dict[str, Any]) -> Iterator[str]:
    """Names that the patterns of names allow."""
    for pattern in schema.get("patternProperties", {}):
        yield from matching(pattern)[:3]


def _without(known: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in known.items() if key != name}


@lru_cache(maxsize=256)
def matching(pattern: str) -> list[str]:
    """A few texts that match, the same in every run; none where Python knows no such pattern."""
    try:
        strategy = st.from_regex(re.compile(pattern))
    except re.error:
        return []
    found: dict[str, None] = {}

    @QUIET
    @given(strategy)
    def collect(each: str) -> None:
        found[each] = None
        if pattern.endswith("$"):  # `$` lets a line break pass in Python only
            found[each.removesuffix("\n")] = None

    collect()
    return sorted(found, key=lambda each: (len(each), each))
