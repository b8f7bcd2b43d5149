"""Compare the verdicts on random schema changes with the results of another validator."""

from __future__ import annotations

import copy
import random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no stubs

from scripts.compatibility.findings import Finding, Severity
from tests.compat.edits import compared_schemas, worst

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
VALUES = st.lists(st.sampled_from(["a", "b", 1, 5, None, True]), min_size=1, unique_by=repr)
SCALARS = st.one_of(
    VALUES.map(lambda values: {"enum": values}),
    VALUES.map(lambda values: {"anyOf": [{"const": value} for value in values]}),
    st.sampled_from(
        [
            *({"type": "string", "minLength": size, "maxLength": size + 3} for size in range(5)),
            *({"allOf": [{"type": "string"}, {"maxLength": size}]} for size in range(5)),
            *({"pattern": pattern} for pattern in ("^a*$", "^[ab]*$", "^b?$")),
            *({"type": kinds} for kinds in (["string", "null"], ["integer", "boolean"], "number")),
            *({"type": "integer", "minimum": 1, "exclusiveMaximum": most} for most in range(5)),
            *({"type": "number", "multipleOf": step} for step in (1, 2, 0.5)),
        ]
    ),
)
PARTS = st.one_of(
    SCALARS,
    SCALARS.map(lambda part: {"type": "array", "items": part, "maxItems": 3}),
    SCALARS.map(lambda part: {"type": "object", "required": ["a"], "properties": {"a": part}}),
)


@st.composite
def rules(draw: st.DrawFn) -> Schema:
    """Draw a rule that involves more than one field."""
    first, second = draw(st.permutations(FIELDS))[:2]
    parts = [{"properties": {first: draw(SCALARS)}}, {"properties": {second: draw(SCALARS)}}]
    return draw(
        st.sampled_from(
            [
                {"oneOf": parts},
                {"anyOf": parts},
                {"not": {"required": [first, second]}},
                {"dependentRequired": {first: [second], second: [first]}},
                {"if": {"required": [first]}, "then": parts[1]},
                {"minProperties": 1, "maxProperties": 2},
            ]
        )
    )


@st.composite
def edited(draw: st.DrawFn, schema: Schema, max_edits: int) -> Schema:
    """Draw an edited copy of an object schema."""
    result = copy.deepcopy(schema)
    for _ in range(draw(st.integers(1, max_edits))):
        name = draw(st.sampled_from(FIELDS))
        kind = draw(st.sampled_from(["set", "set", "set", "remove", "require", "close", "rule"]))
        if kind == "set":
            result["properties"][name] = draw(PARTS)
        elif kind == "remove":
            result["properties"].pop(name, None)
        elif kind == "require":
            result["required"] = sorted({*result.get("required", []), name})
        elif kind == "close":
            result["additionalProperties"] = not result.get("additionalProperties", True)
        else:
            result |= draw(rules())
    return result


@st.composite
def versions(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """Draw a schema and an edited copy of it."""
    start = {"type": "object", "properties": {name: draw(PARTS) for name in FIELDS[:2]}}
    base = draw(edited(start, 3))
    return base, draw(edited(base, 2))


def samples(base: Schema, head: Schema, seed: int) -> list[Any]:
    """Return samples, many of which are likely to be valid against at least one of the schemas."""
    generator = random.Random(seed)  # noqa: S311 # reproducible, not a secret
    names = sorted({*FIELDS, *base["properties"], *head["properties"]})
    values: list[Any] = list(POOL)
    for _ in range(SAMPLES):
        chosen_names = generator.sample(names, generator.randint(0, len(names)))
        values.append({name: generator.choice(POOL) for name in chosen_names})
    return values


def test_verdicts_agree_with_an_independent_validator() -> None:
    """scripts/compat calls a change breaking if and only if a valid value becomes invalid.

    A change to a request and the reverse change to a response must get the same verdict. The random
    edits must include enough breaking changes and additions, or the test would prove little.
    """
    severities: list[Severity] = []

    @SEVERAL
    @given(versions(), st.integers(0, 1000))
    def check_pair(pair: tuple[Schema, Schema], seed: int) -> None:
        base, head = pair
        findings = compared_schemas(base, head)
        severity = worst(findings)
        assert worst(compared_schemas(head, base, "response")) == severity
        severities.append(severity)
        assert_verdict_is_correct(pair, findings, seed)

    check_pair()
    assert severities.count(Severity.UNDECIDED) < len(severities) / 4
    assert severities.count(Severity.BREAKING) > len(severities) / 5
    assert severities.count(Severity.ADDITION) > len(severities) / 20


def assert_verdict_is_correct(
    pair: tuple[Schema, Schema], findings: list[Finding], seed: int
) -> None:
    """Validate sample values with `jsonschema` to check the verdict on a change to a request."""
    base, head = pair
    base_accepts = Draft202012Validator(base).is_valid
    head_accepts = Draft202012Validator(head).is_valid
    for finding in findings:
        if finding.severity == Severity.BREAKING:
            assert base_accepts(finding.witness)
            assert not head_accepts(finding.witness)
    for value in samples(base, head, seed):
        if worst(findings) < Severity.UNDECIDED:
            assert head_accepts(value) or not base_accepts(value)
        if worst(findings) <= Severity.WORDS:
            assert base_accepts(value) or not head_accepts(value)
