"""``TransportVerbs``: transport keys, and the keys that travel under them."""

from collections.abc import Sequence

from strongroom.core import HsmKey, RootId, Secret, TransportKind
from strongroom.hsm.cryptoki import Module
from strongroom.hsm.token._backup_pair import BackupPair, BackupPairs
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._removal import RemovalVerbs
from strongroom.hsm.token._transport_copies import TransportCopies
from strongroom.hsm.token._transport_setup import Offer, TransportName, TransportSetup
from strongroom.hsm.token._values import KeyCheckValue, Role
from strongroom.hsm.token._work import Workshop


class TransportVerbs:
    """Everything about transport keys that main may ask of a token. Safe to use from any thread.

    ``_transport_setup`` tells what they are and why nobody gets a key in clear by them. Names are CKA_IDs of 16
    bytes. Every verb raises as those of ``Token`` do; none is ever repeated by itself.
    """

    def __init__(
        self, module: Module, finder: ObjectFinder, workshop: Workshop, *, profile: Profile, role: Role
    ) -> None:
        self._removal = RemovalVerbs(module, finder, workshop, role=role)
        self._setup = TransportSetup(module, finder, workshop, profile=profile, role=role)
        self._pairs = BackupPairs(module, workshop, self._setup, profile=profile, role=role)
        self._copies = TransportCopies(module, finder, workshop)

    def offer(self, pair_id: bytes) -> Offer:
        """Make an RSA pair under which transport keys can come in, visible to this process alone.

        Needs ``Role.USER``. It stands until ``end_offer``, ``close`` or the end of the process.
        """
        return self._setup.offer(pair_id)

    def end_offer(self, pair_id: bytes) -> None:
        """Destroy the pair of an offer; without effect where there is none."""
        self._setup.end_offer(pair_id)

    def make_keys(
        self, names: Sequence[TransportName], label: str, *, mechanism: int, targets: Sequence[bytes]
    ) -> list[list[bytes]]:
        """Make this token's own transport keys, and return them wrapped for each offer (SPKI DER) of ``targets``.

        Needs ``Role.SECURITY_OFFICER``. ``mechanism`` is the CKM_ number with which they will wrap. Every attribute
        is read back; where one differs (a token that does not keep CKA_WRAP_TEMPLATE), nothing of it stays and
        HsmError is raised.
        """
        return self._setup.make_keys(names, label, mechanism=mechanism, targets=targets)

    def take_keys(
        self,
        pair_id: bytes,
        names: Sequence[TransportName],
        label: str,
        *,
        mechanism: int,
        wrapped: Sequence[bytes],
    ) -> None:
        """Take another token's transport keys in, to unwrap under them only. Needs ``Role.USER``."""
        self._setup.take_keys(pair_id, names, label, mechanism=mechanism, wrapped=wrapped)

    def destroy_key(self, transport_id: bytes) -> None:
        """Destroy a transport key of whichever kind, and look again that it is gone. Needs ``Role.USER``.

        Raises HsmKeyNotFoundError when there is none.
        """
        self._removal.destroy_transport_key(transport_id)

    def wrap_out(self, cka_id: bytes, kind: TransportKind, *, transport_id: bytes) -> bytes:
        """Wrap a root or a Direct key under this token's own transport key of its kind.

        Raises HsmRequestError when the key may not leave, HsmKeyNotFoundError when either is not there.
        """
        return self._copies.wrap_out(cka_id, kind, transport_id=transport_id)

    def take_in_root(
        self, root_id: RootId, label: str, *, transport_id: bytes, wrapped: bytes, expected: KeyCheckValue
    ) -> None:
        """Take in a root that ``wrap_out`` of another token made; one of another check value is destroyed.

        The check value spots mix-ups only: that both hold the same key is proved by using it.
        """
        self._copies.take_in_root(
            root_id, label, transport_id=transport_id, wrapped=wrapped, expected=expected
        )

    def take_in_key(
        self, key: HsmKey, label: str, *, transport_id: bytes, wrapped: bytes, spki_der: bytes
    ) -> None:
        """Take in a Direct key that ``wrap_out`` of another token made; ``spki_der`` is empty where it is no pair."""
        self._copies.take_in_key(key, label, transport_id=transport_id, wrapped=wrapped, spki_der=spki_der)

    def make_backup_pair(self, share_key: Secret) -> BackupPair:
        """Make an RSA pair whose private half leaves the token only under the share key (256 bits); nothing of it stays.

        Needs ``Role.USER``. Its public half is a target of ``make_keys``. What left is opened again before this returns.
        Raises HsmRequestError where the token wraps no private keys under AES keys.
        """
        return self._pairs.make(share_key)

    def offer_backup(
        self, pair_id: bytes, share_key: Secret, wrapped_private: bytes, *, mechanism: int
    ) -> Offer:
        """Open the private half of a backup pair as the pair of an offer, which ``take_keys`` and ``end_offer`` take as any.

        Needs ``Role.USER``. Whoever calls compares the public half that is returned with that of the set. Raises
        HsmIntegrityError when it does not open: another share key, or a blob that was changed.
        """
        return self._pairs.offer(pair_id, share_key, wrapped_private, mechanism=mechanism)

    def close(self) -> None:
        """End every offer."""
        self._setup.close()
