"""Access: which users can update which configurations."""

import pytest

from support import values
from support.backend import ADMIN, FOREIGN_ID, READER, STRANGER, WRITER
from support.promise import Promise
from support.rules import OWN_NAME, PLAIN


@pytest.mark.clause("update")
@pytest.mark.parametrize("token", [WRITER, ADMIN], ids=["WRITE", "ADMIN"])
def test_member_may_update(promise: Promise, token: str) -> None:
    """A member with this access level can update every configuration in the workspace."""
    promise.need(token)
    for control in promise.run.controls[1:]:  # test_time.py checks controls[0]
        promise.check(control, PLAIN)
    name = values.fresh()
    promise.prepare(body=name)
    promise.ask(OWN_NAME, body=name)
    for id in promise.backend.own_ids:
        promise.ask_each(values.variations(), token=token, id=id)


@pytest.mark.clause("access-levels")
def test_reader_may_not_update(promise: Promise) -> None:
    """A member with READ access cannot update a configuration, not even with `{}`."""
    promise.need(READER)
    promise.ask_each(values.all_variations(), token=READER)
    for id in promise.backend.own_ids[1:]:
        promise.ask_each(values.SOME_VARIATIONS, token=READER, id=id)


@pytest.mark.clause("workspace-access")
def test_stranger_may_not_update(promise: Promise) -> None:
    """A user who is not a member of the workspace cannot update its configurations."""
    promise.need(STRANGER)
    promise.ask_each(values.all_variations(), token=STRANGER)
    for id in promise.backend.own_ids[1:]:
        promise.ask_each(values.SOME_VARIATIONS, token=STRANGER, id=id)


@pytest.mark.clause("workspace-access")
def test_foreign_configuration_may_not_be_updated(promise: Promise) -> None:
    """No member, not even an ADMIN, can update a configuration in another workspace."""
    id = promise.need(FOREIGN_ID)
    promise.ask_each(values.all_variations(), id=id)
    for token in promise.backend.users(ADMIN, READER):
        promise.ask_each(values.SOME_VARIATIONS, id=id, token=token)


@pytest.mark.clause("id")
def test_unknown_id_answers_404(promise: Promise) -> None:
    """A request for an unknown id returns 404, no matter which user sends it."""
    promise.ask_each(values.all_variations(), id=promise.backend.unknown_id())
    for token in promise.backend.users(ADMIN, READER, STRANGER):
        promise.ask_each(values.SOME_VARIATIONS, id=promise.backend.unknown_id(), token=token)


@pytest.mark.clause("access-levels")
@pytest.mark.parametrize("token", [READER, STRANGER], ids=["READ", "none"])
def test_no_header_gives_access(promise: Promise, token: str) -> None:
    """A header or query parameter that names a user, role or workspace does not grant access."""
    promise.need(token)
    others = {"X-Workspace-Id": promise.backend.id, "X-Workspace": "*", "X-Access-Level": "ADMIN"}
    for name, value in (values.DATA["TRUSTED_HEADERS"] | others).items():
        promise.ask(token=token, headers={name: value}, body={}, words=f"`{name}: {value}`")
    for query in values.DATA["TRUSTED_QUERIES"]:
        promise.ask(token=token, query=f"?{query}", body={}, words=f"the query `{query}`")
