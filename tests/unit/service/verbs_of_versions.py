"""The verbs about how long keys protect and what is under their versions, as calls on a key that is there."""

from strongroom.core import INVENTORY_FORMAT, Inventory, VersionFound

DAY_S = 86_400.0


async def _set_period(bench, caller, key_id):
    return await bench.service.set_cryptoperiod(caller, key_id, days=30, max_uses=1_000)


async def _set_date(bench, caller, key_id):
    return await bench.service.set_activation_date(caller, key_id, at=bench.clock.now() + DAY_S)


async def _retire(bench, caller, key_id):
    """A version that can be retired whatever was used: a new one each time."""
    bench.clock.advance(20 * 365 * DAY_S)
    maker = bench.caller()
    info = bench.stores[0].get_key(key_id)
    await bench.service.rotate_key_on_demand(maker, key_id)
    bench.clock.advance(31 * DAY_S)
    return await bench.service.retire_key_version(caller, key_id, version=info.current_version)


def inventory_of(bench, key_id, *, left=0):
    now = bench.clock.now()
    found = [VersionFound(1, 5, 5, left)]
    return Inventory(INVENTORY_FORMAT, key_id, "table", "people.c", now - 1, now, 5, 0, True, found)


async def _record(bench, caller, key_id):
    return await bench.service.record_inventory(caller, key_id, inventory=inventory_of(bench, key_id))


VERSION_VERBS = {
    "RetireKeyVersion": _retire,
    "RecordInventory": _record,
    "SetCryptoperiod": _set_period,
    "SetActivationDate": _set_date,
}
"""Verb → call(bench, caller, key_id)."""
VERSION_CHANGES = set(VERSION_VERBS)
