"""The exit status, the options and the safety of scripts/contract."""

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest

from scripts import contract as contract_command
from tests.contract_command.conftest import Backend, Contract
from tests.faults.judge import selected
from tests.faults.messages import Answer, Request

TOKEN = "token-of-a-live-backend-91c4"


def test_mock_keeps_the_contract(
    command: Contract, schema: jsonschema_rs.Draft202012Validator
) -> None:
    """The mock keeps every promise, and ignores variables of other programs."""
    others = {"FLASHBACK_BASE_URL": "http://x", "PYTEST_ADDOPTS": "--collect-only"}
    done = command("--max-examples", "30", FLASHBACK_TOKEN=TOKEN, **others)
    assert done.status == 0, done.output
    verdict = done.verdict
    schema.validate(verdict)
    assert verdict["result"] == "kept"
    assert done.ids == []
    outcomes = {promise["name"]: promise["outcome"] for promise in verdict["promises"]}
    assert {*outcomes.values()} == {"kept"}, outcomes
    assert len(outcomes) >= 50
    assert TOKEN not in done.output


def test_same_seed_gives_the_same_requests(command: Contract) -> None:
    """Two runs with the same seed get the same responses."""
    options = ("--seed", "7", "--max-examples", "10", "-k", "generated or test_near_id")
    first = command(*options)
    second = command(*options)
    assert first.verdict["statuses"] == second.verdict["statuses"]


def test_missing_variable_is_named(contract: Contract, backend: Backend) -> None:
    """The verdict names a missing variable, and --require-all fails the run."""
    with backend() as given:
        variables = {"url": given["url"], "FLASHBACK_TOKEN": given["FLASHBACK_TOKEN"]}
        done = contract("-k", "test_reader or test_unknown_id", **variables)
        strict = contract("-k", "test_reader or test_unknown_id", "--require-all", **variables)
    assert done.status == 0, done.output
    assert done.promise("test_reader_may_not_update")["outcome"] == "not tested"
    [missing] = done.verdict["missing_variables"]
    assert missing["name"] == "FLASHBACK_READER_TOKEN"
    assert missing["promises"] == 1
    assert strict.status == 1
    assert "--require-all" in strict.output


def test_run_ends_with_the_example(contract: Contract, backend: Backend) -> None:
    """The last updates of a run set every field to the example in the contract."""
    names: list[str] = []

    def remember(request: Request) -> None:
        if request.role == "owner" and request.id == request.ids["main"]:
            names.append(request.name)

    with backend(before=remember) as given:
        contract("-k", "test_missing_body", **given)
    assert names[-1] == "Updated OpenAI Config"


@pytest.mark.parametrize(
    ("options", "token", "cure"),
    [
        (["--backend-url", "127.0.0.1:1"], "", "expected an http or https URL"),
        (["--backend-url", "http://127.0.0.1:port"], "", "expected an http or https URL"),
        (["--backend-url", f"http://:{TOKEN}@127.0.0.1:1"], "", "expected an http or https URL"),
        (["--backend-url", "http://127.0.0.1:1"], "", "set FLASHBACK_TOKEN"),
        (["--backend-url", "https://backend.example"], TOKEN, "--id"),
        (["--max-examples", "0"], "", "greater than 0"),
        (["--rate-limit", "fast"], "", "--rate-limit"),
        (["--source", "page,pages"], "", "expected page, vendor, ours"),
        (["--again", "missing.json"], "", "missing.json"),
        (["--ca", "missing.pem"], "", "missing.pem"),
    ],
)
def test_unusable_options_are_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    token: str,
    cure: str,
) -> None:
    """An unusable option exits with 2 before the first request, and the error says what to do."""
    monkeypatch.setattr("sys.argv", ["scripts/contract", *options])
    monkeypatch.setenv("FLASHBACK_TOKEN", token)
    try:
        status: object = contract_command.main()
    except SystemExit as exit:
        status = exit.code
    assert status == 2
    output = "".join(capsys.readouterr())
    assert cure in output
    assert TOKEN not in output


@pytest.mark.parametrize(
    ("options", "token", "cure"),
    [
        ([], f"{TOKEN}\n", "invalid character"),
        (["-k", "no-promise"], TOKEN, "no promise was tested"),
    ],
)
def test_run_that_cannot_start_has_no_verdict(
    command: Contract, options: list[str], token: str, cure: str
) -> None:
    """A run that pytest or the contract tests refuse to start also exits with 2."""
    done = command("--backend-url", "http://127.0.0.1:1", *options, FLASHBACK_TOKEN=token)
    assert done.status == 2
    assert cure in done.output
    assert TOKEN not in done.output


def test_list_names_every_promise_and_sends_nothing(command: Contract, reports: Path) -> None:
    """--list prints the names, clauses and sources of all promises, and sends nothing."""
    done = command("--list")
    assert done.status == 0
    assert "test_reader_may_not_update  access-levels (vendor)" in done.output
    assert not reports.exists()


def test_list_can_be_piped_into_head(root: Path) -> None:
    """--list prints no traceback if the reader of its output closes the pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, str(root / "scripts" / "contract.py"), "--list"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 0


def test_keyword_selects_by_name_clause_and_family() -> None:
    """-k selects promises by name, clause id or family."""
    keywords = [
        "test_invalid_value_answers_400[key]",
        "access-levels",
        "idempotent or chunked",
        "Ids",
    ]
    assert [len(names) for names in selected(keywords)] == [1, 3, 2, 5]


@pytest.mark.parametrize(
    ("interrupt", "at_start"),
    [
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_IGN),  # as sh starts a command with `&`
    ],
    ids=["by a terminal", "in the background"],
)
def test_interrupted_run_gives_no_verdict(
    root: Path, reports: Path, interrupt: signal.Signals, at_start: Any
) -> None:
    """An interrupted run has no verdict, neither in its output nor in its report."""
    command = [sys.executable, str(root / "scripts" / "contract.py"), "--report-dir", str(reports)]
    before = signal.signal(signal.SIGINT, at_start)
    try:
        run = subprocess.Popen(
            command,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with run:
        assert run.stdout
        while "Authentication" not in run.stdout.readline():
            assert run.poll() is None
        if interrupt == signal.SIGINT:
            os.killpg(run.pid, interrupt)
        else:
            run.send_signal(interrupt)
        output, _ = run.communicate(timeout=60)
    assert run.returncode == 2, output
    assert "interrupted" in output
    assert "Traceback" not in output
    assert '"result": "no verdict"' in (reports / "verdict.json").read_text("utf-8")


def test_tokens_are_never_shown(contract: Contract, backend: Backend, reports: Path) -> None:
    """No output contains a token, in part or encoded, even if the backend returns it."""

    def return_token(request: Request, answer: Answer) -> None:
        octets = request.token.encode()
        coded = base64.b64encode(octets).decode()
        escaped = request.token.replace("/", "\\/")
        shown = f"{quote(request.token, safe='')} {coded} {octets.hex()} {escaped}"
        many = " ".join([request.token] * 400)  # so that a report cuts one of them
        answer.set_fields(message=f"hello {request.token} {shown} {many}", aiLlmId=many)

    with backend(after=return_token) as given:
        promises = "test_near_token or test_other_scheme or test_member_may_update"
        done = contract("-k", promises, **given)
    assert done.status == 1
    assert any(id.startswith("credentials/") for id in done.ids)
    texts = [file.read_text("utf-8") for file in reports.iterdir() if file.is_file()]
    for text in (done.output, *texts):
        for token in (given["FLASHBACK_TOKEN"], given["FLASHBACK_STRANGER_TOKEN"]):
            octets = token.encode()
            coded = (base64.b64encode(octets).decode(), octets.hex(), quote(token, safe=""))
            starts = [token[:length] for length in range(4, len(token))]
            cut = [f"{start}{end}" for start in starts for end in ("…", '"…')]
            for near in (token, token[:-1] + '"', token[::-1], token.upper(), *coded, *cut):
                assert near not in text
    assert "${FLASHBACK_TOKEN}" in done.output


def test_run_is_harmless_elsewhere(contract: Contract, backend: Backend) -> None:
    """A run never sends DELETE, and updates no fields of other configurations."""
    sent: set[tuple[str, str, bool]] = set()

    def journal(request: Request) -> None:
        is_own = request.id in (request.ids["main"], request.ids["sibling"])
        is_known = is_own or request.id == request.ids["foreign"]
        place = "known" if is_known else "other"
        sent.add(
            (request.method, place, request.fields != {} and request.role in ("owner", "admin"))
        )

    with backend(before=journal) as given:
        contract("-k", "Ids or Methods", **given)
    methods = {method for method, _, _ in sent}
    assert "DELETE" not in methods
    assert {"POST", "PATCH", "PUT"} <= methods
    assert not [row for row in sent if row[1] == "other" and row[2]]


def test_crash_is_a_finding(contract: Contract) -> None:
    """A request that crashes the backend is a finding and ends the run."""
    script = Path(__file__).with_name("crashing.py")
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        url = server.stdout.readline().strip()
        done = contract("-k", "test_missing_body", url=url, FLASHBACK_TOKEN="owner-token")
        server.kill()
    assert done.status == 1, done.output
    assert any(id.endswith("/crash") for id in done.ids)
