"""The banner that the command prints when it is ready."""

import json
import shlex
import socket
from urllib.parse import urlsplit

from .control.mock import Mock
from .http.guard import Guard


def text(mock: Mock, base_url: str, guard: Guard | None, *, is_new: bool, is_local: bool) -> str:
    """Return the banner: store, tokens, ids, a curl command and the address."""
    fixtures = mock.fixtures
    tokens = [f"  {token.value:<16}{fixtures.describe(token)}" for token in fixtures.tokens]
    ids = [
        f"  {given.id}  {given.workspace}, {given.fields.get('name')}"
        for given in fixtures.configurations
    ]
    lines = [*_store(mock, is_new=is_new), "", "Tokens", *tokens, "", "Configurations", *ids]
    lines += ["", "Try it", f"  {_curl(mock, base_url)}", ""]
    lines += _page(base_url, guard, is_local=is_local)
    if not is_local:
        lines += _addresses(base_url)
    lines.append(f"Flashback mock backend on {base_url} (Ctrl-C stops it)")
    return "\n".join(lines)


def _store(mock: Mock, *, is_new: bool) -> list[str]:
    location = mock.store.location
    lines = ["Store", f"  {location}"]
    if "in memory" not in location:
        lines.append(
            "  It opens only with its master keys. In a container, store and keys each need a "
            "volume."
        )
    if not is_new:
        lines.append(
            "  It existed, with the fixtures that it was created with. POST /__admin/reset "
            "replaces its\n  content with those below."
        )
    return lines


def _page(base_url: str, guard: Guard | None, *, is_local: bool) -> list[str]:
    if guard and guard.session:
        return [
            "Page, request log and planned answers in a browser",
            f"  {base_url}/__admin/docs?session={guard.session}",
            "",
        ]
    if is_local:
        return ["Page, request log and planned answers in a browser", f"  {base_url}", ""]
    return [
        "Off on this address: the page, and /__admin except /__admin/health",
        "  --admin-token turns them on",
        "",
    ]


def _addresses(base_url: str) -> list[str]:
    port = urlsplit(base_url).port
    return [
        "From other machines and containers",
        f"  http://{socket.gethostname()}:{port}, or the service's name in Compose;",
        "  the Python client needs FLASHBACK_ALLOW_HTTP=1 there",
        "",
    ]


def _curl(mock: Mock, base_url: str) -> str:
    contract = mock.contract
    id = next(iter(mock.ids.values()), "ID")
    token = next(iter(mock.tokens.values()), "TOKEN")
    url = base_url + contract.path.replace("{id}", id)
    headers = [f"Content-Type: {contract.media_type}", f"Authorization: Bearer {token}"]
    command = ["curl", "-X", "PUT", url, "-H", headers[0], "-H", headers[1]]
    return shlex.join([*command, "--data", json.dumps(contract.examples["everything"])])
