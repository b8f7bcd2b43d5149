"""The page in a real browser: Swagger UI, request log and planned answers, accessible."""

import copy
import hashlib
import json
import re
from collections.abc import Generator
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from multidict import CIMultiDict
from openapi_spec_validator import validate
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    expect,
)

from flashback_mock import Mock
from flashback_mock.http.messages import Request
from flashback_mock.http.page import Page as MockPage

PATH = "/__admin/docs"
ASSETS = ("page.css", "page.js", "icon.svg", "openapi.json", "swagger_bundle.js")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
BUNDLE = {
    "swagger_bundle.js": "050bc415ee7048dcd881682678f720264e7da5e373f7461d7c58c755305255f7",
    "swagger_style.css": "1ac324f7dcd27e4b9386b4bd6421271ec147e922a22c05ba24b11515e9aa6321",
}
Scheme = Literal["light", "dark"]
# Two do for four: what depends on the width does not depend on the colours.
SCREENS: list[tuple[int, Scheme]] = [(1400, "light"), (390, "dark")]
# Swagger UI's own: its title is an h1 outside of its main part, its tags are h3.
TOLERATED = {"heading-order", "region"}


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Generator[BrowserContext]:
    """Yield a window; its width and colour scheme are the parameter, if there is one."""
    width, scheme = getattr(request, "param", SCREENS[0])
    with browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme=scheme,
        reduced_motion="reduce",
        bypass_csp=hasattr(request, "param"),  # axe puts a style into what it measures
    ) as context:
        context.set_default_timeout(10_000)
        yield context


@pytest.fixture
def page(context: BrowserContext, mock: Mock) -> Generator[Page]:
    """Yield the page, ready to use; fail if it logs anything or requests another host."""
    messages: list[str] = []
    hosts: set[str] = set()

    def note(message: ConsoleMessage) -> None:
        if "/ai/llm/" not in message.location["url"]:  # the browser notes each 4xx of the API
            messages.append(f"{message.type}: {message.text}")

    page = context.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(mock.base_url)
    expect(page).to_have_url(mock.base_url + PATH)
    expect(page.get_by_role("button", name="Execute")).to_be_visible()
    yield page
    assert messages == []
    assert hosts == {urlsplit(mock.base_url).netloc}


def role(page: Page) -> Locator:
    """Return the selector of the user."""
    return page.get_by_label("Send as")


def examples(page: Page, number: int) -> Locator:
    """Return the choice of an id (0) or a body (1)."""
    return page.get_by_label("Examples").nth(number)


def expect_answer(page: Page, status: int, message: str) -> None:
    """Fail unless the page shows this answer, in view."""
    shown = page.locator(".live-responses-table")
    expect(shown.locator(".response-col_status").last).to_contain_text(str(status))
    expect(shown).to_contain_text(message)
    expect(shown.locator(".response-col_status").last).to_be_in_viewport()


def test_click_sends_an_update(page: Page, mock: Mock) -> None:
    """A click sends what was typed, as the owner; answer and log entry come into view."""
    page.get_by_label("Request body").fill('{"name": "Clicked"}')
    page.get_by_role("button", name="Execute").click()
    expect_answer(page, 200, "AI LLM configuration updated successfully")
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


def test_answers_are_planned_on_the_page(page: Page) -> None:
    """A planned answer is listed, sent once, and logged with the reason."""
    page.get_by_role("combobox", name="Answer", exact=True).select_option("503")
    page.get_by_role("button", name="Plan").click()
    expect(page.locator("#planned li")).to_have_text("503")
    page.get_by_role("button", name="Execute").click()
    expect_answer(page, 503, "Service Unavailable")
    expect(page.locator("#planned li")).to_have_count(0)
    expect(page.locator("#requests li").first).to_contain_text("503 PUT as owner (name)")
    page.get_by_role("combobox", name="Answer", exact=True).select_option("truncated")
    page.get_by_label("Times").fill("2")
    page.get_by_label("Delay, ms").fill("5")
    page.get_by_role("button", name="Plan").click()
    expect(page.locator("#planned li").first).to_have_text("truncated, after 5 ms")
    page.get_by_role("button", name="Discard").click()
    expect(page.locator("#planned li")).to_have_count(0)


def test_log_is_live_and_reset_clears_it(page: Page, http: httpx.Client, mock: Mock) -> None:
    """Requests of others appear with the reason of a refusal; a click resets the mock."""
    http.put(mock.ids["main"], json={"nme": "x"})
    entry = page.locator("#requests li").first
    expect(entry).to_contain_text("400 PUT as owner")
    expect(entry).to_contain_text("body: has an unknown field")
    http.put(mock.ids["main"], json={"name": "renamed"})
    page.get_by_role("button", name="Reset the mock").click()
    expect(page.locator("#requests li")).to_have_count(0)
    expect(page.get_by_role("status")).to_have_text("No requests yet.")
    assert mock.configuration(mock.ids["main"])["name"] == "OpenAI in production"


def test_link_on_another_site_opens_the_page(context: BrowserContext, mock: Mock) -> None:
    """A click on a link elsewhere opens the page, and a reload keeps the chosen user."""
    page = context.new_page()
    elsewhere = mock.base_url.replace("127.0.0.1", "localhost")
    link = f'<a href="{mock.base_url}/__admin/docs">mock</a>'
    page.route(
        f"{elsewhere}/wiki", lambda route: route.fulfill(body=link, content_type="text/html")
    )
    page.goto(f"{elsewhere}/wiki")
    page.get_by_role("link", name="mock").click()
    expect(page.get_by_role("button", name="Execute")).to_be_visible()
    role(page).select_option(mock.tokens["reader"])
    page.reload()
    expect(page.get_by_role("button", name="Execute")).to_be_visible()
    expect(role(page)).to_have_value(mock.tokens["reader"])


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
        page.get_by_role("button", name="Execute").click()
        expect_answer(page, status, message)
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
    page.get_by_role("button", name="Execute").click()
    expect_answer(page, 401, "a valid bearer token is required")
    expect(page.locator(".curl")).to_contain_text("Bearer unknown-token")


def test_keyboard_is_enough(page: Page) -> None:
    """The reader is chosen and the update sent without a mouse, with the focus always visible."""

    def tab_to(target: Locator) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                assert target.evaluate("element => getComputedStyle(element).outlineWidth") == "3px"
                return
        pytest.fail(f"Tab does not lead to {target}")

    tab_to(role(page))
    page.keyboard.type("reader")
    tab_to(page.get_by_label("Request body"))
    tab_to(page.get_by_role("button", name="Execute"))
    page.keyboard.press("Enter")
    expect_answer(page, 403, "Insufficient permissions")
    tab_to(page.get_by_role("combobox", name="Answer", exact=True))
    tab_to(page.get_by_role("button", name="Plan"))
    page.keyboard.press("Enter")
    expect(page.locator("#planned li")).to_have_count(1)


@pytest.mark.parametrize("context", SCREENS, indirect=True, ids=str)
def test_page_is_accessible(page: Page) -> None:
    """On desktop and phone, light and dark, nothing is cut off, and axe finds no fault."""
    page.get_by_role("button", name="Execute").click()
    expect_answer(page, 200, "updated successfully")
    page.get_by_role("button", name="Plan").click()
    expect(page.locator("#planned li")).to_have_count(1)
    assert_accessible(page)
    for tab in page.get_by_role("tab", name="Schema").all():
        tab.click()
    assert_accessible(page)


def assert_accessible(page: Page) -> None:
    """Fail if something is wider than the window, or hard to read, to name or to reach."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    result = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
    faults: list[dict[str, Any]] = result.response["violations"]
    assert [fault for fault in faults if fault["id"] not in TOLERATED] == []


def test_colours_follow_the_system(page: Page) -> None:
    """The page is light or dark as the system is, also when that changes."""
    papers: list[tuple[Scheme, str]] = [("dark", "21, 26, 24"), ("light", "255, 255, 255")]
    for scheme, paper in papers:
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("body")).to_have_css("background-color", f"rgb({paper})")


@pytest.mark.parametrize("name", ["", "/", *(f"/{asset}" for asset in ASSETS)])
def test_answers_are_locked_down(mock: Mock, name: str) -> None:
    """Every file has the policy and its exact type, and is revalidated by its tag."""
    answer = httpx.get(mock.base_url + PATH + name, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-cache"
    tag = {"If-None-Match": answer.headers["ETag"]}
    assert httpx.get(mock.base_url + PATH + name, headers=tag, trust_env=False).status_code == 304
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    kinds["json"] = "application/json"
    kind = kinds.get(name.rpartition(".")[2], "text/html")
    assert answer.headers["Content-Type"].split(";")[0] == kind


@pytest.mark.parametrize("name", ["x", "/x", "/page.css/", "//", "/../page.py", "/%2e%2e/page.py"])
def test_no_other_file_is_served(mock: Mock, name: str) -> None:
    """No other file can be read."""
    url = httpx.URL(mock.base_url).copy_with(raw_path=(PATH + name).encode())
    assert httpx.get(url, trust_env=False).status_code == 404


def test_contract_is_shown_with_this_mock(mock: Mock, document: dict[str, Any]) -> None:
    """The page shows the contract with the mock as its server, and its ids as examples."""
    shown = httpx.get(f"{mock.base_url}{PATH}/openapi.json", trust_env=False).json()
    validate(shown)
    assert shown["servers"] == [{"url": "/", "description": "This mock."}]
    parameters = [path["put"]["parameters"] for path in shown["paths"].values()]
    offered = [example["value"] for example in parameters[0][0].pop("examples").values()]
    assert offered[:3] == list(mock.ids.values())
    document = copy.deepcopy(document)  # shared by all tests of the session
    wanted = [path["put"]["parameters"] for path in document["paths"].values()]
    wanted[0][0].pop("example")
    assert {**shown, "servers": []} == {**document, "servers": []}


def test_fixtures_are_escaped(mock: Mock) -> None:
    """Markup in fixtures is shown as text."""
    odd = "\"><script>alert('$scheme')</script>"
    token = replace(mock.fixtures.tokens[0], user=odd, value=odd)
    page = MockPage(mock.contract, replace(mock.fixtures, tokens=(token,)))
    answer = page.answer(Request("GET", PATH, CIMultiDict()))
    assert b"<script>" not in answer.body
    assert json.dumps(odd) not in answer.body.decode()


@pytest.mark.parametrize("name", BUNDLE)
def test_bundle_is_the_reviewed_one(mock: Mock, name: str) -> None:
    """The files of Swagger UI are those of swagger-ui-dist 5.33.1 on npm, byte for byte."""
    content = httpx.get(f"{mock.base_url}{PATH}/{name}", trust_env=False).content
    assert hashlib.sha256(content).hexdigest() == BUNDLE[name]
