"""Which of many old checkpoints stay: signed every few seconds, they would take some 20 GB a year.

What an old checkpoint says, every later one of the same tree says too, so no proof needs it; one an hour stays to tell when entries
were there. The newest files are never touched.
"""

from collections.abc import Iterable, Sequence

from strongroom.audit._checkpoint_files import CheckpointWriter, KeptCheckpoint
from strongroom.audit._checkpoint_keys import LogKey, cosigned_at

KEEP_ALL_S = 7 * 86_400
"""How long every checkpoint stays."""
SLOT_S = 3600
"""Of those that are older the last of each hour stays."""


def thinned(found: Sequence[KeptCheckpoint], keys: Iterable[LogKey], now: float) -> Sequence[KeptCheckpoint]:
    """Return what stays of one file: all of it, unless every checkpoint in it is older than KEEP_ALL_S.

    Checkpoints that nobody cosigned tell no time, and stay.
    """
    cosigners = {key.key_id for key in keys if key.kind.is_cosigner}
    times = [_time_of(kept, cosigners) for kept in found]
    if any(at is not None and at > now - KEEP_ALL_S for at in times):
        return found
    last_of_slot = {at // SLOT_S: index for index, at in enumerate(times) if at is not None}
    stay = set(last_of_slot.values())
    return [kept for index, kept in enumerate(found) if index in stay or times[index] is None]


def thin_files(files: CheckpointWriter, done: set[int], keys: Iterable[LogKey], now: float) -> int:
    """Thin one file, the oldest that was not looked at; return how many checkpoints were dropped.

    ``done``: numbers of files that need no other look; those that were looked at and are old come to them.
    """
    for number in files.numbers()[:-1]:
        if number in done:
            continue
        found = files.read_closed(number)
        stay = thinned(found, keys, now)
        if stay is found:
            return 0  # and so are all that follow
        done.add(number)
        if len(stay) < len(found):
            files.rewrite(number, stay)
            return len(found) - len(stay)
    return 0


def _time_of(kept: KeptCheckpoint, cosigners: set[bytes]) -> int | None:
    return max(
        (cosigned_at(one.data) for one in kept.note.signatures if one.key_id in cosigners), default=None
    )
