"""Access: which users can update which configurations."""

from urllib.parse import urlsplit

import pytest

from support import values
from support.backend import ADMIN, FOREIGN_ID, READER, STRANGER, WRITER
from support.promise import Promise, clause
from support.values import DATA


@clause("update")
@pytest.mark.parametrize("token", [WRITER, ADMIN], ids=["WRITE", "ADMIN"])
def test_member_can_update(promise: Promise, token: str) -> None:
    """A member with this access level can update every configuration in the workspace."""
    promise.need(token)
    for control in promise.run.controls[1:]:  # test_time.py checks controls[0]
        promise.check(control)
    promise.ask("idempotent/again")  # like the last control
    name = values.fresh()
    promise.prepare(body=name)
    promise.ask("unique-names/free", body=name)
    for id in promise.backend.own_ids:
        promise.ask_each(values.variations(), token=token, id=id)
    url = promise.backend.url
    origin = url.removesuffix(urlsplit(url).path)
    for header in ("Origin", "Referer"):  # as sent by a browser application on the same host
        promise.ask(token=token, headers={header: origin}, words=f"`{header}: {origin}`")


def ask_with(promise: Promise, token: str) -> None:
    """Send requests with this token to every configuration in the workspace."""
    promise.need(token)
    promise.ask_each(values.all_variations(), token=token)
    promise.ask(token=token, body=DATA["TRUSTED_FIELDS"])
    name = values.fresh()
    if promise.is_wanted(promise.clause):
        promise.exchange(promise.request(body=name))
    promise.ask(token=token, body=name)  # a forbidden update that would change nothing
    for id in promise.backend.own_ids[1:]:
        promise.ask_each(values.SOME_VARIATIONS, token=token, id=id)


@clause("access-levels")
def test_reader_cannot_update(promise: Promise) -> None:
    """A member with READ access cannot update a configuration, not even with `{}`."""
    ask_with(promise, READER)


@clause("workspace-access")
def test_stranger_cannot_update(promise: Promise) -> None:
    """A user who is not a member of the workspace cannot update its configurations."""
    ask_with(promise, STRANGER)


@clause("workspace-access")
def test_foreign_configuration_cannot_be_updated(promise: Promise) -> None:
    """No member, not even an ADMIN, can update a configuration in another workspace."""
    id = promise.need(FOREIGN_ID)
    promise.ask_each(values.all_variations(), id=id)
    for token in promise.available(ADMIN, READER):
        promise.ask_each(values.SOME_VARIATIONS, id=id, token=token)


@clause("id")
def test_unknown_id_answers_404(promise: Promise) -> None:
    """A request for an unknown id returns 404, no matter which user sends it."""
    promise.ask_each(values.all_variations(), id=promise.backend.unknown_id())
    for token in promise.available(ADMIN, READER, STRANGER):
        promise.ask_each(values.SOME_VARIATIONS, id=promise.backend.unknown_id(), token=token)


@clause("access-levels")
@pytest.mark.parametrize("token", [READER, STRANGER], ids=["READ", "none"])
def test_headers_do_not_grant_access(promise: Promise, token: str) -> None:
    """A header or query parameter that names a user, role or workspace does not grant access."""
    promise.need(token)
    others = {"X-Workspace-Id": promise.backend.id, "X-Workspace": "*", "X-Access-Level": "ADMIN"}
    for name, value in (DATA["TRUSTED_HEADERS"] | others).items():
        promise.ask(token=token, headers={name: value}, words=f"`{name}: {value}`")
    for query in DATA["TRUSTED_QUERIES"]:
        promise.ask(token=token, query=f"?{query}", words=f"the query `{query}`")
