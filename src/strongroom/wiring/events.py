"""Where events go: to standard error as JSON lines, and those of importance into the audit log too."""

import asyncio
import contextlib
import logging
import sys
from typing import Any

import structlog

from strongroom.audit import AuditLog
from strongroom.core import AuditUnavailableError


class _LineLogger:
    """Writes lines to standard error. A log that cannot be written (a full disk) must not fail a request."""

    def msg(self, message: str) -> None:
        """Write one line, or lose it."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{message}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = msg


def configure_logging() -> None:
    """Send structured log lines to standard error, one JSON object each; called once per process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_args: _LineLogger(),
        cache_logger_on_first_use=True,
    )


class LoggedEvents:
    """An ``EventSink`` that writes log lines."""

    def __init__(self, process: str) -> None:
        self._log: Any = structlog.get_logger().bind(process=process)

    def emit(self, event: str, **fields: object) -> None:
        """Write one line."""
        self._log.info(event, **fields)


class AuditedEvents:
    """An ``EventSink`` that writes log lines and audit entries.

    The entry is written in the background: what happened has happened, and whether it can be recorded must
    not hold up whoever acts on it. Belongs to one event loop.
    """

    def __init__(self, process: str, audit: AuditLog) -> None:
        self._lines = LoggedEvents(process)
        self._audit = audit
        self._writing: set[asyncio.Task[None]] = set()

    def emit(self, event: str, **fields: object) -> None:
        """Write one line, and one entry of the kind ``event``."""
        self._lines.emit(event, **fields)
        task = asyncio.ensure_future(
            self._record(event, {name: str(value) for name, value in fields.items()})
        )
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def settle(self) -> None:
        """Wait until every entry so far is durable, or known not to be."""
        await asyncio.gather(*self._writing)

    async def _record(self, event: str, detail: dict[str, str]) -> None:
        try:
            await self._audit.record("event", event, member=detail.pop("member", ""), detail=detail)
        except AuditUnavailableError as error:
            self._lines.emit("audit.unavailable", event_lost=event, cause=error.message)
