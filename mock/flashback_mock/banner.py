"""The banner that the command prints once the mock is ready."""

import json
import shlex
import socket
from urllib.parse import quote, urlsplit

from .contract import PARAMETER
from .control.mock import Mock
from .http.guard import Guard
from .stores.memory import MemoryStore

# The maximum number of tokens, and of configurations, that the banner lists. If nothing reads
# standard output, a longer banner could fill the pipe and block the mock.
LISTED = 20


def text(mock: Mock, guard: Guard | None, *, is_local: bool) -> str:
    """Return the banner: the mock's URL, store, tokens and ids, and a curl command."""
    url = mock.base_url
    fixtures = mock.fixtures
    lines = ["Store", f"  {mock.store.location}"]
    if not isinstance(mock.store, MemoryStore):
        lines.append(
            "  The store cannot be opened without its master keys. In a container, put the store "
            "and the keys on separate volumes.\n"
            "  The fixtures are added only to a new store. To replace the contents of an existing "
            "store with the fixtures, send POST /__admin/reset."
        )
    tokens = fixtures.tokens[:LISTED]
    lines += ["", f"Tokens ({len(tokens)} of {len(fixtures.tokens)})"]
    width = max((len(token.value) for token in tokens), default=0)
    access = fixtures.access()
    for token in tokens:
        lines.append(f"  {token.value:<{width}}  {access[token.user]}")
    configurations = fixtures.configurations[:LISTED]
    lines += ["", f"Configurations ({len(configurations)} of {len(fixtures.configurations)})"]
    for item in configurations:
        lines.append(f"  {item.id}  {item.workspace}, {item.fields.get('name')}")
    lines += ["", "Try it", f"  {_curl(mock)}", "", *_addresses(url, guard, is_local=is_local)]
    lines += ["", f"Flashback mock backend on {url} (press Ctrl-C to stop)"]
    return "\n".join(lines)


def _addresses(url: str, guard: Guard | None, *, is_local: bool) -> list[str]:
    """Return the lines about the web page and about access from other machines."""
    if guard or is_local:
        link = f"{url}/__admin/login/{guard.session}" if guard else url
        lines = ["Web page with the request log and planned responses", f"  {link}"]
    else:
        lines = [
            "Disabled on this address: the web page, and all of /__admin except /__admin/health",
            "  To enable them, use --admin-token.",
        ]
    if not is_local:
        lines += [
            "",
            "From other machines and containers",
            f"  http://{socket.gethostname()}:{urlsplit(url).port}",
            "  In Compose, use the service's name instead of the host name.",
            "  The Python client requires FLASHBACK_ALLOW_HTTP=1 for this URL.",
        ]
    return lines


def _curl(mock: Mock) -> str:
    contract = mock.contract
    id = next(iter(mock.ids.values()), "ID")
    token = next(iter(mock.tokens.values()), "TOKEN")
    path = PARAMETER.sub(quote(id, safe=""), contract.path)
    command = ["curl", "-X", "PUT", mock.base_url + path]
    for header in (f"Content-Type: {contract.media_type}", f"Authorization: Bearer {token}"):
        command += ["-H", header]
    return shlex.join([*command, "--data", json.dumps(contract.examples.get("everything", {}))])
