"""Log lines on standard error: columns on a terminal, JSON objects elsewhere."""

import json
import logging
import os
import select
from datetime import UTC, datetime
from typing import Literal

from .control.journal import Entry

Format = Literal["text", "json"]
PIPE_BYTES = 4096  # a pipe that is writable takes so many without blocking


class StderrHandler(logging.Handler):
    """Writes lines to standard error, and drops them while the pipe is full.

    Otherwise, a program that never reads the mock's standard error would block the mock.
    """

    def __init__(self, formatter: logging.Formatter) -> None:
        """Write lines as `formatter` has them."""
        super().__init__()
        self.setFormatter(formatter)
        self._dropped = 0
        self._poll = None
        if hasattr(select, "poll"):  # Windows has none: there it blocks
            self._poll = select.poll()
            self._poll.register(2, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, and before it how many were dropped."""
        try:
            line = self.format(record)
            if self._dropped and self._write(
                f"{self._dropped} log lines dropped: not read in time"
            ):
                self._dropped = 0
            if self._dropped or not self._write(line):
                self._dropped += 1
        except Exception:  # noqa: BLE001 - as every handler
            self.handleError(record)

    def _write(self, line: str) -> bool:
        if self._poll and not any(event & select.POLLOUT for _, event in self._poll.poll(0)):
            return False
        content = f"{line}\n".encode("utf-8", "backslashreplace")
        if len(content) > PIPE_BYTES:
            content = content[: PIPE_BYTES - 1] + b"\n"
        try:
            os.write(2, content)
        except OSError:  # the reader is gone
            return False
        return True


def to_stderr(level: str, form: Format) -> None:
    """Log from `level` on to standard error."""
    handler = StderrHandler(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level.upper())
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it would name its selector


class TextFormatter(logging.Formatter):
    """A line for people; a request's has columns."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record."""
        time = self.formatTime(record, "%H:%M:%S")
        entry = _entry(record)
        if entry is None:
            return _printable(f"{time}  {record.levelname}  {record.getMessage()}")
        changed = f"{entry.configuration or '-'} ({', '.join(entry.fields) or 'nothing'})"
        status = f"{entry.status} {entry.fault}".rstrip()
        spent = f"{entry.milliseconds:.1f} ms"
        columns = [time, entry.method, status, entry.user or "-", changed, spent, entry.request_id]
        if entry.reason:
            columns.append(entry.reason)
        return _printable("  ".join(columns))


class JsonFormatter(logging.Formatter):
    """A line for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record."""
        entry = _entry(record)
        level = record.levelname.lower()
        if entry is not None:
            fields = entry.to_dict()
            return json.dumps({"time": fields.pop("time"), "level": level, **fields})
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"time": time, "level": level, "message": record.getMessage()})


def _printable(line: str) -> str:
    """Return the line with escapes for line breaks and cursor movements, which an id may have."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _entry(record: logging.LogRecord) -> Entry | None:
    message: object = record.msg
    return message if isinstance(message, Entry) else None
