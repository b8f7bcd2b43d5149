"""Access: who may update which configuration."""

from collections.abc import Callable
from typing import Any

import contract
import pytest
import values
from asking import Asker
from backend import ADMIN, FOREIGN_ID, READER, SIBLING_ID, STRANGER, WRITER, Backend
from settings import current

Need = Callable[[str], str]
VALID: list[Any] = [*contract.EXAMPLES.values(), *({f: "x"} for f in contract.CREDENTIALS)]
INVALID: list[Any] = [{"name": ""}, {"unknown": "field"}, {"aiType": None}, b"{", b"", []]


def expect_for_any_body(ask: Asker, status: int, **asked: Any) -> None:
    """Expect a status for every valid body; for an invalid one 400 may come first."""
    for body in VALID:
        ask.expect(status, body=body, **asked)
    for body in INVALID:
        ask.expect(status, 400, body=body, **asked)


@pytest.mark.clause("access levels", "page, vendor, ours")
def test_writer_may_update(ask: Asker) -> None:
    """A member with WRITE may update the configuration."""
    for body in ({}, contract.EXAMPLES["rotateCredentials"], {"name": current().unique()}):
        ask.expect(200, body=body)


@pytest.mark.clause("access levels", "vendor, ours")
def test_admin_may_update(ask: Asker, need: Need) -> None:
    """A member with ADMIN may update the configuration."""
    need(ADMIN)
    for body in ({}, contract.EXAMPLES["rotateCredentials"], {"name": current().unique()}):
        ask.expect(200, token=ADMIN, body=body)


@pytest.mark.clause("403", "vendor, ours")
def test_reader_may_not_update(ask: Asker, need: Need) -> None:
    """A member with READ may not update the configuration, whatever the body, not even `{}`."""
    need(READER)
    expect_for_any_body(ask, 403, token=READER)


@pytest.mark.clause("403", "page")
def test_stranger_may_not_update(ask: Asker, need: Need) -> None:
    """A user who is no member of the workspace may not update its configuration."""
    need(STRANGER)
    expect_for_any_body(ask, 403, token=STRANGER)


@pytest.mark.clause("403", "page")
def test_foreign_configuration_may_not_be_updated(ask: Asker, need: Need) -> None:
    """A configuration of another workspace may not be updated, whatever the level in one's own."""
    id = need(FOREIGN_ID)
    for token in filter(ask.backend.given.get, (WRITER, ADMIN, READER)):
        expect_for_any_body(ask, 403, id=id, token=token)


@pytest.mark.clause("404", "page")
def test_unknown_id_answers_404(ask: Asker) -> None:
    """An id that no configuration has answers 404 to everybody, whatever the body."""
    for token in filter(ask.backend.given.get, (WRITER, ADMIN, READER, STRANGER)):
        expect_for_any_body(ask, 404, id=current().unique(), token=token)


@pytest.mark.clause("access", "page")
def test_access_is_the_same_after_an_update(ask: Asker, backend: Backend) -> None:
    """Who may and who may not stays so after others have updated the configuration."""
    for _ in range(3):
        for token, status in ((WRITER, 200), (READER, 403), (ADMIN, 200), (STRANGER, 403)):
            if token in backend.given:
                ask.expect(status, token=token, body=contract.EXAMPLES["rotateCredentials"])


@pytest.mark.clause("access", "page")
def test_no_header_gives_access(ask: Asker, need: Need) -> None:
    """No header or parameter that names a user, a role or a workspace gives access."""
    need(READER)
    others = {"X-Workspace-Id": ask.backend.id, "X-Workspace": "*", "X-Access-Level": "ADMIN"}
    for name, value in (values.TRUSTED_HEADERS | others).items():
        ask.expect(403, token=READER, headers={name: value}, body=VALID[-1])
    for query in ("admin=true", "role=ADMIN", "access=WRITE", "force=true", "debug=1"):
        path = f"{ask.path_of(ask.backend.id)}?{query}"
        ask.expect(403, token=READER, path=path, body=VALID[-1])


@pytest.mark.clause("names in a workspace", "vendor")
def test_name_is_unique_in_its_workspace(ask: Asker, need: Need) -> None:
    """Renaming to a name that another configuration of the workspace has answers 400."""
    sibling, name = need(SIBLING_ID), f"contract run {current().unique()}"
    ask.expect(200, body={"name": name})
    ask.expect(400, id=sibling, body={"name": name})
    ask.expect(400, id=sibling, body={**contract.EXAMPLES["everything"], "name": name})
    ask.expect(200, body={"name": name})  # its own name is not taken


@pytest.mark.clause("names in a workspace", "vendor")
def test_names_that_differ_are_not_taken(ask: Asker, need: Need) -> None:
    """Names are compared code point by code point: nothing else makes two of them the same."""
    sibling, name = need(SIBLING_ID), f"Caf\u00e9 {current().unique()}"
    ask.expect(200, body={"name": name})
    alike = [name.lower(), name.upper(), name + " ", " " + name, name.replace(" ", "  ")]
    alike += [name.replace("\u00e9", "e\u0301"), name.replace("\u00e9", "e"), name + "\u200b"]
    alike += [name[:-1], name + "1", name.replace("C", "\uff23")]
    for other in alike:
        ask.expect(200, id=sibling, body={"name": other})


@pytest.mark.clause("names in a workspace", "vendor")
def test_name_that_was_given_up_is_free(ask: Asker, need: Need) -> None:
    """A name that its configuration gave up may be taken by another."""
    sibling, name = need(SIBLING_ID), f"given up {current().unique()}"
    ask.expect(200, body={"name": name})
    ask.expect(200, body={"name": f"{name} for this"})
    ask.expect(200, id=sibling, body={"name": name})
    ask.expect(400, body={"name": name})


@pytest.mark.clause("only what is given changes", "page")
def test_refused_update_changes_nothing(ask: Asker, need: Need) -> None:
    """After `{}`, other fields, and updates that were refused, the name is what it was."""
    sibling, name, other = (
        need(SIBLING_ID),
        f"kept {current().unique()}",
        f"lost {current().unique()}",
    )
    ask.expect(200, body={"name": name})
    ask(body={"name": other, "aiType": "NONE"})
    ask(body={"name": other, "endpoint": "x"})
    ask(body={"name": other, "unknown": "x"})
    ask(token=None, body={"name": other})
    for token in filter(ask.backend.given.get, (READER, STRANGER)):
        ask(token=token, body={"name": other})
    for body in (contract.EXAMPLES["nothing"], contract.EXAMPLES["switchProvider"]):
        ask.expect(200, body=body)
    # What can be seen of a name over HTTP: that nobody else may take it.
    ask.expect(400, id=sibling, body={"name": name})
