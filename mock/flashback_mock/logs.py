"""Log lines: to be read on a terminal, one JSON object each elsewhere."""

import json
import logging
from datetime import UTC, datetime
from typing import Literal

from .control import Entry

Format = Literal["text", "json"]


def to_stderr(level: str, form: Format) -> None:
    """Log from `level` on to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Json() if form == "json" else Text())
    logging.basicConfig(handlers=[handler], level=level.upper())
    # The welcome says what uvicorn would say, and failures are logged by the application.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it would name its selector


class Text(logging.Formatter):
    """A line for people; a request's is a few columns."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        time, entry = self.formatTime(record, "%H:%M:%S"), _entry(record)
        if entry is None:
            return _printable(f"{time}  {record.levelname}  {record.getMessage()}")
        changed = f"{entry.configuration or '-'} ({', '.join(entry.fields) or 'nothing'})"
        status = f"{entry.status} {entry.fault}".rstrip()
        spent = f"{entry.milliseconds:.1f} ms"
        told = (time, entry.method, status, entry.user or "-", changed, spent, entry.request_id)
        return _printable("  ".join(told))


class Json(logging.Formatter):
    """A line for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry = _entry(record)
        told = {"message": record.getMessage()} if entry is None else entry._asdict()
        return json.dumps({"time": time, "level": record.levelname.lower(), **told})


def _printable(line: str) -> str:
    """The line with escapes for what would make it two, or move the cursor: ids are callers'."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _entry(record: logging.LogRecord) -> Entry | None:
    said: object = record.msg
    return said if isinstance(said, Entry) else None
