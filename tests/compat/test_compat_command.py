"""Tests for the default base, output, exit status and run time of scripts/compat."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import compat as command
from scripts import documents
from scripts.compatibility import findings, python_interface
from scripts.compatibility.findings import Finding, Severity
from scripts.documents import Contract
from tests.programs import run, start_history

ROOT = Path(__file__).parents[2]
Compat = Callable[..., subprocess.CompletedProcess[str]]
Report = Callable[[], dict[str, Any]]
CONTRACT = (ROOT / "openapi.yaml").read_text("utf-8")
DOCUMENT: Any = yaml.safe_load(CONTRACT)
VERSION: str = DOCUMENT["info"]["version"]
FIELDS = DOCUMENT["components"]["schemas"]["UpdateAiLlmRequest"]["properties"]
LENGTH: int = FIELDS["name"]["maxLength"]
NARROW = (f"maxLength: {LENGTH}\n          pattern", "maxLength: 100\n          pattern")
FIELD = (
    "        secret:\n          type: string",
    "        zzField: {type: string}\n        secret:\n          type: string",
)
WORDS = (f"title: {DOCUMENT['info']['title']}", "title: Another title")
SCHEMA = "'#/components/schemas/AiType'"
UPDATED = "'#/components/responses/Updated'"
INVALID = "body: not valid JSON Schema 2020-12"


def set_version(version: str) -> tuple[str, str]:
    """Return an edit that sets `info.version`."""
    return f"version: {VERSION}", f"version: {version}"


def write(folder: Path, *edits: tuple[str, str]) -> str:
    """Write an edited copy of the contract to the folder, and return the file's path."""
    path = folder / "openapi.yaml"
    text = CONTRACT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, "utf-8")
    return str(path)


def commit(folder: Path, *edits: tuple[str, str]) -> None:
    """Commit an edited copy of the contract."""
    write(folder, *edits)
    run("git", "add", "-A", cwd=folder)
    run("git", "commit", "--allow-empty", "-qm", "Contract", cwd=folder)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a Git repository with one commit, which contains version 1.2.0 of the contract."""
    folder = tmp_path / "repository"
    folder.mkdir()
    write(folder, set_version("1.2.0"))
    start_history(folder)
    return folder


@pytest.fixture
def compat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Compat:
    """Return a function that runs scripts/compat in the test process to save time."""

    def run(*arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["compat", *arguments])
        monkeypatch.setattr(documents, "ROOT", root)
        monkeypatch.chdir(root)
        status = command.main()
        output = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, output.out, output.err)

    return run


@pytest.fixture
def wire_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the comparison of the Python interface, which test_interface.py covers."""
    monkeypatch.setattr(python_interface, "compare", lambda _base, _head: ([], ""))


@pytest.fixture
def get_report(
    compat: Compat,
    clone: Path,
    wire_only: None,  # noqa: ARG001 # used for its effect
) -> Report:
    """Return a function that returns the JSON report for the `clone` repository."""

    def run() -> dict[str, Any]:
        completed = compat("--format", "json", root=clone)
        report: dict[str, Any] = json.loads(completed.stdout)
        assert completed.returncode == (0 if report["in_order"] else 1)
        return report

    return run


@pytest.mark.parametrize(
    ("severity", "old", "least", "too_low"),
    [
        (Severity.NONE, "1.2.3", "1.2.3", "1.2.2"),
        (Severity.WORDS, "1.2.3", "1.2.4", "1.2.3"),
        (Severity.ADDITION, "1.2.3", "1.3.0", "1.2.4"),
        (Severity.UNDECIDED, "1.2.3", "2.0.0", "1.3.0"),
        (Severity.BREAKING, "1.2.3", "2.0.0", "1.3.0"),
        (Severity.BREAKING, "1.2.3", "99.0.0", "1.3.0"),
        (Severity.WORDS, "0.2.3", "0.2.4", "0.2.3"),
        (Severity.ADDITION, "0.2.3", "0.2.4", "0.2.3"),
        (Severity.UNDECIDED, "0.2.3", "0.3.0", "0.2.4"),
        (Severity.BREAKING, "0.2.3", "0.3.0", "0.2.4"),
    ],
)
def test_version_must_follow_semver(severity: Severity, old: str, least: str, too_low: str) -> None:
    """A breaking change requires a new major version, and an addition requires a minor version.

    Before 1.0.0, a breaking change requires a new minor version, and an addition requires a patch
    version.
    """
    found = [Finding(severity, "place", "what")] if severity else []
    base = Contract({"info": {"version": old}}, "", "")
    for version, in_order in ((least, True), (too_low, False)):
        head = Contract({"info": {"version": version}}, "", "")
        assert findings.make_verdict(base, head, found, {}).in_order is in_order


def test_text_report_shows_a_rejected_request_and_the_required_version(
    tmp_path: Path, compat: Compat
) -> None:
    """The text report shows the field, a rejected request and the required version."""
    head = write(tmp_path, NARROW, set_version("0.0.1"))
    completed = compat("--base", "openapi.yaml", "--head", head)
    assert completed.stdout.startswith(f"{VERSION} (openapi.yaml) → 0.0.1 (")
    change = f"rejects values that were valid (maxLength: {LENGTH} → 100)"
    assert f"field name: {change}" in completed.stdout
    assert "Valid before, but rejected now:\n      PUT /ai/llm/{id}\n" in completed.stdout
    assert '      body: {"name": "a" × 101}' in completed.stdout
    assert "Version too low: expected " in completed.stdout
    assert completed.returncode == 1


@pytest.mark.usefixtures("wire_only")
def test_markdown_escapes_text_from_the_contract(tmp_path: Path, compat: Compat) -> None:
    """The Markdown report puts text from the contracts in code spans to prevent formatting."""
    field = (FIELD[0], FIELD[1].replace("zzField", "'__zz__ `@type` *b*'"))
    head = write(tmp_path, NARROW, field)
    completed = compat("--base", "openapi.yaml", "--head", head, "--format", "markdown")
    assert completed.stdout.startswith(f"### ❌ `{VERSION} (openapi.yaml) → {VERSION} (")
    assert "**Breaking**" in completed.stdout
    assert "`PUT /ai/llm/{id}, body, field __zz__ '@type' *b*`" in completed.stdout


@pytest.mark.usefixtures("wire_only")
def test_github_annotations_are_one_line_each(tmp_path: Path, compat: Compat) -> None:
    """Each GitHub annotation, whether for a finding or for the result, is a single line."""
    head = write(tmp_path, NARROW, (FIELD[0], FIELD[1].replace("zzField", r'"zz\r::error::"')))
    completed = compat("--base", "openapi.yaml", "--head", head, "--format", "github")
    lines = completed.stdout.splitlines()
    assert lines[0].startswith(f"::error file={head},title=breaking%3A PUT /ai/llm/{{id}}%2C body")
    assert "%0A" in lines[0]
    for line in lines:
        assert re.match(r"::(error|warning|notice) file=", line)
    assert r"field zz\r%3A%3Aerror%3A%3A::" in completed.stdout
    assert lines[-1].startswith("::error")
    assert "Version too low" in lines[-1]


@pytest.mark.usefixtures("wire_only")
@pytest.mark.parametrize("form", command.FORMATS)
def test_output_has_no_control_characters(form: str, tmp_path: Path, compat: Compat) -> None:
    """Control characters from file names, contracts and errors are escaped in the output."""
    folder = tmp_path / "a\x1b\n"
    folder.mkdir()
    field = (FIELD[0], FIELD[1].replace("zzField", r'"zz\x9b\e"'))
    for version in ('"1.2.3"', r'"1\x9b\e"'):
        head = write(folder, field, set_version(version))
        completed = compat("--base", "openapi.yaml", "--head", head, "--format", form)
        output = completed.stdout + completed.stderr
        assert output
        assert output.replace("\n", "").isprintable()


def test_python_is_not_compared_without_a_client(tmp_path: Path, compat: Compat) -> None:
    """If no client can be generated, the report contains the reason and a finding."""
    body = "        content:\n          application/json:\n            schema:\n"
    head = write(tmp_path, (body, body.replace("json", "xml")), NARROW)
    completed = compat("--base", "openapi.yaml", "--head", head)
    assert "Python: not compared (no client for the new contract: " in completed.stdout
    assert "    finding " in completed.stdout
    assert completed.returncode == 1


def test_each_reason_for_a_missing_client_is_a_separate_finding() -> None:
    """A decision about a missing client does not apply if the client is missing for another reason.

    For each cause, the stated reason says how to change the contract.
    """
    key = "        key:\n          type: "
    base = documents.parse(CONTRACT, "base")
    ids: set[str] = set()
    for edit in ((f"{key}string", f"{key}integer"), ("scheme: bearer", "scheme: basic")):
        head = documents.parse(CONTRACT.replace(*edit), "head")
        ((finding,), reason) = python_interface.compare(base, head)
        assert reason.endswith(("remove writeOnly", "`scheme: bearer`"))
        ids.add(finding.id)
    assert len(ids) == 2


@pytest.mark.usefixtures("wire_only")
def test_affected_parts_are_separated_by_semicolons(tmp_path: Path, compat: Compat) -> None:
    """Semicolons separate the parts that a change affects, because their names contain commas."""
    field = ("        error_code:\n", "        zzField: {type: string}\n        error_code:\n")
    completed = compat("--base", "openapi.yaml", "--head", write(tmp_path, field))
    assert "field zzField; PUT /ai/llm/{id}, response 403, body" in completed.stdout


def test_base_can_be_a_pipe() -> None:
    """The base can be the output of another command, as in `--base <(git show main:…)`."""
    reader, writer = os.pipe()
    os.write(writer, b"openapi: 3.1.0\n")
    os.close(writer)
    assert documents.find(f"/dev/fd/{reader}").document == {"openapi": "3.1.0"}
    os.close(reader)


@pytest.mark.usefixtures("wire_only")
def test_removed_responses_have_their_own_heading(tmp_path: Path, compat: Compat) -> None:
    """The report lists removed responses under a separate heading, not under `Additions`."""
    status = "        '429':\n          $ref: '#/components/responses/TooManyRequests'\n"
    completed = compat("--base", "openapi.yaml", "--head", write(tmp_path, (status, "")))
    assert "Removed responses\n  PUT /ai/llm/{id}, response 429" in completed.stdout


def test_base_is_the_highest_release(clone: Path, get_report: Report) -> None:
    """The default base is the highest release, even after several commits for a new version."""
    for version in ("1.2.0", "1.10.0", "1.9.0"):
        commit(clone, set_version(version))
        run("git", "tag", f"v{version}", cwd=clone)
    commit(clone, FIELD, set_version("2.0.0"))
    write(clone, FIELD, NARROW, set_version("2.0.0"))
    report = get_report()
    assert report["base"]["source"] == "v1.10.0"
    assert (report["found"], report["in_order"]) == ("breaking", True)


def test_base_is_the_previous_version_if_there_is_no_release(
    clone: Path, get_report: Report
) -> None:
    """If there is no release, the default base is the last commit with a different version."""
    commit(clone, FIELD, set_version("2.0.0"))
    commit(clone, FIELD, WORDS, set_version("2.0.0"))
    write(clone, FIELD, NARROW, set_version("2.0.0"))
    report = get_report()
    assert report["base"]["version"] == "1.2.0"
    assert (report["found"], report["in_order"]) == ("breaking", True)


def test_an_invalid_contract_in_an_old_commit_is_skipped(clone: Path, get_report: Report) -> None:
    """If there is no release, the base is the last valid contract with a different version."""
    commit(clone, ("openapi: 3.1.0", "openapi: ["), set_version("1.3.0"))
    commit(clone, ("operationId:", "operation:"), set_version("1.3.0"))
    commit(clone, set_version("draft"))
    write(clone, set_version("1.4.0"))
    assert get_report()["base"]["version"] == "1.2.0"


def test_a_date_without_quotes_is_a_string() -> None:
    """An unquoted date or time in a contract is read as a string."""
    text = "openapi: 3.1.0\nx-date: 2026-01-31\nx-time: 2026-01-31T10:00:00Z\n"
    parsed = documents.parse(text, "openapi.yaml")
    assert parsed.document["x-date"] == "2026-01-31"


@pytest.mark.usefixtures("wire_only")
def test_an_addition_requires_a_new_version_but_no_decision(tmp_path: Path, compat: Compat) -> None:
    """If no finding is breaking or undecided, the report does not suggest a decision."""
    completed = compat("--base", "openapi.yaml", "--head", write(tmp_path, FIELD))
    assert completed.stdout.endswith(f"got {VERSION}. Set info.version.\n")


def test_report_explains_why_there_is_no_base(clone: Path, compat: Compat, tmp_path: Path) -> None:
    """If there is no base, scripts/compat says why and, in a shallow clone, how to get one."""
    assert "it is the first version" in compat(root=clone).stdout
    run("git", "commit", "--allow-empty", "-qm", "Something else", cwd=clone)
    shallow = tmp_path / "shallow"
    run("git", "clone", "-q", "--depth", "1", f"file://{clone}", shallow)
    assert "git fetch --unshallow --tags" in compat(root=shallow).stdout
    shutil.rmtree(shallow / ".git")
    assert "this is not a git checkout" in compat(root=shallow).stdout


def test_a_decision_replaces_the_verdict(clone: Path, get_report: Report, compat: Compat) -> None:
    """A compat.yaml entry overrides the verdict on a finding.

    After the next release, the entry is stale as soon as info.version changes.
    """
    write(clone, NARROW, set_version("1.2.1"))
    finding = get_report()["findings"][0]["id"]
    entry = (
        f"- {{finding: '{finding}', verdict: words, reason: Names are short., date: 2026-01-31}}"
    )
    (clone / "compat.yaml").write_text(entry, "utf-8")
    assert (get_report()["found"], get_report()["in_order"]) == ("words", True)
    text = compat(root=clone).stdout
    assert "Decided on 2026-01-31: words. Names are short." in text
    assert "Version OK: expected 1.2.1 or later, got 1.2.1." in text
    commit(clone, NARROW, set_version("1.2.1"))
    run("git", "tag", "v1.2.1", cwd=clone)
    assert get_report()["in_order"]
    write(clone, NARROW, set_version("1.2.2"))
    assert (get_report()["stale"], get_report()["in_order"]) == ([finding], False)
    assert "delete the entry" in compat(root=clone).stdout
    (clone / "compat.yaml").write_text("# No decisions", "utf-8")
    assert get_report()["in_order"]


def test_decision_can_be_appended_to_compat_yaml(tmp_path: Path) -> None:
    """Adding the first decision requires no other edit to compat.yaml."""
    path = tmp_path / "compat.yaml"
    entry = "- {finding: a, verdict: words, reason: r, date: 2026-01-31}"
    path.write_text((ROOT / "compat.yaml").read_text("utf-8") + entry, "utf-8")
    assert "a" in findings.read_decisions(path)


@pytest.mark.parametrize(
    "text",
    [
        "- {finding: a, verdict: fine, reason: r, date: 2026-01-31}",
        "- {finding: a, verdict: words, reason: '', date: 2026-01-31}",
        "- {finding: a, verdict: words, reason: r, date: soon}",
        "- {finding: a, verdict: words, reason: r, date: 2026-02-30}",
        "- {finding: a}",
        "{finding: a, verdict: words, reason: r, date: 2026-01-31}",
        "{}",
        "0",
        "[&e {finding: a, verdict: words, reason: r, date: 2026-01-31}, *e]",
        "- [",
    ],
)
def test_an_invalid_decision_is_an_error(tmp_path: Path, compat: Compat, text: str) -> None:
    """scripts/compat exits with status 2 if an entry in compat.yaml is incomplete or invalid."""
    (tmp_path / "compat.yaml").write_text(text, "utf-8")
    completed = compat("--base", "openapi.yaml", "--head", write(tmp_path))
    assert "compat.yaml" in completed.stderr
    assert re.search("; (correct the|keep only one)", completed.stderr)
    assert completed.returncode == 2


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("openapi: 3.1.0", "openapi: 3.0.3"), "convert it to 3.1"),
        (("openapi: 3.1.0", "swagger: '2.0'"), "expected OpenAPI 3.1, got None"),
        (("openapi: 3.1.0", "openapi: ["), "not valid YAML"),
        ((f"version: {VERSION}", "version: tomorrow"), "MAJOR.MINOR.PATCH"),
        ((f"version: {VERSION}", "version: 01.2.3"), "MAJOR.MINOR.PATCH"),
        ((f"  version: {VERSION}\n", ""), "info.version"),
        ((SCHEMA, "'#/components/schemas/AiTypo'"), "points to nothing"),
        ((SCHEMA, "other.yaml#/AiType"), "bundle"),
        ((SCHEMA, "'#AiType'"), "does not start with '#/'"),
        (("- name: id\n", f"- $ref: {SCHEMA}\n        - name: id\n"), "parameters: $ref '#"),
        (("paths:\n", f"paths:\n  /x:\n    $ref: {SCHEMA}\n"), "paths//x: $ref '#"),
        (
            ("    Updated:\n", f"    Updated:\n      $ref: {UPDATED}\n    Unused:\n"),
            "resolves to itself",
        ),
        (("'500':\n", "ok:\n"), "'ok' was unexpected"),
        ((f"version: {VERSION}", "version: 1.2.3-rc.1"), "MAJOR.MINOR.PATCH"),
        (("title: AiType\n", "maxLength: 1e400\n"), "Out of range float values"),
        (("title: AiType\n", "minLength: short\n"), INVALID),
        (("x-max-bytes: ", "x-max-bytes: about "), "x-max-bytes: not valid JSON Schema"),
        (("title: AiType\n", "allOf: [{required: a}, {maxLength: 9}]\n"), INVALID),
        (("title: AiType\n", "allOf: [{properties: [a]}, {maxLength: 9}]\n"), INVALID),
        ((SCHEMA, f"{SCHEMA}\n          allOf: 0"), INVALID),
        (("operationId:", "operation:"), "not valid OpenAPI 3.1"),
        (("  /ai/llm/{id}:", r'  "/ai\uD800/llm/{id}":'), "surrogates not allowed"),
        (("        - BearerAuth: []", "        - Bearer: []"), "'Bearer'"),
    ],
)
def test_an_invalid_contract_is_an_error(
    tmp_path: Path, compat: Compat, edit: tuple[str, str], message: str
) -> None:
    """scripts/compat prints one error line and exits with status 2 if a contract is invalid."""
    completed = compat("--base", "openapi.yaml", "--head", write(tmp_path, edit))
    assert message in completed.stderr
    assert completed.stderr.startswith("scripts/compat: ")
    assert len(completed.stderr.splitlines()) == 1
    assert completed.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base", "no-such-thing"], "neither a file nor a git reference"),
        (["--base=--output=no-such-file"], "neither a file nor a git reference"),
        (["--base", "HEAD:pyproject.toml"], "not"),
        (["--base", ""], "neither a file nor a git reference"),
        (["--head", "no-such-file.yaml"], "cannot be read"),
    ],
)
def test_a_missing_contract_is_an_error(compat: Compat, arguments: list[str], message: str) -> None:
    """scripts/compat exits with status 2 if a file or a Git reference does not exist."""
    completed = compat(*arguments)
    assert message in completed.stderr
    assert completed.returncode == 2


def test_six_breaking_changes_take_less_than_four_seconds(tmp_path: Path, compat: Compat) -> None:
    """scripts/compat finds six breaking changes in less than 4 s of CPU time."""
    edits = [
        NARROW,
        ("\n          example:", "\n            pattern: '^[a-f0-9-]+$'\n          example:"),
        (f"          maxLength: {FIELDS['endpoint']['maxLength']}", "          maxLength: 99"),
        ("enum: [OPENAI, ", "enum: ["),
        ("          const: true", "          const: false"),
        ("      scheme: bearer", "      scheme: basic"),
    ]
    started = time.process_time()
    completed = compat(
        "--base", "openapi.yaml", "--head", write(tmp_path, *edits), "--format", "json"
    )
    assert time.process_time() - started < 4
    changes = [
        (found["part"], found["change"]) for found in json.loads(completed.stdout)["findings"]
    ]
    assert changes.count(("wire", "breaking")) == len(edits)


def test_output_can_be_in_an_encoding_without_arrows(tmp_path: Path) -> None:
    """In a locale without arrows, such as Latin-1, the report contains escape sequences."""
    head = write(tmp_path, WORDS, set_version("99.0.0"))
    program = (sys.executable, "-P", "-m", "scripts.compat")
    variables = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "latin-1"}
    report = run(*program, "--base", "openapi.yaml", "--head", head, cwd=ROOT, variables=variables)
    assert report.startswith(f"{VERSION} (openapi.yaml) \\u2192 99.0.0")


def test_closed_output_causes_no_error_message(tmp_path: Path) -> None:
    """The command prints no error if the reader of its output exits early, as `head` does."""
    old = write(tmp_path, set_version("1.2.0"))
    script = [sys.executable, "-m", "scripts.compat", "--base", old]
    pipe = subprocess.PIPE
    with subprocess.Popen(script, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        process.stdout.close()
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (2, "")
