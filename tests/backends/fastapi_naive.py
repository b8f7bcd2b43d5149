"""A tutorial-style FastAPI backend that validates only the types of known fields."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field, HttpUrl
from starlette.exceptions import HTTPException as StarletteHTTPException

from support.contract import PROPERTIES
from tests.backends.store import USERS, RejectedError, Store

AiType = Annotated[str, Field(pattern=f"^({'|'.join(PROPERTIES['aiType']['enum'])})$")]


class UpdateAiLlmRequest(BaseModel):
    """The fields to change."""

    name: str | None = None
    aiType: AiType | None = None  # noqa: N815 - the name of the field in the API
    endpoint: HttpUrl | None = None
    key: str | None = None
    secret: str | None = None


Credentials = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


def create_app(store: Store) -> FastAPI:
    """Return an application that keeps its data in this store."""
    app = FastAPI()

    async def current_user(credentials: Credentials) -> str:
        user = USERS.get(credentials.credentials)
        if user is None:
            raise HTTPException(401, "Invalid token")
        return user

    @app.put("/ai/llm/{id}")
    async def update(
        id: str, body: UpdateAiLlmRequest, user: Annotated[str, Depends(current_user)]
    ) -> dict[str, object]:
        return store.update(user, id, body.model_dump(mode="json", exclude_unset=True))

    @app.exception_handler(StarletteHTTPException)
    async def http_error(_: Request, error: StarletteHTTPException) -> JSONResponse:
        return JSONResponse({"success": False, "message": error.detail}, error.status_code)

    @app.exception_handler(RejectedError)
    async def rejected(_: Request, error: RejectedError) -> JSONResponse:
        return JSONResponse({"success": False, "message": error.message}, error.status)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        message = str(error.errors()[0]["msg"])
        return JSONResponse({"success": False, "message": message}, 400)

    return app
