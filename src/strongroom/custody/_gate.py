"""``QuorumGate``: an ``ApprovalGate`` that lets an admin verb run when officers have approved just this call.

What is approved are the verb and the parameters as the gate sees them, made plain: bytes as hex, records as objects of
their fields. So a request is made from the call itself (``plain_parameters``), and nothing of a call is left out.
"""

import threading
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

import msgspec

from strongroom.core import ApprovalRequiredError, Clock
from strongroom.custody._canonical import Json
from strongroom.custody._chain import Chain
from strongroom.custody._documents import ApprovalRequest
from strongroom.custody._errors import ApprovalRefusedError, CustodyError, MalformedDocumentError, Refusal
from strongroom.custody._quorum import require_quorum
from strongroom.custody._requests import UsedNonces, execute, same_value

MAX_ADMITTED: Final = 64


def plain_parameters(parameters: Mapping[str, object]) -> dict[str, Json]:
    """Return the parameters of a call as a request holds them. Raises MalformedDocumentError for a type without a plain form.

    Two calls of one verb that differ in anything give different parameters: what a field is does not depend on its value.
    """
    return {name: _plain(value) for name, value in parameters.items()}


def _plain(value: object) -> Json:
    if isinstance(value, Enum):
        value = value.value
    fields = _fields(value)
    if fields is not None:
        return plain_parameters(fields)
    if value is None or isinstance(value, str | int):  # bool is an int
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise MalformedDocumentError(f"a {type(value).__name__} has no plain form, so nobody can approve it")


def _fields(value: object) -> Mapping[str, object] | None:
    """Return the fields of a record by name; None for what is no record."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        named: dict[str, object] = value._asdict()
        return named
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return value
    return None


class QuorumGate:
    """Holds approved requests until the call comes that each is for. Safe to use from several threads.

    The caller brings the chain, whose genesis it has pinned, and a durable ``UsedNonces``. What the gate holds is lost
    with the process; whoever sent it sends it again.
    """

    def __init__(self, chain: Chain, *, clock: Clock, used: UsedNonces) -> None:
        self._clock = clock
        self._used = used
        self._lock = threading.Lock()
        # Of the lock:
        self._chain = chain
        self._admitted: dict[str, tuple[ApprovalRequest, tuple[bytes, ...]]] = {}

    def follow(self, record: bytes) -> None:
        """Take a change of officers or rules in. What was admitted before is void then. Raises ChainError."""
        with self._lock:
            self._chain = self._chain.extended(record)
            self._admitted.clear()

    def admit(self, request: ApprovalRequest, signatures: Sequence[bytes]) -> None:
        """Hold an approved request ready. Raises ApprovalRefusedError, also when too many wait."""
        with self._lock:
            now = int(self._clock.now())
            require_quorum(self._chain.state, request, signatures, now=now)
            self._admitted = {n: held for n, held in self._admitted.items() if held[0].expires > now}
            if len(self._admitted) >= MAX_ADMITTED and request.nonce not in self._admitted:
                raise ApprovalRefusedError(Refusal.MALFORMED, f"more than {MAX_ADMITTED} requests wait")
            self._admitted[request.nonce] = (request, tuple(signatures))

    def check(self, verb: str, parameters: Mapping[str, object]) -> None:
        """Return if officers approved this call, and spend their approval. Raises ApprovalRequiredError."""
        with self._lock:
            try:
                self._spend(verb, plain_parameters(parameters))
            except CustodyError as error:
                raise ApprovalRequiredError(f"{verb}: {error.message}") from error

    def _spend(self, verb: str, parameters: Mapping[str, Json]) -> None:
        for nonce, (request, signatures) in self._admitted.items():
            if request.verb == verb and same_value(request.parameters, parameters):
                del self._admitted[nonce]
                execute(
                    self._chain.state,
                    request,
                    signatures,
                    verb=verb,
                    parameters=parameters,
                    now=int(self._clock.now()),
                    used=self._used,
                )
                return
        raise ApprovalRequiredError(
            f"{verb} changes keys inside the HSM and no approval covers it",
            next_step="have officers approve a request for just this call",
        )
