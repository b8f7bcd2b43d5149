"""Tests for settings from arguments, environment variables and the contract."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from flashback_client import UNSET, AsyncFlashbackClient, FlashbackClient, errors
from tests.client.support import ID, TOKEN, UPDATED, Service, blocking
from tests.client.wire import http_response, respond_with, serving

CLIENTS = [FlashbackClient, AsyncFlashbackClient]


def test_environment_variables_supply_missing_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments override environment variables, which override the base URL in the contract."""
    assert "base_url='https://backend.flashback.tech'" in repr(blocking(Service()))
    monkeypatch.setenv("FLASHBACK_TOKEN", "of-the-environment")
    monkeypatch.setenv("FLASHBACK_BASE_URL", "https://other.test/api/")
    service = Service()
    FlashbackClient(transport=service).update_ai_llm(ID)
    FlashbackClient("given", base_url="https://given.test", transport=service).update_ai_llm(ID)
    first, second = service.requests
    assert str(first.url) == f"https://other.test/api/ai/llm/{ID}"
    assert first.headers["authorization"] == "Bearer of-the-environment"
    assert str(second.url) == f"https://given.test/ai/llm/{ID}"
    assert second.headers["authorization"] == "Bearer given"


@pytest.mark.parametrize("url", ["http://backend.flashback.tech", "http://127.0.0.1.evil.test"])
def test_http_is_rejected_outside_loopback(url: str) -> None:
    """An http:// URL is rejected outside loopback, because the token would be sent unencrypted."""
    with pytest.raises(errors.ArgumentError, match="allow_http"):
        blocking(Service(), base_url=url)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "127.8.9.10", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_http_is_accepted_for_loopback(host: str) -> None:
    """An http:// URL is accepted for every loopback name and address."""
    blocking(Service(), base_url=f"http://{host}:4010").update_ai_llm(ID)


def test_http_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`allow_http=True` or FLASHBACK_ALLOW_HTTP=1 allows http:// URLs for any host."""
    url = "http://mock_1:4010"
    assert blocking(Service(), base_url=url, allow_http=True).update_ai_llm(ID).success is True
    monkeypatch.setenv("FLASHBACK_ALLOW_HTTP", "1")
    assert blocking(Service(), base_url=url).update_ai_llm(ID).success is True
    with pytest.raises(errors.ArgumentError, match="allow_http"):
        blocking(Service(), base_url=url, allow_http=False)
    monkeypatch.setenv("FLASHBACK_ALLOW_HTTP", "perhaps")
    with pytest.raises(errors.ArgumentError, match="FLASHBACK_ALLOW_HTTP must be 1 or 0"):
        blocking(Service())
    with pytest.raises(errors.ArgumentError, match="allow_http must be of type bool, not str"):
        blocking(Service(), allow_http="false")


BASE_URLS = [
    *("backend.flashback.tech", "https://", "ftp://host", "https://host?x=1", "https://host#x"),
    *("https://host//", "https://host/a//b", "https://user:pass@host", "https://host/../x", ""),
    *(
        " ",
        "https://ho st",
        "https://host:99999",
        "https://host:0",
        "https://[::1",
        "https://host\n",
        7,
    ),
    *("https://a..b", f"https://{'a' * 64}.test", "https://xn--\x80", "https://[fe80::1%25eth0]"),
]


@pytest.mark.parametrize("url", BASE_URLS)
def test_invalid_base_url_is_rejected(url: Any) -> None:
    """An invalid base URL raises an ArgumentError that does not show the password in the URL."""
    with pytest.raises(errors.ArgumentError, match="base_url") as caught:
        blocking(Service(), base_url=url)
    assert caught.value.field == "base_url"
    assert "pass@" not in str(caught.value)


SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"timeout": "30"}, "timeout must be of type number, not str"),
    ({"timeout": httpx.Timeout(3)}, "timeout must be of type number, not Timeout"),
    ({"timeout": (1, 2)}, "timeout must be of type number, not tuple"),
    ({"timeout": float("nan")}, "timeout must be a number, not nan"),
    ({"attempt_timeout": True}, "attempt_timeout must be of type number, not bool"),
    ({"attempt_timeout": 0}, "attempt_timeout must be greater than 0"),
    ({"max_retries": -1}, "max_retries must be at least 0"),
    ({"max_retries": 1.5}, "max_retries must be of type int, not float"),
    ({"headers": {"Authorization": "Bearer x"}}, "headers['Authorization'] cannot be set"),
    ({"headers": {"a b": "x"}}, "headers['a b'] cannot be set"),
    ({"headers": {"a": "x\r\nb: y"}}, "headers['a'] must be visible ASCII on one line"),
    ({"headers": {"X": 5}}, "headers['X'] must be of type str, not int"),
    ({"headers": {"ſ": "x"}}, "headers['ſ'] cannot be set"),
    ({"headers": {5: "x"}}, "headers[5] must be of type str, not int"),
    ({"headers": ["X"]}, "headers must be of type Mapping, not list"),
]


@pytest.mark.parametrize(("settings", "problem"), SETTINGS)
@pytest.mark.parametrize("client_class", CLIENTS)
def test_invalid_setting_raises_argument_error(
    client_class: Any, settings: dict[str, Any], problem: str
) -> None:
    """An invalid setting raises an ArgumentError that names it and describes the problem."""
    (field,) = settings
    derive: Any = client_class(TOKEN).with_options
    for create, arguments in ((client_class, (TOKEN,)), (derive, ())):
        with pytest.raises(errors.ArgumentError) as caught:
            create(*arguments, **settings)
        assert problem in str(caught.value)
        assert caught.value.field.partition("[")[0] == field


@pytest.mark.parametrize("field", ["token", "base_url", "timeout", "max_retries"])
def test_constructor_rejects_unset(field: str) -> None:
    """The constructor rejects UNSET, which is valid only in `with_options`."""
    with pytest.raises(errors.ArgumentError, match="not Unset") as caught:
        blocking(Service(), **{field: UNSET})
    assert caught.value.field == field


@pytest.mark.parametrize("client_class", CLIENTS)
@pytest.mark.parametrize("field", ["http_client", "transport"])
def test_http_client_and_transport_must_have_the_right_type(client_class: Any, field: str) -> None:
    """An `http_client` or a `transport` of the wrong type raises an ArgumentError."""
    with pytest.raises(errors.ArgumentError, match="must be an httpx") as caught:
        client_class(TOKEN, **{field: object()})
    assert caught.value.field == field


def test_unusable_http_client_is_rejected() -> None:
    """An `http_client` that is closed, has `auth=` or is combined with `transport=` is rejected."""
    with (
        httpx.Client(auth=("u", "p")) as http_client,
        pytest.raises(errors.ArgumentError, match="auth="),
    ):
        FlashbackClient(TOKEN, http_client=http_client)
    with httpx.Client() as closed:
        pass
    with pytest.raises(errors.ArgumentError, match="is closed"):
        FlashbackClient(TOKEN, http_client=closed)
    with httpx.Client() as both, pytest.raises(errors.ArgumentError, match="cannot be combined"):
        FlashbackClient(TOKEN, http_client=both, transport=Service())


def test_custom_http_client_keeps_its_settings() -> None:
    """The client uses its `http_client`'s base URL, headers and timeout, and does not close it."""
    service = Service()
    headers = {"X-Theirs": "1"}
    with httpx.Client(
        transport=service, base_url="https://theirs.test", headers=headers, timeout=3
    ) as http_client:
        with FlashbackClient(TOKEN, http_client=http_client) as client:
            client.update_ai_llm(ID)
        assert not http_client.is_closed
    (request,) = service.requests
    assert str(request.url) == f"https://theirs.test/ai/llm/{ID}"
    assert request.headers["x-theirs"] == "1"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.extensions["timeout"]["read"] == 3


def test_headers_are_case_insensitive() -> None:
    """A custom header replaces the client's own header of that name, regardless of case.

    The caller's dict is not modified.
    """
    headers = {"uSER-aGENT": "mine"}
    service = Service()
    blocking(service, headers=headers).update_ai_llm(ID)
    assert headers == {"uSER-aGENT": "mine"}
    assert service.requests[0].headers.get_list("user-agent") == ["mine"]


def test_with_options_does_not_change_the_original() -> None:
    """`with_options` returns a client with the new settings and does not change the original."""
    service = Service()
    client = blocking(service)
    derived = client.with_options(
        token="of-another-tenant", base_url="https://tenant.test", headers={"X-Tenant": "two"}
    )
    for used in (client, derived, client):
        used.update_ai_llm(ID)
    received = [
        (request.url.host, request.headers["authorization"], request.headers.get("x-tenant"))
        for request in service.requests
    ]
    own = ("backend.flashback.tech", f"Bearer {TOKEN}", None)
    assert received == [own, ("tenant.test", "Bearer of-another-tenant", "two"), own]


def test_derived_clients_share_connections() -> None:
    """Derived clients are cheap to create, and closing one leaves the shared connections open."""
    with serving(respond_with(http_response(200, UPDATED))) as server:
        with blocking(server.url) as client:
            client.update_ai_llm(ID)
            started = time.process_time()
            for _ in range(100):
                client.with_options(timeout=1, max_retries=0, headers={"X-A": "1"})
            assert (time.process_time() - started) / 100 < 0.0005
            with client.with_options(token="other", timeout=None) as derived:
                derived.update_ai_llm(ID)
            with pytest.raises(errors.FlashbackError, match="closed"):
                derived.update_ai_llm(ID)
            client.update_ai_llm(ID)
        assert server.connections == 1
        tokens = [request.headers["authorization"] for request in server.requests]
        assert tokens == [f"Bearer {TOKEN}", "Bearer other", f"Bearer {TOKEN}"]
    with pytest.raises(errors.FlashbackError, match="closed"):
        client.with_options(timeout=1).update_ai_llm(ID)


def test_cookies_are_not_stored() -> None:
    """A cookie from one tenant's response is not sent with another tenant's request."""
    cookie = {"Set-Cookie": "tenant=one; Path=/"}
    service = Service(httpx.Response(200, json=UPDATED, headers=cookie))
    client = blocking(service)
    client.update_ai_llm(ID)
    client.with_options(headers={"X-Tenant": "two"}).update_ai_llm(ID)
    assert [request.headers.get("cookie") for request in service.requests] == [None, None]


def test_partially_constructed_client_has_a_repr() -> None:
    """`repr()`, which a crash reporter might call, works even if the constructor failed."""
    assert repr(object.__new__(FlashbackClient)) == "FlashbackClient(...)"
