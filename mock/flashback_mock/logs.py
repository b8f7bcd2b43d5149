"""Log lines on standard error: text on a terminal, JSON objects elsewhere."""

import json
import logging
import os
import select
from collections.abc import Callable
from datetime import UTC, datetime

from .control.journal import Entry

PIPE_BYTES = 4096  # a writable pipe takes this many without blocking


class StderrHandler(logging.Handler):
    """Writes lines to standard error, and drops them while the pipe is full.

    Otherwise, a program that never reads the mock's standard error would block the mock.
    """

    def __init__(self, line_of: Callable[[logging.LogRecord], str]) -> None:
        """Write the line that `line_of` returns for each record."""
        super().__init__()
        self._line_of = line_of
        self._dropped = 0
        self._poll = None
        if hasattr(select, "poll"):  # without it, on Windows, writes can block
            self._poll = select.poll()
            self._poll.register(2, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, preceded by the number of dropped lines, if any."""
        try:
            if self._dropped and self._write(f"{self._dropped} log lines dropped: not read"):
                self._dropped = 0
            if self._dropped or not self._write(self._line_of(record)):
                self._dropped += 1
        except Exception:  # noqa: BLE001 - as the handlers of logging do
            self.handleError(record)

    def _write(self, line: str) -> bool:
        """Write a line, or return False if the pipe is full or closed."""
        if self._poll and not any(event & select.POLLOUT for _, event in self._poll.poll(0)):
            return False
        content = line.encode("utf-8", "backslashreplace")[: PIPE_BYTES - 1]
        try:
            os.write(2, content + b"\n")
        except OSError:  # the reader has closed the pipe
            return False
        return True


def to_stderr(level: str, form: str) -> None:
    """Log to standard error, as "json" or "text", starting with `level`."""
    handler = StderrHandler(json_line if form == "json" else text_line)
    logging.basicConfig(handlers=[handler], level=level.upper())
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # hide its line "Using selector: …"


def text_line(record: logging.LogRecord) -> str:
    """Return a line for people; control characters, which an id may contain, are escaped."""
    entry: object = record.msg
    if isinstance(entry, Entry):
        about = f"id {entry.configuration or 'unknown'}, request {entry.request_id}"
        line = f"{entry} ({about}, {entry.milliseconds:.1f} ms)"
    else:
        line = f"{_time(record):%H:%M:%S.%f} {record.levelname} {record.getMessage()}"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def json_line(record: logging.LogRecord) -> str:
    """Return a JSON object for programs."""
    entry: object = record.msg
    if isinstance(entry, Entry):
        fields = entry.to_dict()
    else:
        time = _time(record).isoformat(timespec="milliseconds")
        fields = {"time": time, "message": record.getMessage()}
    return json.dumps({"time": fields.pop("time"), "level": record.levelname.lower(), **fields})


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)
