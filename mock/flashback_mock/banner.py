"""The banner that the command prints when the mock is ready."""

import json
import shlex
import socket
from urllib.parse import urlsplit

from .control.mock import Mock
from .http.guard import Guard

MAX_LINES = 20  # of tokens, and of configurations: if nobody reads the pipe, it must not fill up
KEYS = "It opens only with its master keys. In a container, store and keys each need a volume."
EXISTED = (
    "It existed, and keeps its content until POST /__admin/reset replaces that with the fixtures."
)


def text(mock: Mock, guard: Guard | None, *, is_new: bool, is_local: bool) -> str:
    """Return the banner: store, tokens, ids, a curl command and the address."""
    url = mock.base_url
    fixtures = mock.fixtures
    sections: dict[str, list[str]] = {
        "Store": [mock.store.location],
        "Tokens": [],
        "Configurations": [],
    }
    if "in memory" not in mock.store.location:
        sections["Store"].append(KEYS)
    if not is_new:
        sections["Store"].append(EXISTED)
    for token in fixtures.tokens[:MAX_LINES]:
        sections["Tokens"].append(f"{token.value:<16}{fixtures.describe(token)}")
    for given in fixtures.configurations[:MAX_LINES]:
        line = f"{given.id}  {given.workspace}, {given.fields.get('name')}"
        sections["Configurations"].append(line)
    for title, total in (("Tokens", fixtures.tokens), ("Configurations", fixtures.configurations)):
        if len(total) > MAX_LINES:
            sections[title].append(f"… and {len(total) - MAX_LINES} more")
    sections["Try it"] = [_curl(mock)]
    if guard or is_local:
        link = f"{url}/__admin/login/{guard.session}" if guard else url
        sections["Page, request log and planned answers in a browser"] = [link]
    else:
        title = "Off on this address: the page, and /__admin except /__admin/health"
        sections[title] = ["--admin-token turns them on"]
    if not is_local:
        sections["From other machines and containers"] = [
            f"http://{socket.gethostname()}:{urlsplit(url).port}; in Compose, the service's name;",
            "the Python client needs FLASHBACK_ALLOW_HTTP=1 there",
        ]
    blocks = ["\n  ".join([title, *lines]) for title, lines in sections.items()]
    return "\n\n".join([*blocks, f"Flashback mock backend on {url} (Ctrl-C stops it)"])


def _curl(mock: Mock) -> str:
    contract = mock.contract
    id = next(iter(mock.ids.values()), "ID")
    token = next(iter(mock.tokens.values()), "TOKEN")
    command = ["curl", "-X", "PUT", mock.base_url + contract.path.replace("{id}", id)]
    for header in (f"Content-Type: {contract.media_type}", f"Authorization: Bearer {token}"):
        command += ["-H", header]
    return shlex.join([*command, "--data", json.dumps(contract.examples["everything"])])
