"""The banner that the command prints when the mock is ready."""

import json
import shlex
import socket
from urllib.parse import urlsplit

from .control.mock import Mock
from .http.guard import Guard

KEYS = "It opens only with its master keys. In a container, store and keys each need a volume."
EXISTED = (
    "It existed, and keeps its content. POST /__admin/reset replaces that\n"
    "  with the tokens and configurations below."
)
OFF = """Off on this address: the page, and /__admin except /__admin/health
  --admin-token turns them on"""
PAGE = """Page, request log and planned answers in a browser
  {link}"""
ELSEWHERE = """
From other machines and containers
  http://{host}:{port}, or the service's name in Compose;
  the Python client needs FLASHBACK_ALLOW_HTTP=1 there
"""
BANNER = """Store
  {store}

Tokens
  {tokens}

Configurations
  {configurations}

Try it
  {curl}

{page}
{elsewhere}
Flashback mock backend on {url} (Ctrl-C stops it)"""


def text(mock: Mock, url: str, guard: Guard | None, *, is_new: bool, is_local: bool) -> str:
    """Return the banner: store, tokens, ids, a curl command and the address."""
    fixtures = mock.fixtures
    store = [mock.store.location]
    if "in memory" not in mock.store.location:
        store.append(KEYS)
    if not is_new:
        store.append(EXISTED)
    tokens = [f"{token.value:<16}{fixtures.describe(token)}" for token in fixtures.tokens]
    configurations = [
        f"{given.id}  {given.workspace}, {given.fields.get('name')}"
        for given in fixtures.configurations
    ]
    link = f"{url}/__admin/docs?session={guard.session}" if guard else url
    elsewhere = ELSEWHERE.format(host=socket.gethostname(), port=urlsplit(url).port)
    return BANNER.format(
        store="\n  ".join(store),
        tokens="\n  ".join(tokens),
        configurations="\n  ".join(configurations),
        curl=_curl(mock, url),
        page=PAGE.format(link=link) if guard or is_local else OFF,
        elsewhere="" if is_local else elsewhere,
        url=url,
    )


def _curl(mock: Mock, url: str) -> str:
    contract = mock.contract
    id = next(iter(mock.ids.values()), "ID")
    token = next(iter(mock.tokens.values()), "TOKEN")
    command = ["curl", "-X", "PUT", url + contract.path.replace("{id}", id)]
    for header in (f"Content-Type: {contract.media_type}", f"Authorization: Bearer {token}"):
        command += ["-H", header]
    return shlex.join([*command, "--data", json.dumps(contract.examples["everything"])])
