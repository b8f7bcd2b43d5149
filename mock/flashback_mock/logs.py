"""Logging to standard error, as text or as JSON."""

import json
import logging
import os
import select
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from .control.journal import Entry

PIPE_BYTES = 4096  # number of bytes that a writable pipe accepts without blocking


class StderrHandler(logging.Handler):
    """A handler that drops log lines instead of blocking if nothing reads standard error."""

    def __init__(self, format_record: Callable[[logging.LogRecord], str]) -> None:
        super().__init__()
        self._format_record = format_record
        self._dropped = 0
        self._output = 2
        self._poll = None
        if hasattr(select, "poll"):  # Windows has no poll(), so writes can block there
            self._poll = select.poll()
            self._poll.register(2, select.POLLOUT)
            if os.isatty(2):  # writing to an almost full terminal could block in spite of poll()
                flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
                with suppress(OSError):  # this user cannot open the terminal again
                    self._output = os.open(os.ttyname(2), flags)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. If earlier lines were dropped, first write how many were dropped."""
        line = self._format_record(record)
        if self._dropped:
            text = f"{self._dropped} log lines dropped because standard error was not read"
            notice = logging.makeLogRecord({"msg": text, "levelname": "WARNING"})
            line = f"{self._format_record(notice)}\n{line}"
        content = line.encode("utf-8", "backslashreplace")[: PIPE_BYTES - 1]
        self._dropped += 1
        if self._poll is None or self._poll.poll(0):
            with suppress(OSError):  # the reader closed the pipe, or the terminal is full
                os.write(self._output, content + b"\n")
                self._dropped = 0


def to_stderr(level: str, log_format: str) -> None:
    """Write log messages at or above this level to standard error, in "json" or "text" format."""
    format_record = json_line if log_format == "json" else text_line
    handler = StderrHandler(format_record)
    logging.basicConfig(handlers=[handler], level=level.upper())
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # hide the message "Using selector: …"


def text_line(record: logging.LogRecord) -> str:
    """Return a log record as readable text. Escape control characters, which ids can contain."""
    entry = _entry(record)
    if entry:
        line = f"{entry} (id {entry.configuration or 'unknown'}, request {entry.request_id})"
    else:
        line = f"{_time(record):%H:%M:%S.%f} {record.levelname} {record.getMessage()}"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def json_line(record: logging.LogRecord) -> str:
    """Return a log record as a JSON object on a single line."""
    entry = _entry(record)
    if entry:
        fields = entry.to_dict()
    else:
        time = _time(record).isoformat(timespec="milliseconds")
        fields = {"time": time, "message": record.getMessage()}
    return json.dumps({"time": fields.pop("time"), "level": record.levelname.lower(), **fields})


def _entry(record: logging.LogRecord) -> Entry | None:
    """Return the logged request, or None if the record is about something else."""
    for argument in record.args or ():
        if isinstance(argument, Entry):
            return argument
    return None


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)
