"""Tests for the exit status, options and safety of scripts/contract."""

import base64
import html
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest

from scripts import contract as contract_command
from support.contract import EXAMPLE_ID
from support.options import FINISHED
from tests.contract_command.conftest import Backend, Contract
from tests.faults.messages import Answer, Request
from tests.faults.runner import selected_promises

TOKEN = "token-of-a-live-backend-91c4"


def test_mock_keeps_the_contract(
    command: Contract, schema: jsonschema_rs.Draft202012Validator, tmp_path: Path
) -> None:
    """A run against the mock has no findings, whatever the environment and the working directory.

    It leaves nothing but its reports in the working directory.
    """
    (tmp_path / "token.py").write_text("raise RuntimeError")
    others = {"FLASHBACK_BASE_URL": "http://x", "PYTEST_PLUGINS": "none", "PYTHONOPTIMIZE": "2"}
    result = command("--max-examples", "30", FLASHBACK_TOKEN=TOKEN, **others)
    assert result.status == 0, result.output
    verdict = result.verdict
    schema.validate(verdict)
    assert verdict["result"] == "kept"
    assert result.ids == []
    assert verdict["counts"].pop("kept") >= 50
    assert verdict["counts"] == {"broken": 0, "accepted": 0, "not_tested": 0}
    assert TOKEN not in result.output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["reports", "token.py"]


def test_same_seed_sends_the_same_requests(command: Contract) -> None:
    """Two runs with the same seed get the same number of responses with each status."""
    options = ("--seed", "7", "--max-examples", "10", "-k", "generated or test_near_id")
    first = command(*options)
    second = command(*options)
    assert first.verdict["statuses"] == second.verdict["statuses"]


def test_missing_variable_is_reported(contract: Contract, backend: Backend) -> None:
    """The verdict lists a missing variable, but the run fails only with --require-all."""
    with backend() as arguments:
        given = ("url", "FLASHBACK_TOKEN", "FLASHBACK_AI_LLM_ID")
        variables = {name: arguments[name] for name in given}
        result = contract("-k", "test_reader or test_unknown_id", **variables)
        strict = contract("-k", "test_reader or test_unknown_id", "--require-all", **variables)
    assert result.status == 0, result.output
    assert result.promise("test_reader_may_not_update")["outcome"] == "not tested"
    [missing] = result.verdict["missing_variables"]
    assert missing["name"] == "FLASHBACK_READER_TOKEN"
    assert missing["promises"] == 1
    assert strict.status == 1
    assert "--require-all" in strict.output


def test_run_restores_the_example(contract: Contract, backend: Backend) -> None:
    """At the end of a run, the configuration has the name from the contract's example."""
    names: list[str] = []

    def record_name(request: Request) -> None:
        if request.role == "owner" and request.id == request.ids["main"]:
            names.append(request.name)

    with backend(record_name) as arguments:
        contract("-k", "test_missing_body", **arguments)
    assert names[-1] == "Updated OpenAI Config"


@pytest.mark.parametrize(
    ("options", "token", "hint"),
    [
        (["--backend-url", ""], "", "expected an http or https URL"),
        (["--backend-url", "127.0.0.1:1"], "", "expected an http or https URL"),
        (["--backend-url", "http://127.0.0.1:port"], "", "expected an http or https URL"),
        (["--backend-url", f"http://:{TOKEN}@127.0.0.1:1"], "", "expected an http or https URL"),
        (["--backend-url", "http://127.0.0.1:1"], "", "set FLASHBACK_TOKEN"),
        (["--backend-url", "https://backend.example"], TOKEN, "--id"),
        (["--backend-url", "http://127.0.0.1:1/#api"], "", "expected an http or https URL"),
        (["--backend-url", "http://127.0.0.1:1/?"], "", "expected an http or https URL"),
        (["--backend-url", "http://127.0.0.1:1/\n"], "", "expected an http or https URL"),
        (["--backend-url", "http://b\u00fccher.example"], "", "in ASCII"),
        (["--max-examples", "0"], "", "expected a number from"),
        (["--timeout", "1e12"], "", "expected a number from"),
        (["--rate-limit", "fast"], "", "--rate-limit"),
        (["--source", "page,pages"], "", "expected page, vendor, ours"),
        (["--again", "missing.json"], "", "missing.json"),
        (["--ca", "missing.pem"], "", "missing.pem"),
        (["--ca", __file__], "", "not a PEM certificate"),
    ],
)
def test_invalid_options_are_rejected(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    token: str,
    hint: str,
) -> None:
    """If an option or variable is invalid, the command exits with status 2 and says why."""
    monkeypatch.setattr("sys.argv", ["scripts/contract", *options])
    monkeypatch.setenv("FLASHBACK_TOKEN", token)
    try:
        status: object = contract_command.main()
    except SystemExit as exit:
        status = exit.code
    assert status == 2
    output = "".join(capsys.readouterr())
    assert hint in output
    assert TOKEN not in output


@pytest.mark.parametrize(
    ("promises", "tokens", "hint"),
    [
        ("", {"FLASHBACK_TOKEN": f"{TOKEN}\n"}, "invalid character"),
        ("", {"FLASHBACK_TOKEN": TOKEN, "FLASHBACK_FOREIGN_AI_LLM_ID": "id\n"}, "invalid char"),
        ("", {"FLASHBACK_TOKEN": TOKEN, "FLASHBACK_AI_LLM_ID": "id\n"}, "invalid character"),
        ("no-promise", {"FLASHBACK_TOKEN": TOKEN}, "no promise was tested"),
        (
            "",
            {"FLASHBACK_TOKEN": TOKEN, "FLASHBACK_READER_TOKEN": TOKEN},
            "FLASHBACK_TOKEN and FLASHBACK_READER_TOKEN have the same value",
        ),
        (
            "",
            {"FLASHBACK_TOKEN": TOKEN, "FLASHBACK_SIBLING_AI_LLM_ID": EXAMPLE_ID},
            "--id and FLASHBACK_SIBLING_AI_LLM_ID have the same value",
        ),
    ],
)
def test_run_that_cannot_start_has_no_verdict(
    command: Contract, promises: str, tokens: dict[str, str], hint: str
) -> None:
    """With an invalid token or no selected test, a run exits with status 2 and shows no token."""
    result = command("--backend-url", "http://127.0.0.1:1", "-k", promises, **tokens)
    assert result.status == 2
    assert hint in result.output
    assert TOKEN not in result.output


def test_unwritable_report_has_no_verdict(
    contract: Contract, backend: Backend, reports: Path, tmp_path: Path
) -> None:
    """If a report or the deviations cannot be written, the run exits with 2 and says why."""
    reports.touch()
    with backend() as arguments:
        for options in ((), ("--report-dir", "", "--write-deviations", str(tmp_path))):
            result = contract("-k", "test_missing_body", *options, **arguments)
            assert result.status == 2, result.output
            assert "cannot write the reports" in result.output


def test_rate_limit_includes_concurrent_requests(contract: Contract, backend: Backend) -> None:
    """A run never sends more requests in a second than --rate-limit allows."""
    sent: list[float] = []

    def record_time() -> None:
        sent.append(time.monotonic())

    with backend(record_time) as arguments:
        contract("-k", "test_concurrent_requests", "--rate-limit", "20/s", **arguments)
    assert len(sent) > 20
    for start, after in zip(sent, sent[10:], strict=False):
        assert after - start > 0.4


def test_warning_names_everything_that_is_overwritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The warning names the main and sibling configurations, because the run overwrites both."""
    options = ["--backend-url", "https://backend.example", "--id", "main"]
    monkeypatch.setattr("sys.argv", ["scripts/contract", *options])
    monkeypatch.setenv("FLASHBACK_TOKEN", TOKEN)
    monkeypatch.setenv("FLASHBACK_SIBLING_AI_LLM_ID", "sibling")
    monkeypatch.setattr(contract_command, "_run", lambda *_: FINISHED)
    assert contract_command.main() == 0
    assert "main and sibling on" in capsys.readouterr().out


def test_list_prints_every_promise_and_sends_nothing(command: Contract, reports: Path) -> None:
    """--list prints the name, clause and source of each promise without sending a request."""
    result = command("--list")
    assert result.status == 0
    assert "test_reader_may_not_update  access-levels (vendor)" in result.output
    assert not reports.exists()


def test_keyword_selects_by_name_clause_and_family() -> None:
    """-k selects promises by name, clause id or family."""
    assert len(selected_promises("test_invalid_value_answers_400[key]")) == 1
    assert len(selected_promises("access-levels")) == 3
    assert len(selected_promises("idempotent or chunked")) == 3
    assert len(selected_promises("Ids")) == 5


@pytest.mark.parametrize(
    ("interrupt", "sigint_handler"),
    [
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_IGN),  # Shells make background commands (`&`) ignore SIGINT.
    ],
    ids=["by a terminal", "by a closed terminal", "in the background"],
)
def test_interrupted_run_has_no_verdict(
    root: Path, reports: Path, interrupt: signal.Signals, sigint_handler: Any
) -> None:
    """An interrupted run exits with status 2, and its report says that there is no verdict.

    This also applies if all processes get the signal, and if they get it several times.
    """
    command = [sys.executable, str(root / "scripts" / "contract.py"), "--report-dir", str(reports)]
    sigint_before = signal.signal(signal.SIGINT, sigint_handler)
    sighup_before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` ignores SIGHUP
    try:
        run = subprocess.Popen(
            command,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, sigint_before)
        signal.signal(signal.SIGHUP, sighup_before)
    with run:
        assert run.stdout
        while "Authentication" not in run.stdout.readline():
            assert run.poll() is None
        for _ in range(3):  # users press Ctrl-C until the command exits
            os.killpg(run.pid, interrupt)
            time.sleep(0.05)
        output, _ = run.communicate(timeout=60)
    assert run.returncode == 2, output
    assert "interrupted" in output
    assert "Traceback" not in output
    assert '"result": "no verdict"' in (reports / "verdict.json").read_text("utf-8")


def unicode_escapes(text: str) -> str:
    r"""Return the text as a JSON serializer might write it, with \uXXXX for each character."""
    return "".join(f"\\u{ord(char):04X}" for char in text)


def test_tokens_are_never_shown(contract: Contract, backend: Backend, reports: Path) -> None:
    """No output contains any part of a token, even if the backend returns an encoded token."""

    def return_token(request: Request, answer: Answer) -> None:
        octets = request.token.encode("utf-8", "surrogateescape")
        in_base64 = base64.b64encode(octets).decode()
        escaped = request.token.replace("/", "\\/")
        encoded = f"{quote(octets, safe='')} {in_base64} {octets.hex()} {escaped}"
        encoded += f" {base64.b64encode(b'Bearer ' + octets).decode()} {request.token[::-1]}"
        encoded += f" {quote(octets, safe='').lower()} {html.escape(request.token)}"
        # Repeat the token so that the reports truncate the text in the middle of a token.
        repeated = " ".join([request.token] * 400)
        message = f"hello {request.token} {encoded} {repeated}"
        answer.set_fields(message=message, aiLlmId=repeated)
        if request.token.isascii():
            in_json = unicode_escapes(request.token).encode()
            answer.set_body(answer.body.replace(b"hello ", b"hello " + in_json + b" ", 1))

    with backend(return_token) as arguments:
        promises = "test_near_token or test_other_scheme or test_member_may_update"
        result = contract("-k", promises, **arguments)
    assert result.status == 1
    assert "credentials/as-it-is/returned" in result.ids
    output = result.output
    for file in reports.glob("*.*"):
        output += file.read_text("utf-8")
    for token in (arguments["FLASHBACK_TOKEN"], arguments["FLASHBACK_STRANGER_TOKEN"]):
        octets = token.encode()
        in_json = unicode_escapes(token)
        encoded = [base64.b64encode(octets).decode(), octets.hex(), quote(token, safe="")]
        encoded += [in_json, json.dumps(in_json)[1:-1], quote(token, safe="").lower()]
        encoded += [html.escape(token), base64.b64encode(b"Bearer " + octets).decode()[10:-4]]
        for variant in (token, token[:-1] + '"', token[::-1], token.upper(), *encoded):
            assert variant not in output
        for length in range(4, len(token)):
            assert f"{token[:length]}…" not in output
            assert f'{token[:length]}"…' not in output
    assert "${FLASHBACK_TOKEN}" in result.output


def test_run_does_not_change_other_configurations(contract: Contract, backend: Backend) -> None:
    """A run never sends DELETE and never tries to change a configuration that it was not given."""
    methods: set[str] = set()
    unknown_ids: list[str] = []

    def record_request(request: Request) -> None:
        methods.add(request.method)
        can_update = request.role in ("owner", "admin") and request.fields != {}
        if can_update and request.id not in request.ids.values():
            unknown_ids.append(request.id)

    with backend(record_request) as arguments:
        contract("-k", "Ids or Methods", **arguments)
    assert "DELETE" not in methods
    assert {"POST", "PATCH", "PUT"} <= methods
    assert unknown_ids == []


@pytest.mark.parametrize(
    ("missing", "id"), [("body", "body/empty/crash"), ("token", "unauthorized/no-token/crash")]
)
def test_crash_is_a_finding(contract: Contract, missing: str, id: str) -> None:
    """If a request crashes the backend, even before the first test, the run reports a finding."""
    script = Path(__file__).with_name("crashing.py")
    with subprocess.Popen(
        [sys.executable, str(script), missing], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        url, main = server.stdout.readline().split()
        options = ("-k", "test_missing_body", "--id", main)
        result = contract(*options, url=url, FLASHBACK_TOKEN="owner-token")
        server.kill()
    assert result.status == 1, result.output
    assert result.ids == [id]


def test_header_without_effect_is_not_an_example(contract: Contract, backend: Backend) -> None:
    """If a forbidden update succeeds even without a header, the example omits the header."""

    def accept_readers(request: Request) -> None:
        if request.role == "reader":
            request.as_user("owner")

    with backend(accept_readers) as arguments:
        result = contract("-k", "test_reader_may or READ", **arguments)
    [finding] = result.findings
    assert [example["sent"] for example in finding["examples"]] == [
        "an update with a READ member's token"
    ]
