"""The pair of a backup set: a transport target whose private half opens with the share key of custodians, and with nothing else.

*Made* inside the token as session objects: the private half can do nothing there but leave, under an AES key that holds the
share key and can do nothing but wrap. Both are gone when the call ends, and what left is looked at once: it opens, and is the
same pair. *Opened* into another token it is the pair of an offer (``_transport_setup``): a session object that unwraps
transport keys as closed as those of any member, and shows nothing. So no private half and no root is in clear outside a token.

The share key itself is in clear in this process, which is locked, for as long as the call takes.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from strongroom.core import HsmError, HsmIntegrityError, HsmRequestError, Secret
from strongroom.hsm.cryptoki import (
    AesKeyWrapPad,
    AesKwp,
    CryptokiError,
    HashAlgorithm,
    Mechanism,
    MechanismType,
    Module,
    RsaKeyPairGen,
    RsaOaep,
    Template,
)
from strongroom.hsm.token._classification import Handling, handling_of
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._spki import numbers_from_spki
from strongroom.hsm.token._transport_setup import WRAPPING_MECHANISMS, Offer, TransportSetup, check_cka_id
from strongroom.hsm.token._transport_templates import (
    backup_private,
    backup_public,
    opened_backup_private,
    share_key_object,
    share_key_pair_private,
)
from strongroom.hsm.token._values import Role
from strongroom.hsm.token._work import Workshop

SHARE_KEY_BYTES: Final = 32
_MAX_WRAPPED_BYTES: Final = 8192
_MECHANISMS: Final[dict[int, Mechanism]] = {
    MechanismType.AES_KEY_WRAP_KWP: AesKwp(),
    MechanismType.AES_KEY_WRAP_PAD: AesKeyWrapPad(),
}
_HASHES: Final = {
    HashAlgorithm.SHA1: hashes.SHA1(),  # noqa: S303  # as the profile says; OAEP does not lean on collisions
    HashAlgorithm.SHA256: hashes.SHA256(),
}
_DOES_NOT_OPEN: Final = frozenset(
    [
        "CKR_GENERAL_ERROR",
        "CKR_WRAPPED_KEY_INVALID",
        "CKR_WRAPPED_KEY_LEN_RANGE",
        "CKR_ENCRYPTED_DATA_INVALID",
        "CKR_ENCRYPTED_DATA_LEN_RANGE",
        "CKR_DATA_INVALID",
        "CKR_FUNCTION_FAILED",
        "CKR_TEMPLATE_INCONSISTENT",
    ]
)
"""What tokens say of a blob that does not open: RFC 5649, section 3, finds a wrong key and a changed blob alike."""


class BackupPair(NamedTuple):
    """A pair that was made for a backup set."""

    spki_der: bytes
    wrapped_private: bytes
    """PKCS#8, wrapped under the share key by RFC 5649."""
    mechanism: int
    """The CKM_ number by which it was wrapped."""


class BackupPairs:
    """Makes and opens the pairs of backup sets, once the approval gate agreed. Safe to use from any thread."""

    def __init__(
        self, module: Module, workshop: Workshop, setup: TransportSetup, *, profile: Profile, role: Role
    ) -> None:
        self._module = module
        self._workshop = workshop
        self._setup = setup
        self._modulus_bits = profile.import_key_bits
        self._hash = HashAlgorithm[profile.oaep_hash.upper()]
        self._role = role

    def make(self, share_key: Secret) -> BackupPair:
        """See ``TransportVerbs.make_backup_pair``."""
        self._check(share_key)

        def make(session: int) -> BackupPair:
            mechanism = self._best(session)
            with self._temporary(session) as objects:
                public, private = self._module.generate_key_pair(
                    session,
                    RsaKeyPairGen(),
                    public=backup_public(self._modulus_bits),
                    private=backup_private(),
                )
                objects.extend((public, private))
                wrapping = self._share_key(session, share_key, mechanism, wraps=True)
                objects.append(wrapping)
                wrapped = self._module.wrap_key(
                    session, _MECHANISMS[mechanism], wrapping_key=wrapping, key=private
                )
                spki = self._setup.spki_of(session, public)
                opened = self._open(session, share_key, wrapped, mechanism)
                objects.append(opened)
                if self._setup.spki_of(session, opened) != spki:
                    raise HsmError(
                        "the private half that left the token is not that of the pair that it made"
                    )
            return BackupPair(spki, wrapped, mechanism)

        return self._workshop.change("making the pair of a backup set", make)

    def offer(self, pair_id: bytes, share_key: Secret, wrapped_private: bytes, *, mechanism: int) -> Offer:
        """See ``TransportVerbs.offer_backup``."""
        self._check(share_key)
        check_cka_id(pair_id)
        if not 1 <= len(wrapped_private) <= _MAX_WRAPPED_BYTES:
            raise HsmRequestError(f"a wrapped private half has 1 to {_MAX_WRAPPED_BYTES:,} bytes")
        if mechanism not in _MECHANISMS:
            raise HsmRequestError(f"no private half is wrapped by the mechanism {mechanism:#x}")

        def open_it(borrowed: int) -> Offer:
            slot = self._module.session_info(borrowed).slot
            can = [number for number in WRAPPING_MECHANISMS if number in self._module.mechanisms(slot)]
            if not can:
                raise _unable()
            session = self._module.open_session(slot)
            try:
                # One vendor's number for RFC 5649 is another's: what was wrapped by anything else does not open.
                chosen = mechanism if mechanism in can else can[0]
                private = self._open(session, share_key, wrapped_private, chosen, pair_id)
                spki = self._setup.spki_of(session, private)
            except BaseException:
                with suppress(HsmError):
                    self._module.close_session(session)
                raise
            self._setup.stand(pair_id, session, private)
            return Offer(spki, tuple(can))

        return self._workshop.change("opening the pair of a backup set", open_it)

    def _open(
        self, session: int, share_key: Secret, wrapped: bytes, mechanism: int, pair_id: bytes = b""
    ) -> int:
        """Return the private half as the pair of an offer has it. Raises HsmIntegrityError when it does not open."""
        unwrapping = self._share_key(session, share_key, mechanism, wraps=False)
        try:
            return self._module.unwrap_key(
                session,
                _MECHANISMS[mechanism],
                unwrapping_key=unwrapping,
                wrapped=wrapped,
                template=opened_backup_private(pair_id),
            )
        except CryptokiError as error:
            if error.ckr_name not in _DOES_NOT_OPEN:
                raise
            raise HsmIntegrityError(
                f"the private half of the backup pair does not open ({error.ckr_name}): the share key is that of"
                " another set, or the set document was changed",
                ckr=error.ckr,
                next_step="compare the set ids on the shares and on the document, and collect the shares again",
            ) from error
        finally:
            with suppress(HsmError):
                self._module.destroy_object(session, unwrapping)

    def _share_key(self, session: int, share_key: Secret, mechanism: int, *, wraps: bool) -> int:
        template = share_key_object(share_key.reveal(), mechanism, wraps=wraps)
        try:
            return self._module.create_object(session, template)
        except CryptokiError as error:
            if handling_of(error) is not Handling.CALLER:
                raise
        return self._brought_in(session, share_key, share_key_object(None, mechanism, wraps=wraps))

    def _brought_in(self, session: int, share_key: Secret, template: Template) -> int:
        """Bring the share key in under a pair of the token's own: many HSMs take no secret key in clear, in FIPS mode most."""
        with self._temporary(session) as objects:
            public, private = self._module.generate_key_pair(
                session,
                RsaKeyPairGen(),
                public=backup_public(self._modulus_bits),
                private=share_key_pair_private(),
            )
            objects.extend((public, private))
            modulus, exponent = numbers_from_spki(self._setup.spki_of(session, public))
            numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
            hashing = _HASHES[self._hash]
            oaep = padding.OAEP(padding.MGF1(hashing), hashing, None)
            return self._module.unwrap_key(
                session,
                RsaOaep(self._hash),
                unwrapping_key=private,
                wrapped=numbers.public_key().encrypt(share_key.reveal(), oaep),
                template=template,
            )

    def _best(self, session: int) -> int:
        can = self._module.mechanisms(self._module.session_info(session).slot)
        for number in WRAPPING_MECHANISMS:
            if number in can:
                return number
        raise _unable()

    def _check(self, share_key: Secret) -> None:
        if self._role is not Role.USER:
            raise HsmRequestError(f"only the token's {Role.USER.value} can do this part of a backup")
        if len(share_key) != SHARE_KEY_BYTES:
            raise HsmRequestError(f"a share key has {SHARE_KEY_BYTES} bytes, not {len(share_key)}")

    @contextmanager
    def _temporary(self, session: int) -> Iterator[list[int]]:
        """As in ``TransportSetup``."""
        objects: list[int] = []
        try:
            yield objects
        finally:
            for handle in objects:
                with suppress(HsmError):
                    self._module.destroy_object(session, handle)


def _unable() -> HsmRequestError:
    return HsmRequestError(
        "this token wraps no private key under an AES key (RFC 5649), so no backup set can be made or opened on it",
        next_step="use the vendor's own backup",
    )
