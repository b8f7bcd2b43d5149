"""Access: who may update which configuration."""

import pytest
import values
from asking import ask, at_once, expect, expect_always, need, require
from backend import ADMIN, FOREIGN_ID, READER, SIBLING_ID, STRANGER, WRITER, under_test

ROUNDS = 10  # of a race that even a wrong backend may lose


@pytest.mark.clause("access levels", "page, vendor, ours")
@pytest.mark.parametrize("token", [WRITER, ADMIN], ids=["WRITE", "ADMIN"])
def test_member_may_update(token: str) -> None:
    """A member of this level may update any configuration of the workspace, however asked."""
    need(token)
    for id in under_test.own_ids:
        for way in values.ways():
            expect(200, token=token, id=id, **way)


@pytest.mark.clause("403", "vendor, ours")
def test_reader_may_not_update() -> None:
    """A member with READ may not update the configuration, whatever the body, not even `{}`."""
    need(READER)
    expect_always(403, under_test.own_ids, token=READER)


@pytest.mark.clause("403", "page")
def test_stranger_may_not_update() -> None:
    """A user who is no member of the workspace may not update its configurations."""
    need(STRANGER)
    expect_always(403, under_test.own_ids, token=STRANGER)


@pytest.mark.clause("403", "page")
def test_foreign_configuration_may_not_be_updated() -> None:
    """A configuration of another workspace may not be updated, whatever the level in one's own."""
    id = need(FOREIGN_ID)
    for token in filter(under_test.given.get, (WRITER, ADMIN, READER)):
        expect_always(403, [id], token=token)


@pytest.mark.clause("404", "page")
def test_unknown_id_answers_404() -> None:
    """An id that no configuration has answers 404 to everybody, whatever the body."""
    for token in filter(under_test.given.get, (WRITER, ADMIN, READER, STRANGER)):
        expect_always(404, [values.unique()], token=token)


@pytest.mark.clause("access", "page")
def test_no_header_gives_access() -> None:
    """No header or parameter that names a user, a role or a workspace gives access."""
    need(READER)
    others = {"X-Workspace-Id": under_test.id, "X-Workspace": "*", "X-Access-Level": "ADMIN"}
    for name, value in (values.TRUSTED_HEADERS | others).items():
        expect(403, token=READER, headers={name: value})
    for query in ("admin=true", "role=ADMIN", "access=WRITE", "force=true", "debug=1"):
        expect(403, token=READER, query=query)


@pytest.mark.clause("names in a workspace", "vendor")
def test_name_is_unique_in_its_workspace() -> None:
    """Renaming to a name that another configuration of the workspace has answers 400."""
    sibling, body = need(SIBLING_ID), values.fresh()
    expect(200, body=body)
    expect(400, id=sibling, body=body)
    expect(400, id=sibling, body={**values.EVERYTHING, **body})
    expect(200, body=body)  # its own name is not taken


@pytest.mark.clause("names in a workspace", "vendor")
def test_names_that_differ_are_not_taken() -> None:
    """Names are compared code point by code point: nothing else makes two of them the same."""
    sibling, name = need(SIBLING_ID), f"Caf\u00e9 {values.unique()}"
    expect(200, body={"name": name})
    alike = [name.lower(), name.upper(), name + " ", " " + name, name.replace(" ", "  ")]
    alike += [name.replace("\u00e9", "e\u0301"), name.replace("\u00e9", "e"), name + "\u200b"]
    alike += [name[:-1], name + "1", name.replace("C", "\uff23")]
    for other in alike:
        expect(200, id=sibling, body={"name": other})


@pytest.mark.clause("names in a workspace", "vendor")
def test_name_that_was_given_up_is_free() -> None:
    """A name that its configuration gave up may be taken by another."""
    sibling, body = need(SIBLING_ID), values.fresh()
    expect(200, body=body)
    expect(200, body=values.fresh())
    expect(200, id=sibling, body=body)
    expect(400, body=body)


@pytest.mark.clause("names in a workspace", "vendor")
def test_one_name_is_not_given_twice_at_the_same_moment() -> None:
    """Of two configurations that ask for one name at the same moment, one gets 200, one 400."""
    ids = (under_test.id, need(SIBLING_ID))
    for body in [values.fresh() for _ in range(ROUNDS)]:
        came = at_once([{"id": id, "body": body} for id in ids])
        statuses = sorted(exchange.status for exchange in came)
        require(statuses == [200, 400], came[-1], "one 200 and one 400 to two at once", statuses)


@pytest.mark.clause("only what is given changes", "page")
def test_refused_update_changes_nothing() -> None:
    """After `{}`, other fields, and updates that were refused, the name is what it was."""
    sibling, kept, other = need(SIBLING_ID), values.fresh(), values.fresh()
    expect(200, body=kept)
    for wrong in ({"aiType": "NONE"}, {"endpoint": "x"}, {"unknown": "x"}, {"key": ""}):
        ask(body={**other, **wrong})
    ask(body=other, headers={"Content-Type": "text/plain"})
    for token in (None, *filter(under_test.given.get, (READER, STRANGER))):
        ask(token=token, body=other)
    for body in ({}, values.GOOD, {"aiType": "OTHER"}, {"endpoint": "https://example.com"}):
        expect(200, body=body)
    # What can be seen of a name over HTTP: that nobody else may take it.
    expect(400, id=sibling, body=kept)
