"""Tests that change the contract as docs/changing-the-contract.md describes."""

import os
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import run, start_history

PATH = "/ai/llm/{id}"
# Tests that use the fields and statuses in the contract
TESTS = (
    "tests/faults/test_faults.py",
    "tests/backends/test_backends.py",
    "tests/contract_command/test_expectations.py",
    "tests/mock/test_requests.py",
)
FIELD = """
type: string
description: A field that only this test adds.
minLength: 1
maxLength: 40
pattern: '^[a-z0-9-]+$'
x-rule: must consist of lower-case letters, digits and hyphens
examples: [eu-west-1]
"""
CLAUSE = """
source: vendor
keywords: [pattern]
fields: [exampleField]
text: '`exampleField` consists of lower-case letters, digits and hyphens.'
"""
FAULTS = """
faults(
    "test_invalid_value_answers_400[exampleField]",
    examples_in_upper_case=accept(lambda text: text("exampleField").isupper()),
    examples_with_a_space=accept(lambda text: " " in text("exampleField")),
)
faults(
    "test_unusual_value_answers_200[exampleField]",
    examples_of_40_characters=reject(lambda text: len(text("exampleField")) == 40),
)
faults(
    "test_invalid_value_answers_400[exampleNumber]",
    examples_with_a_fraction=accept(lambda fields: fields.get("exampleNumber") == -1.5),
)
faults(
    "test_unusual_value_answers_200[exampleNumber]",
    examples_of_9_are_rejected=reject(lambda fields: fields.get("exampleNumber") == 9),
)
"""
GET = """
operationId: getAiLlm
tags: [AI LLM]
summary: Read an AI LLM configuration
description: Read a configuration without its credentials.
security: [{BearerAuth: []}]
parameters: [{$ref: '#/components/parameters/Id'}]
responses:
  '200':
    description: The configuration.
    content:
      application/json:
        schema: {type: object, properties: {name: {type: string}}}
        example: {name: Updated OpenAI Config}
  '401': {$ref: '#/components/responses/Unauthorized'}
  '404': {$ref: '#/components/responses/NotFound'}
"""


class Copy:
    """A copy of the repository in which a test changes the contract."""

    def __init__(self, root: Path) -> None:
        """Store the path to the copy."""
        self.root = root

    @contextmanager
    def edit(self, file: str) -> Generator[Any]:
        """Yield the content of a YAML file for editing, and then save the file."""
        path = self.root / file
        content = yaml.safe_load(path.read_text("utf-8"))
        yield content
        path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")

    @contextmanager
    def add_to_contract(self) -> Generator[Any]:
        """Yield the contract with a new patch version, then save it and regenerate the client."""
        with self.edit("openapi.yaml") as contract:
            version = contract["info"]["version"].rpartition(".")
            contract["info"]["version"] = f"{version[0]}.{int(version[2]) + 1}"
            yield contract
        self.run("scripts.generate")

    def run(self, module: str, *arguments: str, status: int = 0) -> str:
        """Run a module from the copy, check its exit status, and return its output."""
        paths = [self.root, self.root / "generated", self.root / "runtime", self.root / "mock"]
        variables = {"PYTHONPATH": os.pathsep.join(map(str, paths))}
        command = [sys.executable, "-P", "-m", module, *arguments]
        return run(*command, cwd=self.root, variables=variables, status=status)

    def check_mock(self, promises: str) -> str:
        """Check that the mock passes the selected contract tests, and return their output."""
        output = self.run("scripts.contract", "-k", promises, "--max-examples", "5")
        assert "contract is kept" in output
        return output


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Copy:
    """Return a copy of the repository that has its own Git history."""
    ignored = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(root, tmp_path, ignore=ignored, dirs_exist_ok=True)
    start_history(tmp_path)
    return Copy(tmp_path)


def test_additions(copy: Copy) -> None:
    """A new optional field requires edits only to the contract, the test values and the faults.

    A new enumeration member or a new status requires edits only to the contract. A second
    operation becomes a client method; the mock and the contract tests ignore it.
    """
    with copy.add_to_contract() as contract:
        schemas = contract["components"]["schemas"]
        fields = schemas["UpdateAiLlmRequest"]["properties"]
        fields["exampleField"] = yaml.safe_load(FIELD)
        fields["exampleNumber"] = {"type": "integer", "description": "A number."}
        schemas["AiType"]["enum"].append("EXAMPLE")
        operations = contract["paths"][PATH]
        operations["put"]["x-clauses"]["exampleField"] = yaml.safe_load(CLAUSE)
        parameters = operations["put"]["parameters"]
        contract["components"]["parameters"] = {"Id": parameters[0]}
        parameters[0] = {"$ref": "#/components/parameters/Id"}
        operations["get"] = yaml.safe_load(GET)
        operations["x-internal"] = True
    changes = copy.run("scripts.compat")
    for change in ("field exampleField: is new", "EXAMPLE", f"GET {PATH}"):
        assert change in changes
    assert "get_ai_llm" in (copy.root / "generated/flashback_client/client.py").read_text("utf-8")
    without_example = copy.run("scripts.contract", status=2)
    assert "the example `everything` lacks the field exampleField; add the field" in without_example
    with copy.edit("openapi.yaml") as contract:
        update = contract["paths"][PATH]["put"]
        update["responses"]["409"] = {"$ref": "#/components/responses/Forbidden"}
        body = update["requestBody"]["content"]["application/json"]
        body["examples"]["everything"]["value"] |= {"exampleField": "eu-west-1", "exampleNumber": 5}
    without_values = copy.run("scripts.contract", status=2)
    assert "values.yaml: UNUSUAL has no values for exampleField; add unusual" in without_values
    with copy.edit("tests/contract/values.yaml") as values:
        values["UNUSUAL"] |= {"exampleField": ["a", "eu-west-1", "0"], "exampleNumber": [0, 9]}
    verdict = copy.check_mock("example or Methods")
    assert "only updateAiLlm is tested, not getAiLlm" in verdict
    with (copy.root / "tests/faults/validation.py").open("a", encoding="utf-8") as faults:
        faults.write(FAULTS)
    selected = "examples_ or own_fault or fastapi_fixed or test_requests or test_expectations"
    copy.run("pytest", "-n", "0", *TESTS, "-k", selected)


def test_removed_fields(copy: Copy) -> None:
    """The contract tests work without `endpoint` and `secret`, and with a stricter pattern.

    They also work if the repository is read-only, so that Hypothesis cannot write to its folder.
    There is no verdict if an example is invalid, if the contract requires a query parameter, or if
    it is invalid. For an invalid contract, tests/test_openapi.py gives the reason.
    """
    with copy.add_to_contract() as contract:
        update = contract["paths"][PATH]["put"]
        examples = update["requestBody"]["content"]["application/json"]["examples"]
        fields = contract["components"]["schemas"]["UpdateAiLlmRequest"]["properties"]
        fields["name"]["pattern"] = fields["name"]["pattern"].replace("\\u009F", "\\u009F<>")
        assert "<>" in fields["name"]["pattern"]
        for field in ("endpoint", "secret"):
            del fields[field]
            for example in examples.values():
                example["value"].pop(field, None)
    (copy.root / ".hypothesis").touch()  # a file mode would not prevent root from writing
    copy.check_mock("Schema or Names")
    with copy.edit("openapi.yaml") as contract:
        body = contract["paths"][PATH]["put"]["requestBody"]["content"]["application/json"]
        body["examples"]["everything"]["value"]["name"] = ""
    output = copy.run("scripts.contract", status=2)
    assert "example `everything` violates the `minLength` of `name`; correct the example" in output
    with copy.edit("openapi.yaml") as contract:
        parameters = contract["paths"][PATH]["put"]["parameters"]
        parameters.insert(0, {"name": "why", "in": "query", "required": True})
    assert "no test sends the required parameter why" in copy.run("scripts.contract", status=2)
    with copy.edit("openapi.yaml") as contract:
        del contract["paths"][PATH]["put"]["operationId"]
    output = copy.run("scripts.contract", "--list", status=2)
    assert "openapi.yaml cannot be used (KeyError: 'operationId')" in output
    output = copy.run("pytest", "-n", "0", "tests/test_openapi.py", status=1)
    assert f'paths/{PATH}/put: "operationId" is a required property' in output
