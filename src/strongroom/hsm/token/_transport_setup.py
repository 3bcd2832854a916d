"""Transport keys: how keys get from member to member without the security officer, once he was there.

At ``init`` every member gets AES keys of its own, one for each kind of key that travels. On the member itself
such a key is trusted and only *wraps* (``own_transport_key``): the token lets roots and Direct keys leave under
nothing else. On the other members the same key only *unwraps*, to keys that are as closed as those that left
(``anothers_transport_key``). On no member can it do both, be read, wrapped, copied or changed; so a user of both
tokens can copy a key from one to the other, as the service does, and has it on neither in clear.

How one is made, with nothing of it in reach of another process that has a user's PIN:

1. Each other member makes an RSA pair (an *offer*) whose halves are session objects: PKCS#11 shows them to the
   process that made them only, and they are gone when it ends. Without that, whoever has the user's PIN could
   take the transport key in without the template that closes what comes under it: templates do not nest.
2. The security officer of the member generates the key as a session object, wraps it under the offers, wraps it
   under a session pair of his own and unwraps it from there as the token object that it will be. That last step
   is what makes it non-extractable: SoftHSM does not let C_CopyObject close a key as far.
3. The others unwrap it under their offers, and end them.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from strongroom.core import HsmError, HsmRequestError, TransportKind, random_bytes
from strongroom.hsm.cryptoki import (
    AesKeyGen,
    Attribute,
    HashAlgorithm,
    MechanismType,
    Module,
    RsaKeyPairGen,
    RsaOaep,
)
from strongroom.hsm.token._making import ObjectMaking, check_label
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._spki import numbers_from_spki, spki_from_numbers
from strongroom.hsm.token._templates import ObjectPlan
from strongroom.hsm.token._transport_templates import (
    anothers_transport_key,
    offer_private,
    offer_public,
    officer_private,
    officer_public,
    own_transport_key,
    target_public,
    travelling_key,
)
from strongroom.hsm.token._values import Role
from strongroom.hsm.token._work import Workshop

_CKA_ID_BYTES: Final = 16
WRAPPING_MECHANISMS: Final = (MechanismType.AES_KEY_WRAP_KWP, MechanismType.AES_KEY_WRAP_PAD)
"""What can wrap keys of any length under AES, best first. 0x210A is RFC 5649 on SoftHSM; both ends must mean the
same by it, which the proof of every copy shows."""


class TransportName(NamedTuple):
    """The CKA_ID of a transport key, the same on all members, and what it carries."""

    cka_id: bytes
    kind: TransportKind


class Offer(NamedTuple):
    """The public half of an offer (SubjectPublicKeyInfo, DER), and what the token can wrap keys with, best first."""

    spki_der: bytes
    mechanisms: tuple[int, ...]


class _Open(NamedTuple):
    """An offer that stands: its session, which keeps the pair alive, and the private half."""

    session: int
    private: int


class TransportSetup:
    """Makes transport keys, once the approval gate agreed. Safe to use from any thread."""

    def __init__(
        self, module: Module, finder: ObjectFinder, workshop: Workshop, *, profile: Profile, role: Role
    ) -> None:
        self._module = module
        self._workshop = workshop
        self._make = ObjectMaking(module, finder)
        self._oaep = RsaOaep(HashAlgorithm[profile.oaep_hash.upper()])
        self._modulus_bits = profile.import_key_bits
        self._role = role
        self._lock = threading.Lock()
        self._offers: dict[bytes, _Open] = {}  # under _lock

    def offer(self, pair_id: bytes) -> Offer:
        """See ``TransportVerbs.offer``."""
        self._require(Role.USER)
        check_cka_id(pair_id)

        def make(borrowed: int) -> Offer:
            slot = self._module.session_info(borrowed).slot
            can = self._module.mechanisms(slot)
            session = self._module.open_session(slot)
            try:
                public, private = self._module.generate_key_pair(
                    session,
                    RsaKeyPairGen(),
                    public=offer_public(pair_id, self._modulus_bits),
                    private=offer_private(pair_id),
                )
                spki = self.spki_of(session, public)
            except BaseException:
                self._close(session)
                raise
            self.stand(pair_id, session, private)
            return Offer(spki, tuple(number for number in WRAPPING_MECHANISMS if number in can))

        return self._workshop.change("offering to take transport keys", make)

    def stand(self, pair_id: bytes, session: int, private: int) -> None:
        """Let this private half be that of an offer, in the place of an earlier one. The session is ended with it."""
        with self._lock:
            replaced = self._offers.pop(pair_id, None)
            self._offers[pair_id] = _Open(session, private)
        if replaced is not None:
            self._close(replaced.session)

    def end_offer(self, pair_id: bytes) -> None:
        """See ``TransportVerbs.end_offer``."""
        with self._lock:
            ended = self._offers.pop(pair_id, None)
        if ended is not None:
            self._close(ended.session)

    def make_keys(
        self, names: Sequence[TransportName], label: str, *, mechanism: int, targets: Sequence[bytes]
    ) -> list[list[bytes]]:
        """See ``TransportVerbs.make_keys``."""
        self._require(Role.SECURITY_OFFICER)
        for name in names:
            check_cka_id(name.cka_id)
            check_label(f"{label}-{name.kind}")
        numbers = [numbers_from_spki(spki_der) for spki_der in targets]

        def make(session: int) -> list[list[bytes]]:
            for name in names:
                self._make.refuse_existing(session, name.cka_id)
            wrapped: list[list[bytes]] = [[] for _ in targets]
            with self._temporary(session) as objects:
                trusted = [self._module.create_object(session, target_public(*key)) for key in numbers]
                objects.extend(trusted)
                pair = self._officer_pair(session)
                objects.extend(pair)
                for name in names:
                    key = self._module.generate_key(session, AesKeyGen(), travelling_key())
                    objects.append(key)
                    plan = own_transport_key(name.cka_id, f"{label}-{name.kind}", name.kind, mechanism)
                    self._keep_own(session, key, pair, plan)
                    for blobs, target in zip(wrapped, trusted, strict=True):
                        blobs.append(self._wrap(session, target, key))
            return wrapped

        undo = self._make.undoing(*[name.cka_id for name in names])
        return self._workshop.change("making transport keys", make, outcome=undo)

    def take_keys(
        self,
        pair_id: bytes,
        names: Sequence[TransportName],
        label: str,
        *,
        mechanism: int,
        wrapped: Sequence[bytes],
    ) -> None:
        """See ``TransportVerbs.take_keys``."""
        self._require(Role.USER)
        if len(names) != len(wrapped):
            raise HsmRequestError("there are not as many wrapped keys as names")
        with self._lock:
            offer = self._offers.get(pair_id)
        if offer is None:
            raise HsmRequestError("this worker has made no such offer")
        private = offer.private
        for name in names:
            check_cka_id(name.cka_id)
            check_label(f"{label}-{name.kind}")

        def take(session: int) -> None:
            for name in names:
                self._make.refuse_existing(session, name.cka_id)
            for (cka_id, kind), blob in zip(names, wrapped, strict=True):
                plan = anothers_transport_key(cka_id, f"{label}-{kind}", kind, mechanism)
                key = self._module.unwrap_key(
                    session, self._oaep, unwrapping_key=private, wrapped=blob, template=plan.template
                )
                with self._make.destroyed_on_failure(session, key):
                    self._make.read_back(session, key, plan)

        undo = self._make.undoing(*[name.cka_id for name in names])
        self._workshop.change("taking transport keys in", take, outcome=undo)

    def close(self) -> None:
        """End every offer."""
        with self._lock:
            offers, self._offers = list(self._offers.values()), {}
        for offer in offers:
            self._close(offer.session)

    def _keep_own(self, session: int, key: int, pair: Sequence[int], plan: ObjectPlan) -> None:
        """Turn the travelling key into the member's own one, which does not leave."""
        public, private = pair
        own = self._module.unwrap_key(
            session,
            self._oaep,
            unwrapping_key=private,
            wrapped=self._wrap(session, public, key),
            template=plan.template,
        )
        with self._make.destroyed_on_failure(session, own):
            self._make.read_back(session, own, plan)

    def _officer_pair(self, session: int) -> tuple[int, int]:
        pair_id = random_bytes(16)
        return self._module.generate_key_pair(
            session,
            RsaKeyPairGen(),
            public=officer_public(pair_id, self._modulus_bits),
            private=officer_private(pair_id),
        )

    def _wrap(self, session: int, wrapping_key: int, key: int) -> bytes:
        return self._module.wrap_key(session, self._oaep, wrapping_key=wrapping_key, key=key)

    def spki_of(self, session: int, key: int) -> bytes:
        """Return the public half of an RSA key, as either half tells it. Raises HsmError."""
        names = (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT)
        found = self._module.get_attributes(session, key, names)
        modulus, exponent = found.get(names[0]), found.get(names[1])
        if not isinstance(modulus, bytes) or not isinstance(exponent, bytes):
            raise HsmError("the token does not tell the public half of an RSA key")
        return spki_from_numbers(modulus, exponent)

    @contextmanager
    def _temporary(self, session: int) -> Iterator[list[int]]:
        """Destroy what is put on the list at the end, whatever happened: the pool may lend the session again."""
        objects: list[int] = []
        try:
            yield objects
        finally:
            for handle in objects:
                with suppress(HsmError):
                    self._module.destroy_object(session, handle)

    def _close(self, session: int) -> None:
        with suppress(HsmError):  # with the module gone, so are its session objects
            self._module.close_session(session)

    def _require(self, role: Role) -> None:
        if self._role is not role:
            raise HsmRequestError(f"only the token's {role.value} can do this part of making transport keys")


def check_cka_id(cka_id: bytes) -> None:
    """Raise HsmRequestError unless this can be the CKA_ID of a transport key or an offer."""
    if len(cka_id) != _CKA_ID_BYTES:
        raise HsmRequestError(f"a transport key is named by {_CKA_ID_BYTES} bytes, not {len(cka_id)}")
