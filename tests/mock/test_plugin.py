"""Tests for the pytest plugin, as used in a user's test suite."""

import sys

import pytest

from tests.programs import run

pytest_plugins = "pytester"

SECRET = "s3cret-that-was-stored"
PLUGIN = "-pflashback_mock.pytest_plugin"
OTHER = "s3cret-that-was-expected"
IMPORTS = "import os, pytest\nfrom flashback_client import FlashbackClient\n"
ROTATION_TEST = """
def test_rotation(flashback_mock):
    with FlashbackClient() as client:
        client.update_ai_llm(flashback_mock.ids["main"], secret="new")
    flashback_mock.assert_updated(flashback_mock.ids["main"], secret="new")
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FLASHBACK_BASE_URL", "FLASHBACK_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    # Loading all other installed plugins would take longer than running the tests.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_fixtures_with_different_scopes_work_together(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fixtures with different scopes work together, even if `$HTTP_PROXY` is set."""
    for variable in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
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
    with FlashbackClient() as client:
        client.update_ai_llm(flashback_mock_session.ids["main"], name="kept")

def test_own(own):
    with FlashbackClient("mine", base_url=own.base_url) as client:
        client.update_ai_llm("a", name="new")
    own.assert_updated("a", name="new")
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
    pytester.makepyfile(IMPORTS + ROTATION_TEST + test)
    pytester.runpytest_inprocess(PLUGIN, "-Werror").assert_outcomes(passed=5)


FAILURES = f"""
def stored():
    return {SECRET[:7]!r} + {SECRET[7:]!r}
def expected():
    return {OTHER[:7]!r} + {OTHER[7:]!r}
def test_update(flashback_mock):
    id = flashback_mock.ids["main"]
    with FlashbackClient() as client:
        client.update_ai_llm(id, secret=stored(), endpoint="https://a.example")
    flashback_mock.assert_updated(id, name="Renamed", secret=expected())
def test_reveals(flashback_mock):
    flashback_mock.reveals("unknown", secret=stored())
def test_field(flashback_mock):
    flashback_mock.assert_updated(flashback_mock.ids["main"], secrt=stored())
def test_add(flashback_mock):
    flashback_mock.add_configuration(name="", secret=stored())
def test_member(flashback_mock):
    flashback_mock.add_member("dave", access="ROOT", token=stored())
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


def test_failures_show_no_secrets(pytester: pytest.Pytester) -> None:
    """Even with `--showlocals`, a failed test shows no credential that it passed to a method."""
    pytester.makepyfile(IMPORTS + FAILURES)
    result = pytester.runpytest_inprocess(PLUGIN, "--showlocals")
    result.assert_outcomes(failed=8)
    output = result.stdout.str() + result.stderr.str()
    result = pytester.runpytest_inprocess(PLUGIN, "--showlocals", "--full-trace", "-kfield")
    output += result.stdout.str()
    expected = (
        "E         secret: differs",
        "id: no configuration has this id",
        "unknown field; the known fields are name, aiType",
        "name: must",
    )
    for message in expected:
        assert message in output
    assert SECRET not in output
    assert OTHER not in output


def test_plugin_imports_only_the_standard_library() -> None:
    """The plugin imports only the standard library, because pytest loads it in every test run."""
    code = (
        "import sys, pytest; before = set(sys.modules); import flashback_mock.pytest_plugin; "
        "more = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(*more - sys.stdlib_module_names)"
    )
    assert run(sys.executable, "-c", code).split() == ["flashback_mock"]


def test_fixture_without_the_mock_extra_says_what_to_install(pytester: pytest.Pytester) -> None:
    """Without the `mock` extra, the fixture prints one line that says what to install."""
    pytester.makepyfile("import sys\nsys.modules['jsonschema_rs'] = None\n" + ROTATION_TEST)
    result = pytester.runpytest_subprocess(PLUGIN)
    result.assert_outcomes(errors=1)
    output = result.stdout.str() + result.stderr.str()
    expected = "the mock requires jsonschema_rs; run: pip install 'flashback-client[mock]'"
    assert f"E   Failed: {expected}" in output or f"\n{expected}\n" in output
    assert "Traceback" not in output
