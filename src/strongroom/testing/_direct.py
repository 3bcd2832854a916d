"""The Direct keys of an HSM in memory: real cryptography, the limits and errors of a real token."""

import hashlib
import hmac
import threading
from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.core import (
    HSM_KEY_ID_BYTES,
    HsmIntegrityError,
    HsmKey,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
    WrapAlgorithm,
    WrappedBytes,
    random_bytes,
)
from strongroom.hsm.public_keys import (
    MAX_MESSAGE_BYTES,
    check_signed,
    curve_of,
    load_public_key,
    oaep_hash_name,
    point_of_peer,
)
from strongroom.testing._faults import Faults

_IV_BYTES = 12
_TAG_BYTES = 16
_MAX_AAD_BYTES = 8192
_HASHES: dict[int | str, hashes.HashAlgorithm] = {
    32: hashes.SHA256(),
    48: hashes.SHA384(),
    64: hashes.SHA512(),
    "sha1": hashes.SHA1(),  # noqa: S303  # one of the two hashes of OAEP
    "sha256": hashes.SHA256(),
}

_Pair = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class _Held(NamedTuple):
    key: HsmKey
    secret: bytes | _Pair
    may_leave: bool


class FakeDirectKeys:
    """The Direct keys of one ``FakeHsm``; the verbs and errors are those of ``hsm.token.DirectVerbs``.

    ``faults.wrong_key`` makes it work with another key than the one that was named. Safe to use from any thread.
    """

    def __init__(
        self,
        name: str,
        faults: Faults,
        note: Callable[[bytes, str, list[str]], None],
        forget: Callable[[bytes], None],
    ) -> None:
        self._name = name
        self._faults = faults
        self._note = note
        self._forget = forget
        self._held: dict[bytes, _Held] = {}
        self._wrong: dict[bytes, bytes | _Pair] = {}
        self._lock = threading.Lock()

    def generate(self, key: HsmKey, label: str, *, may_leave: bool) -> bytes:
        """Make a key; return the public half, SPKI DER, or no bytes if it has none."""
        _check_key(key)
        self.keep(key, label, _generated(key.spec), may_leave=may_leave)
        return self.public_key(key) if key.spec.is_pair else b""

    def keep(self, key: HsmKey, label: str, secret: bytes | _Pair, *, may_leave: bool) -> None:
        """Take in a key that was made elsewhere."""
        classes = ["public_key", "private_key"] if key.spec.is_pair else ["secret_key"]
        with self._lock:
            self._note(key.key_id, f"direct-{label}", classes)
            self._held[key.key_id] = _Held(key, secret, may_leave)

    def copy_to(self, other: "FakeDirectKeys", key: HsmKey) -> None:
        """Give another HSM the same key, without ceremony. Raises HsmRequestError when it may not leave."""
        held = self._find(key)
        if not held.may_leave:
            raise HsmRequestError("the key stays in the token: it is not extractable")
        other.keep(key, "copy", held.secret, may_leave=True)

    def destroy(self, key: HsmKey) -> None:
        """Destroy a key. Raises HsmKeyNotFoundError when there is none."""
        _check_key(key)
        with self._lock:
            self._find(key)
            del self._held[key.key_id]
            self._forget(key.key_id)

    def holds(self, key: HsmKey) -> bool:
        """Whether there is such a key."""
        _check_key(key)
        held = self._held.get(key.key_id)
        return held is not None and held.key == key

    def inspect(self, key: HsmKey, *, may_leave: bool) -> list[str]:
        """Which attributes are not those of a key that was made so."""
        return [] if self._find(key).may_leave is may_leave else ["CKA_EXTRACTABLE"]

    def sign(self, key: HsmKey, algorithm: SigningAlgorithm, signed: bytes) -> bytes:
        """Sign a digest, or for Ed25519 a message."""
        _check_key(key, KeyUsage.SIGN_VERIFY)
        check_signed(key.spec, algorithm, signed)
        secret = self._working(key)
        if isinstance(secret, ed25519.Ed25519PrivateKey):
            return secret.sign(signed)
        hashing = _HASHES[len(signed)]
        if isinstance(secret, ec.EllipticCurvePrivateKey):
            return secret.sign(signed, ec.ECDSA(Prehashed(hashing)))
        assert isinstance(secret, rsa.RSAPrivateKey)
        scheme = padding.PSS(padding.MGF1(hashing), len(signed)) if "PSS" in algorithm else padding.PKCS1v15()
        return secret.sign(signed, scheme, Prehashed(hashing))

    def mac(self, key: HsmKey, message: bytes) -> bytes:
        """Make a MAC."""
        _check_key(key, KeyUsage.GENERATE_VERIFY_MAC)
        _check_length("message", len(message), 1, MAX_MESSAGE_BYTES)
        secret = self._working(key)
        assert isinstance(secret, bytes)
        return hmac.digest(secret, message, f"sha{key.spec.bits}")

    def encrypt(self, key: HsmKey, plaintext: Secret, aad: bytes) -> WrappedBytes:
        """Encrypt under an AES key."""
        _check_key(key, KeyUsage.ENCRYPT_DECRYPT, KeySpec.AES_256)
        _check_length("plaintext", len(plaintext), 1, MAX_MESSAGE_BYTES)
        _check_length("AAD", len(aad), 0, _MAX_AAD_BYTES)
        secret, iv = self._working(key), random_bytes(_IV_BYTES)
        assert isinstance(secret, bytes)
        sealed = AESGCM(secret).encrypt(iv, plaintext.reveal(), aad)
        return WrappedBytes(WrapAlgorithm.HSM_AES_GCM, iv, sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:])

    def decrypt(self, key: HsmKey, sealed: WrappedBytes, aad: bytes) -> Secret:
        """Decrypt under an AES key. Raises HsmIntegrityError."""
        _check_key(key, KeyUsage.ENCRYPT_DECRYPT, KeySpec.AES_256)
        if sealed.algorithm is not WrapAlgorithm.HSM_AES_GCM:
            raise HsmRequestError(f"Direct keys decrypt HSM_AES_GCM, not {sealed.algorithm!r}")
        _check_length("IV", len(sealed.iv), _IV_BYTES, _IV_BYTES)
        _check_length("tag", len(sealed.tag), _TAG_BYTES, _TAG_BYTES)
        _check_length("ciphertext", len(sealed.ciphertext), 1, MAX_MESSAGE_BYTES)
        _check_length("AAD", len(aad), 0, _MAX_AAD_BYTES)
        secret = self._working(key)
        assert isinstance(secret, bytes)
        try:
            return Secret(AESGCM(secret).decrypt(sealed.iv, sealed.ciphertext + sealed.tag, aad))
        except InvalidTag:
            raise HsmIntegrityError("the ciphertext does not decrypt") from None

    def decrypt_oaep(self, key: HsmKey, algorithm: OaepAlgorithm, ciphertext: bytes) -> Secret:
        """Decrypt under an RSA key. Raises HsmIntegrityError."""
        _check_key(key, KeyUsage.ENCRYPT_DECRYPT)
        if not key.spec.is_rsa:
            raise HsmRequestError(f"a key of {key.spec} does not decrypt by RSA-OAEP")
        secret, hashing = self._working(key), _HASHES[oaep_hash_name(algorithm)]
        assert isinstance(secret, rsa.RSAPrivateKey)
        try:
            return Secret(secret.decrypt(ciphertext, padding.OAEP(padding.MGF1(hashing), hashing, None)))
        except ValueError:
            raise HsmIntegrityError("the ciphertext does not decrypt") from None

    def derive(self, key: HsmKey, peer_spki_der: bytes) -> Secret:
        """Agree on a secret by ECDH."""
        _check_key(key, KeyUsage.KEY_AGREEMENT)
        point_of_peer(key.spec, peer_spki_der)
        secret, peer = self._working(key), load_public_key(key.spec, peer_spki_der)
        assert isinstance(secret, ec.EllipticCurvePrivateKey)
        assert isinstance(peer, ec.EllipticCurvePublicKey)
        return Secret(secret.exchange(ec.ECDH(), peer))

    def public_key(self, key: HsmKey) -> bytes:
        """Return the public half, SPKI DER."""
        _check_key(key)
        if not key.spec.is_pair:
            raise HsmRequestError(f"a key of {key.spec} does not have a public half")
        secret = self._working(key)
        assert not isinstance(secret, bytes)
        return secret.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def _find(self, key: HsmKey) -> _Held:
        held = self._held.get(key.key_id)
        if held is None or held.key != key:
            raise HsmKeyNotFoundError(f"{self._name} holds no {key.spec} with CKA_ID {key.key_id.hex()}")
        return held

    def _working(self, key: HsmKey) -> bytes | _Pair:
        held = self._find(key)
        if not self._faults.wrong_key:
            return held.secret
        if isinstance(held.secret, bytes):
            return hashlib.blake2b(self._name.encode() + held.secret, digest_size=len(held.secret)).digest()
        with self._lock:
            if key.key_id not in self._wrong:
                self._wrong[key.key_id] = _generated(key.spec)
            return self._wrong[key.key_id]


def _generated(spec: KeySpec) -> bytes | _Pair:
    if not spec.is_pair:
        return random_bytes(spec.bits // 8)
    if spec.is_rsa:
        return rsa.generate_private_key(public_exponent=65537, key_size=spec.bits)
    if spec is KeySpec.ECC_NIST_EDWARDS25519:
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(curve_of(spec).implementation)


def _check_key(key: HsmKey, usage: KeyUsage | None = None, spec: KeySpec | None = None) -> None:
    _check_length("key id", len(key.key_id), HSM_KEY_ID_BYTES, HSM_KEY_ID_BYTES)
    if key.usage not in key.spec.usages:
        raise HsmRequestError(f"a key of {key.spec} cannot be made for {key.usage}")
    if usage not in {None, key.usage} or spec not in {None, key.spec}:
        raise HsmRequestError(f"the key is one of {key.spec} for {key.usage}, and not for this verb")


def _check_length(what: str, length: int, least: int, most: int) -> None:
    if not least <= length <= most:
        raise HsmRequestError(f"{what}: {length} bytes, where {least} to {most:,} are taken")
