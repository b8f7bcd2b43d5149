"""Methods and paths: there is one door."""

import contract
import pytest
from asking import ask, expect, require
from backend import ADMIN, READER, STRANGER, WRITER, under_test

pytestmark = pytest.mark.clause("other methods", "ours: RFC 9110")
METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS")


def expect_405(method: str, query: str = "", **headers: str) -> None:
    """Expect that the method is refused, and that Allow names PUT instead."""
    exchange = ask(method=method, query=query, headers=headers)
    allowed = {m.strip() for m in exchange.response.headers.get("Allow", "").split(",")}
    wanted = (405, 200, 204) if method == "OPTIONS" else (405,)
    good = exchange.status in wanted and "PUT" in allowed and method not in allowed - {"OPTIONS"}
    came = f"{exchange.status}, Allow {allowed}"
    require(good, exchange, f"{wanted[0]} with Allow: PUT", came)


def test_other_method_answers_405() -> None:
    """Every other method answers 405 and names PUT; OPTIONS may answer 200 or 204 instead."""
    for method in METHODS:
        expect_405(method)
        for token in (None, *filter(under_test.given.get, (ADMIN, READER, STRANGER))):
            exchange = ask(method=method, token=token)
            good = exchange.status in (401, 403, 405) or method == "OPTIONS"
            require(good, exchange, "405, or 401, or 403")


def test_unusual_method_is_no_update() -> None:
    """Methods beyond the usual, known to a server or not, lead to no update and to no failure."""
    for method in ("TRACE", "PROPFIND", "SEARCH", "COPY", "LINK", "PURGE", "LOCK", "UPDATE"):
        exchange = ask(method=method)
        good = exchange.status >= 300 and exchange.status != 500
        require(good, exchange, "405 or another refusal")


def test_method_override_is_ignored() -> None:
    """No header or parameter turns one method into another."""
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        expect_405("POST", **{header: "PUT"})
        for method in ("DELETE", "PATCH", "GET"):
            expect(200, token=WRITER, headers={header: method})
    for name in ("_method", "method", "http_method"):
        expect_405("POST", query=f"{name}=PUT")
        expect(200, query=f"{name}=GET")


@pytest.mark.clause("where", "page")
def test_neighbouring_path_is_no_door() -> None:
    """Paths beside the operation's lead to no update and to no failure."""
    id, path = under_test.id, contract.path_of(under_test.id)
    base = path.rpartition("/")[0]
    beside = [path + end for end in ("/", "/x", ".json", ";v=1", "//", "%20", "%2F", "/update")]
    beside += [before + path for before in ("/api", "/v1", "/v2", "/internal", "/admin", "/test")]
    beside += [base, f"{base}/", f"{base.upper()}/{id}", f"{base}s/{id}", f"{base}//x"]
    for other in beside:
        exchange = ask(path=other)
        require(300 <= exchange.status < 500, exchange, "no door at this path")
