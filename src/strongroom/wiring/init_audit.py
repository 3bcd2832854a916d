"""What the audit log of a home tells of its beginning, and of members that joined."""

import os
from typing import Final

from strongroom.audit import AuditLog
from strongroom.config import Home
from strongroom.core import Clock
from strongroom.wiring.bootstrap import TokenFound

_WRITER: Final = "init"


async def record_initialised(
    home: Home,
    tokens: dict[str, TokenFound],
    *,
    cluster: str,
    genesis_sha256: str,
    root_id: bytes,
    clock: Clock,
) -> None:
    """Write ``cluster.initialised``: by whom, under which genesis, with which tokens. Raises AuditUnavailableError."""
    detail = {"cluster": cluster, "genesis": genesis_sha256, "root_id": root_id.hex()}
    detail |= {f"token_of_{name}": token.serial for name, token in tokens.items()}
    await _record(home, "cluster.initialised", detail, clock)


async def record_restored(home: Home, detail: dict[str, str], *, clock: Clock) -> None:
    """Write ``backup.restored``: of which bundle and set, how old, under which approval. Raises AuditUnavailableError."""
    await _record(home, "backup.restored", detail, clock)


async def record_joined(home: Home, name: str, token: TokenFound, *, approval: str, clock: Clock) -> None:
    """Write ``member.joined``: which token, and under which approval. Raises AuditUnavailableError."""
    await _record(home, "member.joined", {"member": name, "token": token.serial, "approval": approval}, clock)


async def _record(home: Home, event: str, detail: dict[str, str], clock: Clock) -> None:
    log = AuditLog.open(home.audit, _WRITER, clock=clock)
    try:
        await log.record("event", event, principal=f"local/{os.geteuid()}", detail=detail)
    finally:
        log.close()
