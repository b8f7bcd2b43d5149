"""A FastAPI backend that conforms to the contract."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException as StarletteHTTPException

from support.contract import LARGEST_BODY
from tests.backends.model import validated_fields
from tests.backends.store import USERS, RejectedError, Store

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


class ChunkedResponse(JSONResponse):
    """A JSON response that uvicorn sends in chunks, because it has no Content-Length."""

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Set the headers."""
        super().init_headers(headers)
        del self.headers["Content-Length"]


async def json_body(request: Request) -> bytes:
    """Return the JSON body; raise an error for other media types (415) or large bodies (413)."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "Content-Type must be application/json")
    if "Content-Encoding" in request.headers:
        raise HTTPException(415, "Content-Encoding is not supported")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"The body must not be larger than {LARGEST_BODY} bytes")
    return body


async def current_user(credentials: Credentials) -> str:
    """Return the token's user; raise a 401 error if there is none."""
    user = USERS.get(credentials.credentials) if credentials else None
    if user is None:
        raise HTTPException(401, "Invalid token", {"WWW-Authenticate": "Bearer"})
    return user


def create_app(store: Store) -> FastAPI:
    """Return an application that keeps its data in this store."""
    app = FastAPI(redirect_slashes=False, default_response_class=ChunkedResponse)

    @app.put("/ai/llm/{id}")
    async def update(
        id: str,
        user: Annotated[str, Depends(current_user)],
        body: Annotated[bytes, Depends(json_body)],
    ) -> dict[str, object]:
        store.find(user, id, "WRITE", "ADMIN")  # 403 and 404 take precedence over 400
        return store.update(user, id, validated_fields(body))

    @app.exception_handler(RejectedError)
    async def rejected(_: Request, error: RejectedError) -> JSONResponse:
        return ChunkedResponse({"success": False, "message": error.message}, error.status)

    @app.exception_handler(StarletteHTTPException)
    async def http_error(_: Request, error: StarletteHTTPException) -> JSONResponse:
        body = {"success": False, "message": error.detail}
        return ChunkedResponse(body, error.status_code, error.headers)

    return app
