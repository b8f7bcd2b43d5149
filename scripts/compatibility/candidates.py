"""Values at the edges of a schema, small ones first: what a witness is likely to be."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import jsonschema_rs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

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
LONGEST = 300_000
MANY = 400
QUIET = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=40,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Hints:
    """What both schemas mention: the edges between them are among these."""

    sizes: set[int] = field(default_factory=lambda: {0, 1})
    numbers: set[float] = field(default_factory=lambda: {0})
    names: set[str] = field(default_factory=lambda: {"extra"})
    values: list[Any] = field(default_factory=list)
    patterns: set[str] = field(default_factory=set)

    def read(self, schema: Any) -> None:
        """Adds what a schema mentions, at any depth."""
        if isinstance(schema, list):
            for each in cast("list[Any]", schema):
                self.read(each)
        if not isinstance(schema, dict):
            return
        for keyword, value in cast("dict[str, Any]", schema).items():
            self._keep(keyword, value)
            if keyword not in {"enum", "const"}:
                self.read(value)

    def _keep(self, keyword: str, value: Any) -> None:
        if keyword in {"enum", "const"}:
            self.values += value if keyword == "enum" and isinstance(value, list) else [value]
        elif keyword == "pattern" and isinstance(value, str):
            self.patterns.add(value)
        elif keyword in {"properties", "dependentRequired", "patternProperties"}:
            self.names |= set(value)
        elif keyword == "required" and isinstance(value, list):
            self.names |= set(cast("list[str]", value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            self.numbers.add(value)
            if isinstance(value, int) and 0 <= value <= LONGEST:
                self.sizes |= {max(0, value - 1), value, value + 1}


class Candidates:
    """Values for the parts of one canonical schema; the sames ones in every run."""

    def __init__(self, root: Any, hints: Hints) -> None:
        """Keeps what the parts refer to."""
        self.definitions: dict[str, Any] = root.get("$defs", {}) if isinstance(root, dict) else {}
        self.hints = hints
        self.firsts: dict[str, list[Any]] = {}

    def values(self, schema: Any, depth: int = 0, other: Any = None) -> Iterator[Any]:
        """Values that the schema may admit; who wants only such as it does admit asks it.

        Parts that are the same in the `other` schema are not varied: no witness differs there.
        """
        if not isinstance(schema, dict) or depth > 4:  # noqa: PLR2004 # deep enough for any body
            yield from () if schema is False else self.anything()
            return
        known = cast("dict[str, Any]", schema)
        if "$ref" in known:
            yield from self.values(self.definitions.get(known["$ref"].rpartition("/")[2]), depth + 1)
        yield from [known["const"]] if "const" in known else known.get("enum", ())
        for keyword in ("anyOf", "oneOf", "allOf"):
            for branch in known.get(keyword, ()):
                yield from islice(self.values({**_without(known, keyword), **branch}, depth + 1), MANY)
        types = known.get("type", TYPES)
        beside = cast("dict[str, Any]", other) if isinstance(other, dict) else {}
        for each in [types] if isinstance(types, str) else types:
            if each in {"array", "object"}:
                yield from getattr(self, each)(known, depth, beside)
            else:
                yield from getattr(self, each)(known, depth)

    def varied(self, inner: Any, other: Any, depth: int) -> Iterator[Any]:
        """Many values of a part that the other schema has otherwise, a few of one that is the same."""
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
            found = (each for each in islice(self.values(schema, depth), 4 * MANY) if judge.is_valid(each))
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
            yield from (seed + (seed[-1:] or "a") * (size - len(seed)) for size in sizes if size > len(seed))
            yield from (seed[:size] for size in sizes if size < len(seed))
        for seed in (*shown[:1], *sorted(samples, key=len)[:1], "aa"):
            yield from (seed[:-1] + letter for letter in CHARACTERS)
            yield from (letter + seed[1:] for letter in CHARACTERS)

    def array(self, schema: dict[str, Any], depth: int, other: dict[str, Any]) -> Iterator[list[Any]]:
        """No item, each item alone, and as many as are mentioned, equal and different."""
        yield []
        fixed = [self.admitted(each, depth + 1)[:1] for each in schema.get("prefixItems", ())]
        start = [each for found in fixed for each in found]
        yield start
        beside = dict(enumerate(other.get("prefixItems", ())))
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

    def object(self, schema: dict[str, Any], depth: int, other: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The least object, each field at each edge, each one missing, and one too many."""
        fields: dict[str, Any] = schema.get("properties", {})
        rest = schema.get("additionalProperties", True)
        least: dict[str, Any] = {}
        for name in schema.get("required", ()):
            least |= {name: each for each in self.admitted(fields.get(name, rest), depth + 1)[:1]}
        yield least
        yield {}
        beside = other.get("properties", {})
        for name, inner in fields.items():
            for each in self.varied(inner, beside.get(name, other.get("additionalProperties", True)), depth):
                yield {**least, name: each}
        for name in sorted(self.hints.names | set(_named(schema))):
            inner = fields.get(name, rest)
            for each in (*self.admitted(inner, depth + 1), *islice(self.anything(), 12)):
                yield {**least, name: each}
        full = {**least, **{n: each for n, inner in fields.items() for each in self.admitted(inner, depth + 1)[:1]}}
        yield full
        for name in full:
            yield _without(full, name)
        for size in sorted(each for each in self.hints.sizes if each <= MANY):
            more = {f"extra{i}": each for i in range(size) for each in self.admitted(rest, depth + 1)[:1]}
            yield dict(islice({**full, **more}.items(), size))
        for name in full:
            yield from ({**least, name: full[name], other: full[other]} for other in full)


def validator(schema: Any, definitions: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """The real validator, formats included."""
    if isinstance(schema, dict) and definitions:
        schema = {**cast("dict[str, Any]", schema), "$defs": definitions}
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
