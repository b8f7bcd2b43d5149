"""Browser tests for verdict.html."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect

from reports.rendering import render
from tests.reports.samples import ALL, Verdict, accepted, broken, kept, not_tested

# With bypass_csp, axe can inject a style sheet.
DESKTOP = {"viewport": {"width": 1280, "height": 844}, "bypass_csp": True}
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "bypass_csp": True}
Open = Callable[[Verdict], Page]

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def page(browser: Browser, request: pytest.FixtureRequest) -> Generator[Page]:
    """Yield a browser page for several tests; the optional parameter sets the context's options."""
    options = getattr(request, "param", {})
    clipboard = ["clipboard-read", "clipboard-write"]
    with browser.new_context(permissions=clipboard, **options) as context:
        context.set_default_timeout(30_000)
        yield context.new_page()


@pytest.fixture
def show(page: Page, tmp_path: Path) -> Generator[Open]:
    """Yield a function that opens a verdict's page; the page must not log or load anything."""
    logged: list[str] = []

    def log(message: ConsoleMessage | Error) -> None:
        logged.append(str(message))

    def show(verdict: Verdict) -> Page:
        file = tmp_path / "verdict.html"
        file.write_text(render("verdict.html", verdict), "utf-8")
        page.goto(file.as_uri())
        return page

    page.on("console", log)
    page.on("pageerror", log)
    yield show
    page.remove_listener("console", log)
    page.remove_listener("pageerror", log)
    assert logged == []  # the policy blocks everything that the page would load, and logs it


@pytest.mark.parametrize("page", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_page_is_accessible(show: Open, make: Callable[[], Verdict]) -> None:
    """On desktops and phones, the expanded page is accessible and does not scroll sideways."""
    page = show(make())
    page.evaluate("for (const item of document.querySelectorAll('details')) item.open = true")
    results = Axe().run(page, options={"resultTypes": ["violations"]})
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_result_is_visible_without_scrolling(show: Open) -> None:
    """The result and the table of findings by source are visible without scrolling."""
    page = show(broken())
    expect(page.get_by_role("heading", level=1)).to_have_text("The contract is broken")
    counts = " ".join(page.locator(".counts").inner_text().split())
    expected = "findings 7 promises kept 11 broken 6 not tested 1 duration 23.8 s requests 3,242"
    assert counts == expected
    table = page.get_by_role("table", name="Findings by source")
    expect(table.get_by_role("row", name="ours")).to_have_text("ours500")
    expect(table).to_be_in_viewport()


def test_finding_card_has_all_details(show: Open) -> None:
    """A finding's card shows the requests, the id, the clause and its line in openapi.yaml."""
    page = show(broken())
    assert page.get_by_role("article").count() == len(broken()["findings"])
    card = page.get_by_role("article").filter(has_text="key: 8,193 characters")
    for text in (
        "key: 8,193 characters (maxLength is 8,192)",
        "Values shorter than minLength or longer than maxLength are rejected",
        "line 239 of openapi.yaml",
        "17 requests",
        "-k test_rejected_update_changes_nothing",
        "lengths/key-maxLength/200",
        "bodies/lengths-key-maxLength-200-1-0.bin",
    ):
        expect(card).to_contain_text(text)


def test_curl_command_can_be_copied(show: Open) -> None:
    """The button copies the whole curl command, and its label changes to `Copied`."""
    page = show(broken())
    button = page.get_by_role("article").first.get_by_label("Copy the curl command").first
    button.click()
    expect(button).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == broken()["findings"][0]["examples"][0]["curl"]


def test_filter_finds_promises(show: Open) -> None:
    """Promises can be filtered by text and outcome. Families that contain a match are expanded."""
    page = show(broken())
    promises = page.locator("#promises li").filter(visible=True)
    page.get_by_role("searchbox").fill("maximum length")
    expect(promises).to_have_count(0)
    page.get_by_role("searchbox").fill("KEY invalid_value")
    expect(promises).to_have_count(1)
    expect(page.get_by_role("status")).to_have_text("1 shown")
    page.get_by_role("searchbox").fill("")
    page.get_by_label("kept", exact=True).uncheck()
    expect(promises).to_have_count(7)
    page.get_by_label("kept", exact=True).check()
    expect(page.get_by_role("status")).to_have_text("")
    page = show(kept())
    expect(promises).to_have_count(0)
    page.get_by_role("searchbox").fill("unknown_field")
    expect(promises).to_have_count(1)


def test_promise_links_to_its_finding(show: Open) -> None:
    """Links from a promise to its findings work even though the ids contain slashes."""
    page = show(broken())
    for title in ("A body of 262,145 bytes", "A body of 327,775 bytes"):
        page.locator("#promises").get_by_role("link", name=title).click()
        expect(page.locator("article:target").get_by_role("heading")).to_contain_text(title)


def test_untested_promises_have_a_reason(show: Open) -> None:
    """Untested promises are grouped by reason."""
    section = show(not_tested()).locator("#not-tested")
    group = section.locator("details").filter(has_text="set FLASHBACK_READER_TOKEN")
    expect(group.locator("summary")).to_contain_text("a token for a READ member 1 promise")
    group.locator("summary").click()
    expect(group.get_by_role("listitem")).to_contain_text("test_reader_cannot_update")


def test_accepted_deviation_shows_its_entry(show: Open) -> None:
    """The heading mentions the accepted deviation; the card shows its reason, date and link."""
    page = show(accepted())
    result = "The contract is kept except for 1 accepted deviation"
    expect(page.get_by_role("heading", level=1)).to_have_text(result)
    card = page.get_by_role("article")
    expect(card).to_contain_text("2026-11-23: readers may update until roles are implemented")
    expect(card.get_by_role("link")).to_have_attribute("href", "https://tracker.example/1")


def test_text_from_the_backend_is_escaped(show: Open) -> None:
    """Scripts and escape sequences in a response are shown as plain text."""
    page = show(broken())
    page.get_by_text("Response: 500 Internal Server Error").first.click()
    expect(page.get_by_text(r"KeyError: \x1b[31m<script>alert(1)</script>").first).to_be_visible()


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
def test_page_works_without_scripts(show: Open) -> None:
    """Without JavaScript, the page is readable and has no buttons or filter."""
    page = show(broken())
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("searchbox")).to_have_count(0)
    page.get_by_text("Response: 401 Unauthorized").first.click()
    expect(page.get_by_text("a valid bearer token is required").first).to_be_visible()


def test_policy_blocks_injected_scripts(page: Page, tmp_path: Path) -> None:
    """The content security policy blocks scripts injected into the page."""
    file = tmp_path / "verdict.html"
    text = render("verdict.html", kept())
    injected = "<script>document.title = 'x'</script></main>"
    file.write_text(text.replace("</main>", injected), "utf-8")
    page.goto(file.as_uri())
    expect(page).to_have_title("The contract is kept · http://127.0.0.1:8000")
