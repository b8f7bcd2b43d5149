"""Run the contract tests against FastAPI and Flask backends."""

from collections.abc import Generator

import jsonschema_rs
import pytest

from scripts.contract import environment
from support.contract import PROPERTIES
from support.options import BROKEN, KEPT
from tests.backends.fastapi_naive import UpdateAiLlmRequest
from tests.backends.serving import serving
from tests.backends.store import IDS, TOKENS, Store
from tests.contract_command.test_curl import assert_reproduces
from tests.faults.runner import RunResult, run_with_url

VARIABLES = environment(TOKENS, IDS)

# One finding for each difference between the naive FastAPI backend and the contract.
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


@pytest.fixture(scope="module")
def naive(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunResult]:
    """Serve the naive backend, and yield the result of a run against it."""
    folder = tmp_path_factory.mktemp("reports")
    with serving("fastapi_naive", Store(unique_names=False)) as url:
        options = ("--max-examples", "10", "--report-dir", str(folder))
        yield run_with_url(url, VARIABLES, *options)


def test_naive_backend_has_one_finding_per_difference(
    naive: RunResult, schema: jsonschema_rs.Draft202012Validator
) -> None:
    """A run reports exactly one finding for each difference from the contract."""
    schema.validate(naive.verdict)
    ids = set(naive.ids)
    for field in PROPERTIES.keys() - UpdateAiLlmRequest.model_fields.keys():
        ids -= {id for id in ids if f"/{field}-" in id}  # the backend does not know this field
    assert ids == FINDINGS, naive.output
    assert naive.status == BROKEN


@pytest.mark.usefixtures("curl")
def test_curl_commands_reproduce_the_status(naive: RunResult) -> None:
    """Each curl command in the verdict receives the status that the verdict shows for it."""
    assert_reproduces(naive, VARIABLES)


@pytest.mark.parametrize("name", ["fastapi_fixed", "flask_fixed"])
def test_correct_backend_has_no_findings_and_keeps_its_data(name: str) -> None:
    """A correct backend has no findings, and a run changes only the configurations it is given."""
    store = Store()
    with serving(name, store) as url:
        result = run_with_url(url, VARIABLES, "--max-examples", "10")
    assert result.ids == [], result.output
    assert result.status == KEPT, result.output
    assert {*store.configurations} == {*IDS.values()}
    assert store.updated == {IDS["main"], IDS["sibling"]}
