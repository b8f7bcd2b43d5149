"""Test rotate.py against the mock: successful rotations and each kind of failure."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rotate

from flashback_client import FlashbackClient
from flashback_mock import Fault, Mock

HERE = Path(__file__).parent
PLAN = str(HERE / "plan.toml")
NEW = {
    "NEW_OPENAI_SECRET": "new-openai-secret",
    "NEW_ANTHROPIC_KEY": "new-anthropic-key",
    "NEW_ANTHROPIC_SECRET": "new-anthropic-secret",
}


@pytest.fixture(autouse=True)
def new_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment variables that are named in the plan."""
    for name, credential in NEW.items():
        monkeypatch.setenv(name, credential)


@pytest.fixture
def output(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Callable[[], str]:
    """Return a function that returns the output after checking that it contains no credentials."""

    def output() -> str:
        text = "".join([*capsys.readouterr(), caplog.text])
        assert not any(credential in text for credential in NEW.values())
        return text

    return output


def test_every_credential_is_rotated(flashback_mock: Mock, output: Callable[[], str]) -> None:
    """The script updates each configuration's credentials and leaves its other fields unchanged."""
    main = flashback_mock.ids["main"]
    sibling = flashback_mock.ids["sibling"]
    assert rotate.main([PLAN]) == 0
    assert output().endswith("rotated  Anthropic in staging\n2 of 2 rotated\n")
    flashback_mock.assert_updated(main, name="OpenAI in production", secret="new-openai-secret")
    flashback_mock.assert_updated(sibling, key="new-anthropic-key", secret="new-anthropic-secret")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_rejected_update_is_a_failure(
    flashback_mock: Mock, output: Callable[[], str], status: int
) -> None:
    """The script reports a rejected update as failed, and still runs the remaining rotations."""
    attempts = 3 if status == 500 else 1  # the client retries after a 500
    flashback_mock.answer_next(status=status, times=attempts)
    assert rotate.main([PLAN]) == 1
    report = output()
    assert report.startswith("failed   OpenAI in production")
    assert f": {status} " in report
    assert "1 of 2 rotated" in report
    flashback_mock.assert_updated(flashback_mock.ids["sibling"], secret="new-anthropic-secret")


@pytest.mark.parametrize("fault", ["timeout", "reset", "truncated", "malformed"])
def test_lost_response_leaves_the_result_unknown(flashback_mock: Mock, fault: Fault) -> None:
    """If the response to an update is lost, the script reports the result as unknown."""
    flashback_mock.answer_next(fault=fault, after_update=True)
    with FlashbackClient(timeout=2, max_retries=0) as flashback:
        outcome = rotate.rotate(rotate.read_plan(Path(PLAN))[0], flashback)
    assert outcome.result == "unknown"
    assert flashback_mock.reveals(flashback_mock.ids["main"], secret="new-openai-secret")


def test_missing_credential_does_not_stop_other_updates(
    flashback_mock: Mock, output: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If an environment variable is not set, the script still updates the other configurations."""
    monkeypatch.delenv("NEW_OPENAI_SECRET")
    assert rotate.main([PLAN]) == 1
    assert "the variable 'NEW_OPENAI_SECRET' is not set" in output()
    assert [entry.fields for entry in flashback_mock.requests] == [("key", "secret")]


@pytest.mark.parametrize(
    "more",
    [
        "",
        "# no credential",
        "secrt = 'X'",
        "key = 'X'\nsecrt = 'X'",
        "key = 'X'\nsecret = ''",
        "key = 5",
        "[",
    ],
)
@pytest.mark.usefixtures("flashback_mock")
def test_invalid_plan_is_an_error(tmp_path: Path, output: Callable[[], str], more: str) -> None:
    """If the plan is invalid, the script prints a one-line error and exits with status 2."""
    file = tmp_path / "plan.toml"
    for start in ("[[rotation]]", "[rotation]", "rotation = [5]"):
        file.write_text(f"{start}\nid = 'x'\nlabel = 'x'\n{more}\n" if more else "")
        assert rotate.main([str(file)]) == 2
        assert output().count("\n") == 1


def test_unusable_proxy_is_an_error(
    output: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the script cannot create a client, it prints a one-line error and exits with status 2."""
    monkeypatch.setenv("FLASHBACK_TOKEN", "token")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setitem(sys.modules, "socksio", None)
    assert rotate.main([PLAN]) == 2
    assert output().startswith("rotate.py: cannot create the client: Using SOCKS")
