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
    handler.setFormatter(Json() if form == "json" else Text("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=level.upper())
    # The welcome says what uvicorn would say, and failures are logged by the application.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it would name its selector


class Text(logging.Formatter):
    """A line for people; a request's is a few columns."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        if (entry := _entry(record)) is None:
            return (
                f"{self.formatTime(record, self.datefmt)} {record.levelname} {record.getMessage()}"
            )
        what = f"{entry.configuration} ({', '.join(entry.fields) or 'nothing'})"
        told = [
            self.formatTime(record, self.datefmt),
            entry.method,
            str(entry.status),
            entry.user or "-",
            what if entry.configuration else "-",
            *([entry.fault] if entry.fault else []),
            f"{entry.milliseconds:.1f} ms",
            entry.request_id,
        ]
        return "  ".join(told)


class Json(logging.Formatter):
    """A line for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry = _entry(record)
        told = {"message": record.getMessage()} if entry is None else entry._asdict()
        return json.dumps({"time": time, "level": record.levelname.lower(), **told})


def _entry(record: logging.LogRecord) -> Entry | None:
    said: object = record.msg
    return said if isinstance(said, Entry) else None
