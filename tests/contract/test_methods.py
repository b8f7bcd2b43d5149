"""Methods and paths: there is one door."""

import contract
import pytest
from asking import Asker

pytestmark = pytest.mark.clause("other methods", "ours: RFC 9110")
BODY = contract.EXAMPLES["rotateCredentials"]


def expect_405(ask: Asker, method: str, path: str, **headers: str) -> None:
    """Expect that the method is refused, and that Allow names PUT instead."""
    exchange = ask(method=method, path=path, body=BODY, headers=headers)
    allowed = {m.strip() for m in exchange.response.headers.get("Allow", "").split(",")}
    wanted = (405, 200, 204) if method == "OPTIONS" else (405,)
    if exchange.status not in wanted or "PUT" not in allowed or method in allowed - {"OPTIONS"}:
        ask.broken(
            exchange,
            f"expected {wanted[0]} with Allow: PUT, came {exchange.status}, Allow {allowed}",
        )


def test_other_method_answers_405(ask: Asker) -> None:
    """Every other method answers 405 and names PUT; OPTIONS may answer 200 or 204 instead."""
    for method in ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"):
        expect_405(ask, method, ask.path_of(ask.backend.id))


def test_unusual_method_is_no_update(ask: Asker) -> None:
    """Methods beyond the usual, known to a server or not, lead to no update and to no failure."""
    for method in ("TRACE", "PROPFIND", "SEARCH", "COPY", "LINK", "PURGE", "LOCK", "UPDATE"):
        exchange = ask(method=method, path=ask.path_of(ask.backend.id), body=BODY)
        if exchange.status < 300 or exchange.status == 500:
            ask.broken(exchange, f"expected 405 or another refusal, came {exchange.status}")


def test_method_override_is_ignored(ask: Asker) -> None:
    """No header or parameter turns one method into another."""
    path = ask.path_of(ask.backend.id)
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        expect_405(ask, "POST", path, **{header: "PUT"})
        ask.expect(200, headers={header: "DELETE"})
    for query in ("_method=PUT", "method=PUT", "http_method=PUT"):
        expect_405(ask, "POST", f"{path}?{query}")
    ask.expect(200, path=f"{path}?_method=GET")


@pytest.mark.clause("where", "page")
def test_neighbouring_path_is_no_door(ask: Asker) -> None:
    """Paths beside the operation's lead to no update and to no failure."""
    path = ask.path_of(ask.backend.id)
    base = path.rpartition("/")[0]
    beside = [path + "/", path + "/x", path + ".json", path + ";v=1", base, base + "/", path + "//"]
    beside += [
        f"{base.upper()}/{ask.backend.id}",
        f"/api{path}",
        f"/v1{path}",
        f"{base}s/{ask.backend.id}",
        f"{base}//x",
    ]
    for other in beside:
        exchange = ask(path=other, body=BODY)
        if exchange.status < 300 or exchange.status >= 500:
            ask.broken(exchange, f"expected no door at this path, came {exchange.status}")
