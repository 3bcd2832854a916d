"""``HealthSource``: what the api room asks about the health of the rest."""

from collections.abc import Mapping
from typing import Protocol

from strongroom.core import RootStanding


class HealthSource(Protocol):
    """Health of the process and its cluster. Nothing here blocks."""

    def readiness(self) -> list[str]:
        """Return the reasons why the service is not ready, in plain words; none when it is."""
        ...

    def status(self) -> Mapping[str, object]:
        """Return the operator's view, of JSON types. Holds no secrets."""
        ...

    def roots(self) -> RootStanding:
        """Return the roots and the newest rotation. Raises StorageError."""
        ...

    def metrics(self) -> str:
        """Return the Prometheus text of the other rooms, each line ended by a newline."""
        ...
