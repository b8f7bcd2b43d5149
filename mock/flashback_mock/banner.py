"""The banner that the command prints when the mock is ready."""

import json
import shlex
import socket
from urllib.parse import urlsplit

from .control.mock import Mock
from .http.guard import Guard

KEYS = "It opens only with its master keys. In a container, store and keys each need a volume."
EXISTED = (
    "It existed, and keeps its content until POST /__admin/reset replaces that with the fixtures."
)


def text(mock: Mock, url: str, guard: Guard | None, *, is_new: bool, is_local: bool) -> str:
    """Return the banner: store, tokens, ids, a curl command and the address."""
    fixtures = mock.fixtures
    sections: dict[str, list[str]] = {"Store": [mock.store.location], "Tokens": []}
    if "in memory" not in mock.store.location:
        sections["Store"].append(KEYS)
    if not is_new:
        sections["Store"].append(EXISTED)
    for token in fixtures.tokens:
        sections["Tokens"].append(f"{token.value:<16}{fixtures.describe(token)}")
    sections["Configurations"] = [
        f"{given.id}  {given.workspace}, {given.fields.get('name')}"
        for given in fixtures.configurations
    ]
    sections["Try it"] = [_curl(mock, url)]
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


def _curl(mock: Mock, url: str) -> str:
    contract = mock.contract
    id = next(iter(mock.ids.values()), "ID")
    token = next(iter(mock.tokens.values()), "TOKEN")
    command = ["curl", "-X", "PUT", url + contract.path.replace("{id}", id)]
    for header in (f"Content-Type: {contract.media_type}", f"Authorization: Bearer {token}"):
        command += ["-H", header]
    return shlex.join([*command, "--data", json.dumps(contract.examples["everything"])])
