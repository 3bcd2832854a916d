"""What can go wrong while measuring.

BenchError (StrongroomError)
├── WrkMissingError       the load generator is not on this machine
└── RequestFailedError    a request that prepares a measurement was not answered with 200
"""

from strongroom.core import StrongroomError


class BenchError(StrongroomError):
    """A measurement could not be made, or its load generator said something that we do not understand."""


class WrkMissingError(BenchError):
    """The program wrk is not in PATH."""


class RequestFailedError(BenchError):
    """A request that prepares a measurement failed: there is nothing to measure then."""
