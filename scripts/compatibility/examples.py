"""Generate examples of a schema, with values near its limits."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from scripts.compatibility.schemas import call_or_default, constants, difference, validator
from scripts.compatibility.text import canonical_json, is_mapping, mapping_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.schemas import Schema

TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
FORMATS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T23:59:59Z",
    "email": "a@b.co",
    "hostname": "a.example",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "time": "23:59:59Z",
    "uri": "http://a",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
# Characters that common patterns distinguish, such as letters, digits, spaces and control codes.
CHARACTERS = ["\u2028", "\u3000", "\ufeff", "\U0001f600", *map(chr, range(0x180))]
ANYTHING: tuple[Any, ...] = ("a", 0, True, None, [], {}, 0.5)
FEW = 8  # the number of examples to return for each subschema
MANY = 600  # the number of candidates to try for each subschema
LONGEST = 70_000  # the maximum length of a string, an array or an object
LARGEST = 400_000  # the maximum number of characters in an array


def examples(schema: Schema) -> list[Any]:
    """Return a few values that the schema admits, or none if no candidate is valid."""
    return _examples(canonical_json(schema))


@lru_cache(maxsize=1000)
def _examples(text: str) -> list[Any]:
    schema = json.loads(text)
    is_valid = validator(schema).is_valid
    return list(islice(filter(is_valid, islice(candidates(schema), MANY)), FEW))


def candidates(schema: Schema) -> Iterator[Any]:
    """Yield values that might be valid. The caller must validate them."""
    if not schema or not is_mapping(schema):
        yield from ANYTHING
        return
    if "enum" in schema or "const" in schema:
        yield from constants(schema)
        return
    for branch in branches(schema):
        yield from examples(branch)
    types = schema.get("type", TYPES)
    if "string" in types:
        yield from _strings(schema)
    if "integer" in types or "number" in types:
        yield from _numbers(schema)
    yield from (True, False, None)
    if "array" in types:
        yield from _arrays(schema)
    if "object" in types:
        yield from _objects(schema)


def branches(schema: Schema) -> Iterator[Any]:
    """Yield each anyOf, oneOf and allOf branch, combined with the schema's other keywords."""
    if not is_mapping(schema):
        return
    for keyword in ("anyOf", "oneOf", "allOf"):
        others = dict(schema)
        for branch in others.pop(keyword, ()):
            if keyword != "allOf":
                yield _both(others, branch)
            elif is_mapping(branch):  # the canonical form can contain an allOf, too
                yield {**others, **branch}


def _both(first: Schema, second: Schema) -> Any:
    """Return the canonical form of a schema for the values that both schemas admit."""
    return difference({"allOf": [first, second]}, {"not": {}})


def _sizes(schema: dict[str, Any], unit: str) -> list[int]:
    """Return sizes near the limits `minLength` and `maxLength`, for the unit `Length`."""
    least = schema.get(f"min{unit}", 0)
    sizes = dict.fromkeys([least, schema.get(f"max{unit}", least), least + 1, least + 2])
    return [size for size in sizes if size < LONGEST]


def _strings(schema: dict[str, Any]) -> Iterator[str]:
    text = canonical_json(schema)
    matches = matching(schema["pattern"]) if "pattern" in schema else []
    seeds = [FORMATS.get(schema.get("format", ""), "a"), "z", *matches]
    sizes = _sizes(schema, "Length")
    if '"pattern"' in text:
        sizes += map(int, re.findall(r"[{,](\d{1,3})(?=[,}])", text))
    for seed in seeds:
        yield seed
        for size in sizes:
            yield seed[:size].ljust(size, seed[-1:] or "a")
    if '"pattern"' in text:
        for seed in (*matches, "a" * schema.get("minLength", 1), "aa"):
            for character in CHARACTERS:
                yield seed[:-1] + character
                yield character + seed[1:]


@lru_cache(maxsize=256)
def matching(pattern: str) -> list[str]:
    """Return a list with one string that matches the pattern, or an empty list if none is found."""
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415 # slow to import
    from hypothesis.strategies import from_regex  # noqa: PLC0415

    found: list[str] = []
    # Stop if most of the generated strings do not match, as with some lookarounds.
    quiet = set(HealthCheck) - {HealthCheck.filter_too_much}
    one = settings(database=None, deadline=None, derandomize=True, max_examples=1)

    @settings(one, suppress_health_check=quiet, phases=[Phase.generate])
    @given(from_regex(pattern))
    def collect(text: str) -> None:
        found.append(text.removesuffix("\n"))  # `$` also matches before a final line break

    call_or_default(collect, None)
    return found


def _numbers(schema: dict[str, Any]) -> Iterator[float]:
    step = schema.get("multipleOf", 1)
    limits = [value for keyword, value in schema.items() if "imum" in keyword]
    for limit in (*limits, 0):
        yield limit
        for count in range(-2, 8):
            yield (limit // step + count) * step
        yield from (limit + 0.5, limit - 0.5, limit + 0.001)
    yield 10**17  # a long text in a parameter


def _arrays(schema: dict[str, Any]) -> Iterator[list[Any]]:
    """Yield arrays of each size near the limits, with one or two different items."""
    items = schema.get("items", True)
    others = examples(items) or [0]
    special: list[Any] = []
    if "contains" in schema:
        special = examples(_both(items, schema["contains"]))
    first: list[Any] = []
    for part in schema.get("prefixItems", ()):
        first += examples(part)[:1]
    yield first
    for size in _sizes(schema, "Items"):
        for value in (*special, *others):
            if size * len(canonical_json([value, *others[:1]])) < LARGEST:
                yield [value] * size
                yield [value, *islice(cycle(others[:2]), size)][:size]
        if schema.get("uniqueItems"):
            yield list(range(size))
            yield [f"{number:06}" for number in range(size)]


def _objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the smallest object, and then objects with other fields and values."""
    required = schema.get("required", ())
    rejected = mapping_at(schema, "not")
    names = schema.get("propertyNames", {"type": "string"})
    if "propertyNames" in rejected:
        names = difference(names, rejected["propertyNames"])
    fields: dict[str, Any] = {}
    found: dict[str, list[Any]] = {}
    for name in (*required, *mapping_at(schema, "properties"), *examples(names), "extra"):
        field = _field(schema, name)
        found[name] = examples(field)
        if rejected:
            found[name] = examples(difference(field, _field(rejected, name))) + found[name]
        if found[name]:
            fields[name] = found[name][0]
    least = {name: fields[name] for name in required if name in fields}
    yield least
    for name, values in found.items():
        for value in values:
            yield {**least, name: value}
    sizes = _sizes(schema, "Properties")
    for value in examples(schema.get("additionalProperties", True))[:1]:
        for index in range(max(sizes, default=0)):
            fields.setdefault(f"a{index}", value)
    for size in sizes:
        yield dict(islice(fields.items(), size))


def _field(schema: dict[str, Any], name: str) -> Any:
    """Return the schema of a field's value."""
    fields = mapping_at(schema, "properties")
    return fields.get(name, schema.get("additionalProperties", True))
