"""How long the peer of a connection may take."""

from typing import NamedTuple


class Timeouts(NamedTuple):
    """How long a connection may take for what, in seconds."""

    request_s: float = 10.0
    """From the first byte of a request to its last."""
    idle_s: float = 75.0
    """Between two requests."""
    write_s: float = 30.0
    """For the peer to take an answer."""
