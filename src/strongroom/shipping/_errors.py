"""What can go wrong between the log and a sink. None of it loses an entry: what was not accepted is sent again."""

from strongroom.core import StrongroomError


class ShippingError(StrongroomError):
    """Entries could not be shipped for now."""


class SinkError(ShippingError):
    """A sink did not take entries, or did not say that it has them."""

    def __init__(
        self,
        message: str,
        *,
        next_step: str | None = None,
        retry_after_s: float = 0.0,
        is_too_much: bool = False,
    ) -> None:
        """``retry_after_s``: how long it asked to be left alone. ``is_too_much``: it may take fewer entries at a time."""
        super().__init__(message, next_step=next_step)
        self.retry_after_s = retry_after_s
        self.is_too_much = is_too_much


class PositionsUnreadableError(ShippingError):
    """The file with the positions of a sink is not one that we wrote."""
