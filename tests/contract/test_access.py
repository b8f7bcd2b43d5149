"""Access: who may update which configuration."""

import uuid
from collections.abc import Callable

import pytest
from asking import Asker
from backend import ADMIN, FOREIGN_ID, READER, SIBLING_ID, STRANGER, Backend


@pytest.mark.clause("200", "page")
def test_writer_may_update(ask: Asker) -> None:
    """A member with WRITE may update the configuration."""
    ask.expect(200)


@pytest.mark.clause("access levels", "vendor, ours")
def test_admin_may_update(ask: Asker, need: Callable[[str], None]) -> None:
    """A member with ADMIN may update the configuration."""
    need(ADMIN)
    ask.expect(200, token=ADMIN)


@pytest.mark.clause("403", "vendor, ours")
def test_reader_may_not_update(ask: Asker, need: Callable[[str], None]) -> None:
    """A member with READ may not update the configuration, not even with an empty change."""
    need(READER)
    for body in ({}, {"key": "canary-of-a-reader"}):
        ask.expect(403, token=READER, body=body)


@pytest.mark.clause("403", "page")
def test_stranger_may_not_update(ask: Asker, need: Callable[[str], None]) -> None:
    """A user who is no member of the workspace may not update its configuration."""
    need(STRANGER)
    for body in ({}, {"key": "canary-of-a-stranger"}):
        ask.expect(403, token=STRANGER, body=body)


@pytest.mark.clause("403", "page")
def test_foreign_configuration_may_not_be_updated(
    ask: Asker, need: Callable[[str], None], backend: Backend
) -> None:
    """A configuration of another workspace may not be updated."""
    need(FOREIGN_ID)
    ask.expect(403, id=backend.given[FOREIGN_ID])


@pytest.mark.clause("404", "page")
def test_unknown_id_answers_404(ask: Asker) -> None:
    """An id that no configuration has answers 404."""
    for id in (str(uuid.uuid4()), "unknown"):
        ask.expect(404, id=id)


@pytest.mark.clause("names in a workspace", "vendor")
def test_name_is_unique_in_its_workspace(
    ask: Asker, need: Callable[[str], None], backend: Backend
) -> None:
    """Renaming to a name that another configuration of the workspace has answers 400."""
    need(SIBLING_ID)
    name = f"contract run {uuid.uuid4()}"
    ask.expect(200, body={"name": name})
    ask.expect(400, id=backend.given[SIBLING_ID], body={"name": name})
    ask.expect(200, body={"name": name})  # its own name is not taken
