"""Serve a mock that crashes if a request lacks the part given as an argument (body or token)."""

import os
import sys
import threading

import flashback_mock
from flashback_mock.http import messages


def crash(handler: messages.Handler) -> messages.Handler:
    """Return a handler that ends the process if the specified part of a request is missing."""

    async def handle(request: messages.Request) -> messages.Answer:
        part = request.body if sys.argv[1] == "body" else request.headers.get("Authorization")
        if not part:
            os._exit(1)
        return await handler(request)

    return handle


if __name__ == "__main__":
    with flashback_mock.running() as mock:
        mock.server.handler = crash(mock.server.handler)
        print(mock.base_url, mock.ids["main"], flush=True)  # noqa: T201
        threading.Event().wait()
