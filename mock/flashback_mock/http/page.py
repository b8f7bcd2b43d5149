"""The page: Swagger UI on the contract, the request log, and planned answers.

Its script knows the mock only through `/__admin`. Swagger UI comes with offapi, the one package
that has a current one and needs no framework.
"""

import hashlib
import json
from functools import cache
from pathlib import Path

from multidict import CIMultiDict

from flashback_mock.contract import Contract

from .messages import Answer, HttpError, Request

INDEX = "index.html"
CONTRACT = "openapi.json"
MEDIA_TYPES = {  # of the files in our folder `page` and in offapi's
    INDEX: "text/html; charset=utf-8",
    CONTRACT: "application/json",
    "icon.svg": "image/svg+xml",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "swagger_bundle.js": "text/javascript",
    "swagger_style.css": "text/css",
}
HEADERS = {
    # data: is for the arrows and locks in Swagger UI's style sheet.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    # Cached, but revalidated each time: another mock may use this port in a minute.
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_file(contract: Contract, request: Request, name: str) -> Answer:
    """Answer with a file of the page; raise `HttpError` if no file has this name."""
    if name not in MEDIA_TYPES:
        raise HttpError(404, "There is nothing at this path")
    # default: YAML has dates, JSON does not.
    content = _file(name) or json.dumps(contract.document, default=str).encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    headers = CIMultiDict({**HEADERS, "ETag": tag})
    if request.headers.get("If-None-Match") == tag:
        return Answer(304, b"", headers)
    headers["Content-Type"] = MEDIA_TYPES[name]
    return Answer(200, content, headers)


@cache
def _file(name: str) -> bytes:
    if name == CONTRACT:
        return b""
    if name.startswith("swagger_"):
        from importlib.metadata import distribution  # noqa: PLC0415 - takes 20 ms at start-up

        # Located, not imported: importing offapi would load all of its files.
        return Path(str(distribution("offapi").locate_file(f"offapi/{name}"))).read_bytes()
    return (Path(__file__).parent / "page" / name).read_bytes()
