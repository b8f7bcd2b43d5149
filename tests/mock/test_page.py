"""The interactive page, in a real browser: it works, it is quiet, and everybody can use it."""

import copy
import json
import re
from collections.abc import Generator
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from flashback_mock import Mock
from flashback_mock.docs import Docs
from openapi_spec_validator import validate
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    expect,
    sync_playwright,
)

PATH = "/__admin/docs"
ASSETS = ("page.css", "page.js", "icon.svg", "openapi.json", "swagger_bundle.js")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
Scheme = Literal["light", "dark"]
# Two do for four: what depends on the width does not depend on the colours.
SCREENS: list[tuple[int, Scheme]] = [(1280, "light"), (390, "dark")]
# Swagger UI's own: its title is an h1 outside of its main part, its tags are h3.
TOLERATED = {"heading-order", "region"}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Generator[Browser]:
    """A headless Chromium; without its sandbox, which root cannot have."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        yield browser


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Generator[BrowserContext]:
    """A browser's window; its width and colour scheme are the parameter, if there is one."""
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
    """The page, ready to be used; it says nothing in the console and asks nobody but the mock."""
    said: list[str] = []
    asked: set[str] = set()

    def note(message: ConsoleMessage) -> None:
        if "/ai/llm/" not in message.location["url"]:  # the browser notes each 4xx of the API
            said.append(f"{message.type}: {message.text}")

    page = context.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page.goto(mock.base_url)
    expect(page).to_have_url(mock.base_url + PATH)
    expect(page.get_by_role("button", name="Execute")).to_be_visible()
    yield page
    assert said == []
    assert asked == {urlsplit(mock.base_url).netloc}


def role(page: Page) -> Locator:
    """The choice of whose token is sent."""
    return page.get_by_label("Send as")


def examples(page: Page, number: int) -> Locator:
    """The choice of an id (0) or a body (1)."""
    return page.get_by_label("Examples").nth(number)


def expect_answer(page: Page, status: int, message: str) -> None:
    """Fail unless the page shows this answer to what was sent."""
    shown = page.locator(".live-responses-table")
    expect(shown.locator(".response-col_status").last).to_have_text(str(status))
    expect(shown).to_contain_text(message)


def test_update_is_sent_by_clicking(page: Page, mock: Mock) -> None:
    """A click sends what was typed, as the owner; the answer is shown, and the journal has it."""
    page.get_by_label("Request body").fill('{"name": "Clicked"}')
    page.get_by_role("button", name="Execute").click()
    expect_answer(page, 200, "AI LLM configuration updated successfully")
    mock.assert_updated(mock.ids["main"], name="Clicked")
    assert [(entry.method, entry.status, entry.user) for entry in mock.requests] == [
        ("PUT", 200, "owner")
    ]


def test_ids_and_tokens_are_offered(page: Page, mock: Mock) -> None:
    """Every id and token can be chosen, and so every answer that depends on them be seen."""
    examples(page, 1).select_option("rotateCredentials")
    for who, which, status, message in (
        ("admin", "sibling", 200, "updated successfully"),
        ("reader", "main", 403, "Insufficient permissions"),
        ("owner", "foreign", 403, "Insufficient permissions"),
        ("owner", "unknown", 404, "AI LLM configuration not found"),
        ("expired", "main", 401, "a valid bearer token is required"),
        ("nobody", "main", 401, "a valid bearer token is required"),
    ):
        label = role(page).locator("option").filter(has_text=re.compile(f"^{who}:"))
        role(page).select_option(label=label.text_content())
        examples(page, 0).select_option(which)
        page.get_by_role("button", name="Execute").click()
        expect_answer(page, status, message)
        page.get_by_role("button", name="Clear").click()
    mock.assert_updated(mock.ids["sibling"], key="new-access-key")


def test_any_token_can_be_given(page: Page) -> None:
    """A token that is not offered goes into Swagger UI's own dialog, and the bar says so."""
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
    """Without a mouse: the reader is chosen and the update sent, with the focus always visible."""

    def tab_to(target: Locator) -> None:
        for _ in range(40):
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


@pytest.mark.parametrize("context", SCREENS, indirect=True, ids=str)
def test_everybody_can_use_it(page: Page) -> None:
    """On a phone as on a desktop, dark as light: nothing is cut off, and axe finds no fault."""
    page.get_by_role("button", name="Execute").click()
    expect_answer(page, 200, "updated successfully")
    judge(page)
    for tab in page.get_by_role("tab", name="Schema").all():
        tab.click()
    judge(page)


def judge(page: Page) -> None:
    """Fail if something is wider than the window, or hard to read, to name or to reach."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
    faults: list[dict[str, Any]] = found.response["violations"]
    assert [fault for fault in faults if fault["id"] not in TOLERATED] == []


def test_colours_follow_the_system(page: Page) -> None:
    """The page is light or dark as the system is, also when that changes."""
    papers: list[tuple[Scheme, str]] = [("dark", "21, 26, 24"), ("light", "255, 255, 255")]
    for scheme, paper in papers:
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("body")).to_have_css("background-color", f"rgb({paper})")


@pytest.mark.parametrize("name", ["", "/", *(f"/{asset}" for asset in ASSETS)])
def test_answers_are_locked_down(mock: Mock, name: str) -> None:
    """Every part comes with the policy, its exact type, and the request to keep nothing."""
    answer = httpx.get(mock.base_url + PATH + name, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    kinds["json"] = "application/json"
    kind = kinds.get(name.rpartition(".")[2], "text/html")
    assert answer.headers["Content-Type"].split(";")[0] == kind


@pytest.mark.parametrize("name", ["x", "/x", "/page.css/", "//", "/../docs.py", "/%2e%2e/docs.py"])
def test_nothing_else_is_there(mock: Mock, name: str) -> None:
    """No other file can be read."""
    url = httpx.URL(mock.base_url).copy_with(raw_path=(PATH + name).encode())
    assert httpx.get(url, trust_env=False).status_code == 404


def test_contract_is_shown_with_this_mock(mock: Mock, document: dict[str, Any]) -> None:
    """It is the contract, valid, but for its servers and the examples of its id."""
    shown = httpx.get(f"{mock.base_url}{PATH}/openapi.json", trust_env=False).json()
    validate(shown)
    assert shown["servers"] == [{"url": "/", "description": "This mock."}]
    parameters = [path["put"]["parameters"] for path in shown["paths"].values()]
    offered = [example["value"] for example in parameters[0][0].pop("examples").values()]
    assert offered[:3] == list(mock.ids.values())
    document = copy.deepcopy(document)  # it is for all tests of the session
    wanted = [path["put"]["parameters"] for path in document["paths"].values()]
    wanted[0][0].pop("example")
    assert {**shown, "servers": []} == {**document, "servers": []}


def test_fixtures_are_text(mock: Mock) -> None:
    """What the fixtures say is shown as text, whatever it is."""
    odd = "\"><script>alert('$scheme')</script>"
    token = replace(mock.fixtures.tokens[0], user=odd, value=odd)
    answer = Docs(mock.contract, replace(mock.fixtures, tokens=(token,))).answer()
    assert b"<script>" not in bytes(answer.body)
    assert json.dumps(odd) not in bytes(answer.body).decode()
