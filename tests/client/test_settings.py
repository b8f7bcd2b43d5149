"""Tests for settings from arguments, environment variables and the contract."""

from typing import Any
from unittest import mock

import httpx
import pytest

from flashback_client import UNSET, AsyncFlashbackClient, FlashbackClient, errors
from tests.client.support import ID, SERVER, TOKEN, UPDATED, Service, blocking, sent_headers
from tests.client.wire import http_response, serving


def test_environment_variables_supply_missing_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments override environment variables, which override the base URL in the contract."""
    assert f"base_url='{SERVER}'" in repr(blocking(Service()))
    monkeypatch.setenv("FLASHBACK_TOKEN", "of-the-environment")
    monkeypatch.setenv("FLASHBACK_BASE_URL", "https://other.test/api/")
    service = Service()
    FlashbackClient(transport=service).update_ai_llm(ID)
    FlashbackClient("given", base_url="https://given.test", transport=service).update_ai_llm(ID)
    assert service.requests[0].url == f"https://other.test/api/ai/llm/{ID}"
    assert service.requests[1].url.host == "given.test"
    sent = sent_headers(service.requests, "authorization")
    assert sent == ["Bearer of-the-environment", "Bearer given"]


@pytest.mark.parametrize("name", ["TOKEN", "BASE_URL", "ALLOW_HTTP"])
def test_empty_environment_variable_is_rejected(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """If an environment variable is set but empty, an ArgumentError names the variable.

    Without this error, a CI job with an empty base URL would send the token to the contract's
    server. An empty variable that an argument overrides is ignored.
    """
    variable = f"FLASHBACK_{name}"
    monkeypatch.setenv("FLASHBACK_TOKEN", TOKEN)
    monkeypatch.setenv(variable, "")
    with pytest.raises(errors.ArgumentError, match=f"^{variable} is empty; set a value") as caught:
        FlashbackClient(transport=Service())
    assert caught.value.field == variable
    FlashbackClient(TOKEN, base_url=SERVER, allow_http=False, transport=Service())


def test_missing_token_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, an ArgumentError names the argument and the environment variable."""
    monkeypatch.delenv("FLASHBACK_TOKEN", raising=False)
    remedy = "^token is missing or empty; pass token= or set FLASHBACK_TOKEN$"
    with pytest.raises(errors.ArgumentError, match=remedy):
        FlashbackClient(base_url=SERVER)


def test_http_is_accepted_only_for_loopback() -> None:
    """An http:// URL must have a loopback host, because HTTP does not encrypt the token."""
    for host in ("host.test", "127.0.0.1.evil.test"):
        with pytest.raises(errors.ArgumentError, match="or set FLASHBACK_ALLOW_HTTP=1"):
            blocking(Service(), base_url=f"http://{host}")
    for host in ("localhost", "LOCALHOST.", "127.8.9.10", "[::1]", "[::ffff:127.0.0.1]"):
        blocking(Service(), base_url=f"http://{host}:4010").update_ai_llm(ID)


def test_http_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`allow_http=True` or FLASHBACK_ALLOW_HTTP=1 allows http:// URLs for any host."""
    url = "http://mock_1:4010"
    assert blocking(Service(), base_url=url, allow_http=True).update_ai_llm(ID).success is True
    monkeypatch.setenv("FLASHBACK_ALLOW_HTTP", "1")
    assert blocking(Service(), base_url=url).update_ai_llm(ID).success is True
    with pytest.raises(errors.ArgumentError, match="allow_http"):
        blocking(Service(), base_url=url, allow_http=False)
    with pytest.raises(errors.ArgumentError, match="allow_http must be of type bool, not str"):
        blocking(Service(), allow_http="false")


@pytest.mark.parametrize(
    "url",
    [
        *("host.test", "https://", "ftp://host", "https://host?x=1", "https://host#x"),
        *("https://host//", "https://host/a//b", "https://user:pass@host", "https://ho st"),
        *("", " "),
        *("https://host:99999", "https://host:0", "https://[::1", "https://host\n", 7, UNSET),
        *("https://a..b", f"https://{'a' * 64}.test", "https://xn--\x80", "https://xn--a"),
    ],
)
def test_invalid_base_url_is_rejected(url: Any) -> None:
    """An invalid base URL raises an ArgumentError that does not show the URL's password."""
    with pytest.raises(errors.ArgumentError, match="base_url") as caught:
        blocking(Service(), base_url=url)
    assert caught.value.field == "base_url"
    assert "pass@" not in str(caught.value)


SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"timeout": "30"}, "timeout must be of type number, not str"),
    ({"timeout": httpx.Timeout(3)}, "timeout must be of type number, not Timeout"),
    ({"timeout": float("nan")}, "timeout must be a finite number"),
    ({"attempt_timeout": 0}, "attempt_timeout must be greater than 0"),
    ({"attempt_timeout": True}, "attempt_timeout must be of type number, not bool"),
    ({"max_retries": -1}, "max_retries must be at least 0"),
    ({"max_retries": 1.5}, "max_retries must be of type int, not float"),
    ({"headers": {"Authorization": "Bearer x"}}, "headers['Authorization'] cannot be set"),
    ({"headers": {"a b": "x"}}, "headers['a b'] cannot be set"),
    ({"headers": {"a": "x\r\nb: y"}}, "headers['a'] must be one line of visible ASCII"),
    ({"headers": {"X": 5}}, "headers['X'] must be of type str, not int"),
    ({"headers": {5: "x"}}, "headers[5] must be of type str, not int"),
    ({"headers": ["X"]}, "headers must be of type Mapping, not list"),
]


@pytest.mark.parametrize(("settings", "problem"), SETTINGS)
def test_invalid_setting_raises_argument_error(settings: dict[str, Any], problem: str) -> None:
    """An invalid setting raises an ArgumentError that names the setting and the problem."""
    (field,) = settings
    for create in (FlashbackClient, blocking(Service()).with_options):
        with pytest.raises(errors.ArgumentError) as caught:
            create(token=TOKEN, **settings)
        assert problem in str(caught.value)
        assert caught.value.field.partition("[")[0] == field


def test_unusable_http_client_is_rejected() -> None:
    """A client rejects an `http_client` that sets `auth=` or is combined with `transport=`."""
    with pytest.raises(errors.ArgumentError, match="auth="):
        FlashbackClient(TOKEN, http_client=httpx.Client(auth=("u", "p")))
    with pytest.raises(errors.ArgumentError, match="cannot be combined"):
        FlashbackClient(TOKEN, http_client=httpx.Client(), transport=Service())
    for name in ("http_client", "transport"):
        wrong: dict[str, Any] = {name: object()}
        with pytest.raises(errors.ArgumentError, match=f"{name} must be of type Async"):
            AsyncFlashbackClient(TOKEN, **wrong)


def test_custom_http_client_keeps_its_settings() -> None:
    """The client uses the base URL, headers and timeout of its `http_client`.

    The client calls `http_client.send`, which Sentry and Datadog patch to record spans.
    """
    service = Service()
    url = "https://theirs.test"
    headers = {"X-Theirs": "1"}
    http_client = httpx.Client(transport=service, base_url=url, headers=headers, timeout=3)
    with mock.patch.object(http_client, "send", wraps=http_client.send) as send:
        with FlashbackClient(TOKEN, http_client=http_client) as client:
            client.update_ai_llm(ID)
        assert (send.call_count, http_client.is_closed) == (1, False)
    (request,) = service.requests
    assert str(request.url) == f"{url}/ai/llm/{ID}"
    assert request.headers["x-theirs"] == "1"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.extensions["timeout"]["read"] == 3


def test_with_options_method_does_not_change_the_original() -> None:
    """`with_options` returns a client with the new settings and does not change the original."""
    service = Service()
    client = blocking(service)
    headers = {"X-Tenant": "two", "uSER-aGENT": "mine"}  # replaces the client's own User-Agent
    derived = client.with_options(token="other", base_url="https://tenant.test", headers=headers)
    derived.update_ai_llm(ID)
    client.update_ai_llm(ID)
    requests = service.requests
    assert sent_headers(requests, "host") == ["tenant.test", SERVER.removeprefix("https://")]
    assert sent_headers(requests, "authorization") == ["Bearer other", f"Bearer {TOKEN}"]
    assert sent_headers(requests, "x-tenant") == ["two", None]
    assert requests[0].headers.get_list("user-agent") == ["mine"]


def test_derived_clients_share_connections() -> None:
    """A derived client shares the original's connections but cannot close them.

    Neither client stores cookies.
    """
    with serving(http_response(200, UPDATED, Set_Cookie="tenant=one; Path=/")) as server:
        with blocking(server.url) as client:
            client.update_ai_llm(ID)
            with client.with_options(timeout=None) as derived:
                derived.update_ai_llm(ID)
            with pytest.raises(errors.FlashbackError, match="closed"):
                derived.update_ai_llm(ID)
            client.update_ai_llm(ID)
        assert server.connections == 1
        assert sent_headers(server.requests, "cookie") == [None, None, None]
    with pytest.raises(errors.FlashbackError, match="closed"):
        client.with_options(timeout=1).update_ai_llm(ID)
