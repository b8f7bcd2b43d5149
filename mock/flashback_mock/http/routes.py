"""The registry of routes: which handler answers a method on a path."""

from collections.abc import Awaitable, Callable

from .messages import Answer, HttpError, Request

RouteHandler = Callable[..., Awaitable[Answer]]


class Routes:
    """Handlers by path and method.

    A path such as `/a/{id}/b` has parameters, which a handler gets as they were received, still
    percent-encoded. Everything else of a path is compared exactly.
    """

    def __init__(self) -> None:
        """Start without routes."""
        self._by_length: dict[int, list[tuple[list[str], dict[str, RouteHandler]]]] = {}
        self._by_path: dict[str, dict[str, RouteHandler]] = {}

    @property
    def table(self) -> dict[str, list[str]]:
        """Return the methods of every path."""
        return {path: list(handlers) for path, handlers in self._by_path.items()}

    def add(self, method: str, path: str, handler: RouteHandler) -> None:
        """Let `handler` answer `method` on `path`."""
        if path not in self._by_path:
            segments = path.split("/")
            handlers = self._by_path.setdefault(path, {})
            self._by_length.setdefault(len(segments), []).append((segments, handlers))
        self._by_path[path][method] = handler

    def find(self, request: Request) -> tuple[RouteHandler, list[str]]:
        """Return the handler and the path's parameters; raise `HttpError` 404 or 405."""
        given = request.path.split("/")
        for segments, handlers in self._by_length.get(len(given), ()):
            parameters = _match(segments, given)
            if parameters is None:
                continue
            handler = handlers.get(request.method)
            if handler is None and request.method == "HEAD" and "GET" in handlers:
                handler = handlers["GET"]
            if handler is None:
                allowed = ", ".join(handlers)
                raise HttpError(405, f"Only {allowed} is allowed here", {"Allow": allowed})
            return handler, parameters
        raise HttpError(404, "There is nothing at this path")


def _match(segments: list[str], given: list[str]) -> list[str] | None:
    parameters: list[str] = []
    for segment, value in zip(segments, given, strict=True):
        if segment.startswith("{"):
            parameters.append(value)
        elif segment != value:
            return None
    return parameters


