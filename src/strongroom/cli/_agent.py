"""Signing with a key that an SSH agent holds, ``ssh-agent`` or another: its socket; what is said over it is in ``custody``."""

import socket
from pathlib import Path
from typing import Final, Self

from strongroom.cli._errors import CliError
from strongroom.custody import (
    AgentIdentity,
    OfficerKey,
    OfficerKeyError,
    agent_answer_bytes,
    identities_request,
    neutral,
    read_agent_signature,
    read_identities,
    sign_request,
)

_HEAD_BYTES: Final = 4
_LIMIT_S: Final = 10.0
_SIGNING_LIMIT_S: Final = 180.0
"""Somebody may have to confirm, or to touch a security key."""


class AgentSigner:
    """An ``OfficerSigner``. Holds no secret and no connection."""

    def __init__(self, path: Path, key: OfficerKey) -> None:
        self._path = path
        self.public = key

    @classmethod
    def with_fingerprint(cls, path: Path, fingerprint: str) -> Self:
        """Find the key that goes by a fingerprint (``SHA256:…``). Raises CliError, which lists what there is."""
        held = agent_keys(path)
        for one in held:
            if one.key.fingerprint == fingerprint:
                return cls(path, one.key)
        listed = ", ".join(f"{one.key.fingerprint} ({neutral(one.comment)})" for one in held) or "none"
        raise CliError(
            f"the SSH agent has no key {fingerprint} that officers can use; those it has: {listed}",
            next_step="write agent:SHA256:... as ssh-add -l shows it, or add the key with ssh-add",
        )

    def sign(self, message: bytes, namespace: str) -> bytes:
        """Return the signature (SSHSIG blob), once it verifies. Raises CliError, OfficerKeyError."""
        answer = _exchange(self._path, sign_request(self.public, message, namespace), _SIGNING_LIMIT_S)
        return read_agent_signature(answer, self.public, message, namespace)


def agent_keys(path: Path) -> tuple[AgentIdentity, ...]:
    """Return the keys that the agent has and officers can use. Raises CliError, OfficerKeyError."""
    return read_identities(_exchange(path, identities_request(), _LIMIT_S))


def socket_of(path: Path | None) -> Path:
    """Return where the agent listens. Raises CliError when nobody said."""
    if path is None or not str(path):
        raise CliError(
            "no SSH agent is known here",
            next_step="start one and add your key (eval $(ssh-agent); ssh-add KEY), or name its socket: --agent-socket",
        )
    return path


def _exchange(path: Path, request: bytes, limit_s: float) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(limit_s)
            connection.connect(str(path))
            connection.sendall(request)
            return _received(connection, agent_answer_bytes(_received(connection, _HEAD_BYTES)))
    except TimeoutError as error:
        raise CliError(f"the SSH agent did not answer within {limit_s:.0f} s") from error
    except OSError as error:
        raise CliError(
            f"the SSH agent at {path} cannot be reached: {error.strerror or error}",
            next_step="see whether it runs: ssh-add -l",
        ) from error


def _received(connection: socket.socket, n_bytes: int) -> bytes:
    received = bytearray()
    while len(received) < n_bytes:
        part = connection.recv(n_bytes - len(received))
        if not part:
            raise OfficerKeyError("the SSH agent hung up in the middle of its answer")
        received += part
    return bytes(received)
