"""A Flask backend that conforms to the contract and also supports GET and DELETE."""

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from support.contract import LARGEST_BODY
from tests.backends.model import validated_fields
from tests.backends.store import USERS, RejectedError, Store

api = Blueprint("api", __name__)


def create_app(store: Store) -> Flask:
    """Return an application that keeps its data in this store."""
    app = Flask(__name__)
    # One byte over the limit, so that a truncated chunked body is still too large (see `update`).
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY + 1
    app.config["STORE"] = store
    app.url_map.merge_slashes = False
    app.register_blueprint(api)
    return app


def get_store() -> Store:
    """Return the application's store."""
    store: Store = current_app.config["STORE"]
    return store


def current_user() -> str:
    """Return the token's user; abort the request if there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    user = USERS.get(token)
    if user is None or scheme.lower() != "bearer":
        abort(401, "A valid bearer token is required")
    return user


@api.put("/ai/llm/<id>")
def update(id: str) -> ResponseReturnValue:
    """Update a configuration."""
    user = current_user()
    if request.mimetype != "application/json" or "Content-Encoding" in request.headers:
        abort(415, "Content-Type must be application/json, and Content-Encoding is not supported")
    body = request.get_data()
    # Flask truncates chunked bodies to MAX_CONTENT_LENGTH bytes, so check the size here.
    if len(body) > LARGEST_BODY:
        abort(413, f"The body must not be larger than {LARGEST_BODY} bytes")
    return get_store().update(user, id, validated_fields(body))


@api.get("/ai/llm/<id>")
def read(id: str) -> ResponseReturnValue:
    """Return a configuration without its credentials."""
    fields = get_store().find(current_user(), id, "READ", "WRITE", "ADMIN").fields
    public_fields = {name: fields.get(name) for name in ("name", "aiType", "endpoint")}
    return jsonify(success=True, aiLlm={"id": id, **public_fields})


@api.delete("/ai/llm/<id>")
def delete(id: str) -> ResponseReturnValue:
    """Delete a configuration."""
    get_store().find(current_user(), id, "WRITE", "ADMIN")
    del get_store().configurations[id]
    return jsonify(success=True, message="AI LLM configuration deleted successfully")


@api.app_errorhandler(RejectedError)
def rejected(error: RejectedError) -> ResponseReturnValue:
    """Return the status and the message as JSON."""
    return jsonify(success=False, message=error.message), error.status


@api.app_errorhandler(HTTPException)
def http_error(error: HTTPException) -> ResponseReturnValue:
    """Return an error as JSON, with the headers that the contract requires."""
    response: Response = jsonify(success=False, message=error.description)
    response.status_code = error.code or 500
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if response.status_code == 405:
        response.headers["Allow"] = error.get_response().headers["Allow"]
    return response
