"""``[custodians]``: how often custodians of backup sets show that they have their shares."""

from typing import Annotated

from msgspec import Meta, Struct


class CustodiansConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """``[custodians]``."""

    prove_every_days: Annotated[int, Meta(ge=0, le=3_650)] = 365
    """Who has not proved for so many days is not counted on any more; 0: nobody is asked."""
    remind_days: Annotated[int, Meta(ge=0, le=3_650)] = 30
    """So many days before that the reminders begin."""
