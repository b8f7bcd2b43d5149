"""Tests for the exit status, options and safety of scripts/contract."""

import base64
import html
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote

import jsonschema_rs
import pytest

from scripts import contract as contract_command
from scripts.contract import environment
from support.contract import EXAMPLE_ID
from tests.faults.backend import serving
from tests.faults.changes import promote, reply
from tests.faults.messages import Answer, Request
from tests.faults.runner import (
    all_promises,
    run_on,
    run_with_changes,
    run_with_url,
    selected_promises,
)
from tests.programs import run

TOKEN = "token-of-a-live-backend-91c4"
URL = "http://127.0.0.1:1"  # nothing listens on this port
VARIABLES = {"FLASHBACK_TOKEN": TOKEN}


def verdict_in(reports: Path) -> dict[str, Any]:
    """Return the verdict from the report folder."""
    verdict: dict[str, Any] = json.loads((reports / "verdict.json").read_text("utf-8"))
    return verdict


def test_run_against_the_mock_has_no_findings(
    script: list[str],
    schema: jsonschema_rs.Draft202012Validator,
    root: Path,
    reports: Path,
    tmp_path: Path,
) -> None:
    """A run against the mock reports no findings in any environment or working directory.

    The run creates only its reports in the working directory. In the repository, it caches only
    Hypothesis's tables.
    """
    for name in ("conftest.py", "token.py"):
        (tmp_path / name).write_text("raise RuntimeError")
    reports.mkdir()
    others = {"FLASHBACK_BASE_URL": "http://x", "PYTEST_PLUGINS": "none"}
    output = run(*script, "--max-examples", "10", cwd=tmp_path, variables=VARIABLES | others)
    verdict = verdict_in(reports)
    schema.validate(verdict)
    assert verdict["result"] == "kept"
    assert verdict["findings"] == []
    assert verdict["counts"].pop("kept") >= 50
    assert verdict["counts"] == {"broken": 0, "accepted": 0, "not_tested": 0}
    assert TOKEN not in output
    assert {file.name for file in tmp_path.iterdir()} == {"conftest.py", "reports", "token.py"}
    assert not (root / "tests" / "contract" / ".pytest_cache").exists()


def test_same_seed_produces_the_same_requests(script: list[str], reports: Path) -> None:
    """Two runs with the same seed get the same number of responses for each status."""
    options = ("--seed", "7", "--max-examples", "5", "-k", "generated or test_similar_id")
    run(*script, *options)
    first = verdict_in(reports)
    run(*script, *options)
    assert verdict_in(reports)["statuses"] == first["statuses"]


def test_missing_variable_is_reported() -> None:
    """If a variable is missing, the verdict lists it; the run fails only with --require-all."""
    promises = ("test_reader", "test_unknown_id")
    with serving() as mock:
        variables = environment(mock.tokens, mock.ids)
        del variables["FLASHBACK_READER_TOKEN"]
        result = run_with_url(mock.base_url, variables, promises=promises)
        strict = run_with_url(mock.base_url, variables, "--require-all", promises=promises)
    assert result.status == 0, result.output
    assert result.promise("test_reader_cannot_update")["outcome"] == "not tested"
    [missing] = result.verdict["missing_variables"]
    assert missing["name"] == "FLASHBACK_READER_TOKEN"
    assert missing["promises"] == 1
    assert strict.status == 1
    assert "--require-all" in strict.output


def test_terminal_shows_progress() -> None:
    """In a terminal, a status line shows the family and counts promises and requests."""
    with serving() as mock:
        variables = environment(mock.tokens, mock.ids) | {"FORCE_COLOR": "1"}
        result = run_with_url(mock.base_url, variables, promises="test_missing_body")
    assert re.search("Body: 0/1 promises · [0-9]+ requests", result.output)


def test_untested_promise_names_the_finding_that_prevents_its_test() -> None:
    """If a promise is not tested because an update failed, the reason names the finding."""
    fail = reply(500, lambda role, is_for: role == "owner" and is_for("sibling"))
    name = "test_name_that_was_given_up_is_free"
    result = run_with_changes([fail], promises=(name, "test_member_can_update"))
    [id] = [finding["id"] for finding in result.findings if finding["hides"]]
    assert result.promise(name)["reason"] == f"a required update failed: {id}"


def test_run_restores_the_example() -> None:
    """At the end of a run, the configuration has the name from the contract's example."""
    names: list[str] = []

    def record_name(request: Request) -> None:
        if request.role == "owner" and request.is_for("main"):
            names.append(request.name)

    run_with_changes([record_name], promises="test_missing_body")
    assert names[-1] == "Updated OpenAI Config"


INVALID_URLS = [
    "", "127.0.0.1:1", "http://127.0.0.1:port", f"http://:{TOKEN}@127.0.0.1:1", "http://127.0.0.1/#a",
    "http://127.0.0.1:1/?", "http://127.0.0.1:1/\n", "http://b\u00fccher.example",
]  # fmt: skip
INVALID_OPTIONS = [
    *(("--backend-url", url, "expected an http or https URL such as") for url in INVALID_URLS),
    ("--backend-url", "http://127.0.0.1:1", "set FLASHBACK_TOKEN"),
    ("--max-examples", "0", "expected an integer from 1 to"),
    ("--timeout", "1e12", "expected a number from"),
    ("--rate-limit", "fast", "--rate-limit"),
    ("--source", "page,pages", "expected page, vendor, ours"),
    ("--again", "missing.json", "missing.json"),
    ("--ca", "missing.pem", "missing.pem"),
    ("--ca", __file__, "not a PEM certificate"),
]


@pytest.mark.parametrize(("option", "value", "hint"), INVALID_OPTIONS)
def test_invalid_options_are_rejected(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    hint: str,
) -> None:
    """If an option or variable is invalid, the command exits with status 2 and says why."""
    monkeypatch.setattr("sys.argv", ["scripts/contract", option, value])
    monkeypatch.setenv("FLASHBACK_TOKEN", "")
    try:
        status: object = contract_command.main()
    except SystemExit as exit:
        status = exit.code
    assert status == 2
    output = "".join(capsys.readouterr())
    assert hint in output
    assert TOKEN not in output


def test_remote_backend_requires_an_id_and_causes_a_warning(script: list[str]) -> None:
    """A remote backend requires an id, and a warning names what the run will overwrite."""
    options = ("--backend-url", "http://0.0.0.0:1")  # no server listens on this port
    variables = VARIABLES | {"FLASHBACK_SIBLING_AI_LLM_ID": "sibling"}
    without_id = run(*script, *options, variables=variables, status=2)
    assert "set --id" in without_id
    assert "will overwrite" not in without_id
    with_id = run(*script, *options, "--id", "main", variables=variables, status=2)
    assert "main and sibling on 0.0.0.0" in with_id


@pytest.mark.parametrize(
    ("keyword", "changed", "hint"),
    [
        ("", {"FLASHBACK_TOKEN": f"{TOKEN}\n"}, "invalid character"),
        ("", {"FLASHBACK_TOKEN": f"Bearer {TOKEN}"}, "without `Bearer`"),
        ("", {"FLASHBACK_FOREIGN_AI_LLM_ID": "id\n"}, "invalid character"),
        ("", {"FLASHBACK_AI_LLM_ID": "id\n"}, "invalid character"),
        ("no-promise", {}, "no promise was tested"),
        ("", {"FLASHBACK_READER_TOKEN": TOKEN}, "FLASHBACK_TOKEN and FLASHBACK_READER_TOKEN have"),
        (
            "",
            {"FLASHBACK_SIBLING_AI_LLM_ID": EXAMPLE_ID},
            "--id and FLASHBACK_SIBLING_AI_LLM_ID have the same value",
        ),
    ],
)
def test_run_that_cannot_start_has_no_verdict(
    keyword: str, changed: dict[str, str], hint: str
) -> None:
    """If a variable is invalid or no test is selected, there is no verdict; no token is shown."""
    variables = {"FLASHBACK_TOKEN": TOKEN, **changed}
    result = run_with_url(URL, variables, "-k", keyword)
    assert result.status == 2
    assert hint in result.output.partition("No verdict: ")[2]
    assert TOKEN not in result.output


def test_unwritable_report_prevents_a_run(tmp_path: Path) -> None:
    """If a report or the deviations file cannot be written, the run says why and sends nothing."""
    file = tmp_path / "file"
    file.touch()
    missing = tmp_path / "missing" / "deviations.yaml"
    paths = (("--report-dir", file), ("--write-deviations", missing), ("--report-dir", file / "x"))
    for option, path in paths:
        result = run_with_url(URL, VARIABLES, option, str(path), promises="test_missing_body")
        assert result.status == 2, result.output
        assert "cannot write the reports" in result.output
        assert str(path) in result.output


def test_verdict_is_printed_even_if_the_reports_cannot_be_written(reports: Path) -> None:
    """If the report folder disappears during the run, the run prints its verdict and fails."""

    def replace_folder(request: Request) -> None:
        if request.count("any") == 1:
            reports.rmdir()
            reports.touch()

    result = run_with_changes(
        [replace_folder], "--report-dir", str(reports), promises="test_missing_body"
    )
    assert result.status == 2
    assert "1 kept" in result.output
    assert "cannot write the reports" in result.output


def test_rate_limit_applies_to_concurrent_requests() -> None:
    """A run never sends more requests per second than --rate-limit allows."""
    sent: list[float] = []

    def record_time() -> None:
        sent.append(time.monotonic())

    run_with_changes([record_time], "--rate-limit", "20/s", promises="test_concurrent_requests")
    assert len(sent) > 20
    for start, after in zip(sent, sent[10:], strict=False):
        assert after - start > 0.2  # normally 0.5 s, but the first request may arrive late


def test_rate_limit_does_not_cut_tests_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """--rate-limit does not reduce the number of requests that are sent after a finding."""
    change = reply(404, lambda role: role == "reader")
    promise = "test_reader_cannot_update"
    unlimited = run_with_changes([change], promises=promise)
    monkeypatch.setattr("support.promise.BUDGET_PER_PROMISE", 1.0)
    limited = run_with_changes([change], "--rate-limit", "30", promises=promise)
    assert limited.promise(promise)["requests"] == unlimited.promise(promise)["requests"]


def test_progress_never_exceeds_the_number_of_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal shows how many promises have been tested; repeated tests do not count again."""
    shown: set[str] = set()
    monkeypatch.setattr("reports.console.Output.is_terminal", True)
    monkeypatch.setattr("rich.status.Status.start", lambda _: None)
    monkeypatch.setattr("rich.status.Status.update", lambda _, text: shown.add(text.split()[1]))
    monkeypatch.setattr("support.plugin.time", Mock(monotonic=itertools.count().__next__))
    options = ("--max-examples", "1", "--max-time", "4")  # runs the test four times
    run_with_changes([], *options, promises="test_valid_body")
    assert shown == {"0/1", "1/1"}


def test_list_prints_promises_and_sends_nothing(script: list[str], reports: Path) -> None:
    """--list prints each selected promise's name, clause and source, or says that none matches."""
    assert "test_reader_cannot_update  access-levels (vendor)" in run(*script, "--list")
    assert not reports.exists()
    output = run(*script, "--list", "-k", "no-promise", status=2)
    assert "-k matches no promise" in output
    run(*script, "--list", "-k", "a and (", status=2)


def test_keyword_selects_by_name_clause_and_family() -> None:
    """-k selects promises by name, clause id or family."""
    assert len(selected_promises("test_invalid_value_answers_400[key]")) == 1
    assert len(selected_promises("access-levels")) == 3
    assert len(selected_promises("idempotent or chunked")) == 3
    assert len(selected_promises("Ids")) == 5


def test_family_name_selects_its_promises(root: Path) -> None:
    """The name of each family is a valid -k expression that selects the family's promises."""
    files = (root / "tests" / "contract").glob("test_*.py")
    families = [file.read_text("utf-8")[3:].partition(":")[0] for file in files]
    assert selected_promises(f"({') or ('.join(families)})") == all_promises()


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
    script: list[str], reports: Path, interrupt: signal.Signals, sigint_handler: Any
) -> None:
    """An interrupted run exits with status 2, and its report says that there is no verdict.

    Further signals do not change this.
    """
    pipe = subprocess.PIPE
    sigint_before = signal.signal(signal.SIGINT, sigint_handler)
    sighup_before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` ignores SIGHUP
    try:
        process = subprocess.Popen(
            script, start_new_session=True, stdout=pipe, stderr=pipe, text=True
        )
    finally:
        signal.signal(signal.SIGINT, sigint_before)
        signal.signal(signal.SIGHUP, sighup_before)
    with process:
        assert process.stdout
        while "Access" not in process.stdout.readline():
            assert process.poll() is None
        # Users press Ctrl-C until the command exits; CI servers send SIGTERM after SIGINT.
        for number in (interrupt, interrupt, signal.SIGTERM):
            os.killpg(process.pid, number)
            time.sleep(0.05)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (2, "")
    assert "interrupted" in output
    assert '"result": "no verdict"' in (reports / "verdict.json").read_text("utf-8")


@pytest.mark.parametrize("options", [(), ("--list",)], ids=str)
def test_closed_output_ends_the_run(
    script: list[str], reports: Path, options: tuple[str, ...]
) -> None:
    """The run ends without a traceback if the reader of its output exits early, as `head` does."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*script, *options], stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        process.stdout.close()
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (2, "")
    if not options:
        assert "the output was closed" in (reports / "verdict.json").read_text("utf-8")


NO_SPACE = b"scripts/contract: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("options", [("--list",), ("-k", "internals")], ids=str)
@pytest.mark.parametrize(
    ("redirection", "expected"),
    [("2>&-", (0, b"")), (">&-", (0, b"")), (">/dev/full", (2, NO_SPACE))],
)
def test_unusable_stream_causes_no_traceback(
    script: list[str], redirection: str, expected: tuple[int, bytes], options: tuple[str, ...]
) -> None:
    """A run succeeds even if its caller has closed a stream, but fails if the disk is full."""
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    shell = ["/bin/sh", "-c", f'"$@" {redirection}', "sh", *script, *options]
    completed = subprocess.run(shell, capture_output=True, check=False, timeout=60)
    assert (completed.returncode, completed.stderr) == expected


def test_unexpected_error_exits_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After an unexpected error, the exit status is 2, because 1 means broken promises."""
    monkeypatch.setattr(sys, "argv", ["scripts/contract", "--list"])
    monkeypatch.setattr(contract_command, "_run", lambda *_: 1 / 0)
    assert contract_command.main() == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def spellings_of(token: str) -> list[str]:
    """Return the token as it is and in the encodings that a backend might use for it."""
    octets = token.encode("utf-8", "surrogateescape")
    in_url = quote(octets, safe="")
    return [
        token,
        in_url,
        in_url.lower(),
        html.escape(token),
        token[::-1],
        octets.hex(),
        base64.b64encode(octets).decode(),
        base64.b64encode(b"Bearer " + octets).decode(),
        "".join(f"\\u{ord(char):04X}" for char in token),
    ]


def test_tokens_are_never_shown(reports: Path) -> None:
    """No output contains any part of a token, even if the backend returns an encoded token."""

    def return_token(request: Request, answer: Answer) -> None:
        # Repeat the token so that the reports truncate the text in the middle of a token.
        repeated = " ".join([request.token] * 400)
        spellings = " ".join(spellings_of(request.token))
        answer.set_fields(message=f"{spellings} {repeated}", aiLlmId=repeated)
        # Serialization doubles the backslash in each escape sequence; remove the extra one.
        answer.set_body(answer.body.replace(b"\\\\u00", b"\\u00"))

    promises = ("test_similar_token", "test_other_scheme", "test_member_can_update")
    with serving(return_token) as mock:
        result = run_on(mock, "--report-dir", str(reports), promises=promises)
    assert result.status == 1
    assert "credentials/as-it-is/returned" in result.ids
    output = result.output
    for file in reports.glob("*.*"):
        output += file.read_text("utf-8")
    for token in (mock.tokens["owner"], mock.tokens["stranger"]):
        *spellings, in_base64, escaped = spellings_of(token)
        spellings += [token.upper(), in_base64[10:-4], escaped, json.dumps(escaped)[1:-1]]
        spellings.append(f'{token[:-1]}"')
        for length in range(4, len(token)):
            spellings += [f"{token[:length]}…", f'{token[:length]}"…']
        for spelling in spellings:
            assert spelling not in output
    assert "${FLASHBACK_TOKEN}" in result.output


def test_valid_token_can_equal_a_guess() -> None:
    """A token that the user passes counts as valid, even if it equals one of the tests' guesses."""
    with serving() as mock:
        mock.add_member("admin", access="ADMIN", workspace="acme", token="admin")
        variables = environment(mock.tokens, mock.ids) | {"FLASHBACK_ADMIN_TOKEN": "admin"}
        result = run_with_url(mock.base_url, variables, promises="test_similar_token")
    assert not result.findings


def test_run_does_not_change_other_configurations() -> None:
    """A run never sends DELETE and never tries to change a configuration that it was not given."""
    methods: set[str] = set()
    unknown_ids: list[str] = []

    def record_request(request: Request) -> None:
        methods.add(request.method)
        can_update = request.role in ("owner", "admin") and request.fields != {}
        if can_update and request.id not in request.ids.values():
            unknown_ids.append(request.id)

    run_with_changes([record_request], "-k", "Ids or Methods")
    assert "DELETE" not in methods
    assert {"POST", "PATCH", "PUT"} <= methods
    assert unknown_ids == []


@pytest.mark.parametrize(
    ("missing", "id", "options"),
    [
        ("body", "body/empty/crash", ()),
        ("token", "unauthorized/no-token/crash", ()),
        ("body", "body/empty/crash", ("--max-time", "20", "--fail-on", "vendor", "--seed", "5")),
    ],
    ids=str,
)
def test_crash_is_a_finding_and_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, missing: str, id: str, options: tuple[str, ...]
) -> None:
    """If a request crashes the backend, even before the first test, the run ends with a finding.

    This is also true if `--fail-on` excludes the finding and `--max-time` has not elapsed.
    """
    script = Path(__file__).with_name("crashing.py")
    command = [sys.executable, str(script), missing]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        url, main = server.stdout.readline().split()
        variables = {"FLASHBACK_TOKEN": "owner-token", "FLASHBACK_AI_LLM_ID": main}
        monkeypatch.setattr("time.sleep", lambda _: None)
        promises = ("test_missing_body", "test_valid_body")
        result = run_with_url(url, variables, *options, promises=promises)
        server.kill()
    assert result.status == (0 if options else 1), result.output
    assert not options or "seed 5" in result.output
    assert result.ids == [id]


def test_header_without_effect_is_omitted_from_the_example() -> None:
    """If a forbidden update also succeeds without a header, the example omits that header."""
    promises = ("test_reader_cannot", "test_headers_do_not_grant_access[READ]")
    result = run_with_changes([promote("reader")], promises=promises)
    [finding] = result.findings
    sent = [example["sent"] for example in finding["examples"]]
    assert sent == ["an update with a READ member's token"]
