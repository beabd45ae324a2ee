"""Logs: one line an event, JSON for machines or plain for a terminal, on standard error.

Extra fields go through `extra={"fields": {...}}`; the request id is taken from the context.
"""

import contextvars
import datetime as dt
import logging
import sys
from typing import Any

import orjson

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def configure(level: str, *, as_json: bool, process: str) -> None:
    """Sets the root logger up; called once, where a process starts."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(process) if as_json else _PlainFormatter(process))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # No line says any of these, and finding them out takes longer than the rest of it.
    logging._srcfile = None  # noqa: SLF001 - as the manual advises
    logging.logThreads = logging.logProcesses = False
    logging.logMultiprocessing = False


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = dict(getattr(record, "fields", {}))
    if current := request_id.get():
        fields.setdefault("request_id", current)
    return fields


class _JsonFormatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class _PlainFormatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__(
            f"%(asctime)s.%(msecs)03d %(levelname)-7s {process} %(message)s", "%H:%M:%S"
        )

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        head, *rest = line.split("\n", 1)
        for key, value in _fields(record).items():
            head += f" {key}={value}"
        return "\n".join([head, *rest])
