"""The pytest plugin, as somebody has it who tests a service in a folder of their own."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import flashback_mock
import httpx
import pytest
from flashback_client import AsyncFlashbackClient, FlashbackClient

SECRET = "s3cret-that-was-stored"
OTHER = "s3cret-that-was-expected"

IMPORTS = "import os\nfrom flashback_client import FlashbackClient\n"
THREE_LINES = """
def test_rotation(flashback_mock):
    FlashbackClient().update_ai_llm(flashback_mock.ids["main"], secret="new")
    flashback_mock.assert_updated(flashback_mock.ids["main"], secret="new")
"""


def run_pytest(folder: Path, test: str, *options: str) -> tuple[int, str]:
    """What pytest says of one test file, in a folder where nothing of this repository is."""
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


def test_three_lines_are_a_test(tmp_path: Path) -> None:
    """A test of three lines, in an empty folder, passes."""
    status, said = run_pytest(tmp_path, THREE_LINES)
    assert (status, "1 passed" in said) == (0, True), said


def test_workers_do_not_meet(tmp_path: Path) -> None:
    """Under pytest-xdist each worker has its own mock, with nothing of another's."""
    many = """
import pytest
@pytest.mark.parametrize("number", range(20))
def test_rotation(flashback_mock, number):
    assert flashback_mock.requests == []
    FlashbackClient().update_ai_llm(flashback_mock.ids["main"], name=f"name {number}")
    flashback_mock.assert_updated(flashback_mock.ids["main"], name=f"name {number}")
    assert len(flashback_mock.requests) == 1
"""
    status, said = run_pytest(tmp_path, many, "-n", "2")
    assert (status, "20 passed" in said) == (0, True), said


@pytest.mark.parametrize("options", [("--showlocals",), ("--showlocals", "--full-trace")])
def test_failure_reads_well_and_shows_no_secret(tmp_path: Path, options: tuple[str, ...]) -> None:
    """A failing assertion says field by field what came instead, of secrets that they differ.

    That holds with every local variable shown, and for each method that is given a credential.
    """
    test = f"""
from pytest import mark
def stored():
    return {SECRET[:7]!r} + {SECRET[7:]!r}
def expected():
    return {OTHER[:7]!r} + {OTHER[7:]!r}
def test_update(flashback_mock):
    id = flashback_mock.ids["main"]
    FlashbackClient().update_ai_llm(id, secret=stored(), endpoint="https://a.example")
    key = "made-up-access-key"
    flashback_mock.assert_updated(
        id, name="Renamed", endpoint="https://a.example", secret=expected(), key=key
    )
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
    status, said = run_pytest(tmp_path, test, *options)
    assert status == 1
    assert (
        "E       AssertionError: configuration 550e8400-e29b-41d4-a716-446655440000 is not as "
        "expected:\n"
        "E         name: is 'OpenAI in production', expected 'Renamed'\n"
        "E         secret: differs; it is what it was set to at 20"
    ) in said
    assert "E         requests for it:\nE           PUT 200 as owner (endpoint, secret)\n" in said
    for part in ("id: no configuration has it", "secrt: is no field", "name: must have at"):
        assert part in said
    assert "8 failed" in said
    assert SECRET not in said
    assert OTHER not in said


def test_failure_of_nothing_asked_says_so(mock: flashback_mock.Mock) -> None:
    """Where no request came, or only others', the assertion says that."""
    with FlashbackClient() as client:
        client.update_ai_llm(mock.ids["sibling"])
    with pytest.raises(AssertionError) as failed:
        mock.assert_updated(mock.ids["main"])
    wanted = (
        f"configuration {mock.ids['main']} was not updated\n  requests for it:\n    none, and 1"
    )
    assert str(failed.value).startswith(wanted)


def test_what_was_refused_was_not_updated(mock: flashback_mock.Mock) -> None:
    """That a value is the stored one is not enough: an update has to have been carried out."""
    name = mock.configuration(mock.ids["main"])["name"]
    mock.answer_next(status=200)
    with FlashbackClient() as client:
        client.update_ai_llm(mock.ids["main"], name=name)
        with pytest.raises(AssertionError, match="was not updated"):
            mock.assert_updated(mock.ids["main"], name=name)
        client.update_ai_llm(mock.ids["main"], name=name)
    mock.assert_updated(mock.ids["main"], name=name)


@pytest.mark.parametrize("turn", [1, 2])
def test_state_is_clean_for_each_test(mock: flashback_mock.Mock, turn: int) -> None:
    """Whatever one test stores, plans, adds or asks is gone in the next."""
    assert turn
    assert mock.requests == []
    assert mock.configuration(mock.ids["main"])["name"] == "OpenAI in production"
    token = mock.add_member("dave", access="ADMIN")
    added = mock.add_configuration(name="added", secret="s")
    with FlashbackClient(token) as client:
        client.update_ai_llm(mock.ids["main"], name="renamed")
        client.update_ai_llm(added, secret="other")
    mock.assert_updated(added, secret="other")
    mock.answer_next(500, times=100)
    mock.control.delay = 60


def test_late_answer_of_one_test_does_not_reach_the_next(mock: flashback_mock.Mock) -> None:
    """A request that nobody waits for any more changes nothing after a reset."""
    mock.answer_next(delay=0.3)
    with FlashbackClient(timeout=0.1, max_retries=0) as client, pytest.raises(Exception, match="T"):
        client.update_ai_llm(mock.ids["main"], name="late")
    mock.assert_updated(mock.ids["main"], name="late")
    mock.reset()
    with FlashbackClient() as client:
        client.update_ai_llm(mock.ids["sibling"])
    assert [entry.configuration for entry in mock.requests] == [mock.ids["sibling"]]
    assert mock.configuration(mock.ids["main"])["name"] == "OpenAI in production"


def test_a_proxy_of_this_machine_is_passed_by(tmp_path: Path) -> None:
    """Where HTTP_PROXY is set, the client still finds the mock."""
    proxied = "os.environ['HTTP_PROXY'] = os.environ['http_proxy'] = 'http://127.0.0.1:9'\n"
    status, said = run_pytest(tmp_path, proxied + THREE_LINES)
    assert status == 0, said


def test_sleep_that_a_test_replaces_is_its_own(
    mock: flashback_mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a test replaces `asyncio.sleep`, the mock goes on as before, delays included."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", wait)
    mock.answer_next(delay=0.3)
    begun = time.monotonic()
    with FlashbackClient() as client:
        client.update_ai_llm(mock.ids["main"])
    assert time.monotonic() - begun >= 0.3
    assert waits == []


def test_reveals_says_whether_a_value_is_stored(mock: flashback_mock.Mock) -> None:
    """`reveals` is true for all of the stored credentials together, and shows none."""
    main, sibling = mock.ids["main"], mock.ids["sibling"]
    assert mock.reveals(main, key="made-up-access-key", secret="made-up-secret-key")
    assert not mock.reveals(main, key="made-up-access-key", secret="x")
    assert not mock.reveals(sibling, secret="never set")
    with pytest.raises(TypeError, match="name: is no credential"):  # and not just False
        mock.reveals(main, name="OpenAI in production")
    shown = mock.configuration(main)
    assert shown["secret"].keys() == {"set", "changedAt"}
    assert "made-up" not in str(shown)
    with pytest.raises(AssertionError, match="secret: is not set"):
        mock.assert_updated(sibling, secret="x")


def test_what_is_added_must_keep_the_contract(mock: flashback_mock.Mock) -> None:
    """What the contract does not allow cannot be added, and the error says why."""
    taken = mock.configuration(mock.ids["main"])["name"]
    for fields, why in (
        ({"name": ""}, "name: must have at least 1"),
        ({"ai_type": "openai"}, "aiType: must be one of"),
        ({"id": "x" * 256}, "id: must have at most 255"),
        ({"name": taken}, "another configuration has this id, or this name"),
        ({"id": mock.ids["foreign"]}, "another configuration has this id, or this name"),
    ):
        with pytest.raises(ValueError, match=why):
            mock.add_configuration(**fields)
    with pytest.raises(TypeError, match="secrt: is no field; the fields are name, aiType"):
        mock.add_configuration(secrt="x")


def test_access_of_a_member_can_be_changed(mock: flashback_mock.Mock) -> None:
    """`add_member` gives a user another access, with the token that the user has."""
    assert mock.add_member("reader", access="WRITE") == mock.tokens["reader"]
    with FlashbackClient(mock.tokens["reader"]) as client:
        client.update_ai_llm(mock.ids["main"], name="by the reader")
    assert [entry.user for entry in mock.requests] == ["reader"]


def test_asgi_is_the_same_mock_in_process(mock: flashback_mock.Mock) -> None:
    """`asgi` answers httpx and the awaited client in process, from the same state."""

    async def ask() -> int:
        transport = httpx.ASGITransport(app=mock.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://mock") as plain:
            headers = {"Authorization": f"Bearer {mock.tokens['owner']}"}
            path = f"/ai/llm/{mock.ids['main']}"
            answer = await plain.put(path, json={"secret": "in process"}, headers=headers)
        async with AsyncFlashbackClient(transport=httpx.ASGITransport(app=mock.asgi)) as client:
            await client.update_ai_llm(mock.ids["main"], key="awaited")
        return answer.status_code

    assert asyncio.run(ask()) == 200
    mock.assert_updated(mock.ids["main"], secret="in process", key="awaited")
    assert [entry.fields for entry in mock.requests] == [("secret",), ("key",)]


def test_context_manager_serves_unittest_and_scripts() -> None:
    """`running()` serves until its block ends, beside the fixture's own mock."""
    with flashback_mock.running() as mock:
        with FlashbackClient(mock.tokens["owner"], base_url=mock.base_url) as client:
            client.update_ai_llm(mock.ids["main"], name="in a block")
        mock.assert_updated(mock.ids["main"], name="in a block")
    with pytest.raises(httpx.ConnectError):
        httpx.get(mock.base_url, trust_env=False)


def test_a_stopped_mock_says_that_it_has_stopped() -> None:
    """Who asks a mock after its block is told so."""
    with flashback_mock.running() as mock:
        pass
    with pytest.raises(RuntimeError, match="the mock has stopped"):
        mock.configuration(mock.ids["main"])


def test_plugin_imports_only_the_standard_library() -> None:
    """Pytest loads the plugin everywhere: it imports nothing of the mock's dependencies."""
    code = (
        "import sys, pytest; before = set(sys.modules); import flashback_mock.pytest_plugin; "
        "more = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(*more - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["flashback_mock"]


def test_fixture_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    """Where the extra is not installed, the fixture says how, in one line."""
    without = "import sys\nsys.modules['jsonschema_rs'] = None\n"
    status, said = run_pytest(tmp_path, without + THREE_LINES)
    assert status == 1
    wanted = "the mock needs jsonschema_rs: pip install 'flashback-client[mock]'"
    assert f"E   Failed: {wanted}" in said or f"\n{wanted}\n" in said
    assert "Traceback" not in said
