"""When each key was last used, as far as the log tells."""

from typing import Final

from msgspec import Struct

from strongroom.audit._catalogue import classes_of
from strongroom.audit._entry import Entry
from strongroom.audit._event_type import Pci
from strongroom.audit._filter import OK
from strongroom.audit._report_counts import keys_of

MOST_KEYS: Final = 200_000
_CREATED: Final = frozenset(("kms.CreateKey", "strongroom.CreateKeyInDomain"))
_DESTROYED: Final = "keyring.DestroyKey"


class KeyLife(Struct):
    """What is known of a key; times in microseconds since the Unix epoch, 0 for none that is known."""

    key_id: str
    created_at: int = 0
    used_at: int = 0
    used_by: str = ""
    """Who, the last time."""
    uses: int = 0
    is_destroyed: bool = False


class UseCount:
    """Notes the last use of each key, in bounded memory."""

    def __init__(self, *, most_keys: int = MOST_KEYS) -> None:
        self._most_keys = most_keys
        self.lives: dict[str, KeyLife] = {}
        self.left_out = 0
        """Entries of keys for which there was no room."""
        self.begins_at = 0
        """The earliest entry that was looked at; what was before, this does not tell."""

    def add(self, entry: Entry) -> None:
        """Take an entry into account."""
        if not self.begins_at or entry.at < self.begins_at:
            self.begins_at = entry.at
        if entry.outcome != OK:
            return
        for key_id in keys_of(entry):
            if (life := self.life(key_id)) is not None:
                _take(life, entry)

    def life(self, key_id: str) -> KeyLife | None:
        """Return what is known of a key, of a new one too; None where there is no room for more."""
        life = self.lives.get(key_id)
        if life is None:
            if len(self.lives) >= self._most_keys:
                self.left_out += 1
                return None
            life = self.lives[key_id] = KeyLife(key_id)
        return life


def _take(life: KeyLife, entry: Entry) -> None:
    if entry.event in _CREATED:
        life.created_at = entry.at
    elif entry.event == _DESTROYED:
        life.is_destroyed = True
    elif Pci.USE in classes_of(entry):
        life.uses += 1
        if entry.at >= life.used_at:
            life.used_at, life.used_by = entry.at, entry.principal or entry.access_key_id
