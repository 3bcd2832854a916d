"""``CryptoperiodVerbs``: how long keys protect and from when on, and what the service does by itself when that is over."""

import datetime as dt
from typing import Final

from strongroom.core import StrongroomError
from strongroom.keyring import Cryptoperiod
from strongroom.service._caller import Caller
from strongroom.service._due_work import Told, do_due_work
from strongroom.service._rotation import ROTATE_EVENT, RotationVerbs, told_of_rotation

WARN_EVENT: Final = "keyring.WarnOfCryptoperiod"
_MOST_AT_ONCE: Final = 100


class CryptoperiodVerbs(RotationVerbs):
    """See ``CryptoperiodService`` for what each verb promises."""

    async def set_cryptoperiod(
        self, caller: Caller, key_id: str, *, days: int, max_uses: int
    ) -> Cryptoperiod:
        """Limit how long and how often a version of a key protects."""
        return await self._change(
            caller,
            "SetCryptoperiod",
            lambda: self._keyring.cryptoperiods.limit(key_id, days=days, max_uses=max_uses),
            key_id=key_id,
            detail={"days": str(days), "uses": str(max_uses)},
        )

    async def set_activation_date(self, caller: Caller, key_id: str, *, at: float | None) -> Cryptoperiod:
        """Let a key that was never used do nothing before a date."""

        async def act() -> Cryptoperiod:
            await self._keyring.last_uses.flush()  # what this process knows of uses counts
            return await self._keyring.cryptoperiods.activate_at(key_id, at)

        shown = "now" if at is None else _shown(at)
        return await self._change(caller, "SetActivationDate", act, key_id=key_id, detail={"at": shown})

    async def rotate_key_that_is_over(self, key_id: str, n_uses: int) -> None:
        """Give a key a new version, with its entries, while somebody who needs it waits. Raises as ``rotate_due``."""
        failures: list[StrongroomError] = []

        async def rotate(key_id: str) -> Told:
            try:
                under = dict[str, str]()
                return told_of_rotation(await self.rotate_if_due(key_id, n_uses, under=under), under)
            except StrongroomError as error:
                failures.append(error)
                raise

        await do_due_work(self._audit, ROTATE_EVENT, [key_id], rotate)
        if failures:
            raise failures[0]

    async def warn_of_cryptoperiods(self) -> int:
        """Write down once which keys are in the last tenth of their cryptoperiod and will protect nothing more; returns how many."""
        periods = self._keyring.cryptoperiods

        async def warn(key_id: str) -> Told:
            period = await periods.warned(key_id)
            detail = {"uses": f"{period.n_taken} of {period.max_uses}"} if period.max_uses else {}
            if period.ends_at is not None:
                detail["ends_at"] = _shown(period.ends_at)
            return Told(is_done=True, detail=detail)

        return await do_due_work(self._audit, WARN_EVENT, periods.list_ending(limit=_MOST_AT_ONCE), warn)

    async def give_back_uses(self, *, all_of_them: bool = False) -> None:
        """Let other processes have the uses of keys that this one took and does not need; all of them at the end."""
        await self._keyring.cryptoperiods.give_back(all_of_them=all_of_them)


def _shown(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
