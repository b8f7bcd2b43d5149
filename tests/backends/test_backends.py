"""The contract tests against backends in FastAPI and Flask."""

import pytest

from scripts.contract import environment
from tests.backends.serving import serving
from tests.backends.store import IDS, TOKENS, Store
from tests.faults.judge import BROKEN, KEPT, judge_url

VARIABLES = environment(TOKENS, IDS)

# The findings on a backend in the style of FastAPI's tutorial, written from the service's
# documentation. Each finding is one difference from the contract.
FINDINGS = {
    "body-size/over/200",
    "challenge/WWW-Authenticate/missing",
    "endpoint-unsafe/control-character/200",
    "endpoint-unsafe/userinfo/200",
    "lengths/endpoint-maxLength/200",
    "lengths/key-maxLength/200",
    "lengths/key-minLength/200",
    "lengths/name-maxLength/200",
    "lengths/name-minLength/200",
    "lengths/secret-maxLength/200",
    "lengths/secret-minLength/200",
    "name-characters/name-pattern/200",
    "other-media-type/other/200",
    "other-methods/Allow/missing",
    "types/aiType-null/200",
    "types/name-null/200",
    "unique-names/taken/200",
    "unknown-fields/other/200",
    "unreadable-body/not-utf-8/200",
}


def test_naive_backend_has_one_finding_per_difference() -> None:
    """A naive backend has one finding for each difference from the contract."""
    with serving("fastapi_naive", Store(unique_names=False)) as url:
        judgement = judge_url(url, VARIABLES, "--max-examples", "10")
    assert {*judgement.ids} == FINDINGS, judgement.output
    assert judgement.status == BROKEN


@pytest.mark.parametrize("name", ["fastapi_fixed", "flask_fixed"])
def test_correct_backend_has_no_finding_and_no_damage(name: str) -> None:
    """A correct backend keeps every promise, and only the given configurations change.

    The Flask backend also has the DELETE of the service, which is permanent.
    """
    store = Store()
    with serving(name, store) as url:
        judgement = judge_url(url, VARIABLES, "--max-examples", "10")
    assert judgement.ids == [], judgement.output
    assert judgement.status == KEPT, judgement.output
    assert {*store.configurations} == {*IDS.values()}
    assert {*store.updates} == {IDS["main"], IDS["sibling"]}
