"""Methods and paths: only PUT requests to the operation's path update a configuration.

The tests never send DELETE, because it would permanently delete the configuration.
"""

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from support import contract, values
from support.backend import ADMIN, READER, STRANGER, WRITER
from support.exchange import UUID
from support.promise import Promise, clause
from support.rule import RULES

pytestmark = clause("other-methods")

OTHER_PATH = "other-paths/other-path"
WITHOUT_BODY = ("GET", "HEAD", "OPTIONS", "TRACE")


def ask(promise: Promise, method: str, **parts: Any) -> None:
    """Send a request with this method."""
    if method in WITHOUT_BODY:
        parts |= {"body": b"", "headers": {"Content-Type": None}}
    promise.ask(f"other-methods/{method}", method=method, **parts)


def test_other_method_updates_nothing(promise: Promise) -> None:
    """No common method except PUT updates the configuration, and a 405 lists PUT in `Allow`."""
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PATCH"):
        for token in (None, *promise.available(WRITER, ADMIN, READER, STRANGER)):
            ask(promise, method, token=token)
    # The media type may be checked before the method.
    patch = RULES["other-methods/PATCH"]
    rule = replace(patch, statuses=patch.statuses | {400, 415})
    headers = {"Content-Type": "application/merge-patch+json"}
    promise.ask(rule, method="PATCH", headers=headers)


def test_unusual_method_updates_nothing(promise: Promise) -> None:
    """A request with an uncommon or unknown method updates nothing and causes no server error."""
    for method in ("TRACE", "PROPFIND", "SEARCH", "QUERY", "LINK", "UPDATE"):
        ask(promise, method)


def test_method_override_is_ignored(promise: Promise) -> None:
    """No header, query parameter or field overrides the request method."""
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        ask(promise, "POST", headers={header: "PUT"}, words=f"`{header}: PUT`")
    for name in ("_method", "method", "http_method"):
        ask(promise, "POST", query=f"?{name}=PUT", words=f"the query `{name}=PUT`")
        promise.ask(query=f"?{name}=GET", words=f"the query `{name}=GET`")
    body = {**promise.backend.body, "_method": "PUT"}
    ask(promise, "POST", body=body, words="the field `_method`: `PUT`")


@clause("other-paths")
def test_similar_path_gets_the_same_checks(promise: Promise) -> None:
    """Requests to similar paths never cause a 5xx and cannot bypass the access checks."""
    id = quote(promise.backend.id, safe="")
    similar_paths = values.expand("NEARBY_PATHS", id)
    if UUID.fullmatch(id):  # other notations may work, but must not bypass the checks
        for notation in (id.upper(), id.replace("-", ""), f"urn:uuid:{id}"):
            similar_paths.append(contract.path_with(notation))
    for other in similar_paths:
        words = f"the path `{other.replace(id, '{id}')}`"
        nearby: dict[str, Any] = {"path": other, "place": OTHER_PATH, "body": {}, "words": words}
        promise.ask("other-paths/nearby", **nearby)
        for token in (None, *promise.available(READER, STRANGER)):
            promise.ask(token=token, **nearby)
    promise.need_empty_updates()
