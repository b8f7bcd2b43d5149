"""The endpoint in Flask, as the contract requires it, with the GET and DELETE of the service."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from tests.backends.store import NameTakenError, Store

AI_TYPES = ("OPENAI", "GOOGLE", "ANTHROPIC", "AWS", "OTHER")
LONGEST = {"name": 255, "endpoint": 2048, "key": 8192, "secret": 8192, "aiType": 20}
LARGEST_BODY = 262144  # bytes
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
HOST = r"(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])"
ENDPOINT = re.compile(rf"https?://{HOST}(?::[0-9]{{1,5}})?(?:[/?#][!-~]*)?", re.IGNORECASE)


def check(field: str, value: object) -> None:
    """Abort with 400 if the field is unknown or its value is invalid."""
    if field not in LONGEST:
        abort(400, "A field is unknown")
    if not isinstance(value, str):
        abort(400, f"{field} must be a string")
    if not 1 <= len(value) <= LONGEST[field]:
        abort(400, f"{field} must have 1 to {LONGEST[field]} characters")
    if field == "name" and CONTROLS.search(value):
        abort(400, "name must have no control characters")
    if field == "aiType" and value not in AI_TYPES:
        abort(400, f"aiType must be one of {', '.join(AI_TYPES)}")
    if field == "endpoint" and not is_http_url(value):
        abort(400, "endpoint must be an absolute http or https URL without credentials")


def is_http_url(value: str) -> bool:
    """Return whether the value is an absolute http or https URL without credentials."""
    try:
        port = urlsplit(value).port
    except ValueError:
        return False
    return bool(ENDPOINT.fullmatch(value)) and port != 0


def parsed(body: bytes) -> dict[str, Any]:
    """Return the JSON object in the body; abort with 400 if there is none."""
    try:
        value = json.loads(body.decode("utf-8"))
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError):
        abort(400, "The body must be JSON in UTF-8")
    if not isinstance(value, dict):
        abort(400, "The body must be a JSON object")
    return value


api = Blueprint("api", __name__)


def create_app(store: Store) -> Flask:
    """Return an application that keeps its state in this store."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY + 1  # `update` checks the size
    app.config["STORE"] = store
    app.url_map.merge_slashes = False
    app.register_blueprint(api)
    return app


def the_store() -> Store:
    """Return the application's store."""
    store: Store = current_app.config["STORE"]
    return store


def current_user() -> str | None:
    """Return the user of the request's token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return the_store().user_of(token) if scheme.lower() == "bearer" else None


def authorize(id: str, *levels: str) -> None:
    """Abort unless the user has one of the access levels for the configuration."""
    user = current_user()
    if user is None:
        abort(401, "A valid bearer token is required")
    if id not in the_store().configurations:
        abort(404, "AI LLM configuration not found")
    if the_store().level(user, id) not in levels:
        abort(403, f"You need one of the access levels {', '.join(levels)}")


@api.before_app_request
def write_journal() -> None:
    """Count the request, so that a test can see which requests were sent."""
    the_store().requests[request.method, current_user(), request.path] += 1


@api.put("/ai/llm/<id>")
def update(id: str) -> ResponseReturnValue:
    """Update a configuration."""
    authorize(id, "WRITE", "ADMIN")
    if request.mimetype != "application/json" or "Content-Encoding" in request.headers:
        abort(415, "Content-Type must be application/json, without a Content-Encoding")
    body = request.get_data()
    if len(body) > LARGEST_BODY:  # Flask cuts a chunked body at MAX_CONTENT_LENGTH
        abort(413, f"The body must have at most {LARGEST_BODY} bytes")
    fields = parsed(body)
    for field, value in fields.items():
        check(field, value)
    try:
        the_store().update(id, fields)
    except NameTakenError:
        abort(400, "Another configuration has this name")
    message = "AI LLM configuration updated successfully"
    return jsonify(success=True, aiLlmId=id, message=message)


@api.get("/ai/llm/<id>")
def read(id: str) -> ResponseReturnValue:
    """Return a configuration without its credentials."""
    authorize(id, "READ", "WRITE", "ADMIN")
    fields = the_store().configurations[id].fields
    shown = {name: fields.get(name) for name in ("name", "aiType", "endpoint")}
    return jsonify(success=True, aiLlm={"id": id, **shown})


@api.delete("/ai/llm/<id>")
def delete(id: str) -> ResponseReturnValue:
    """Delete a configuration."""
    authorize(id, "ADMIN", "WRITE")
    the_store().delete(id)
    return jsonify(success=True, message="AI LLM configuration deleted successfully")


@api.app_errorhandler(HTTPException)
def http_error(error: HTTPException) -> ResponseReturnValue:
    """Return an error as JSON, as the contract defines it."""
    answer: Response = jsonify(success=False, message=error.description)
    answer.status_code = error.code or 500
    if answer.status_code == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if answer.status_code == 405:
        answer.headers["Allow"] = error.get_response().headers["Allow"]
    return answer
