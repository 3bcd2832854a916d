"""Making and destroying Direct keys for the service: what an API process may ask of the main process."""

from typing import NamedTuple, Protocol

from strongroom.core._direct import HsmKeyId, KeySpec, KeyUsage
from strongroom.core._errors import HsmError, HsmRequestError


class HsmKeyLimitError(HsmRequestError):
    """The cluster has as many Direct keys as it may have."""


class HsmKeyQuarantinedError(HsmError):
    """No member of the cluster shows that a Direct key is the one of its record: nobody may use it."""


class TooFewMembersError(HsmError):
    """Fewer members could take a new Direct key than must hold it; it was undone."""


class MadeHsmKey(NamedTuple):
    """A Direct key that was made for one version of a key of the service."""

    hsm_key_id: HsmKeyId
    public_key: bytes
    """SubjectPublicKeyInfo in DER of a pair; else empty."""


class DestroyedHsmKeys(NamedTuple):
    """What became of a key of the service whose date had come."""

    n_versions: int
    n_aliases: int
    left_on: tuple[str, ...]
    """Members that may still hold something of it: away, or failing. It is destroyed there before they serve again."""


class HsmKeyMaker(Protocol):
    """Whoever makes and destroys Direct keys on all members. Each call may take many seconds; none is repeated by itself."""

    async def make(
        self, key_id: str, version: int, spec: KeySpec, usage: KeyUsage, *, approval: str = ""
    ) -> MadeHsmKey:
        """Make a Direct key for a version (1 or more) of a key; asked again for the same version, it gives the same one.

        ``approval``: the id of the request by which officers approved it; empty where none is needed. Who asked has to store that version soon: a Direct key that belongs to no version in the database is destroyed.
        Raises HsmRequestError, which says why, when the HSMs cannot hold such a key or it is not to be made (so
        HsmKeyLimitError), TooFewMembersError, and other HsmErrors when they could not make it now: nothing of it stays.
        """
        ...

    async def destroy(self, key_id: str, *, approval: str = "") -> DestroyedHsmKeys | None:
        """Destroy a key of the service whose date of destruction has come: its record, and each of its Direct keys.

        ``approval`` as in ``make``.

        None when its date has not come, or no longer stands: nothing happens then. Raises HsmError and StorageError.
        """
        ...
