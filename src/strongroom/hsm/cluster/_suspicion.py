"""What callers tell the main process about a worker."""

from typing import Literal

import msgspec

SuspicionKind = Literal["timeout", "failure", "slow", "recovered", "read-only"]
"""``timeout``: no answer in time. ``failure``: an answer, but an error that says the member cannot serve. ``slow``: it
answers, but takes several times as long as the others. ``recovered``: it is as fast as the others again. ``read-only``:
it refuses to make, change or destroy keys."""


class Suspicion(msgspec.Struct, frozen=True, array_like=True):
    """A worker that failed, did not answer in time or is not what it is published as, as reported to the main process."""

    member: str
    worker: int
    generation: int
    reason: str
    kind: SuspicionKind
