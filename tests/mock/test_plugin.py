"""The pytest plugin in a user's test folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "s3cret-that-was-stored"
OTHER = "s3cret-that-was-expected"

IMPORTS = "import os, pytest\nfrom flashback_client import FlashbackClient\n"
THREE_LINES = """
def test_rotation(flashback_mock):
    with FlashbackClient() as client:
        client.update_ai_llm(flashback_mock.ids["main"], secret="new")
    flashback_mock.assert_updated(flashback_mock.ids["main"], secret="new")
"""


def run_pytest(folder: Path, test: str, *options: str) -> tuple[int, str]:
    """Return pytest's exit status and output for one test file in a new folder."""
    (folder / "test_it.py").write_text(IMPORTS + test)
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("FLASHBACK", "PYTEST"))}
    # Plugins that happen to be installed here, and take longer to load than the test.
    others = ("cacheprovider", "schemathesis", "hypothesispytest", "anyio")
    command = [sys.executable, "-m", "pytest", *(f"-pno:{name}" for name in others)]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), *options],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9"])
def test_three_lines_are_a_test(tmp_path: Path, proxy: str) -> None:
    """A short test in an empty folder passes, with warnings as errors, also behind a proxy."""
    environment = f"os.environ['HTTP_PROXY'] = os.environ['http_proxy'] = {proxy!r}\n"
    status, output = run_pytest(tmp_path, environment + THREE_LINES, "-W", "error")
    assert (status, "1 passed" in output) == (0, True), output


def test_every_xdist_worker_has_its_own_mock(tmp_path: Path) -> None:
    """Under pytest-xdist a test never meets requests of another worker."""
    many = """
@pytest.mark.parametrize("number", range(20))
def test_rotation(flashback_mock, number):
    assert flashback_mock.requests == []
    FlashbackClient().update_ai_llm(flashback_mock.ids["main"], name=f"name {number}")
    flashback_mock.assert_updated(flashback_mock.ids["main"], name=f"name {number}")
    assert len(flashback_mock.requests) == 1
"""
    status, output = run_pytest(tmp_path, many, "-n", "2")
    assert (status, "20 passed" in output) == (0, True), output


def test_session_and_own_fixtures(tmp_path: Path) -> None:
    """A mock for the session has no effect on fresh ones, and own fixtures come from a file."""
    test = """
@pytest.fixture(scope="module")
def own(flashback_mock_factory, tmp_path_factory):
    file = tmp_path_factory.mktemp("own") / "fixtures.yaml"
    file.write_text(
        "users: {me: {token: mine}}\\n"
        "workspaces: {w: {members: {me: WRITE}, configurations: {only: {id: a}}}}"
    )
    return flashback_mock_factory(fixtures=file)

def test_session(flashback_mock_session):
    assert os.environ["FLASHBACK_BASE_URL"] == flashback_mock_session.base_url
    FlashbackClient().update_ai_llm(flashback_mock_session.ids["main"], name="kept")

def test_own(own):
    FlashbackClient("mine", base_url=own.base_url).update_ai_llm("a", name="x")
    own.assert_updated("a", name="x")
    assert own.ids == {"only": "a"}

def test_both(flashback_mock_session, flashback_mock):
    assert flashback_mock_session.base_url != flashback_mock.base_url
    assert os.environ["FLASHBACK_BASE_URL"] == flashback_mock.base_url
    flashback_mock_session.assert_updated(flashback_mock_session.ids["main"], name="kept")
    assert flashback_mock.requests == []

def test_session_again(flashback_mock_session):
    assert os.environ["FLASHBACK_BASE_URL"] == flashback_mock_session.base_url
    assert len(flashback_mock_session.requests) == 1
"""
    status, output = run_pytest(tmp_path, test)
    assert (status, "4 passed" in output) == (0, True), output


@pytest.mark.parametrize("options", [("--showlocals",), ("--showlocals", "--full-trace")])
def test_no_failure_shows_a_secret(tmp_path: Path, options: tuple[str, ...]) -> None:
    """With every local variable shown, no method's failure shows the credential it was given."""
    test = f"""
from pytest import mark
def stored():
    return {SECRET[:7]!r} + {SECRET[7:]!r}
def expected():
    return {OTHER[:7]!r} + {OTHER[7:]!r}
def test_update(flashback_mock):
    id = flashback_mock.ids["main"]
    FlashbackClient().update_ai_llm(id, secret=stored(), endpoint="https://a.example")
    flashback_mock.assert_updated(id, name="Renamed", secret=expected())
def test_reveals(flashback_mock):
    flashback_mock.reveals("unknown", secret=stored())
def test_field(flashback_mock):
    flashback_mock.assert_updated(flashback_mock.ids["main"], secrt=stored())
def test_add(flashback_mock):
    flashback_mock.add_configuration(name="", secret=stored())
def test_member(flashback_mock):
    flashback_mock.add_member("dave", access="ROOT", token=stored())
def test_revoke(flashback_mock):
    flashback_mock.revoke_token(stored())
def test_fixtures(tmp_path):
    import flashback_mock, pathlib
    mistake = "{{one: {{id: a, name: '', secret: " + stored() + "}}}}"
    text = "users: {{me: {{token: a}}}}\\nworkspaces: {{w: {{configurations: " + mistake + "}}}}"
    (tmp_path / "f.yaml").write_text(text)
    del mistake, text
    with flashback_mock.running(fixtures=tmp_path / "f.yaml"):
        pass
def test_token(flashback_mock):
    flashback_mock.add_member("dave", token=stored() + "\u20ac")
def test_id(flashback_mock):
    flashback_mock.configuration(stored())
"""
    status, output = run_pytest(tmp_path, test, *options)
    assert status == 1
    assert (
        "E       AssertionError: configuration 550e8400-e29b-41d4-a716-446655440000 is not as "
        "expected:\n"
        "E         name: expected 'Renamed', got 'OpenAI in production'\n"
        "E         secret: differs; last changed at 20"
    ) in output
    for part in ("id: no configuration has it", "secrt: not a field", "name: must have at"):
        assert part in output
    assert "9 failed" in output
    assert SECRET not in output
    assert OTHER not in output


def test_plugin_imports_only_the_standard_library() -> None:
    """Pytest loads the plugin everywhere, so it imports nothing of the mock's dependencies."""
    code = (
        "import sys, pytest; before = set(sys.modules); import flashback_mock.pytest_plugin; "
        "more = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(*more - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["flashback_mock"]


def test_fixture_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    """Where the extra is not installed, the fixture fails with one line."""
    without = "import sys\nsys.modules['jsonschema_rs'] = None\n"
    status, output = run_pytest(tmp_path, without + THREE_LINES)
    assert status == 1
    expected = "the mock needs jsonschema_rs: pip install 'flashback-client[mock]'"
    assert f"E   Failed: {expected}" in output or f"\n{expected}\n" in output
    assert "Traceback" not in output
