"""The contract as an interactive page: Swagger UI, with the fixtures' ids and tokens to try.

Swagger UI comes with offapi: the one package that ships a current one and needs no framework.
"""

import html
import json
from copy import deepcopy
from importlib.metadata import distribution
from pathlib import Path
from string import Template
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from .contract import Contract
from .fixtures import Fixtures

ASSETS = {  # beside this module, or offapi's
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
    "Cache-Control": "no-store",  # in a minute another mock may have this port
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Docs:
    """What is at and below `/__admin/docs`."""

    def __init__(self, contract: Contract, fixtures: Fixtures) -> None:
        """Show the contract, and offer the fixtures' ids and tokens."""
        self._contract = contract
        self._fixtures = fixtures

    def answer(self, name: str = "") -> Response:
        """The page, or what it consists of by name; raises `HTTPException` where there is none."""
        if not name:
            return Response(self._page(), media_type="text/html", headers=HEADERS)
        if name == "openapi.json":
            # default: YAML has dates, which JSON has not
            content = json.dumps(self._document(), default=str)
            return Response(content, media_type="application/json", headers=HEADERS)
        if name in ASSETS:
            return Response(_file(name).read_bytes(), media_type=ASSETS[name], headers=HEADERS)
        raise HTTPException(404)

    def _page(self) -> str:
        title = html.escape(self._contract.document["info"]["title"])
        return Template(_file("index.html").read_text("utf-8")).substitute(
            title=title, scheme=html.escape(self._scheme()), roles=self._roles()
        )

    def _roles(self) -> str:
        told = {t.value: f"{t.user}: {self._fixtures.told(t)}" for t in self._fixtures.tokens}
        return "".join(
            f'<option value="{html.escape(token)}">{html.escape(who)}</option>'
            for token, who in told.items()
        )

    def _scheme(self) -> str:
        """The security scheme that a bearer token is for."""
        schemes: dict[str, Any] = self._contract.document["components"]["securitySchemes"]
        return next(iter(schemes))

    def _document(self) -> dict[str, Any]:
        """The contract, with the mock as its only server, and its ids as the examples."""
        document = deepcopy(self._contract.document)
        document["servers"] = [{"url": "/", "description": "This mock."}]
        operation = document["paths"][self._contract.path]["put"]
        operation["parameters"] = [self._offer(given) for given in self._contract.parameters]
        return document

    def _offer(self, parameter: dict[str, Any]) -> dict[str, Any]:
        if parameter["in"] != "path":
            return parameter
        offered = {
            c.role: (c.id, f"{c.role}: {c.fields.get('name', 'no name')}, in {c.workspace}")
            for c in self._fixtures.configurations
        }
        offered.setdefault("unknown", (UNKNOWN, "unknown: no configuration has it"))
        rest = {key: value for key, value in parameter.items() if key != "example"}
        examples = {role: {"value": v, "summary": s} for role, (v, s) in offered.items()}
        return {**rest, "examples": examples}


def _file(name: str) -> Path:
    if name.startswith("swagger_"):
        # Found, not imported: offapi would read all that it bundles.
        return Path(str(distribution("offapi").locate_file(f"offapi/{name}")))
    return Path(__file__).with_name("page") / name
