"""Browser tests for the mock's page: Swagger UI, request log and planned responses."""

import copy
import hashlib
import json
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from flashback_mock import Mock
from flashback_mock.http.page import MEDIA_TYPES
from tests.mock.wire import put

PATH = "/__admin/docs"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
BUNDLE = {
    "swagger_bundle.js": "050bc415ee7048dcd881682678f720264e7da5e373f7461d7c58c755305255f7",
    "swagger_style.css": "1ac324f7dcd27e4b9386b4bd6421271ec147e922a22c05ba24b11515e9aa6321",
}

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def mock(flashback_mock_factory: Callable[..., Mock]) -> Mock:
    """Return one mock for all tests in this module."""
    return flashback_mock_factory()


@pytest.fixture(scope="module")
def shared_page(browser: Browser, mock: Mock) -> Generator[Page]:
    """Open the mock's page through a link on another site, and yield the browser page.

    After the last test, assert that the page wrote nothing to the console and loaded nothing from
    other hosts.
    """
    messages: list[str] = []
    hosts: set[str] = set()
    page = browser.new_page(viewport={"width": 1400, "height": 844}, reduced_motion="reduce")
    other_site = mock.base_url.replace("127.0.0.1", "localhost") + "/wiki"
    link = f'<a href="{mock.base_url}/__admin/docs">mock</a>'
    page.route(other_site, lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto(other_site)

    def record(message: ConsoleMessage) -> None:
        if "/ai/llm/" not in message.location["url"]:  # the browser logs every 4xx from the API
            messages.append(message.text)

    page.on("console", record)
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.get_by_role("link", name="mock").click()
    yield page
    assert messages == []
    assert hosts == {urlsplit(mock.base_url).netloc}
    page.close()


@pytest.fixture
def page(shared_page: Page, mock: Mock) -> Page:
    """Reset the mock, and select the owner, the main id and a valid body on the page."""
    mock.reset()
    user_selector(shared_page).select_option(mock.tokens["owner"])
    example_selector(shared_page, 0).select_option("main")
    shared_page.get_by_label("Request body").fill('{"name": "Clicked"}')
    return shared_page


def user_selector(page: Page) -> Locator:
    """Return the locator for the user selector."""
    return page.get_by_label("Send as")


def answer_selector(page: Page) -> Locator:
    """Return the locator for the planned-response selector."""
    return page.get_by_role("combobox", name="Response", exact=True)


def example_selector(page: Page, number: int) -> Locator:
    """Return the locator for the id selector (`number` 0) or the body selector (`number` 1)."""
    return page.get_by_label("Examples").nth(number)


def send_update(page: Page, status: int, message: str) -> None:
    """Send the update, and assert that the expected response is visible."""
    page.get_by_role("button", name="Execute").click()
    shown = page.locator(".live-responses-table")
    code = shown.locator(".response-col_status").last
    expect(code).to_contain_text(str(status))
    expect(shown).to_contain_text(message)
    expect(code).to_be_in_viewport()


def test_empty_body_is_marked_as_invalid(page: Page, mock: Mock) -> None:
    """The page does not send an empty body. Instead, it adds a red border to the field."""
    body = page.get_by_label("Request body")
    body.fill("")
    page.get_by_role("button", name="Execute").click()
    expect(body).to_have_css("border-color", "rgb(249, 62, 62)")
    assert mock.requests == []


def test_responses_can_be_planned_on_the_page(page: Page, mock: Mock) -> None:
    """Every response offered on the page can be planned. By default, a response is sent once."""
    planned = page.locator("#planned li")
    expect(answer_selector(page)).to_have_value("400")
    answer_selector(page).select_option("503")
    page.get_by_role("button", name="Plan").click()
    expect(planned).to_have_text("503")
    send_update(page, 503, "Service Unavailable")
    expect(planned).to_have_count(0)
    expect(page.locator("#requests li").first).to_contain_text("503 PUT as owner (name)")
    page.get_by_label("Times").fill("2")
    page.get_by_label("Delay (ms)").fill("500")
    offered = answer_selector(page).locator("option").all_text_contents()
    for number, value in enumerate(offered, start=1):
        answer_selector(page).select_option(value)
        page.get_by_role("button", name="Plan").click()
        expect(planned).to_have_count(number)
    assert {"400", "429", "500", "502", "reset", "truncated"} <= set(offered)
    expect(planned.first).to_have_text("400, 2 times, after 500 ms")
    assert len(mock.planned) == len(offered)
    page.get_by_role("button", name="Discard").click()
    expect(planned).to_have_count(0)


def test_log_is_live_and_reset_clears_it(page: Page, mock: Mock) -> None:
    """The page immediately shows requests from other clients. A reset clears the log."""
    put(mock.base_url, mock.ids["main"], {"nme": "x"})
    entry = page.locator("#requests li").first
    expect(entry).to_contain_text("400 PUT as owner")
    expect(entry).to_contain_text("body: has an unknown field")
    put(mock.base_url, mock.ids["main"], {"name": "renamed"})
    page.get_by_role("button", name="Reset the mock").click()
    expect(page.locator("#requests li")).to_have_count(0)
    expect(page.get_by_role("status")).to_have_text("No requests yet.")
    assert mock.configuration(mock.ids["main"])["name"] == "OpenAI in production"


def test_ids_and_tokens_can_be_selected(page: Page, mock: Mock) -> None:
    """Every id and token can be selected, and the response depends on the selection."""
    example_selector(page, 1).select_option("rotateCredentials")
    for user, id, status, message in (
        ("admin", "sibling", 200, "updated successfully"),
        ("reader", "main", 403, "Insufficient permissions"),
        ("owner", "foreign", 403, "Insufficient permissions"),
        ("owner", "unknown", 404, "AI LLM configuration not found"),
        ("expired", "main", 401, "a valid bearer token is required"),
        ("nobody", "main", 401, "a valid bearer token is required"),
    ):
        label = user_selector(page).locator("option").filter(has_text=re.compile(f"^{user}:"))
        user_selector(page).select_option(label=label.text_content())
        example_selector(page, 0).select_option(id)
        send_update(page, status, message)
        page.get_by_role("button", name="Clear", exact=True).click()
    page.reload()  # with `nobody` selected
    send_update(page, 401, "a valid bearer token is required")
    mock.assert_updated(mock.ids["sibling"], key="new-access-key")


def test_path_parameter_can_be_shared_by_all_methods(
    browser: Browser,
    document: dict[str, Any],
    tmp_path: Path,
    flashback_mock_factory: Callable[..., Mock],
) -> None:
    """The page shows parameters that the contract defines once for all methods of a path."""
    changed = copy.deepcopy(document)
    (item,) = changed["paths"].values()
    changed["components"]["parameters"] = {"Id": item["put"].pop("parameters")[0]}
    item["parameters"] = [{"$ref": "#/components/parameters/Id"}]
    file = tmp_path / "contract.yaml"
    file.write_text(json.dumps(changed))
    with browser.new_page() as page:
        page.goto(flashback_mock_factory(file).base_url)
        example_selector(page, 0).select_option("sibling")
        send_update(page, 200, "updated successfully")


def test_page_can_be_used_with_the_keyboard(page: Page, mock: Mock) -> None:
    """An update can be sent using only the keyboard, and the focus is visible.

    Reloading the page keeps the selected user.
    """
    user_selector(page).select_option(mock.tokens["reader"])
    page.reload()
    expect(page.get_by_role("button", name="Execute")).to_be_visible()
    expect(user_selector(page)).to_have_value(mock.tokens["reader"])

    def tab_to(target: Locator) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                assert target.evaluate("element => getComputedStyle(element).outlineWidth") == "3px"
                return
        pytest.fail(f"Tab does not reach {target}")

    tab_to(user_selector(page))
    page.keyboard.type("admin")
    tab_to(page.get_by_label("Request body"))
    tab_to(page.get_by_role("button", name="Execute"))
    page.keyboard.press("Enter")
    entry = page.locator("#requests li")
    expect(entry).to_contain_text("200 PUT as admin (name)")
    expect(entry).to_be_in_viewport()
    tab_to(answer_selector(page))
    tab_to(page.get_by_role("button", name="Plan"))
    page.keyboard.press("Enter")
    expect(page.locator("#planned li")).to_have_count(1)


def test_page_is_accessible(browser: Browser, mock: Mock) -> None:
    """The page fits desktop and phone screens; axe finds no violations in light or dark mode."""
    mock.reset()
    # axe adds styles to the page, and the Content-Security-Policy would block them.
    with browser.new_page(bypass_csp=True, reduced_motion="reduce") as page:
        page.goto(mock.base_url)
        expect(page).to_have_url(mock.base_url + PATH)
        send_update(page, 200, "updated successfully")
        page.get_by_role("button", name="Plan").click()
        expect(page.locator("#planned li")).to_have_count(1)
        page.set_viewport_size({"width": 1400, "height": 844})
        page.emulate_media(color_scheme="light")
        assert_accessible(page, "255, 255, 255")
        page.get_by_role("tab", name="Schema").first.click()
        page.set_viewport_size({"width": 390, "height": 844})
        page.emulate_media(color_scheme="dark")
        assert_accessible(page, "21, 26, 24")


def assert_accessible(page: Page, background: str) -> None:
    """Assert that nothing is wider than the window and that axe finds no violations."""
    expect(page.locator("body")).to_have_css("background-color", f"rgb({background})")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    result = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
    assert result.response["violations"] == []


def test_every_file_has_security_headers(mock: Mock, document: dict[str, Any]) -> None:
    """Every file is served with security headers and the correct media type.

    The Swagger UI files are byte-for-byte identical to swagger-ui-dist 5.33.1 on npm.
    """
    with httpx.Client(base_url=mock.base_url + PATH, trust_env=False) as client:
        for name, media_type in MEDIA_TYPES.items():
            file = client.get(name)
            assert file.headers["Content-Type"] == media_type
            assert {header: file.headers[header] for header in HEADERS} == HEADERS
            if name in BUNDLE:
                assert hashlib.sha256(file.content).hexdigest() == BUNDLE[name]
        assert client.get("page.py").status_code == 404
        shown = client.get("openapi.json").json()
    assert shown == json.loads(json.dumps(document, default=str))
