"""Methods and paths: only PUT requests to the operation's path update a configuration.

The tests never send DELETE, because it would permanently delete the configuration.
"""

from typing import Any
from urllib.parse import quote

from support import values
from support.backend import ADMIN, READER, STRANGER, WRITER
from support.expectation import REJECTIONS
from support.promise import Promise, clause
from support.rule import Rule

pytestmark = clause("other-methods")

# The vendor may offer operations with these methods. With the bodies that the tests send, such an
# operation can only read or update the configuration.
READING = ("GET", "HEAD", "OPTIONS")
WRITING = ("POST", "PATCH")
UNUSUAL = ("TRACE", "PROPFIND", "SEARCH", "QUERY", "LINK", "UPDATE")
READS = frozenset({200, 204, 206})
# Here, any 2xx is a success; other tests check which 2xx an update returns.
SUCCESSES = frozenset(range(200, 300))


def ask(promise: Promise, method: str, **parts: Any) -> None:
    """Send a request with the method."""
    statuses = {401, 403, 404, 405, 501}
    if method in UNUSUAL:
        statuses.add(400)
    if "Content-Type" in parts.get("headers", {}):
        statuses |= {400, 415}  # the media type may be checked before the method
    if method in READING:
        statuses |= READS
    words = f"the method `{method}`"
    rule = Rule(f"other-methods/{method}", words, statuses, has_documented_form=False)
    if method in WRITING:
        parts = {"body": {}, **parts}
    else:
        parts |= {"body": b"", "headers": {"Content-Type": None}}
    promise.ask(rule, method=method, **parts)


def test_other_method_updates_nothing(promise: Promise) -> None:
    """No common method except PUT updates the configuration, and a 405 lists PUT in `Allow`."""
    for method in (*READING, *WRITING):
        for token in (None, *promise.available(WRITER, ADMIN, READER, STRANGER)):
            ask(promise, method, token=token)
    ask(promise, "PATCH", headers={"Content-Type": "application/merge-patch+json"})


def test_unusual_method_updates_nothing(promise: Promise) -> None:
    """A request with an uncommon or unknown method updates nothing and causes no server error."""
    for method in UNUSUAL:
        ask(promise, method)


def test_method_override_is_ignored(promise: Promise) -> None:
    """No header, query parameter or field overrides the request method."""
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        ask(promise, "POST", headers={header: "PUT"}, words=f"`{header}: PUT`")
        for method in ("PATCH", "GET"):
            promise.ask(headers={header: method}, body={}, words=f"`{header}: {method}`")
    for name in ("_method", "method", "http_method"):
        ask(promise, "POST", query=f"?{name}=PUT", words=f"the query `{name}=PUT`")
        promise.ask(query=f"?{name}=GET", body={}, words=f"the query `{name}=GET`")
    ask(promise, "POST", body={"_method": "PUT"}, words="the field `_method`: `PUT`")


OTHER_PATH = Rule("other-paths/other-path", "a nearby path", REJECTIONS, has_documented_form=False)


@clause("other-paths")
def test_nearby_path_has_the_same_checks(promise: Promise) -> None:
    """Requests to similar paths never cause a 5xx and cannot bypass the access checks."""
    id = quote(promise.backend.id, safe="")
    for other in values.expand("NEARBY_PATHS", id):
        words = f"the path `{other.replace(id, '{id}')}`"
        rule = Rule("other-paths/nearby", words, REJECTIONS | SUCCESSES, has_documented_form=False)
        promise.ask(rule, path=other, place=OTHER_PATH, body={})
        for token in (None, *promise.available(READER, STRANGER)):
            promise.ask(path=other, place=OTHER_PATH, token=token, body={}, words=words)
