"""The endpoint in Flask, as the contract requires it, with the GET and DELETE of the service."""

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from tests.backends.model import LARGEST_BODY, fields_of
from tests.backends.store import NameTakenError, Store

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


def authorize(id: str, *levels: str) -> None:
    """Abort unless the user has one of the access levels for the configuration."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    user = the_store().user_of(token)
    if user is None or scheme.lower() != "bearer":
        abort(401, "A valid bearer token is required")
    if id not in the_store().configurations:
        abort(404, "AI LLM configuration not found")
    if the_store().level(user, id) not in levels:
        abort(403, f"You need one of the access levels {', '.join(levels)}")


@api.put("/ai/llm/<id>")
def update(id: str) -> ResponseReturnValue:
    """Update a configuration."""
    authorize(id, "WRITE", "ADMIN")
    if request.mimetype != "application/json" or "Content-Encoding" in request.headers:
        abort(415, "Content-Type must be application/json, without a Content-Encoding")
    body = request.get_data()
    if len(body) > LARGEST_BODY:  # Flask cuts a chunked body at MAX_CONTENT_LENGTH
        abort(413, f"The body must have at most {LARGEST_BODY} bytes")
    try:
        the_store().update(id, fields_of(body))
    except ValidationError as error:
        abort(400, str(error.errors(include_url=False)[0]["msg"]))
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
