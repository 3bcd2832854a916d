"""``[backups]``: how old backups may become before people are reminded."""

from typing import Annotated

from msgspec import Meta, Struct


class BackupsConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """``[backups]``."""

    max_age_days: Annotated[int, Meta(ge=0, le=3_650)] = 7
    """After so many days the newest backup is too old; 0: never."""
    max_unverified_days: Annotated[int, Meta(ge=0, le=3_650)] = 180
    """So long ago shares may have opened a bundle of the set last; 0: for ever."""
    vendor_max_age_days: Annotated[int, Meta(ge=0, le=3_650)] = 0
    """After so many days the newest backup of the vendor's own kind is too old; 0: none is expected."""
