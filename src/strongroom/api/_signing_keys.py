"""A bounded cache of derived signing keys that follow their secret."""

from collections import OrderedDict
from typing import NamedTuple

from strongroom.api._canonical import Scope
from strongroom.core import Secret

MAX_ACCESS_KEYS = 1_024
MAX_SCOPES = 4
"""Scopes kept per access key: a region or two, around midnight two days of each."""


class _Derived(NamedTuple):
    secret: Secret
    """The secret they were derived from: another one under the same id must not find them."""
    keys: OrderedDict[Scope, Secret]


class SigningKeys:
    """Signing keys by access key and scope. The least recently used go first, and are overwritten."""

    def __init__(self, *, max_access_keys: int = MAX_ACCESS_KEYS) -> None:
        self._max_access_keys = max_access_keys
        self._derived: OrderedDict[str, _Derived] = OrderedDict()

    def find(self, access_key_id: str, secret: Secret, scope: Scope) -> Secret | None:
        """Return the signing key derived from exactly this secret, if it is kept."""
        derived = self._derived.get(access_key_id)
        if derived is None or not _same(derived.secret, secret):
            return None
        self._derived.move_to_end(access_key_id)
        return derived.keys.get(scope)

    def keep(self, access_key_id: str, secret: Secret, scope: Scope, key: Secret) -> None:
        """Keep a signing key. Keys of an older secret of the same id are dropped."""
        derived = self._derived.get(access_key_id)
        if derived is None or not _same(derived.secret, secret):
            self.forget(access_key_id)
            derived = self._derived[access_key_id] = _Derived(secret, OrderedDict())
        derived.keys[scope] = key
        if len(derived.keys) > MAX_SCOPES:
            derived.keys.popitem(last=False)[1].zeroize()
        if len(self._derived) > self._max_access_keys:
            self.forget(next(iter(self._derived)))

    def forget(self, access_key_id: str) -> None:
        """Overwrite and drop everything derived for an access key."""
        derived = self._derived.pop(access_key_id, None)
        for key in derived.keys.values() if derived else ():
            key.zeroize()

    def __len__(self) -> int:
        return len(self._derived)


def _same(one: Secret, other: Secret) -> bool:
    return one is other or one.matches(other)
