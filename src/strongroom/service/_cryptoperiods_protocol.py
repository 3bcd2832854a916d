"""What the service promises about cryptoperiods; a part of ``KeyService``."""

from typing import Protocol

from strongroom.keyring import Cryptoperiod
from strongroom.service._caller import Caller


class CryptoperiodService(Protocol):
    """Limits how long keys protect. What is refused is as ``Cryptoperiods`` says."""

    async def set_cryptoperiod(
        self, caller: Caller, key_id: str, *, days: int, max_uses: int
    ) -> Cryptoperiod:
        """Limit each version of a key to ``days`` and to ``max_uses`` protections; 0 takes a limit away."""
        ...

    async def set_activation_date(self, caller: Caller, key_id: str, *, at: float | None) -> Cryptoperiod:
        """Let a key that was never used do nothing before a date; None: it is active from now on."""
        ...
