"""What a keyring needs to keep keys inside HSMs."""

from collections.abc import Callable
from typing import NamedTuple

from strongroom.core import HsmDirectUse, HsmKeyMaker


class HsmAccess(NamedTuple):
    """The cluster of HSMs that custom key stores are in. A service has one."""

    cluster_id: str
    """By which callers name it (``cluster.id`` of the configuration)."""
    use: HsmDirectUse
    maker: HsmKeyMaker
    is_active: Callable[[], bool]
    """Whether a member serves, as far as is known here."""
