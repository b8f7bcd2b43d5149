"""Make three typical changes to the contract by following docs/changing-the-contract.md.

Each test works on a copy of the repository and edits only the files that the guide lists.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

FOLDERS = ("generated", "mock", "runtime", "scripts", "tests")
FILES = ("CHANGELOG.md", "README.md", "compat.yaml", "openapi.yaml", "pyproject.toml")
VALUES = "tests/contract/values.yaml"

REGION = """\
        region:
          type: string
          description: Region of the AI provider.
          minLength: 1
          maxLength: 40
          pattern: '^[a-z0-9-]+$'
          x-rule: must consist of lower-case letters, digits and hyphens
          examples: [eu-west-1]
"""
REGION_CLAUSE = """\
        region:
          source: vendor
          keywords: [pattern]
          fields: [region]
          text: '`region` consists of lower-case letters, digits and hyphens.'
"""
GET = """\
    get:
      operationId: getAiLlm
      tags: [AI LLM]
      summary: Read an AI LLM configuration
      description: Read a configuration without its credentials.
      security:
        - BearerAuth: []
      parameters:
        - $ref: '#/components/parameters/Id'
      responses:
        '200':
          description: The configuration.
          content:
            application/json:
              schema:
                type: object
                properties:
                  name: {type: string}
              example: {name: Updated OpenAI Config}
        '401':
          $ref: '#/components/responses/Unauthorized'
        '404':
          $ref: '#/components/responses/NotFound'
"""
ID = """\
        - name: id
          in: path
          required: true
"""


@dataclass
class Copy:
    """A copy of the repository in which a test changes the contract."""

    root: Path
    edited: set[str] = field(default_factory=set[str])

    def insert(self, file: str, before: str, text: str) -> None:
        """Insert text before existing text that must occur exactly once in the file."""
        self.replace(file, before, text + before)

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace text that must occur exactly once in the file."""
        path = self.root / file
        content = path.read_text("utf-8")
        count = content.count(old)
        assert count == 1, f"{file}: expected {old!r} exactly once, got {count} occurrences"
        path.write_text(content.replace(old, new), "utf-8")
        self.edited.add(file)

    def run(self, command: str, *arguments: str, status: int = 0) -> str:
        """Run a command from the copy, check its exit status, and return its output."""
        return self.run_module(f"scripts.{command}", *arguments, status=status)

    def run_module(self, module: str, *arguments: str, status: int = 0) -> str:
        """Run a module from the copy, check its exit status, and return its output."""
        paths = [self.root, *(self.root / name for name in ("generated", "runtime", "mock"))]
        completed = subprocess.run(
            [sys.executable, "-P", "-m", module, *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert completed.returncode == status, completed.stdout
        return completed.stdout

    def check_mock(self, promises: str) -> str:
        """Check that the copy's mock passes these contract tests, and return the output."""
        output = self.run("contract", "-k", promises, "--max-examples", "5")
        assert "contract is kept" in output
        return output

    def set_next_patch_version(self) -> None:
        """Bump the patch version, as an addition requires."""
        text = (self.root / "openapi.yaml").read_text("utf-8")
        version = re.findall(r"(?m)^  version: (\S+)$", text)[0]
        start, _, patch = version.rpartition(".")
        self.replace(
            "openapi.yaml", f"  version: {version}", f"  version: {start}.{int(patch) + 1}"
        )


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Copy:
    """Return a copy of the repository that has its own Git history."""
    for name in FOLDERS:
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(root / name, tmp_path / name)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run([*git, *arguments], cwd=tmp_path, check=True)
    return Copy(tmp_path)


def test_optional_field(copy: Copy) -> None:
    """An optional field is an addition and requires edits only to the contract and test values."""
    copy.insert("openapi.yaml", "        secret:\n          type: string\n", REGION)
    copy.insert("openapi.yaml", "        unknown-fields:\n", REGION_CLAUSE)
    copy.set_next_patch_version()
    copy.run("generate")
    assert "region" in copy.run("compat")
    without_example = copy.run("contract", status=2)
    assert "the example `everything` lacks the field region; add it" in without_example
    copy.insert("openapi.yaml", "              nothing:\n", " " * 18 + "region: eu-west-1\n")
    without_values = copy.run("contract", status=2)
    assert "UNUSUAL has no values for region; add some" in without_values
    assert VALUES.rpartition("/")[2] in without_values
    copy.insert(VALUES, "  secret:", f'  region: [a, eu-west-1, "0", {"a" * 40}]\n')
    copy.check_mock("Schema")
    assert copy.edited == {"openapi.yaml", VALUES}


def test_member_of_an_enumeration(copy: Copy) -> None:
    """A new enum member is an addition and requires edits only to the contract."""
    copy.replace("openapi.yaml", ", OTHER]", ", EXAMPLE, OTHER]")
    copy.set_next_patch_version()
    copy.run("generate")
    assert "EXAMPLE" in copy.run("compat")
    copy.check_mock("Schema")
    copy.run_module("pytest", "-n", "0", "tests/mock/test_requests.py")
    assert copy.edited == {"openapi.yaml"}


def test_second_operation(copy: Copy) -> None:
    """A second operation adds a method to the client; the mock and the contract tests ignore it."""
    contract = (copy.root / "openapi.yaml").read_text("utf-8")
    start = contract.index(ID)
    end = contract.index("      requestBody:\n", start)
    parameter = contract[start:end]
    indented = parameter.replace("        - name", "          name", 1)
    shared = indented.replace(" " * 10, " " * 6)
    copy.replace("openapi.yaml", parameter, "        - $ref: '#/components/parameters/Id'\n")
    copy.insert("openapi.yaml", "components:\n", GET + "\n")
    copy.insert("openapi.yaml", "  schemas:\n", f"  parameters:\n    Id:\n{shared}\n")
    copy.set_next_patch_version()
    copy.run("generate")
    assert "get_ai_llm" in (copy.root / "generated/flashback_client/client.py").read_text("utf-8")
    assert "GET /ai/llm/{id}" in copy.run("compat")
    verdict = copy.check_mock("generated or Methods")
    assert "only updateAiLlm is tested, not getAiLlm" in verdict
