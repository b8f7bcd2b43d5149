"""A backend that accepts every update and crashes on an empty body."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Accepts every update."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        """Accept the update, or exit if there is no body."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not body:
            os._exit(1)
        id = self.path.rpartition("/")[2]
        answer = json.dumps({"success": True, "aiLlmId": id, "message": "updated"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201
        server.serve_forever()
