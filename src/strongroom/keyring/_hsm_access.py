"""What a keyring needs to keep keys inside HSMs."""

from collections.abc import Callable
from typing import NamedTuple

from strongroom.core import HsmDirectUse, HsmKeyId, HsmKeyMaker


class HsmAccess(NamedTuple):
    """The cluster of HSMs that custom key stores are in. A service has one."""

    cluster_id: str
    """By which callers name it (``cluster.id`` of the configuration)."""
    use: HsmDirectUse
    maker: HsmKeyMaker
    is_active: Callable[[], bool]
    """Whether a member serves, as far as is known here."""
    require_usable: Callable[[HsmKeyId], None] = lambda _key_id: None
    """Raises HsmKeyQuarantinedError for a Direct key that nobody may use, be it in software by its public half."""
