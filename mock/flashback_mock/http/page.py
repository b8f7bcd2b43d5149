"""The page: Swagger UI on the contract, the request log, and planned answers.

Swagger UI comes with offapi, the one package that has a current one and needs no framework.
"""

import hashlib
import html
import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from multidict import CIMultiDict

from flashback_mock.contract import Contract
from flashback_mock.control.plans import FAULTS
from flashback_mock.fixtures import Fixtures

from .app import PROXY_STATUSES
from .messages import Answer, HttpError, Request

ASSETS = {  # in the folder page, or offapi's
    "icon.svg": "image/svg+xml",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "swagger_bundle.js": "text/javascript",
    "swagger_style.css": "text/css",
}
UNKNOWN = "00000000-0000-0000-0000-000000000000"
HEADERS = {
    # data: is for the arrows and locks in Swagger UI's style sheet.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    # Stored, but asked for again each time: another mock may have this port in a minute.
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Page:
    """Everything at and below `/__admin/docs`."""

    def __init__(self, contract: Contract, fixtures: Fixtures) -> None:
        """Show the contract, and offer the fixtures' ids and tokens."""
        self._contract = contract
        self._fixtures = fixtures

    def answer(self, request: Request, name: str = "") -> Answer:
        """Answer with the page or one of its files; raise `HttpError` for another name."""
        if not name:
            content, media_type = self._page().encode(), "text/html; charset=utf-8"
        elif name == "openapi.json":
            # default: YAML has dates, JSON does not.
            content = json.dumps(self._document(), default=str).encode()
            media_type = "application/json"
        elif name in ASSETS:
            content, media_type = _content(name), ASSETS[name]
        else:
            raise HttpError(404, "There is nothing at this path")
        tag = _tag(content)
        headers = CIMultiDict({**HEADERS, "ETag": tag})
        if request.headers.get("If-None-Match") == tag:
            return Answer(304, b"", headers)
        headers["Content-Type"] = media_type
        return Answer(200, content, headers)

    def _page(self) -> str:
        errors = sorted({*self._contract.answers, *PROXY_STATUSES} - {200})
        faults = [name for name in FAULTS if name != "refused"]  # it would close this page's port
        return Template(_content("index.html").decode()).substitute(
            title=html.escape(self._contract.document["info"]["title"]),
            scheme=html.escape(next(iter(self._schemes()))),
            roles=self._roles(),
            statuses="".join(f"<option>{status}</option>" for status in errors),
            faults="".join(f"<option>{name}</option>" for name in faults),
        )

    def _schemes(self) -> dict[str, Any]:
        schemes: dict[str, Any] = self._contract.document["components"]["securitySchemes"]
        return schemes

    def _roles(self) -> str:
        """Return an option for each token, with its user's access."""
        options: list[str] = []
        for token in self._fixtures.tokens:
            label = f"{token.user}: {self._fixtures.describe(token)}"
            options.append(
                f'<option value="{html.escape(token.value)}">{html.escape(label)}</option>'
            )
        return "".join(options)

    def _document(self) -> dict[str, Any]:
        """Return the contract, with the mock as its only server, and its ids as examples."""
        document = deepcopy(self._contract.document)
        document["servers"] = [{"url": "/", "description": "This mock."}]
        operation = document["paths"][self._contract.path]["put"]
        operation["parameters"] = [
            self._with_ids(parameter) for parameter in self._contract.parameters
        ]
        return document

    def _with_ids(self, parameter: dict[str, Any]) -> dict[str, Any]:
        if parameter["in"] != "path":
            return parameter
        examples: dict[str, Any] = {}
        for given in self._fixtures.configurations:
            name = given.fields.get("name", "no name")
            summary = f"{given.role}: {name}, in {given.workspace}"
            examples[given.role] = {"value": given.id, "summary": summary}
        unknown = {"value": UNKNOWN, "summary": "unknown: no configuration has it"}
        examples.setdefault("unknown", unknown)
        kept = {key: value for key, value in parameter.items() if key != "example"}
        return {**kept, "examples": examples}


@cache
def _content(name: str) -> bytes:
    if name.startswith("swagger_"):
        from importlib.metadata import distribution  # noqa: PLC0415 - takes 20 ms at start-up

        # Located, not imported: importing offapi would load all of its files.
        return Path(str(distribution("offapi").locate_file(f"offapi/{name}"))).read_bytes()
    return (Path(__file__).parent / "page" / name).read_bytes()


@cache
def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:20]}"'
