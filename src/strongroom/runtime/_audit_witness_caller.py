"""What main asks of one witness, and what it keeps of the answers. Blocks; for a thread of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from strongroom.audit import (
    SIZE_TYPE,
    Checkpoint,
    GrowthProof,
    KeptCheckpoint,
    LogKey,
    MalformedNoteError,
    TreeLookup,
    WitnessedWriter,
    read_cosignatures,
    read_size,
)
from strongroom.core import Clock, StrongroomError, VerificationFailedError
from strongroom.runtime._audit_witness_post import Answered, WitnessFailedError, WitnessPost

_THIN_EVERY: Final = 100
"""After so many confirmations one file of old ones may be thinned."""
_OK: Final = 200
_CONFLICT: Final = 409
_NOT_CONSISTENT: Final = 422
_WORDS: Final = {
    400: "it does not understand the request",
    403: "it knows another key of this log: give it the first line of 'strongroom audit keys'",
    404: "it does not watch this log: give it origin and key of 'strongroom audit keys'",
}


class WitnessDisagreesError(StrongroomError):
    """A witness confirmed another past of this log than the one that is on this host."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"{message}: the log here was rewritten or cut, or is an old copy (docs/audit-witness.md)"
        )


class WitnessCaller:
    """For one thread at a time."""

    def __init__(
        self, name: str, audit: Path, keys: Sequence[LogKey], post: WitnessPost, *, clock: Clock
    ) -> None:
        """``audit`` is the audit directory; ``name`` that of the witness in the configuration."""
        self._name, self._audit, self._keys, self._post = name, audit, keys, post
        self._clock = clock
        self._writer: WitnessedWriter | None = None
        self._last: Checkpoint | None = None
        self._n_kept = 0
        self.went_back_from = 0
        """The size that it had confirmed when it named a smaller one: it forgot. 0: it did not."""

    def open(self, kept: KeptCheckpoint) -> int:
        """Return the size of the newest checkpoint that the witness confirmed, which is of the tree of ``kept``.

        Raises WitnessDisagreesError where it is not, other StrongroomErrors and OSError.
        """
        if self._writer is None:
            writer = WitnessedWriter(self._audit, self._name)
            last = writer.last()
            self._writer, self._last = writer, None if last is None else last.checkpoint
        self._require_ours(kept.checkpoint, TreeLookup(self._audit))
        return 0 if self._last is None else self._last.size

    def confirm(self, kept: KeptCheckpoint) -> None:
        """Have the witness cosign a checkpoint, and keep that, durably.

        Raises WitnessDisagreesError, WitnessFailedError, other StrongroomErrors and OSError.
        """
        old_size = self.open(kept)
        lookup = TreeLookup(self._audit)
        answer = self._ask(old_size, kept, lookup)
        if answer.status == _CONFLICT and old_size < kept.checkpoint.size:
            before, old_size = old_size, _conflicting_size(answer, other_than=old_size)
            self.went_back_from = before if old_size < before else self.went_back_from
            if old_size > kept.checkpoint.size:
                raise WitnessDisagreesError(
                    f"it confirmed {old_size} entries, and this log has a checkpoint of {kept.checkpoint.size}"
                )
            answer = self._ask(old_size, kept, lookup)
        if answer.status != _OK:
            raise _refused(old_size, kept, answer)
        self._keep(kept, answer.body)

    def _require_ours(self, checkpoint: Checkpoint, lookup: TreeLookup) -> None:
        """Check that what was confirmed before is the beginning of our tree. Raises WitnessDisagreesError."""
        last = self._last
        if last is None:
            return
        if last.origin != checkpoint.origin:
            raise WitnessDisagreesError(
                f"it confirmed a log {last.origin}, and this one is {checkpoint.origin}"
            )
        if last.size > checkpoint.size or lookup.root_at(last.size) != last.root:
            raise WitnessDisagreesError(
                f"it confirmed {last.size} entries, and those on this host are others"
            )

    def _ask(self, old_size: int, kept: KeptCheckpoint, lookup: TreeLookup) -> Answered:
        path = lookup.path_between(old_size, kept.checkpoint)
        return self._post.send(GrowthProof(old_size, path, kept.note).encode())

    def _keep(self, kept: KeptCheckpoint, body: bytes) -> None:
        writer = self._writer
        if writer is None:
            raise WitnessFailedError("what it confirmed cannot be kept")
        try:
            signatures = read_cosignatures(body)
            self._writer = None  # until it is kept: what an error leaves is cut off by the next opening
            writer.confirm(kept.note, signatures, self._keys)
        except (MalformedNoteError, VerificationFailedError) as error:
            self._writer = writer
            raise WitnessFailedError(
                f"its answer holds no cosignature by its keys: {error.message}"
            ) from error
        self._n_kept += 1
        if self._n_kept % _THIN_EVERY == 0:
            writer.thin(self._keys, self._clock.now())
        self._writer, self._last = writer, kept.checkpoint


def _refused(old_size: int, kept: KeptCheckpoint, answer: Answered) -> StrongroomError:
    """Return what it means that a witness refuses a proof that is right for the tree on this host."""
    is_whole = old_size == kept.checkpoint.size
    if answer.status == _CONFLICT and not (
        is_whole and _conflicting_size(answer, unless=old_size) == old_size
    ):
        return WitnessFailedError("it named one size, then another: does somebody else send it this log?")
    if answer.status in {_NOT_CONSISTENT, _CONFLICT}:
        return WitnessDisagreesError(
            f"it confirmed {old_size} entries that are not the first {old_size} on this host"
        )
    words = _WORDS.get(answer.status, "it does not cosign")
    return WitnessFailedError(f"{words} (HTTP {answer.status})")


def _conflicting_size(answer: Answered, *, unless: int | None = None, other_than: int | None = None) -> int:
    """Return the size that the witness names; ``unless`` where it names none. Raises WitnessFailedError."""
    if answer.content_type.split(";")[0].strip().lower() != SIZE_TYPE:
        if unless is not None:
            return unless
        raise WitnessFailedError("it does not name the size that it cosigned last")
    try:
        size = read_size(answer.body)
    except MalformedNoteError as error:
        raise WitnessFailedError(error.message) from error
    if size == other_than:
        raise WitnessFailedError(f"it names the size {size}, and does not take a proof from there")
    return size
