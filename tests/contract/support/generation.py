"""Requests that Schemathesis generates from the contract."""

from typing import Any

import requests
import schemathesis
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema

from support import contract
from support.exchange import Request
from support.promise import Promise, Run


def load(run: Run, mode: str) -> BaseSchema:
    """Load the contract into Schemathesis; `mode` is `positive` (valid bodies) or `negative`."""
    examples = run.option.max_examples
    settings: dict[str, Any] = {
        "base-url": run.backend.url,
        "seed": run.option.seed,
        "parameters": {"path.id": run.backend.id},
        "generation": {"mode": mode, "max-examples": examples, "database": "none"},
        # An unexpected method could be DELETE, which would permanently delete the configuration.
        "phases": {"stateful": {"enabled": False}, "coverage": {"unexpected-methods": []}},
    }
    config = SchemathesisConfig.from_dict(settings)
    return schemathesis.openapi.from_dict(contract.DOCUMENT, config=config)


def request_of(case: Case[Any], promise: Promise) -> Request | None:
    """Convert a generated case to a request; return None if it is not an update."""
    backend = promise.backend
    prepared = requests.Request(**case.as_transport_kwargs(base_url=backend.url)).prepare()
    target = (prepared.url or "").removeprefix(backend.url).partition("?")[0]
    if prepared.method != "PUT" or target != contract.path_of(backend.id):
        return None
    body: Any = prepared.body or b""
    body = body.encode() if isinstance(body, str) else bytes(body)
    media_type = prepared.headers.get("Content-Type")
    if isinstance(media_type, bytes):
        media_type = media_type.decode("latin-1")
    return promise.request(body=body, headers={"Content-Type": media_type})
