"""The server's own record of answers that were our fault (5xx), with what a maintainer needs and no secrets.

An error of ours says what happened and never holds a secret. Anybody else's message may quote what it choked
on (a plaintext, a secret key), so of those only the type and the lines of code are logged.
"""

import traceback

import structlog

from strongroom.core import StrongroomError


def log_failure(error: Exception, *, operation: str, request_id: str, code: str) -> None:
    """Log one error event."""
    structlog.get_logger("strongroom.api").error(
        "request failed",
        operation=operation,
        request_id=request_id,
        code=code,
        error=_describe(error),
        traceback=_frames(error),
    )


def _describe(error: BaseException) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, StrongroomError) else name


def _frames(error: BaseException) -> str:
    """Return the stack of the error and of what caused it: files, lines, source text, but no values."""
    parts: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:  # a chain of causes can close on itself
        seen.add(id(link))
        parts.append("".join(traceback.format_tb(link.__traceback__)) + _describe(link))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n\nwhich came from\n\n".join(parts)
