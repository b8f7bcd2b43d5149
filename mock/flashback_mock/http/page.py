"""The mock's web page, with Swagger UI, the request log and planned responses.

The page's script uses only the `/__admin` API. Swagger UI comes from offapi, the only package that
includes a current version of Swagger UI and does not require a web framework.
"""

import json
from functools import cache
from pathlib import Path

from multidict import CIMultiDict

from flashback_mock.contract import Contract

from .messages import Answer, HttpError

INDEX = "index.html"
CONTRACT = "openapi.json"
MEDIA_TYPES = {  # the page consists of these files
    INDEX: "text/html; charset=utf-8",
    CONTRACT: "application/json",
    "icon.svg": "image/svg+xml",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "swagger_bundle.js": "text/javascript",
    "swagger_style.css": "text/css",
}
HEADERS = {
    # Swagger UI's style sheet contains arrow and lock icons as `data:` URLs.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",  # another mock could use the same port later
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_file(contract: Contract, name: str) -> Answer:
    """Return one of the page's files. Raise `HttpError` if no file has this name."""
    if name not in MEDIA_TYPES:
        raise HttpError(404, "Not found")
    content = json.dumps(contract.document).encode() if name == CONTRACT else _file(name)
    headers = {**HEADERS, "Content-Type": MEDIA_TYPES[name]}
    return Answer(200, content, CIMultiDict(headers))


@cache
def _file(name: str) -> bytes:
    if name.startswith("swagger_"):
        from importlib.metadata import distribution  # noqa: PLC0415 - the import takes 20 ms

        # Do not import offapi, because the import would load all of its files.
        return Path(str(distribution("offapi").locate_file(f"offapi/{name}"))).read_bytes()
    return (Path(__file__).parent / "page" / name).read_bytes()
