"""The page in a real browser: Swagger UI, request log and planned answers, accessible."""

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

from flashback_mock import Contract, Mock
from tests.mock.wire import put

PATH = "/__admin/docs"
FILES = {
    "": "text/html",
    "/": "text/html",
    "/page.css": "text/css",
    "/page.js": "text/javascript",
    "/icon.svg": "image/svg+xml",
    "/openapi.json": "application/json",
    "/swagger_bundle.js": "text/javascript",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
BUNDLE = {
    "swagger_bundle.js": "050bc415ee7048dcd881682678f720264e7da5e373f7461d7c58c755305255f7",
    "swagger_style.css": "1ac324f7dcd27e4b9386b4bd6421271ec147e922a22c05ba24b11515e9aa6321",
}
# Swagger UI's own: its title is an h1 outside of its main part, its tags are h3.
TOLERATED = {"heading-order", "region"}

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def mock(flashback_mock_factory: Callable[..., Mock]) -> Mock:
    """Return one mock for all tests in this module."""
    return flashback_mock_factory()


@pytest.fixture(scope="module")
def opened(browser: Browser, mock: Mock) -> Generator[Page]:
    """Yield the page, opened by a link on another site; fail if it logs or loads anything else."""
    messages: list[str] = []
    hosts: set[str] = set()
    page = browser.new_page(viewport={"width": 1400, "height": 844}, reduced_motion="reduce")
    elsewhere = mock.base_url.replace("127.0.0.1", "localhost") + "/wiki"
    link = f'<a href="{mock.base_url}/__admin/docs">mock</a>'
    page.route(elsewhere, lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto(elsewhere)

    def note(message: ConsoleMessage) -> None:
        if "/ai/llm/" not in message.location["url"]:  # the browser notes each 4xx of the API
            messages.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.get_by_role("link", name="mock").click()
    yield page
    assert messages == []
    assert hosts == {urlsplit(mock.base_url).netloc}
    page.close()


@pytest.fixture
def page(opened: Page, mock: Mock) -> Page:
    """Return the page of a fresh mock, as the owner, with a valid body for the main id."""
    mock.reset()
    role(opened).select_option(mock.tokens["owner"])
    examples(opened, 0).select_option("main")
    opened.get_by_label("Request body").fill('{"name": "Clicked"}')
    return opened


def role(page: Page) -> Locator:
    """Return the selector of the user."""
    return page.get_by_label("Send as")


def answer(page: Page) -> Locator:
    """Return the selector of the answer to plan."""
    return page.get_by_role("combobox", name="Answer", exact=True)


def examples(page: Page, number: int) -> Locator:
    """Return the selector of an example id (0) or an example body (1)."""
    return page.get_by_label("Examples").nth(number)


def execute(page: Page, status: int, message: str) -> None:
    """Send the update; fail unless the page shows this answer, in view."""
    page.get_by_role("button", name="Execute").click()
    shown = page.locator(".live-responses-table")
    code = shown.locator(".response-col_status").last
    expect(code).to_contain_text(str(status))
    expect(shown).to_contain_text(message)
    expect(code).to_be_in_viewport()


def test_click_sends_an_update(page: Page, mock: Mock) -> None:
    """A click sends what was typed, as the owner; answer and log entry come into view."""
    execute(page, 200, "AI LLM configuration updated successfully")
    mock.assert_updated(mock.ids["main"], name="Clicked")
    entry = page.locator("#requests li")
    expect(entry).to_contain_text("200 PUT as owner (name)")
    expect(entry).to_be_in_viewport()


def test_empty_body_is_visibly_invalid(page: Page, mock: Mock) -> None:
    """A body that Swagger UI refuses to send has a red border, its only sign of an error."""
    body = page.get_by_label("Request body")
    body.fill("")
    page.get_by_role("button", name="Execute").click()
    expect(body).to_have_css("border-color", "rgb(249, 62, 62)")
    assert mock.requests == []


def test_answers_are_planned_on_the_page(page: Page, mock: Mock) -> None:
    """Every answer that the page offers can be planned; by default it is sent once, and logged."""
    planned = page.locator("#planned li")
    expect(answer(page)).to_have_value("400")
    answer(page).select_option("503")
    page.get_by_role("button", name="Plan").click()
    expect(planned).to_have_text("503")
    execute(page, 503, "Service Unavailable")
    expect(planned).to_have_count(0)
    expect(page.locator("#requests li").first).to_contain_text("503 PUT as owner (name)")
    page.get_by_label("Times").fill("2")
    page.get_by_label("Delay (ms)").fill("500")
    offered = answer(page).locator("option").all_text_contents()
    for number, value in enumerate(offered, start=1):
        if value == "timeout":  # excludes a delay
            page.get_by_label("Delay (ms)").fill("0")
        answer(page).select_option(value)
        page.get_by_role("button", name="Plan").click()
        expect(planned).to_have_count(number)
    assert {"400", "429", "500", "502", "reset", "truncated"} <= set(offered)
    expect(planned.first).to_have_text("400, 2 times, after 500 ms")
    assert len(mock.plans.planned) == len(offered)
    page.get_by_role("button", name="Discard").click()
    expect(planned).to_have_count(0)


def test_log_is_live_and_reset_clears_it(page: Page, mock: Mock) -> None:
    """Requests from others appear with the reason for a refusal; a click resets the mock."""
    put(mock.base_url, mock.ids["main"], {"nme": "x"})
    entry = page.locator("#requests li").first
    expect(entry).to_contain_text("400 PUT as owner")
    expect(entry).to_contain_text("body: has an unknown field")
    put(mock.base_url, mock.ids["main"], {"name": "renamed"})
    page.get_by_role("button", name="Reset the mock").click()
    expect(page.locator("#requests li")).to_have_count(0)
    expect(page.get_by_role("status")).to_have_text("No requests yet.")
    assert mock.configuration(mock.ids["main"])["name"] == "OpenAI in production"


def test_ids_and_tokens_are_offered(page: Page, mock: Mock) -> None:
    """Every id and token can be selected, to get every response that depends on them."""
    examples(page, 1).select_option("rotateCredentials")
    for user, id, status, message in (
        ("admin", "sibling", 200, "updated successfully"),
        ("reader", "main", 403, "Insufficient permissions"),
        ("owner", "foreign", 403, "Insufficient permissions"),
        ("owner", "unknown", 404, "AI LLM configuration not found"),
        ("expired", "main", 401, "a valid bearer token is required"),
        ("nobody", "main", 401, "a valid bearer token is required"),
    ):
        label = role(page).locator("option").filter(has_text=re.compile(f"^{user}:"))
        role(page).select_option(label=label.text_content())
        examples(page, 0).select_option(id)
        execute(page, status, message)
        page.get_by_role("button", name="Clear", exact=True).click()
    mock.assert_updated(mock.ids["sibling"], key="new-access-key")


def test_any_token_can_be_given(page: Page) -> None:
    """Another token can be typed into Swagger UI's own dialog, and the bar says so."""
    role(page).select_option("")
    page.get_by_role("button", name="Authorize").click()
    page.get_by_label("auth-bearer-value").fill("unknown-token")
    page.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").click()
    expect(role(page)).to_have_value("other")
    execute(page, 401, "a valid bearer token is required")
    expect(page.locator(".curl")).to_contain_text("Bearer unknown-token")


def test_keyboard_is_enough_also_after_a_reload(page: Page, mock: Mock) -> None:
    """An update can be sent by keyboard, with visible focus; a reload keeps the selected user."""
    role(page).select_option(mock.tokens["reader"])
    page.reload()
    expect(page.get_by_role("button", name="Execute")).to_be_visible()
    expect(role(page)).to_have_value(mock.tokens["reader"])

    def tab_to(target: Locator) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                assert target.evaluate("element => getComputedStyle(element).outlineWidth") == "3px"
                return
        pytest.fail(f"Tab does not lead to {target}")

    tab_to(role(page))
    page.keyboard.type("admin")
    tab_to(page.get_by_label("Request body"))
    tab_to(page.get_by_role("button", name="Execute"))
    page.keyboard.press("Enter")
    expect(page.locator("#requests li")).to_contain_text("200 PUT as admin")
    tab_to(answer(page))
    tab_to(page.get_by_role("button", name="Plan"))
    page.keyboard.press("Enter")
    expect(page.locator("#planned li")).to_have_count(1)


def test_page_is_accessible(browser: Browser, mock: Mock) -> None:
    """On desktop and phone, light and dark, nothing is cut off, and axe finds no fault."""
    mock.reset()
    # axe puts a style into what it measures, which the policy forbids.
    with browser.new_page(bypass_csp=True, reduced_motion="reduce") as page:
        page.goto(mock.base_url)
        expect(page).to_have_url(mock.base_url + PATH)
        execute(page, 200, "updated successfully")
        page.get_by_role("button", name="Plan").click()
        expect(page.locator("#planned li")).to_have_count(1)
        page.set_viewport_size({"width": 1400, "height": 844})
        page.emulate_media(color_scheme="light")
        assert_accessible(page, "255, 255, 255")
        page.get_by_role("tab", name="Schema").first.click()
        page.set_viewport_size({"width": 390, "height": 844})
        page.emulate_media(color_scheme="dark")
        assert_accessible(page, "21, 26, 24")


def assert_accessible(page: Page, paper: str) -> None:
    """Fail if anything is wider than the window, or if axe finds a violation."""
    expect(page.locator("body")).to_have_css("background-color", f"rgb({paper})")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    result = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
    faults: list[dict[str, Any]] = result.response["violations"]
    assert [fault for fault in faults if fault["id"] not in TOLERATED] == []


def test_recursive_schema_is_shown(
    browser: Browser,
    flashback_mock_factory: Callable[..., Mock],
    document: dict[str, Any],
    tmp_path: Path,
) -> None:
    """A contract with a schema that contains itself is shown like any other."""
    recursive = copy.deepcopy(document)
    error = recursive["components"]["schemas"]["ErrorResponse"]
    error["properties"]["cause"] = {"$ref": "#/components/schemas/ErrorResponse"}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(recursive, default=str))
    other = flashback_mock_factory(contract=Contract(file))
    with browser.new_page(reduced_motion="reduce") as page:
        page.goto(other.base_url)
        execute(page, 200, "updated successfully")


def test_files_are_locked_down(mock: Mock, document: dict[str, Any]) -> None:
    """Every file has the policy and its exact type, and is revalidated by its ETag."""
    with httpx.Client(base_url=mock.base_url + PATH, trust_env=False) as client:
        for path, media_type in FILES.items():
            url = mock.base_url + PATH + path
            file = client.get(url)
            assert file.headers["Content-Type"].split(";")[0] == media_type
            assert {name: file.headers[name] for name in HEADERS} == HEADERS
            tag = {"If-None-Match": file.headers["ETag"]}
            assert client.get(url, headers=tag).status_code == 304
        shown = client.get("openapi.json").json()
    assert shown == json.loads(json.dumps(document, default=str))


@pytest.mark.parametrize("name", ["x", "/x", "/page.css/", "//", "/../page.py", "/%2e%2e/page.py"])
def test_no_other_file_is_served(mock: Mock, name: str) -> None:
    """No other file can be read."""
    url = httpx.URL(mock.base_url).copy_with(raw_path=(PATH + name).encode())
    assert httpx.get(url, trust_env=False).status_code == 404


@pytest.mark.parametrize("name", BUNDLE)
def test_bundle_is_the_reviewed_one(mock: Mock, name: str) -> None:
    """The files of Swagger UI are those of swagger-ui-dist 5.33.1 on npm, byte for byte."""
    content = httpx.get(f"{mock.base_url}{PATH}/{name}", trust_env=False).content
    assert hashlib.sha256(content).hexdigest() == BUNDLE[name]
