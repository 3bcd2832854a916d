"""The verbs about how long keys protect and what is under their versions, as calls on a key that is there."""

DAY_S = 86_400.0


async def _set_period(bench, caller, key_id):
    return await bench.service.set_cryptoperiod(caller, key_id, days=30, max_uses=1_000)


async def _set_date(bench, caller, key_id):
    return await bench.service.set_activation_date(caller, key_id, at=bench.clock.now() + DAY_S)


VERSION_VERBS = {
    "SetCryptoperiod": _set_period,
    "SetActivationDate": _set_date,
}
"""Verb → call(bench, caller, key_id)."""
VERSION_CHANGES = {"SetCryptoperiod", "SetActivationDate"}
