"""What one mock serves, and what tests do to it: shared by Python and `/__admin`."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from flashback_mock.contract import Contract
from flashback_mock.fixtures import Configuration, Fixtures, Member, Token, is_bearer_token
from flashback_mock.stores import (
    LEVELS,
    NAME_TAKEN,
    NameTakenError,
    Store,
    UnauthorizedError,
)

from .journal import Entry, Journal
from .plans import Plan, Plans, Step, plans_of


class Backend:
    """A contract, a store with its fixtures, planned answers, and the request log.

    Every method raises `ValueError` for arguments that break a rule.
    """

    def __init__(self, contract: Contract, fixtures: Fixtures, store: Store) -> None:
        """Start with nothing planned and an empty log."""
        self.contract = contract
        self.fixtures = fixtures
        self.store = store
        self.plans = Plans()
        self.journal = Journal()
        # The log names a configuration only if its id is known: another could be a secret.
        self.known_ids = {given.id for given in fixtures.configurations}
        self.close_port: Callable[[float], Awaitable[None]] | None = None  # set by the server

    @property
    def tokens(self) -> dict[str, str]:
        """Return the fixtures' bearer tokens by role."""
        return {token.user: token.value for token in self.fixtures.tokens}

    @property
    def ids(self) -> dict[str, str]:
        """Return the ids of the fixtures' configurations by role."""
        return {given.role: given.id for given in self.fixtures.configurations}

    async def plan(self, steps: list[Step]) -> None:
        """Plan answers for the next requests, all of the steps or none."""
        plans: list[Plan] = []
        seconds = 0.0
        for step in steps:
            if step.get("fault") == "refused":
                plans_of(self.contract, step)
                seconds = max(seconds, step.get("duration", 0))
            else:
                plans += plans_of(self.contract, step)
        self.plans.extend(plans)
        if seconds and self.close_port:
            await self.close_port(seconds)

    async def reset(self) -> None:
        """Restore the fixtures, and clear plans, delay and log."""
        await self.store.reset(self.fixtures)
        self.known_ids = {given.id for given in self.fixtures.configurations}
        self.plans.clear()
        self.journal.clear()

    async def add_configuration(
        self, fields: Mapping[str, str], workspace: str = "", id: str = ""
    ) -> str:
        """Add a configuration, by default to the first workspace; return its id."""
        id = id or str(uuid.uuid4())
        fields = dict(fields)
        error = self.contract.id_error(id) or self.contract.body_error(fields)
        if error:
            raise ValueError(error)
        workspace = workspace or self.fixtures.first_workspace
        await self._add(Fixtures(configurations=(Configuration("", workspace, id, fields),)))
        self.known_ids.add(id)
        return id

    async def add_member(
        self, user: str, workspace: str = "", access: str = "WRITE", token: str = ""
    ) -> str:
        """Add a user to a workspace, by default the first, or change the access; return a token."""
        if not user:
            raise ValueError("user: is missing")
        if access not in LEVELS:
            raise ValueError(f"access: must be one of {', '.join(LEVELS)}")
        token = token or self.tokens.get(user) or f"{user}-token"
        if not is_bearer_token(token):
            raise ValueError("token: must be a bearer token: letters, digits and -._~+/")
        member = Member(workspace or self.fixtures.first_workspace, user, access)
        await self._add(Fixtures(tokens=(Token(token, user),), members=(member,)))
        return token

    async def _add(self, more: Fixtures) -> None:
        try:
            await self.store.add(more)
        except NameTakenError:
            raise ValueError(NAME_TAKEN) from None

    async def set_access(self, user: str, access: str, workspace: str = "") -> None:
        """Change a user's access level; the user keeps their token."""
        if access not in LEVELS:
            raise ValueError(f"access: must be one of {', '.join(LEVELS)}")
        member = Member(workspace or self.fixtures.first_workspace, user, access)
        await self._add(Fixtures(members=(member,)))

    async def expire_token(self, token: str) -> None:
        """Let a token expire now."""
        try:
            await self.store.expire_token(token)
        except UnauthorizedError:
            raise ValueError("token: is unknown") from None

    async def revoke_token(self, token: str) -> None:
        """Remove a token."""
        try:
            await self.store.revoke_token(token)
        except UnauthorizedError:
            raise ValueError("token: is unknown") from None

    async def reveals(self, id: str, credentials: Mapping[str, str]) -> bool:
        """Return whether all of these are the stored credentials; raise `NotFoundError`."""
        if plain := credentials.keys() - self.contract.credentials:
            raise ValueError(
                f"{_known(plain, self.contract)}: not a credential; read the configuration"
            )
        await self.store.configuration(id)
        for field, value in credentials.items():
            if not await self.store.reveals(id, field, value):
                return False
        return True

    async def update_failure(self, id: str, fields: Mapping[str, str]) -> str:
        """Return why a configuration was not updated to these fields; empty if it was.

        Credentials must have been sent, too. Of a credential it says only that it differs.
        """
        stored = await self.store.configuration(id)
        entries = [entry for entry in self.journal.entries if entry.configuration == id]
        updates = [entry for entry in entries if entry.updated]
        sent = {field for entry in updates for field in entry.fields}
        problems: list[str] = []
        for name, value in fields.items():
            if problem := await self._difference(id, stored, name, value):
                problems.append(problem)
            if name in self.contract.credentials - sent:
                problems.append(f"{name}: was not sent")
        if updates and not problems:
            return ""
        headline = "is not as expected:" if problems else "was not updated"
        lines = [f"configuration {id} {headline}", *problems, *self._history(entries)]
        return "\n  ".join(lines)

    def _history(self, entries: list[Entry]) -> list[str]:
        """Return lines for the requests for a configuration, and for the others."""
        others = [entry for entry in self.journal.entries if entry not in entries][-10:]
        lines = ["requests for it, in order:" if entries else "requests for it: none"]
        lines += [f"  {entry}" for entry in entries[-20:]]
        if others:
            lines.append("other requests:")
            lines += [f"  {entry} (id {entry.configuration or 'unknown'})" for entry in others]
        return lines

    async def _difference(self, id: str, stored: Mapping[str, Any], name: str, value: str) -> str:
        """Return how a stored field differs; of a credential only since when it is stored."""
        if name not in self.contract.credentials:
            is_now = stored.get(name)
            return "" if is_now == value else f"{name}: expected {value!r}, got {is_now!r}"
        if name not in stored:
            return f"{name}: is not set"
        if await self.store.reveals(id, name, value):
            return ""
        return f"{name}: differs; last changed at {stored[name]['changedAt']}"

    async def delete_configuration(self, id: str) -> None:
        """Delete a configuration and its credentials; raise `NotFoundError`."""
        await self.store.delete_configuration(id)


def _known(names: set[str], contract: Contract) -> str:
    """Return those of the names that the contract has; another could be a secret."""
    return ", ".join(name for name in contract.fields if name in names) or "a field"
