"""Tests that run the steps of action.yml against the mock, as a GitHub runner would."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import flashback_mock

EXPRESSION = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")
AVAILABLE = "steps.secrets.outputs.available == 'true'"
Values = dict[str, Any]


@dataclass
class Job:
    """A job whose only step is the action; `context` holds the values of expressions."""

    action: Values
    folder: Path
    context: dict[str, str]
    log: str = ""
    failed: bool = False
    used: list[str] = field(default_factory=list)

    def run(self) -> "Job":
        """Run the steps whose conditions are true, as a GitHub runner would; return the job."""
        for step in self.action["runs"]["steps"]:
            condition = step.get("if", "")
            if self.failed and not condition.startswith("always() && "):
                continue
            condition = condition.removeprefix("always() && ")
            assert condition in ("", AVAILABLE), f"extend this test to support {condition!r}"
            if condition and self.context["steps.secrets.outputs.available"] != "true":
                continue
            if "uses" in step:
                self.used.append(step["uses"].partition("@")[0])
            else:
                self._run(step)
        return self

    @property
    def summary(self) -> str:
        """Return the job summary."""
        return (self.folder / "summary").read_text("utf-8")

    def _run(self, step: Values) -> None:
        outputs = self.folder / "outputs"
        outputs.write_text("")
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(Path.home()),
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
        }
        for name, value in step.get("env", {}).items():
            variables[name] = EXPRESSION.sub(lambda match: self.context.get(match[1], ""), value)
        completed = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],  # noqa: S607
            cwd=self.folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
        )
        self.log += completed.stdout
        self.failed |= completed.returncode != 0
        for name, value in re.findall("(?m)^(.+?)=(.*)$", outputs.read_text("utf-8")):
            self.context[f"steps.{step['id']}.outputs.{name}"] = value


@pytest.fixture(scope="module")
def action(root: Path) -> Values:
    """Return the parsed action.yml."""
    action: Values = yaml.safe_load((root / "action.yml").read_text("utf-8"))
    return action


@pytest.fixture
def job(root: Path, action: Values, tmp_path: Path) -> Job:
    """Return a job that has the default inputs and runs in an empty folder."""
    (tmp_path / "summary").write_text("")
    context = {
        "github.action_path": str(root),
        "github.actor": "octocat",
        "steps.python.outputs.python-path": sys.executable,
    }
    for name, spec in action["inputs"].items():
        context[f"inputs.{name}"] = spec.get("default", "")
    return Job(action, tmp_path, context)


def inputs_for(mock: flashback_mock.Mock) -> dict[str, str]:
    """Return the action inputs for testing every promise against the mock."""
    inputs = {"inputs.backend-url": mock.base_url, "inputs.id": mock.ids["main"]}
    inputs["inputs.token"] = mock.tokens["owner"]
    for name in ("sibling", "foreign"):
        inputs[f"inputs.{name}-id"] = mock.ids[name]
    for name in ("admin", "reader", "stranger", "expired"):
        inputs[f"inputs.{name}-token"] = mock.tokens[name]
    return inputs


def test_example_passes_all_required_inputs(root: Path, action: Values) -> None:
    """The example job sets the URL and all ids, and reads each token from a secret."""
    text = (root / "examples" / "backend-ci" / "contract.yml").read_text("utf-8")
    (step,) = yaml.safe_load(text)["jobs"]["contract"]["steps"]
    assert step["with"].keys() <= action["inputs"].keys()
    for name in action["inputs"]:
        if name.endswith(("id", "url")):
            assert step["with"][name]
        if name.endswith("token"):
            assert step["with"][name].startswith("${{ secrets.FLASHBACK_")


def test_job_passes_if_the_contract_is_kept(job: Job) -> None:
    """With all inputs set, the job passes; its summary shows the verdict but no tokens."""
    (job.folder / "secrets.py").write_text("raise RuntimeError")
    with flashback_mock.running() as mock:
        job.context |= inputs_for(mock)
        job.run()
    assert not job.failed, job.log
    assert job.summary.startswith("## The contract is kept\n")
    assert job.used == ["actions/setup-python", "actions/upload-artifact"]
    reports = job.folder / "contract-reports"
    assert (reports / "verdict.html").exists()
    assert json.loads((reports / "verdict.json").read_text("utf-8"))["selection"]["require_all"]
    for token in mock.tokens.values():
        assert token not in job.log + job.summary


def test_backend_text_is_not_run_as_a_workflow_command(job: Job) -> None:
    """Workflow commands are disabled while the contract tests print text from the backend."""
    with flashback_mock.running() as mock:
        job.context |= inputs_for(mock) | {"inputs.token": "unknown"}
        job.run()
    (resume,) = re.findall("^::stop-commands::([0-9a-f]{32})$", job.log, re.MULTILINE)
    assert f"\n::{resume}::\n" in job.log
    assert job.failed
    assert "::error title=No verdict::" in job.log
    assert job.used == ["actions/setup-python", "actions/upload-artifact"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("github.event.repository.fork", "true"),
        ("github.event.pull_request.head.repo.fork", "true"),
        ("github.actor", "dependabot[bot]"),
    ],
)
def test_job_without_access_to_secrets_is_skipped(job: Job, name: str, value: str) -> None:
    """Without access to secrets, the job passes and reports that the contract was not tested."""
    job.context[name] = value
    job.run()
    assert not job.failed
    assert job.used == []
    assert job.log.startswith("::notice title=Contract not tested::")
    assert "the contract was not tested" in job.summary


def test_job_with_access_to_secrets_needs_a_token(job: Job) -> None:
    """If the token is missing, the job fails; the summary omits reports from an earlier step."""
    reports = job.folder / "contract-reports"
    reports.mkdir()
    (reports / "verdict.md").write_text("## The contract is kept")
    (reports / "verdict.json").write_text("{}")
    job.context |= {"inputs.backend-url": "http://127.0.0.1:1", "inputs.id": "x"}
    job.run()
    assert job.failed
    assert "FLASHBACK_TOKEN" in job.log
    assert job.summary == ""
    assert "::error title=No verdict::" in job.log
