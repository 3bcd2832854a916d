"""Which transport keys are destroyed when others replace them, and when a backup set ends: told by name, of their own kind only."""

import pytest

from strongroom.core import (
    BACKUP_TRANSPORT_PREFIX,
    is_backup_transport,
    new_backup_transport_id,
    new_transport_id,
)
from strongroom.hsm.cluster import destroy_backup_transport_keys, destroy_unknown_transport_keys
from strongroom.hsm.wire import ObjectEntry

SET, OTHER = bytes(range(16)), bytes(range(16, 32))
BETWEEN, REPLACED = new_transport_id(), new_transport_id()
OF_SET, OF_OTHER = new_backup_transport_id(SET), new_backup_transport_id(OTHER)


class Holding:
    """A member with a few objects."""

    def __init__(self):
        self.held = {
            name: ObjectEntry("secret_key", name, label, False)
            for name, label in {
                BETWEEN: "transport-alpha-aes", REPLACED: "transport-beta-aes", OF_SET: "backup-alpha-aes",
                OF_OTHER: "transport-of-whoever", bytes(16): "somebody's",
            }.items()
        }  # fmt: skip
        self.held[b"BKUP"] = ObjectEntry("-", b"BKUP", "", True)

    async def list_objects(self):
        return list(self.held.values())

    async def destroy_transport_key(self, transport_id):
        del self.held[transport_id]


async def test_what_is_replaced_between_members_leaves_backups_as_they_are():
    member = Holding()
    assert await destroy_unknown_transport_keys([member], {BETWEEN}) == 1
    assert member.held.keys() == {BETWEEN, OF_SET, OF_OTHER, bytes(16), b"BKUP"}


async def test_a_set_that_ends_takes_its_own_keys_along():
    member = Holding()
    assert await destroy_backup_transport_keys([member], lambda name: is_backup_transport(name, SET)) == 1
    assert OF_SET not in member.held
    assert len(member.held) == 5


def test_names_of_backup_transport_keys_tell_their_set():
    assert OF_SET.startswith(BACKUP_TRANSPORT_PREFIX)
    assert (len(OF_SET), len(BETWEEN)) == (16, 16)
    assert (is_backup_transport(OF_SET), is_backup_transport(OF_SET, SET), is_backup_transport(OF_SET, OTHER)) == (True, True, False)  # fmt: skip
    assert not is_backup_transport(BETWEEN)
    assert not is_backup_transport(OF_SET[:15])
    assert not is_backup_transport(OF_SET, SET[:8])
    with pytest.raises(ValueError, match="16 bytes"):
        new_backup_transport_id(SET[:8])
