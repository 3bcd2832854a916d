"""From the shares of custodians to the share key of a backup set, with an error of its own for each thing that can be wrong."""

from collections.abc import Sequence

from strongroom.backup import BackupSet, check_share_key, custodian_of_share
from strongroom.core import Secret
from strongroom.shares import ForeignShareError, Share, TooFewSharesError, combine


def combined_share_key(backup_set: BackupSet, shares: Sequence[Share]) -> Secret:
    """Return the share key of a set.

    Raises TooFewSharesError, DuplicateShareError, ForeignShareError (also for shares that are all of one other set),
    AlteredShareError, WrongSharesError and WrongSetError.
    """
    if not shares:
        raise TooFewSharesError(0, backup_set.threshold)
    foreign = tuple(
        number
        for number, share in enumerate(shares, 1)
        if share.set_identifier != backup_set.slip39_identifier
    )
    if foreign:
        raise ForeignShareError(foreign, f"this bundle opens with shares of the set {backup_set.set_id}")
    for share in shares:
        custodian_of_share(backup_set, share)
    key = combine(shares)
    try:
        check_share_key(backup_set, key)
    except BaseException:
        key.zeroize()
        raise
    return key
