"""What can be wrong with an HSM's own log, or with what is kept of it."""

from strongroom.core import StrongroomError


class VendorLogError(StrongroomError):
    """A log of a vendor cannot be taken in, or what was taken in cannot be read."""


class UnknownRecordError(VendorLogError):
    """A line or block is none of the records of its format; it is counted, and its hash is kept."""


class BrokenChainError(VendorLogError):
    """An entry does not fit the hash chain that the device made: entries were changed or taken out."""
