"""What callers tell the main process about a worker."""

from typing import Literal

import msgspec

SuspicionKind = Literal["timeout", "failure", "slow", "recovered"]
"""``timeout``: no answer in time. ``failure``: an answer, but an error that says the member cannot serve. ``slow``: it
answers, but takes several times as long as the others. ``recovered``: it is as fast as the others again.

That a member takes no new keys is nothing that a caller can tell: main alone makes keys, and sees it itself."""


class Suspicion(msgspec.Struct, frozen=True, array_like=True):
    """A worker that failed, did not answer in time or is not what it is published as, as reported to the main process."""

    member: str
    worker: int
    generation: int
    reason: str
    kind: SuspicionKind
