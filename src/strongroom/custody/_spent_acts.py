"""What a member remembers of acts that were done: the Protocol, which ``wiring.custody_used`` keeps on disk."""

from typing import Final, Protocol

from strongroom.custody._standing_terms import StandingTerms

UNDO_S: Final = 900
"""How long a member may destroy again, without an approval, what it made or took in."""


class SpentActs(Protocol):
    """What a member remembers of acts, durably and for all its processes."""

    @property
    def begins(self) -> int:
        """From when on it knows: a request that was made before may have been spent. Seconds since the epoch."""
        ...

    def require_unspent(self, nonce: str, part: str) -> None:
        """Raise ApprovalRefusedError (ALREADY_USED) when this part of a request was spent."""
        ...

    def spend_part(self, nonce: str, part: str, *, until: int) -> None:
        """Note on disk that a part of a request is spent. Raises ApprovalRefusedError (ALREADY_USED).

        It may be forgotten after ``until``. Of two callers at the same moment one gets the error.
        """
        ...

    def begin_change(self, nonce: str, change: str, *, until: int) -> None:
        """Note on disk that one change goes on under a request. Raises ApprovalRefusedError (ALREADY_USED) for another one."""
        ...

    def spend(self, nonce: str, terms: StandingTerms, *, now: int) -> None:
        """Note on disk one more use of a standing approval (``StandingUses``). Raises ApprovalRefusedError."""
        ...

    def last_use(self, nonce: str) -> int | None:
        """Return when a standing approval was last used; None if it never was."""
        ...

    def begin_session(self, nonce: str, *, until: int, now: int) -> int:
        """Return when a session was first begun under a request; noted on disk if that is now."""
        ...

    def note_made(self, name: str, *, now: int) -> None:
        """Remember that an object which was not there is about to be. Never raises: without it, undoing is refused."""
        ...

    def was_made(self, name: str, *, now: int) -> bool:
        """Whether it was made or taken in within ``UNDO_S``."""
        ...
