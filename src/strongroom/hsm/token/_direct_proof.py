"""The proof that a new Direct key works: what it makes inside is checked outside, before the key counts as made."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.core import (
    HsmError,
    HsmIntegrityError,
    HsmKey,
    KeyUsage,
    OaepAlgorithm,
    Secret,
    VerificationFailedError,
    random_bytes,
)
from strongroom.hsm.public_keys import curve_of, encrypt_oaep, load_public_key, verify_signature
from strongroom.hsm.token._direct_operations import DirectOperations
from strongroom.hsm.token._wrapping import UnexplainedError

_CHALLENGE_BYTES: Final = 32


class KeyProof:
    """Proves keys of one token. ``spki_der`` is the public half, empty for a key that has none."""

    def __init__(self, operations: DirectOperations) -> None:
        self._operations = operations

    def run(self, session: int, handle: int, key: HsmKey, spki_der: bytes) -> None:
        """Use the key in every way that it is for. Raises HsmError when an answer is wrong, and what the module raises."""
        tests: dict[KeyUsage, Callable[[int, int, HsmKey, bytes], bool]] = {
            KeyUsage.SIGN_VERIFY: self._signs,
            KeyUsage.ENCRYPT_DECRYPT: self._decrypts,
            KeyUsage.GENERATE_VERIFY_MAC: self._makes_macs,
            KeyUsage.KEY_AGREEMENT: self._agrees,
        }
        try:
            works = tests[key.usage](session, handle, key, spki_der)
        except (UnexplainedError, HsmIntegrityError, VerificationFailedError):
            works = False
        if not works:
            raise HsmError(
                f"the new key of {key.spec} gives wrong answers: it was destroyed",
                next_step="do not use this token before its vendor has explained it",
            )

    def _signs(self, session: int, handle: int, key: HsmKey, spki_der: bytes) -> bool:
        for algorithm in key.spec.signing_algorithms:
            signed = random_bytes(algorithm.digest_len_bytes or _CHALLENGE_BYTES)
            signature = self._operations.sign(session, handle, key.spec, algorithm, signed)
            verify_signature(key.spec, spki_der, algorithm, signed, signature)
        return True

    def _decrypts(self, session: int, handle: int, key: HsmKey, spki_der: bytes) -> bool:
        challenge = Secret(random_bytes(_CHALLENGE_BYTES))
        if not key.spec.is_rsa:
            aad = random_bytes(_CHALLENGE_BYTES)
            sealed = self._operations.encrypt(session, handle, challenge.reveal(), aad)
            is_hidden = challenge.reveal() != sealed.ciphertext
            return is_hidden and self._operations.decrypt(session, handle, sealed, aad).matches(challenge)
        for algorithm in OaepAlgorithm:
            ciphertext = encrypt_oaep(key.spec, spki_der, algorithm, challenge)
            opened = self._operations.decrypt_oaep(session, handle, algorithm, ciphertext)
            if not opened.matches(challenge):
                return False
        return True

    def _makes_macs(self, session: int, handle: int, key: HsmKey, _spki_der: bytes) -> bool:
        message, other = random_bytes(_CHALLENGE_BYTES), random_bytes(_CHALLENGE_BYTES)
        made = self._operations.mac(session, handle, key.spec, message)
        again = self._operations.mac(session, handle, key.spec, message)
        differs = made != self._operations.mac(session, handle, key.spec, other)
        is_plain_hash = made == hashlib.new(f"sha{key.spec.bits}", message).digest()
        return hmac.compare_digest(made, again) and differs and not is_plain_hash

    def _agrees(self, session: int, handle: int, key: HsmKey, spki_der: bytes) -> bool:
        ours = load_public_key(key.spec, spki_der)
        other = ec.generate_private_key(curve_of(key.spec).implementation)
        point = other.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        agreed = self._operations.derive(session, handle, key.spec, point)
        return isinstance(ours, ec.EllipticCurvePublicKey) and agreed.matches(
            Secret(other.exchange(ec.ECDH(), ours))
        )
