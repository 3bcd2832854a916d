"""``Connections``: what a connection needs of whoever keeps count of all."""

from typing import TYPE_CHECKING, Protocol

from strongroom.api._large_bodies import LargeBodies

if TYPE_CHECKING:
    from strongroom.api._connection import HttpConnection


class Connections(Protocol):
    """Who keeps count of connections."""

    def opened(self, connection: "HttpConnection") -> bool:
        """Take notice of a connection; False when there are too many, and it is to be closed at once."""
        ...

    def closed(self, connection: "HttpConnection") -> None:
        """Take notice of its end."""
        ...

    @property
    def large_bodies(self) -> LargeBodies:
        """The places for large bodies."""
        ...
