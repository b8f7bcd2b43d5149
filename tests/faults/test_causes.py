"""Tests that findings identify the broken clause, even if a backend has several faults."""

import json
from collections import Counter

import pytest

from support.options import BROKEN
from tests.faults.faults import FAULTS
from tests.faults.messages import Answer
from tests.faults.runner import RunResult, run_with_changes

EVERY_RESPONSE = "test_every_response[internals]"
# Each backend has several faults that break different clauses, so that few full runs are needed.
SEVERAL_FAULTS = [
    ("challenge_is_missing", "empty_names_are_ignored", "forbidden_update_changes_the_name"),
    ("malformed_json_returns_500", "reader_may_update", "unknown_fields_are_ignored"),
    ("duplicate_names_are_accepted", "every_method_returns_200", "expired_token_returns_500"),
    (
        "suffix_after_the_id_is_ignored",
        "repeated_key_returns_409",
        "not_found_resets_the_connection",
    ),
    ("every_fiftieth_request_returns_500", "two_of_seventy_connections_are_reset"),
    ("missing_body_is_an_empty_update", "every_update_returns_500"),
    ("taken_name_returns_500", "admin_may_not_update"),
    ("reader_may_update", "readers_may_update_with_a_trailing_slash"),
    ("percent_encoded_ids_are_not_decoded", "chunked_bodies"),
]
BROKEN_CLAUSES = {
    "challenge_is_missing": ("challenge", "ours"),
    "malformed_json_returns_500": ("unreadable-body", "ours"),
    "taken_name_returns_500": ("unique-names", "vendor"),
    "admin_may_not_update": ("access-levels", "vendor"),
    "readers_may_update_with_a_trailing_slash": ("access-levels", "vendor"),
    "reader_may_update": ("access-levels", "vendor"),
    "duplicate_names_are_accepted": ("unique-names", "vendor"),
    "empty_names_are_ignored": ("lengths", "ours"),
    "unknown_fields_are_ignored": ("unknown-fields", "ours"),
    "missing_body_is_an_empty_update": ("body", "page"),
    "forbidden_update_changes_the_name": ("all-or-nothing", "ours"),
    "expired_token_returns_500": ("unauthorized", "vendor"),
    "suffix_after_the_id_is_ignored": ("id-exact", "ours"),
    "repeated_key_returns_409": ("statuses", "page"),
    "every_method_returns_200": ("other-methods", "ours"),
    "not_found_resets_the_connection": ("id", "page"),
    "every_update_returns_500": ("update", "page"),
    "percent_encoded_ids_are_not_decoded": ("id-encoding", "ours"),
    "chunked_bodies": ("chunked", "page"),
    "every_fiftieth_request_returns_500": ("update", "page"),
    "two_of_seventy_connections_are_reset": ("update", "page"),
}


def run_with_faults(faults: tuple[str, ...], *options: str, promises: str = "") -> RunResult:
    """Run the contract tests against a backend that has several faults."""
    changes = [FAULTS[fault].change for fault in faults]
    return run_with_changes(changes, *options, promises=promises)


@pytest.mark.parametrize("faults", SEVERAL_FAULTS, ids="-".join)
def test_findings_identify_the_broken_clause(faults: tuple[str, ...]) -> None:
    """For each fault, a run reports one or two findings, all for the broken clause."""
    result = run_with_faults(faults, "--max-examples", "5")
    found = Counter((finding["clause"]["id"], finding["source"]) for finding in result.findings)
    assert {*found} == {BROKEN_CLAUSES[fault] for fault in faults}, result.output
    assert max(found.values()) <= 2, result.output
    assert sum("/intermittent/" in id for id in result.ids) <= 1, result.output
    assert result.status == BROKEN, result.output


def test_promise_is_not_tested_if_other_findings_hide_it() -> None:
    promises = "test_reader_may_not_update or test_no_header_gives_access"
    result = run_with_faults(("reader_may_update",), promises=promises)
    promise = result.promise("test_no_header_gives_access[READ]")
    assert promise["outcome"] == "not tested", result.output
    assert promise["reason"] == "hidden by access-levels/READ/200"


def test_promise_that_is_cut_short_is_not_kept() -> None:
    """A promise is not tested if its test is cut short by a finding for another promise."""
    promises = "test_unreadable_body or test_valid_request_works or credentials or internals"
    result = run_with_faults(
        ("malformed_json_returns_500",), "--rate-limit", "25", promises=promises
    )
    for name in ("test_valid_request_works_after_every_refused_one", EVERY_RESPONSE):
        assert result.promise(name)["outcome"] == "not tested", result.output


def test_finding_does_not_contain_a_token_from_the_media_type() -> None:
    def leak(tokens: dict[str, str], answer: Answer) -> None:
        answer.set_header("Content-Type", f"text/{tokens['owner']}9")

    result = run_with_changes([leak], "--max-examples", "5")
    assert "success-response/media-type/unusual" in result.ids, result.output
    assert "owner-token" not in result.output + json.dumps(result.verdict)


def test_intermittent_error_does_not_hide_missing_access_control() -> None:
    """A run reports accepted unauthorized updates even if the backend refuses half of them."""
    fault = FAULTS["every_second_update_by_a_stranger_is_accepted"]
    result = run_with_changes([fault.change], promises=fault.promises)
    assert "workspace-access/stranger/200" in result.ids, result.output
