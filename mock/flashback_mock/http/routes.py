"""The registry of routes: which handler answers a method on a path."""

import re
from collections.abc import Awaitable, Callable

from .messages import Answer, HttpError, Request

RouteHandler = Callable[..., Awaitable[Answer]]
PARAMETER = re.compile(r"\\\{\w+\\\}")


class Routes:
    """Handlers by path and method.

    A path such as `/a/{id}/b` has parameters, which a handler gets as they were received, still
    percent-encoded. The rest of a path is compared exactly.
    """

    def __init__(self) -> None:
        """Start without routes."""
        self._handlers: dict[str, dict[str, RouteHandler]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, RouteHandler]]] = []

    @property
    def table(self) -> dict[str, list[str]]:
        """Return the methods of every path."""
        return {path: list(handlers) for path, handlers in self._handlers.items()}

    def add(self, method: str, path: str, handler: RouteHandler) -> None:
        """Let `handler` answer `method` on `path`."""
        if path not in self._handlers:
            handlers = self._handlers[path] = {}
            pattern = PARAMETER.sub("([^/]*)", re.escape(path))
            self._patterns.append((re.compile(pattern, re.DOTALL), handlers))
        self._handlers[path][method] = handler

    def find(self, request: Request) -> tuple[RouteHandler, tuple[str, ...]]:
        """Return the handler and the path's parameters; raise `HttpError` 404 or 405."""
        for pattern, handlers in self._patterns:
            match = pattern.fullmatch(request.path)
            if match is None:
                continue
            method = "GET" if request.method == "HEAD" else request.method
            if method in handlers:
                return handlers[method], match.groups()
            allowed = ", ".join(handlers)
            raise HttpError(405, f"Only {allowed} is allowed here", {"Allow": allowed})
        raise HttpError(404, "There is nothing at this path")
