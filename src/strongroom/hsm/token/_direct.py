"""``DirectVerbs``: keys that live inside the token, and every use of their secret half."""

from collections.abc import Callable

from strongroom.core import (
    Clock,
    HsmIntegrityError,
    HsmKey,
    KeySpec,
    KeyUsage,
    MemberFailedError,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
    WrappedBytes,
    random_bytes,
)
from strongroom.hsm.cryptoki import CryptokiError, GeneralError, Module, ObjectClass
from strongroom.hsm.public_keys import MAX_MESSAGE_BYTES, check_signed, encrypt_oaep, point_of_peer
from strongroom.hsm.token._approved import ApprovedUse
from strongroom.hsm.token._direct_admin import DirectAdmin
from strongroom.hsm.token._direct_checks import check_key, check_spec
from strongroom.hsm.token._direct_inspection import changed_attributes
from strongroom.hsm.token._direct_operations import DirectOperations
from strongroom.hsm.token._direct_templates import secret_class
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._values import ObjectSummary
from strongroom.hsm.token._work import Work, Workshop
from strongroom.hsm.token._wrapping import MAX_AAD_BYTES, UnexplainedError, check_length

_PROBE_BYTES = 32
_ANY = ApprovedUse(is_only=False)


class DirectVerbs:
    """Direct keys of one token. Safe to use from any thread.

    A key is named by ``core.HsmKey``. Every verb raises as those of ``Token`` do, and HsmRequestError for a key
    that is not for the verb. The use verbs are idempotent.
    """

    def __init__(
        self,
        module: Module,
        finder: ObjectFinder,
        workshop: Workshop,
        *,
        profile: Profile,
        clock: Clock,
        approved: ApprovedUse = _ANY,
    ) -> None:
        self._approved = approved
        self._module = module
        self._profile = profile
        self._finder = finder
        self._workshop = workshop
        self._operations = DirectOperations(module, profile)
        self._admin = DirectAdmin(module, finder, workshop, self._operations, profile=profile, clock=clock)

    def generate(self, key: HsmKey, label: str, *, may_leave: bool) -> bytes:
        """Generate a key as token objects with its id as CKA_ID; return the public half, SPKI DER, or nothing if it has none.

        It is sensitive, does what its usage says and nothing else, and cannot be modified or copied. With
        ``may_leave`` it can leave under a key that the security officer trusts, otherwise never. Every attribute is
        read back, and the key is used in every way that it is for and its answers checked in software; when
        anything is wrong, it is destroyed and HsmError raised. Raises HsmRequestError when the token lacks a
        mechanism or the curve, which it names, and when an object of this CKA_ID exists.
        """
        self._approved.require_key(key)
        return self._admin.generate(key, label, may_leave=may_leave)

    def destroy(self, key: HsmKey) -> None:
        """Destroy both halves, whatever is left of them, and look again in a new session that they are gone.

        Raises HsmKeyNotFoundError when there is neither, and HsmError when the token still shows one.
        """
        self._admin.destroy(key)

    def holds(self, key: HsmKey) -> bool:
        """Ask the token whether it holds the secret half."""
        return self._admin.holds(key)

    def inventory(self) -> list[ObjectSummary]:
        """List the objects of all Direct keys."""
        return self._admin.inventory()

    def inspect(self, key: HsmKey, *, may_leave: bool) -> list[str]:
        """Name the attributes (``CKA_…``) of the secret half that are not as those of a key that was made or copied so.

        Raises HsmKeyNotFoundError when there is none.
        """
        check_key(key)
        return self._workshop.use(
            "reading what a Direct key may do",
            lambda session: changed_attributes(
                self._module,
                session,
                self._find(session, key),
                key,
                may_leave=may_leave,
                profile=self._profile,
            ),
        )

    def sign(self, key: HsmKey, algorithm: SigningAlgorithm, signed: bytes) -> bytes:
        """Sign (``core.HsmDirectUse.sign``)."""
        return self._workshop.use("signing", self.sign_work(key, algorithm, signed))

    def sign_work(self, key: HsmKey, algorithm: SigningAlgorithm, signed: bytes) -> Work[bytes]:
        """Check what ``sign`` takes and return what it does in a session; so the other three of this kind."""
        self._check_use(key, KeyUsage.SIGN_VERIFY)
        check_signed(key.spec, algorithm, signed)
        return lambda session: self._operations.sign(
            session, self._find(session, key), key.spec, algorithm, signed
        )

    def mac(self, key: HsmKey, message: bytes) -> bytes:
        """Make a MAC (``core.HsmDirectUse.mac``)."""
        return self._workshop.use("making a MAC", self.mac_work(key, message))

    def mac_work(self, key: HsmKey, message: bytes) -> Work[bytes]:
        """See ``sign_work``."""
        self._check_use(key, KeyUsage.GENERATE_VERIFY_MAC)
        check_length("message", len(message), 1, MAX_MESSAGE_BYTES)
        return lambda session: self._operations.mac(session, self._find(session, key), key.spec, message)

    def encrypt(self, key: HsmKey, plaintext: Secret, aad: bytes) -> WrappedBytes:
        """Encrypt with AES-GCM (``core.HsmDirectUse.encrypt``)."""
        return self._workshop.use("encrypting", self.encrypt_work(key, plaintext, aad))

    def encrypt_work(self, key: HsmKey, plaintext: Secret, aad: bytes) -> Work[WrappedBytes]:
        """See ``sign_work``."""
        self._check_use(key, KeyUsage.ENCRYPT_DECRYPT)
        check_spec(key, key.spec is KeySpec.AES_256, "encrypt inside the token")
        check_length("plaintext", len(plaintext), 1, MAX_MESSAGE_BYTES)
        check_length("AAD", len(aad), 0, MAX_AAD_BYTES)
        return lambda session: self._operations.encrypt(
            session, self._find(session, key), plaintext.reveal(), aad
        )

    def decrypt(self, key: HsmKey, sealed: WrappedBytes, aad: bytes) -> Secret:
        """Decrypt with AES-GCM (``core.HsmDirectUse.decrypt``)."""

        def probe(session: int, handle: int, challenge: Secret) -> Secret:
            made = self._operations.encrypt(session, handle, challenge.reveal(), b"")
            return self._operations.decrypt(session, handle, made, b"")

        return self._decrypted(key, self.decrypt_work(key, sealed, aad), probe)

    def decrypt_work(self, key: HsmKey, sealed: WrappedBytes, aad: bytes) -> Work[Secret]:
        """See ``sign_work``. What it raises when the ciphertext does not authenticate need not tell so."""
        self._check_use(key, KeyUsage.ENCRYPT_DECRYPT)
        check_spec(key, key.spec is KeySpec.AES_256, "decrypt by AES-GCM")
        self._operations.check_sealed(sealed)
        check_length("AAD", len(aad), 0, MAX_AAD_BYTES)
        return lambda session: self._operations.decrypt(session, self._find(session, key), sealed, aad)

    def decrypt_oaep(self, key: HsmKey, algorithm: OaepAlgorithm, ciphertext: bytes) -> Secret:
        """Decrypt with RSA-OAEP (``core.HsmDirectUse.decrypt_oaep``)."""
        self._check_use(key, KeyUsage.ENCRYPT_DECRYPT)
        check_spec(key, key.spec.is_rsa, "decrypt by RSA-OAEP")
        if len(ciphertext) != key.spec.bits // 8:
            raise _does_not_decrypt()

        def probe(session: int, handle: int, challenge: Secret) -> Secret:
            sealed = encrypt_oaep(key.spec, self._public_key(session, key), algorithm, challenge)
            return self._operations.decrypt_oaep(session, handle, algorithm, sealed)

        return self._decrypted(
            key,
            lambda session: self._operations.decrypt_oaep(
                session, self._find(session, key), algorithm, ciphertext
            ),
            probe,
        )

    def derive(self, key: HsmKey, peer_spki_der: bytes) -> Secret:
        """Agree on a secret by ECDH (``core.HsmDirectUse.derive``)."""
        self._check_use(key, KeyUsage.KEY_AGREEMENT)
        point = point_of_peer(key.spec, peer_spki_der)
        return self._workshop.use(
            "deriving",
            lambda session: self._operations.derive(session, self._find(session, key), key.spec, point),
        )

    def public_key(self, key: HsmKey) -> bytes:
        """Return the public half (``core.HsmDirectUse.public_key``)."""
        check_key(key)
        check_spec(key, key.spec.is_pair, "have a public half")
        return self._workshop.use("reading a public key", lambda session: self._public_key(session, key))

    def _check_use(self, key: HsmKey, usage: KeyUsage) -> None:
        check_key(key, usage)
        self._approved.require_key(key)

    def _find(self, session: int, key: HsmKey) -> int:
        return self._finder.find(session, (key.key_id, secret_class(key.spec)))

    def _public_key(self, session: int, key: HsmKey) -> bytes:
        public = self._finder.find(session, (key.key_id, ObjectClass.PUBLIC_KEY))
        return self._operations.public_key(session, public, key)

    def _decrypted(
        self,
        key: HsmKey,
        work: Work[Secret],
        probe: Callable[[int, int, Secret], Secret],
    ) -> Secret:
        # Two tries before the probe and one after it: stray CKR_GENERAL_ERRORs must not be reported as tampering.
        for attempt in range(3):
            if attempt == 2:
                self._prove_decryption(key, probe)
            try:
                return self._workshop.use("decrypting", work)
            except UnexplainedError:
                continue
            except HsmIntegrityError as error:
                raise _does_not_decrypt(error.ckr) from error
        raise _does_not_decrypt()

    def _prove_decryption(self, key: HsmKey, probe: Callable[[int, int, Secret], Secret]) -> None:
        """Have a known answer decrypted. Raises MemberFailedError when the token cannot do that either."""
        challenge = Secret(random_bytes(_PROBE_BYTES))

        def work(session: int) -> Secret:
            try:
                return probe(session, self._find(session, key), challenge)
            except UnexplainedError as unexplained:
                cause = unexplained.__cause__
                if isinstance(cause, CryptokiError) and not isinstance(cause, GeneralError):
                    raise cause from None  # it was the token after all, which may be busy: recovery knows
                raise

        try:
            answer = self._workshop.use("probing with a known answer", work)
        except (UnexplainedError, HsmIntegrityError):
            answer = Secret(b"")
        if not answer.matches(challenge):
            reason = "the token does not decrypt what was just encrypted for it"
            self._workshop.mark_broken(reason)
            raise MemberFailedError(reason, ckr=GeneralError.code)


def _does_not_decrypt(ckr: int | None = None) -> HsmIntegrityError:
    """Make the one error for whatever is wrong with a ciphertext: saying more would help whoever forges them."""
    return HsmIntegrityError("the ciphertext does not decrypt", ckr=ckr)
