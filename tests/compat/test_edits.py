"""Random edits of schemas in requests and responses: no verdict contradicts an independent judge.

The judge is `jsonschema`, in Python; the command uses jsonschema_rs.
"""

from __future__ import annotations

import copy
import random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no stubs

from scripts.compatibility import comparison
from scripts.compatibility.documents import Contract
from scripts.compatibility.findings import Change, Finding

Schema = dict[str, Any]
SAMPLES = 150
FIELDS = ["a", "b", "c", "zzField"]
SEVERAL = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.nested_given],
)
POOL: list[Any] = [
    *("", "a", "ab", "ba", "aaaaaaaa", "\n", "é"),
    *(0, 1, 2, 5, 9, -1, 0.5, True, False, None),
    *([], ["a"], [1, 1], ["a", "b", "a"], {}, {"a": "a"}, {"b": 1}, {"a": 1, "zzField": None}),
]
SMALL = st.integers(0, 6)
KINDS = ["string", "integer", "number", "null", "boolean", "array", "object"]
VALUES = st.lists(st.sampled_from(["a", "b", 1, 5, None, True]), min_size=1, unique_by=repr)
SCALARS = st.one_of(
    st.builds(lambda n, m: {"type": "string", "minLength": n, "maxLength": n + m}, SMALL, SMALL),
    st.builds(lambda n: {"allOf": [{"type": "string"}, {"maxLength": n}]}, SMALL),
    st.sampled_from(["^a*$", "^[ab]*$", "^b?$"]).map(lambda text: {"pattern": text}),
    st.sets(st.sampled_from(KINDS), min_size=1).map(lambda kinds: {"type": sorted(kinds)}),
    st.builds(lambda n, m: {"type": "integer", "minimum": n, "exclusiveMaximum": m}, SMALL, SMALL),
    st.sampled_from([1, 2, 0.5]).map(lambda step: {"type": "number", "multipleOf": step}),
    VALUES.map(lambda values: {"enum": values}),
    VALUES.map(lambda values: {"anyOf": [{"const": value} for value in values]}),
)
PARTS = st.one_of(
    SCALARS,
    st.builds(lambda part, n: {"type": "array", "items": part, "maxItems": n}, SCALARS, SMALL),
    st.builds(
        lambda name, part: {"type": "object", "required": [name], "properties": {name: part}},
        st.sampled_from(FIELDS),
        SCALARS,
    ),
)


@st.composite
def rules(draw: st.DrawFn) -> Schema:
    """Return a rule that concerns more than one field."""
    one, two = draw(st.permutations(FIELDS))[:2]
    parts = [{"properties": {name: draw(SCALARS)}} for name in (one, two)]
    return draw(
        st.sampled_from(
            [
                {"oneOf": parts},
                {"anyOf": parts},
                {"not": {"required": [one, two]}},
                {"dependentRequired": {one: [two], two: [one]}},
                {"if": {"required": [one]}, "then": parts[1]},
                {"minProperties": 1, "maxProperties": 2},
            ]
        )
    )


@st.composite
def edits(draw: st.DrawFn, schema: Schema, most: int) -> Schema:
    """Return a copy of an object's schema with some edits."""
    made = copy.deepcopy(schema)
    for _ in range(draw(st.integers(1, most))):
        name = draw(st.sampled_from(FIELDS))
        kind = draw(st.sampled_from(["set", "set", "set", "remove", "require", "close", "rule"]))
        if kind == "set":
            made["properties"][name] = draw(PARTS)
        elif kind == "remove":
            made["properties"].pop(name, None)
        elif kind == "require":
            made["required"] = sorted({*made.get("required", []), name})
        elif kind == "close":
            made["additionalProperties"] = not made.get("additionalProperties", True)
        else:
            made |= draw(rules())
    return made


@st.composite
def versions(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """Return the schemas of two versions."""
    start = {"type": "object", "properties": {name: draw(PARTS) for name in FIELDS[:2]}}
    base = draw(edits(start, 3))
    return base, draw(edits(base, 2))


def contract(part: str, schema: Schema) -> Contract:
    """Return a contract of one operation with that schema in its request or its response."""
    content = {"content": {"application/json": {"schema": schema}}}
    operation: Schema = {"responses": {"200": {"description": "Done."}}}
    if part == "request":
        operation["requestBody"] = {"required": True, **content}
    else:
        operation["responses"]["200"] |= content
    document = {"info": {"version": "1.0.0"}, "paths": {"/zz": {"put": operation}}}
    return Contract(document, "made", "")


def compared(part: str, base: Schema, head: Schema) -> tuple[Change, list[Finding]]:
    """Return the verdict and the breaks."""
    findings = comparison.compare(contract(part, base), contract(part, head))
    change = max((finding.change for finding in findings), default=Change.NONE)
    return change, [finding for finding in findings if finding.change == Change.BREAKING]


def samples(small: Schema, large: Schema, seed: int) -> list[Any]:
    """Return values that are likely to be admitted by one of the schemas."""
    chance = random.Random(seed)  # noqa: S311 # the same values in every run
    names = sorted({*FIELDS, *small["properties"], *large["properties"]})
    found: list[Any] = list(POOL)
    for _ in range(SAMPLES):
        chosen = chance.sample(names, chance.randint(0, len(names)))
        found.append({name: chance.choice(POOL) for name in chosen})
    return found


def test_verdicts_agree_with_an_independent_validator() -> None:
    """A witness is valid on one side only; a compatible pair has no such value.

    The same change has opposite effects on requests and responses. Few pairs are undecided, so
    that the judge has something to judge.
    """
    changes: list[Change] = []

    @SEVERAL
    @given(versions(), st.integers(0, 1000))
    def judge(pair: tuple[Schema, Schema], seed: int) -> None:
        change, breaks = compared("request", *pair)
        assert compared("response", *reversed(pair))[0] == change
        changes.append(change)
        must_be_right(pair, change, breaks, seed)

    judge()
    assert changes.count(Change.UNDECIDED) < len(changes) / 4
    assert changes.count(Change.BREAKING) > len(changes) / 5
    assert changes.count(Change.ADDITION) > len(changes) / 20


def must_be_right(
    pair: tuple[Schema, Schema], change: Change, breaks: list[Finding], seed: int
) -> None:
    """Check the verdict on a request against sample values and another validator."""
    admits, accepts = (Draft202012Validator(schema).is_valid for schema in pair)
    for finding in breaks:
        assert admits(finding.witness)
        assert not accepts(finding.witness)
    values = samples(*pair, seed)
    if change < Change.UNDECIDED:
        assert not [value for value in values if admits(value) and not accepts(value)]
    if change <= Change.WORDS:
        assert not [value for value in values if accepts(value) and not admits(value)]
