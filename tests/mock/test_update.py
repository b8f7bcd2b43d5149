"""An update changes the given fields, all or none, for users who may update."""

from typing import Any

import httpx
import pytest

from flashback_mock import Mock


def put(http: httpx.Client, id: str, body: Any, token: str | None = None) -> httpx.Response:
    """Send one update; with a token as somebody else."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return http.put(id, json=body, headers=headers)


def test_every_field_given_is_stored(http: httpx.Client, mock: Mock) -> None:
    """An update with every field stores every field."""
    example = mock.contract.examples["everything"]
    assert put(http, mock.ids["main"], example).status_code == 200
    mock.assert_updated(mock.ids["main"], **example)


@pytest.mark.parametrize("field", ["name", "aiType", "endpoint", "key", "secret"])
def test_only_the_field_given_changes(http: httpx.Client, mock: Mock, field: str) -> None:
    """An update of one field leaves all others as they were."""
    main = next(c for c in mock.fixtures.configurations if c.role == "main")
    given = mock.contract.examples["everything"][field] + ("" if field == "aiType" else "x")
    put(http, main.id, {field: given})
    mock.assert_updated(main.id, **{field: given})
    stored = mock.configuration(main.id)
    for name, value in {**main.fields, field: given}.items():
        if name in mock.contract.credentials:
            assert mock.reveals(main.id, **{name: value})
        else:
            assert stored[name] == value


def test_empty_object_changes_nothing(http: httpx.Client, mock: Mock) -> None:
    """`{}` answers 200 and changes nothing."""
    before = mock.configuration(mock.ids["main"])
    assert put(http, mock.ids["main"], {}).status_code == 200
    assert mock.configuration(mock.ids["main"]) == before


def test_other_configurations_stay_as_they_are(http: httpx.Client, mock: Mock) -> None:
    """An update of one configuration changes no other."""
    before = mock.configuration(mock.ids["sibling"])
    put(http, mock.ids["main"], mock.contract.examples["everything"])
    assert mock.configuration(mock.ids["sibling"]) == before
    assert mock.reveals(mock.ids["sibling"], key="made-up-sibling-key")


@pytest.mark.parametrize(
    ("role", "id", "status"),
    [
        ("owner", "main", 200),
        ("admin", "main", 200),
        ("reader", "main", 403),
        ("stranger", "main", 403),
        ("owner", "foreign", 403),
        ("stranger", "foreign", 200),
        ("expired", "main", 401),
    ],
)
def test_role_decides(http: httpx.Client, mock: Mock, role: str, id: str, status: int) -> None:
    """Users with WRITE or ADMIN in the configuration's workspace may update, nobody else."""
    answer = put(http, mock.ids[id], {"name": "New name"}, mock.tokens[role])
    assert answer.status_code == status
    assert (mock.configuration(mock.ids[id])["name"] == "New name") == (status == 200)


def test_taken_name_is_refused_whole(http: httpx.Client, mock: Mock) -> None:
    """A name that another configuration of the workspace has answers 400, and nothing changes."""
    before = mock.configuration(mock.ids["main"])
    taken = mock.configuration(mock.ids["sibling"])["name"]
    answer = put(http, mock.ids["main"], {"name": taken, "aiType": "OTHER", "key": "not stored"})
    assert answer.status_code == 400
    assert answer.json()["message"] == mock.contract.name_taken
    assert mock.configuration(mock.ids["main"]) == before
    assert not mock.reveals(mock.ids["main"], key="not stored")


def test_name_may_be_taken_elsewhere(http: httpx.Client, mock: Mock) -> None:
    """A name is unique in its workspace only, and its own name is not taken."""
    foreign = mock.configuration(mock.ids["foreign"])["name"]
    assert put(http, mock.ids["main"], {"name": foreign}).status_code == 200
    assert put(http, mock.ids["main"], {"name": foreign}).status_code == 200


def test_stranger_learns_no_names(http: httpx.Client, mock: Mock) -> None:
    """Only users who may update learn that a name is taken."""
    taken = mock.configuration(mock.ids["sibling"])["name"]
    answer = put(http, mock.ids["main"], {"name": taken}, mock.tokens["stranger"])
    assert answer.status_code == 403
