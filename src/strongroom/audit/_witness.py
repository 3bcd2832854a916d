"""A witness (C2SP tlog-witness): it cosigns a checkpoint that goes on from the one it cosigned last, and no other.

``judge`` decides; ``Witness`` keeps what it decided, durably, before a cosignature goes out, and one request of a log at a
time. So there are never two cosigned checkpoints of one log that contradict each other, whatever dies in between.
"""

import threading
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from strongroom.audit._checkpoint import Checkpoint, read_checkpoint
from strongroom.audit._checkpoint_keys import LogKey
from strongroom.audit._checkpoint_proof import GrowthProof
from strongroom.audit._errors import MalformedNoteError, ProofError
from strongroom.audit._note import Note, Signature, one_of_each_key, verify_note
from strongroom.audit._tree import check_consistency
from strongroom.audit._witness_keys import WitnessSigner
from strongroom.audit._witness_request import read_add_checkpoint
from strongroom.audit._witness_store import Head, WitnessStore
from strongroom.core import Clock, StrongroomError, VerificationFailedError


class Refusal(IntEnum):
    """Why a witness does not cosign: the status codes of the protocol."""

    MALFORMED = 400
    """No such request, or one that goes back."""
    NOT_SIGNED = 403
    """By no key of this log."""
    UNKNOWN_LOG = 404
    OTHER_SIZE = 409
    """It does not start from what was cosigned last; or it has that size, and another root."""
    NOT_CONSISTENT = 422
    """The proof does not show that it goes on from what was cosigned last."""


class WitnessRefusalError(StrongroomError):
    """A request that is not cosigned."""

    def __init__(
        self,
        message: str,
        refusal: Refusal,
        *,
        origin: str = "",
        size: int | None = None,
        is_fork: bool = False,
    ) -> None:
        """``size``: of what was cosigned last, where that is the answer. ``is_fork``: the log signed two pasts, or cannot show that it has one."""
        super().__init__(message)
        self.refusal = refusal
        self.origin = origin
        self.size = size
        self.is_fork = is_fork


class Cosigned(NamedTuple):
    """What a witness answers to a request that it accepts."""

    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]


WatchedLogs = Mapping[str, Sequence[LogKey]]
"""The keys of the logs that a witness watches, by their origin."""


def known_checkpoint(request: GrowthProof, logs: WatchedLogs) -> tuple[Checkpoint, Note]:
    """Return the checkpoint of a request, and with it what the keys of its log signed and nothing else. Raises WitnessRefusalError."""
    checkpoint = read_checkpoint(request.checkpoint.text)
    keys = logs.get(checkpoint.origin)
    if keys is None:
        raise WitnessRefusalError("this log is not watched", Refusal.UNKNOWN_LOG)
    try:
        good = verify_note(request.checkpoint, keys)
    except VerificationFailedError as error:
        raise WitnessRefusalError(error.message, Refusal.NOT_SIGNED, origin=checkpoint.origin) from error
    return checkpoint, Note(request.checkpoint.text, one_of_each_key(good))


def judge(request: GrowthProof, checkpoint: Checkpoint, head: Head) -> None:
    """Return if a witness that cosigned ``head`` last may cosign the checkpoint of a request. Raises WitnessRefusalError."""
    origin = checkpoint.origin
    if request.old_size > checkpoint.size:
        raise WitnessRefusalError("the checkpoint is older", Refusal.MALFORMED, origin=origin)
    if request.old_size != head.size:
        raise WitnessRefusalError(
            f"{head.size} entries were cosigned last", Refusal.OTHER_SIZE, origin=origin, size=head.size
        )
    if checkpoint.size == head.size and checkpoint.root != head.root:
        raise WitnessRefusalError(
            f"another tree of {head.size} entries was cosigned",
            Refusal.OTHER_SIZE,
            origin=origin,
            size=head.size,
            is_fork=True,
        )
    try:
        check_consistency(head.size, head.root, checkpoint.size, checkpoint.root, request.path)
    except ProofError as error:
        raise WitnessRefusalError(
            f"it does not go on from the {head.size} entries that were cosigned: {error.message}",
            Refusal.NOT_CONSISTENT,
            origin=origin,
            # Anybody can put a wrong proof before a checkpoint that the log showed: of the tree that was cosigned it shows nothing.
            is_fork=0 < head.size < checkpoint.size,
        ) from error


class Witness:
    """Answers requests, from any thread."""

    def __init__(
        self, logs: WatchedLogs, signer: WitnessSigner, store: WitnessStore, *, clock: Clock
    ) -> None:
        self._logs, self._signer, self._store, self._clock = logs, signer, store, clock
        self._turns = {origin: threading.Lock() for origin in logs}

    def add_checkpoint(self, data: bytes) -> Cosigned:
        """Cosign the checkpoint of a request, once that is durable. Raises WitnessRefusalError, and OSError of a disk."""
        try:
            request = read_add_checkpoint(data)
        except MalformedNoteError as error:
            raise WitnessRefusalError(error.message, Refusal.MALFORMED) from error
        checkpoint, note = known_checkpoint(request, self._logs)
        with self._turns[checkpoint.origin]:
            try:
                judge(request, checkpoint, self._store.head(checkpoint.origin))
            except WitnessRefusalError as error:
                if error.is_fork:
                    self._store.keep_evidence(request.checkpoint.text, data)
                raise
            signatures = self._signer.cosign(checkpoint, int(self._clock.now()))
            self._store.keep(checkpoint, note.with_signatures(signatures))
        return Cosigned(checkpoint, signatures)
