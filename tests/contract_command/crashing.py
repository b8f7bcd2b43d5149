"""Serve a mock that crashes when it receives a request without a body."""

import os
import threading

import flashback_mock
from flashback_mock.http import messages


def crash_without_body(handler: messages.Handler) -> messages.Handler:
    """Return a handler that ends the process if a request has no body."""

    async def handle(request: messages.Request) -> messages.Answer:
        if not request.body:
            os._exit(1)
        return await handler(request)

    return handle


if __name__ == "__main__":
    with flashback_mock.running(wrap=crash_without_body) as mock:
        print(mock.base_url, flush=True)  # noqa: T201
        threading.Event().wait()
