"""``HealthSource``: what the api room asks about the health of the rest."""

from collections.abc import Mapping
from typing import Any, Protocol


class HealthSource(Protocol):
    """Health of the process and its cluster. Nothing here blocks."""

    def readiness(self) -> list[str]:
        """Return the reasons why the service is not ready, in plain words; none when it is."""
        ...

    def status(self) -> Mapping[str, object]:
        """Return the operator's view, of JSON types. Holds no secrets."""
        ...

    def roots(self) -> Mapping[str, Any]:
        """Return the roots and the newest rotation, of JSON types: the members of ``RootsAnswer``. Raises StorageError."""
        ...

    def metrics(self) -> str:
        """Return the Prometheus text of the other rooms, each line ended by a newline."""
        ...
