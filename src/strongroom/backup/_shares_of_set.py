"""Whose share of a set somebody brought: by its number, and by the key of its proofs, which the document of the set has."""

import hmac

from strongroom.backup._errors import BackupError, WrongSetError
from strongroom.backup._set import BackupSet, SetCustodian
from strongroom.shares import ITERATION_EXPONENT, Share, possession_public_key


class AlteredShareError(BackupError):
    """A share that says that it is of the set, and is not the one that its custodian was given. ``index`` is its number."""

    def __init__(self, index: int, custodian: str) -> None:
        super().__init__(
            f"this is not share {index} as {custodian} was given it: it was altered or made up, though its checksum is right",
            next_step="open with other shares, and have whoever answers for the custodians look into this one",
        )
        self.index = index


def custodian_of_share(backup_set: BackupSet, share: Share) -> SetCustodian:
    """Return whose share it is. Ask this of each share as it comes: of shares together it can no longer be told which is wrong.

    Raises WrongSetError for a share of another set, and AlteredShareError.
    """
    fitting = [one for one in backup_set.custodians if one.share_index == share.index]
    is_of_set = (share.set_identifier, share.threshold, share.group_count) == (
        backup_set.slip39_identifier,
        backup_set.threshold,
        1,
    )
    if len(fitting) != 1 or not is_of_set:
        raise WrongSetError(
            f"this is a share of another set than {backup_set.set_id}",
            next_step="bring the shares of this set: each sheet names the set that it is of",
        )
    public_key = possession_public_key(share, bytes.fromhex(backup_set.set_id))
    # How it is decrypted is no part of what that key is made of.
    is_decrypted_so = (share.iteration_exponent, share.is_extendable) == (ITERATION_EXPONENT, True)
    if not (is_decrypted_so and hmac.compare_digest(public_key, fitting[0].possession_key)):
        raise AlteredShareError(share.index, fitting[0].name)
    return fitting[0]
