"""Random edits of our contract: the verdict is held against requests made from both sides.

The judge is another one than the command's: `jsonschema`, in Python, on the contract as it stands.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no stubs
from schemathesis.generation.jsonschema import builder

from scripts.compatibility import wire
from scripts.compatibility.documents import Contract
from scripts.compatibility.findings import Change

CONTRACT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "openapi.yaml").read_text("utf-8")
)
DRAFT = 20  # 2020-12, as jsonschema_rs numbers them
FIELDS = ["name", "aiType", "endpoint", "key", "secret"]
SEVERAL = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def text(**rules: Any) -> dict[str, Any]:
    """The schema of a text."""
    return {"type": "string", **rules}


def integer(**rules: Any) -> dict[str, Any]:
    """The schema of an integer."""
    return {"type": "integer", **rules}


SMALL = st.integers(0, 12)
KINDS = ["string", "integer", "null", "boolean", "array", "object"]
VALUES = st.lists(st.sampled_from(["a", "b", 1, None, True]), min_size=1, unique_by=repr)
SCHEMAS = st.one_of(
    st.builds(lambda least, more: text(minLength=least, maxLength=least + more), SMALL, SMALL),
    st.builds(lambda size: {"allOf": [{"type": "string"}, {"maxLength": size}]}, SMALL),
    st.builds(lambda pattern: text(pattern=pattern), st.sampled_from(["^a*$", "^[ab]*$", "^b?$"])),
    st.builds(lambda kinds: {"type": kinds}, st.sets(st.sampled_from(KINDS), min_size=1).map(list)),
    st.builds(lambda least, end: integer(minimum=least, exclusiveMaximum=end), SMALL, SMALL),
    st.builds(lambda step: {"type": "number", "multipleOf": step}, st.sampled_from([1, 2, 0.5])),
    st.builds(lambda values: {"enum": values}, VALUES),
    st.builds(lambda values: {"anyOf": [{"const": each} for each in values]}, VALUES),
    st.builds(lambda most: {"type": "array", "items": text(), "maxItems": most}, SMALL),
    st.builds(
        lambda name: {"required": [name], "properties": {name: text()}}, st.sampled_from("ab")
    ),
)


def body() -> dict[str, Any]:
    """The body's schema on its own, with patterns left out: they take long and say little here."""
    schemas = copy.deepcopy(CONTRACT["components"]["schemas"])
    fields: dict[str, Any] = schemas["UpdateAiLlmRequest"]["properties"]
    fields |= {name: {"type": "string", "maxLength": 9} for name in ("name", "endpoint")}
    return {**schemas["UpdateAiLlmRequest"], "properties": {**fields, "aiType": schemas["AiType"]}}


@st.composite
def edits(draw: st.DrawFn) -> dict[str, Any]:
    """The body's schema after one to three edits."""
    request = body()
    for _ in range(draw(st.integers(1, 3))):
        field = draw(st.sampled_from([*FIELDS, "extra"]))
        what = draw(st.sampled_from(["set", "remove", "require", "open", "close", "least"]))
        if what == "set":
            request["properties"][field] = draw(SCHEMAS)
        elif what == "remove":
            request["properties"].pop(field, None)
        elif what == "require":
            request["required"] = sorted({*request.get("required", []), field})
        elif what == "least":
            request["minProperties"] = draw(st.integers(0, 2))
        else:
            request["additionalProperties"] = what == "open"
    return request


def contract(request: dict[str, Any]) -> Contract:
    """Our contract, with that body."""
    made = copy.deepcopy(CONTRACT)
    made["components"]["schemas"]["UpdateAiLlmRequest"] = request
    return Contract(made, "made", "")


@SEVERAL
@given(edits(), edits(), st.data())
def test_verdict_holds_for_generated_requests(
    base: dict[str, Any], head: dict[str, Any], data: st.DataObject
) -> None:
    """Where nothing breaks, no valid request is refused; a witness was valid, and is no more."""
    found = wire.compare(contract(base), contract(head))
    old, new = Draft202012Validator(base), Draft202012Validator(head)
    broken = [each for each in found if each.change == Change.BREAKING]
    for each in broken:
        assert old.is_valid(each.witness)
        assert not new.is_valid(each.witness)
    if max((each.change for each in found), default=Change.NONE) < Change.UNDECIDED:
        requests = builder.build(base, draft=DRAFT, formats={})
        for _ in range(0 if requests.is_empty else 8):
            assert new.is_valid(data.draw(requests))


@SEVERAL
@given(edits(), edits())
def test_verdict_is_the_one_that_the_difference_has(
    base: dict[str, Any], head: dict[str, Any]
) -> None:
    """What no edit took away breaks nobody: a change there and back is never compatible twice."""
    there = {each.change for each in wire.compare(contract(base), contract(head))}
    back = {each.change for each in wire.compare(contract(head), contract(base))}
    if Change.BREAKING in there and not back & {Change.BREAKING, Change.UNDECIDED}:
        assert Change.ADDITION in back
    assert not wire.compare(contract(head), contract(head))
