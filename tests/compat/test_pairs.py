"""Tests for the verdict on each pair of contracts in pairs.yaml."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.compatibility.findings import Severity
from tests.compat.edits import compared, compared_schemas, edited, with_schema, worst

HERE = Path(__file__).parent
SHOP: dict[str, Any] = yaml.safe_load((HERE / "shop.yaml").read_text("utf-8"))
PAIRS: list[dict[str, Any]] = yaml.safe_load((HERE / "pairs.yaml").read_text("utf-8"))


@pytest.mark.parametrize("pair", PAIRS, ids=[pair["name"] for pair in PAIRS])
def test_pair_gets_the_expected_verdict_in_both_directions(pair: dict[str, Any]) -> None:
    """Each edit and its reverse get their expected verdicts.

    If the expected verdict is `breaking*`, every breaking finding includes evidence.
    """
    base = edited(SHOP, pair.get("first", []))
    head = edited(base, pair["edit"])
    for expected, old, new in ((pair["there"], base, head), (pair["back"], head, base)):
        started = time.process_time()
        findings = compared(old, new)
        assert time.process_time() - started < 5
        severity = worst(findings)
        got = "same" if severity <= Severity.WORDS else severity.word
        assert got == expected.rstrip("*")
        for finding in findings:
            if expected.endswith("*") and finding.severity == Severity.BREAKING:
                assert finding.shown


def test_example_dates_are_never_in_the_year_zero() -> None:
    """Findings never show a date in the year 0, which many date libraries reject."""
    (finding,) = compared_schemas({"type": "string", "format": "date"}, {"format": "email"})
    assert dt.date.fromisoformat(finding.witness).year


def test_examples_for_patterns_are_printable() -> None:
    """The example in a finding never contains control characters or unassigned characters."""
    base = {"type": "string", "minLength": 8, "pattern": "[0-9]"}
    with_other_pattern = {**base, "allOf": [{"pattern": "[A-Z]"}]}
    new_pattern = {"minLength": 1, "pattern": "^[a-z]+$"}
    for old, new in ((base, with_other_pattern), ({"type": "string", "minLength": 1}, new_pattern)):
        (finding,) = compared_schemas(old, new)
        assert finding.witness.isascii()
        assert finding.witness.isprintable()


def test_the_id_of_a_finding_depends_on_the_field_and_the_operations() -> None:
    """A decision does not apply if the same field also changes in another operation.

    It still applies if other fields change.
    """
    old = {"properties": {"a": {"maxLength": 9}}}
    new = {"properties": {"a": {"maxLength": 5}}}
    more = {"properties": {"a": {"maxLength": 5}, "b": {}}}
    (alone,) = compared_schemas(old, new)
    (among_others,) = compared_schemas(old, more)
    (in_two_places,) = compared(with_schema(old, paths=2), with_schema(new, paths=2))
    assert alone.id == among_others.id
    assert alone.id != in_two_places.id


def test_the_id_of_a_finding_depends_on_its_media_type() -> None:
    """A decision about one media type does not apply if another media type changes, too."""

    def body(json: int, patch: int) -> dict[str, Any]:
        document = with_schema({"maxLength": json})
        content = document["paths"]["/0"]["put"]["requestBody"]["content"]
        content["application/merge-patch+json"] = {"schema": {"maxLength": patch}}
        return document

    (one,) = compared(body(9, 9), body(9, 5))
    (both,) = compared(body(9, 9), body(5, 5))
    assert one.id != both.id


def test_the_id_of_a_finding_about_a_required_body_does_not_depend_on_the_schema() -> None:
    """A decision about a body that is now required stays valid if the body's schema changes."""
    required = with_schema({"maxLength": 9})
    wider = with_schema({"maxLength": 10})
    optional = edited(required, [{"at": "/paths/~10/put/requestBody/required", "set": False}])
    (alone,) = compared(optional, required)
    with_schema_change = compared(optional, wider)
    assert len(with_schema_change) == 2
    assert alone.id in {finding.id for finding in with_schema_change}


def test_examples_with_many_fields_are_shortened() -> None:
    """If an example has many fields, a finding shows only the first few, plus the total number."""
    (finding,) = compared_schemas({"type": "object"}, {"type": "object", "maxProperties": 20})
    assert finding.shown[-1].endswith(", … (21 fields)}")


def test_searches_for_counterexamples_are_limited() -> None:
    """Of 40 changed patterns, at least 10 are reported as breaking, and the rest as undecided."""
    base: dict[str, Any] = {}
    head: dict[str, Any] = {}
    for length in range(40):
        base[f"f{length}"] = {"type": "string", "pattern": f"^[a-z]{{{length},}}$"}
        head[f"f{length}"] = {"type": "string", "pattern": f"^[a-y]{{{length},}}$"}
    findings = compared_schemas(
        {"type": "object", "properties": base}, {"type": "object", "properties": head}
    )
    severities = [finding.severity for finding in findings]
    assert severities.count(Severity.BREAKING) >= 10
    assert severities.count(Severity.UNDECIDED) == 40 - severities.count(Severity.BREAKING)


def test_a_change_among_many_required_fields_is_found() -> None:
    """A breaking change to one field is found even if many other fields are required."""
    fields: dict[str, Any] = {}
    for length in range(40):
        fields[f"f{length}"] = {"type": "string", "pattern": f"^[a-z]{{1,{length + 9}}}$"}
    inner = {"type": "object", "required": list(fields), "properties": dict(fields)}
    fields["inner"] = inner
    base = {"type": "object", "required": list(fields), "properties": fields}
    head = {**base, "properties": {**fields, "f39": {**fields["f39"], "maxLength": 40}}}
    (finding,) = compared_schemas(base, head)
    assert finding.severity == Severity.BREAKING
    assert finding.place == "PUT /0, body, field f39"


def test_a_new_value_of_a_long_enum_in_a_list_is_found() -> None:
    """A new value of a long enum, such as a list of countries, is breaking in a list of objects."""
    codes = [f"c{number}" for number in range(800)]

    def page(values: list[str]) -> dict[str, Any]:
        country = {"type": "object", "required": ["code"], "properties": {"code": {"enum": values}}}
        return {"type": "array", "items": country}

    (finding,) = compared_schemas(page(codes), page([*codes, "new"]), "response")
    assert finding.severity == Severity.BREAKING
    assert finding.witness[0]["code"] == "new"


def test_a_new_value_of_a_long_enum_in_contains_is_found() -> None:
    """A new value that makes a list valid is breaking, even after many other values."""
    codes = [f"c{number}" for number in range(300)]
    old = {"type": "array", "items": {"type": "string"}, "contains": {"enum": codes}}
    new = {**old, "contains": {"enum": [*codes, "new"]}}
    (finding,) = compared_schemas(old, new, "response")
    assert (finding.severity, finding.witness) == (Severity.BREAKING, ["new"])


def test_changes_to_many_required_fields_are_compared_within_the_time_limit() -> None:
    """scripts/compat compares 500 changed fields, all of which are required, in less than 5 s."""
    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    for number in range(500):
        old[f"f{number}"] = {"type": "string", "maxLength": number + 2}
        new[f"f{number}"] = {"type": "string", "maxLength": number + 1}
    base = {"type": "object", "required": list(old), "properties": old}
    started = time.process_time()
    assert len(compared_schemas(base, {**base, "properties": new})) == len(old)
    assert time.process_time() - started < 5


def test_changes_next_to_a_condition_are_separate_findings() -> None:
    """If an object has conditions on several fields, each changed field has its own finding."""
    fields = {f"f{number}": {"type": "string"} for number in range(15)}
    conditions = {"minProperties": 1, "anyOf": [{"required": ["f0"]}, {"required": ["f1"]}]}
    base = {"type": "object", "properties": fields, **conditions}
    shorter = {**fields, "f8": {"type": "string", "maxLength": 8}, "f14": {"const": "a"}}
    found = compared_schemas(base, {**base, "properties": shorter})
    places = [(finding.severity, finding.place) for finding in found]
    assert places == [(Severity.BREAKING, f"PUT /0, body, field {name}") for name in ("f8", "f14")]


def test_a_change_among_many_conditions_is_found_within_the_time_limit() -> None:
    """scripts/compat finds a breaking change among many conditions in less than 5 s."""
    kind: dict[str, Any] = {"required": ["kind"], "properties": {"kind": {"enum": [*range(8)]}}}
    base: list[Any] = []
    head: list[Any] = []
    for i in range(8):
        condition = {"properties": {"kind": {"const": i}}, "required": ["kind"]}
        base.append({"if": condition, "then": {"required": [f"f{i}"]}})
        head.append({"if": condition, "then": {"required": [f"f{i}", "x"]}})
    started = time.process_time()
    (finding,) = compared_schemas({**kind, "allOf": base}, {**kind, "allOf": head})
    assert finding.severity == Severity.BREAKING
    assert time.process_time() - started < 5


def test_change_with_too_many_nested_references_is_undecided() -> None:
    """A change is undecided if there are too many nested references (here, a million) to follow."""
    names = [f"S{i}" for i in range(9)]
    fields = {name: {"$ref": f"#/components/schemas/{name}"} for name in names}
    base = with_schema(fields["S0"])
    base["components"] = {"schemas": {name: {"properties": fields} for name in names}}
    limit = {"at": "/components/schemas/S8/maxProperties", "set": 2}
    started = time.process_time()
    (finding,) = compared(base, edited(base, [limit]))
    assert finding.severity == Severity.UNDECIDED
    assert time.process_time() - started < 5


def test_a_schema_shared_by_operations_is_compared_once() -> None:
    """A changed schema is compared only once, even if many operations share it."""
    base, head = ({"type": "string", "pattern": f"^[a-{last}]{{9,}}$"} for last in "yz")
    (finding,) = compared(
        with_schema(base, "response", paths=90), with_schema(head, "response", paths=90)
    )
    assert finding.severity == Severity.BREAKING
    assert len(finding.also) == 89


def test_security_findings_describe_the_credentials() -> None:
    """If a scheme changes but keeps its name, the findings show how a client sends the token."""
    base = edited(SHOP, [{"at": "/paths/~1orders/post/security", "set": [{"Key": []}]}])
    scheme = {"at": "/components/securitySchemes/Key/in", "set": "query"}
    removed, added = compared(base, edited(base, [scheme]))
    assert removed.what == "Key (apiKey header x-key) is no longer sufficient"
    assert added.what == "Key (apiKey query X-Key) is now sufficient"


def test_security_findings_mention_a_different_token_url() -> None:
    """If only a scheme's token URL changes, the findings do not contradict each other."""
    base = edited(SHOP, [{"at": "/paths/~1orders/post/security", "set": [{"OAuth": []}]}])
    flow = "/components/securitySchemes/OAuth/flows/clientCredentials"
    url = {"at": f"{flow}/tokenUrl", "set": "https://other.example"}
    removed, added = compared(base, edited(base, [url]))
    assert removed.what.endswith("sufficient with tokens from the old URLs or flows")
    assert added.what.endswith("is now sufficient with tokens from the new URLs or flows")


def test_a_partly_documented_range_is_neither_new_nor_removed() -> None:
    """If one status of a range stays documented, the finding is about the other statuses."""
    responses = "/paths/~1orders/get/responses"
    base = edited(SHOP, [{"at": f"{responses}/4XX", "move": f"{responses}/404"}])
    (removed,) = compared(SHOP, base)
    assert removed.what == "some of its statuses are no longer returned"
    (added,) = compared(base, SHOP)
    assert added.what == "includes statuses that were not documented before"


def test_prefix_items_are_compared_by_position() -> None:
    """A finding about prefixItems shows each changed item, even if the items swap places."""
    two = [{"type": "string"}, {"type": "integer"}]
    for new in ([two[1], two[0]], [two[0], two[0]]):
        (finding,) = compared_schemas({"prefixItems": two}, {"prefixItems": new})
        assert 'prefixItems[1].type: "integer" → "string"' in finding.what


def test_finding_about_an_extension_names_only_the_changed_keys() -> None:
    """A finding about x-left-open names the keys that changed, not the whole value."""
    old = {"x-left-open": {"properties": {"a": {"type": "null"}, "b": {}}}}
    (finding,) = compared_schemas(old, {"x-left-open": {"properties": {"b": {}}}})
    assert finding.what == 'x-left-open.a: {"type": "null"} → none'


def test_added_and_removed_alternatives_are_shown_with_their_positions() -> None:
    """A finding gives an alternative's position, because long alternatives can look the same."""
    three = {"anyOf": [{"type": "object", "maxProperties": size} for size in (3, 5, 9)]}
    two = {"anyOf": three["anyOf"][:2]}
    (finding,) = compared_schemas(two, three)
    assert "with [2] {" in finding.what
    (finding,) = compared_schemas(three, two)
    assert "without [2] {" in finding.what
