"""Access: who may update which configuration."""

import pytest

from support import values
from support.backend import ADMIN, FOREIGN_ID, READER, STRANGER, WRITER
from support.promise import Promise


def ask_in_every_way(promise: Promise, id: str, token: str) -> None:
    """Ask with valid bodies in every way to ask, and with invalid bodies."""
    for way in values.ways():
        promise.ask(id=id, token=token, **way)
    for body in values.INVALID:
        promise.ask(id=id, token=token, body=body)


@pytest.mark.clause("update")
@pytest.mark.parametrize("token", [WRITER, ADMIN], ids=["WRITE", "ADMIN"])
def test_member_may_update(promise: Promise, token: str) -> None:
    """A member of this level may update any configuration of the workspace, in any request."""
    promise.need(token)
    for id in promise.backend.own_ids:
        for way in values.ways():
            promise.ask(token=token, id=id, **way)


@pytest.mark.clause("access-levels")
def test_reader_may_not_update(promise: Promise) -> None:
    """A member with READ may not update the configuration, not even with `{}`."""
    promise.need(READER)
    for id in promise.backend.own_ids:
        ask_in_every_way(promise, id, READER)


@pytest.mark.clause("workspace-access")
def test_stranger_may_not_update(promise: Promise) -> None:
    """A user who is not a member of the workspace may not update its configurations."""
    promise.need(STRANGER)
    for id in promise.backend.own_ids:
        ask_in_every_way(promise, id, STRANGER)


@pytest.mark.clause("workspace-access")
def test_foreign_configuration_may_not_be_updated(promise: Promise) -> None:
    """A configuration of another workspace may not be updated, at no level in one's own."""
    id = promise.need(FOREIGN_ID)
    for token in promise.backend.users(WRITER, ADMIN, READER):
        ask_in_every_way(promise, id, token)


@pytest.mark.clause("id")
def test_unknown_id_answers_404(promise: Promise) -> None:
    """An id that no configuration has answers 404 to everybody."""
    for token in promise.backend.users(WRITER, ADMIN, READER, STRANGER):
        ask_in_every_way(promise, values.unique(), token)


@pytest.mark.clause("access-levels")
def test_no_header_gives_access(promise: Promise) -> None:
    """No header or parameter that names a user, a role or a workspace gives access."""
    promise.need(READER)
    others = {"X-Workspace-Id": promise.backend.id, "X-Workspace": "*", "X-Access-Level": "ADMIN"}
    for name, value in (values.TRUSTED_HEADERS | others).items():
        promise.ask(token=READER, headers={name: value}, body={}, words=f"`{name}: {value}`")
    for query in ("admin=true", "role=ADMIN", "access=WRITE", "force=true", "debug=1"):
        promise.ask(token=READER, query=query, body={}, words=f"the query `{query}`")
