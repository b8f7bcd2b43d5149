"""The endpoint in the style of Flask's tutorial, written from the service's documentation."""

from typing import Any
from urllib.parse import urlsplit

from flask import Flask, abort, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from tests.backends.store import Store

FIELDS = ("name", "aiType", "endpoint", "key", "secret")
AI_TYPES = ("OPENAI", "GOOGLE", "ANTHROPIC", "AWS", "OTHER")


def valid_fields(data: Any) -> dict[str, str]:
    """Return the fields of the body; abort with 400 if one is invalid."""
    fields = {name: data[name] for name in FIELDS if name in data}
    for name, value in fields.items():
        if not isinstance(value, str):
            abort(400, f"{name} must be a string")
    if fields.get("aiType", "OTHER") not in AI_TYPES:
        abort(400, "Unknown aiType")
    if "endpoint" in fields and urlsplit(fields["endpoint"]).scheme not in ("http", "https"):
        abort(400, "endpoint must be an http or https URL")
    return fields


def create_app(store: Store) -> Flask:
    """Return an application that keeps its state in this store."""
    app = Flask(__name__)

    def current_user() -> str:
        authorization = request.headers.get("Authorization", "")
        if not authorization.startswith("Bearer "):
            abort(401, "Missing token")
        user = store.user_of(authorization.removeprefix("Bearer "))
        if user is None:
            abort(401, "Invalid token")
        return user

    @app.put("/ai/llm/<id>")
    def update(id: str) -> ResponseReturnValue:
        user = current_user()
        if id not in store.configurations:
            abort(404, "AI LLM configuration not found")
        if store.level(user, id) not in ("WRITE", "ADMIN"):
            abort(403, "No access to this workspace")
        fields = valid_fields(request.get_json())
        store.update(id, fields)
        message = "AI LLM configuration updated successfully"
        return jsonify(success=True, aiLlmId=id, message=message)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> ResponseReturnValue:
        return jsonify(success=False, message=error.description), error.code or 500

    return app
