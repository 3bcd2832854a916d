"""``KeyWork`` in our own memory: the implementations for each kind of Envelope key.

What takes less than about 100 us is done at once, the rest on threads (``SlowWork``); measured with pyca/cryptography 50:
P-256 signs in 25 us and Ed25519 in 35, every other curve, RSA and ML-DSA need 170 us to milliseconds.
"""

from abc import ABC, abstractmethod
from functools import partial
from typing import Final, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import load_der_public_key

from strongroom.core import (
    HsmIntegrityError,
    HsmRequestError,
    MacAlgorithm,
    ManagedKeySpec,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
)
from strongroom.keyring._key_work import KeyWork
from strongroom.keyring._material import MlDsaKey, open_pair, public_half
from strongroom.keyring._slow_work import SlowWork

_SHA: Final = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}
_PREHASHED: Final = {length: Prehashed(hashing) for length, hashing in _SHA.items()}
_ECDSA: Final = {length: ec.ECDSA(prehashed) for length, prehashed in _PREHASHED.items()}
_ECDSA_P256: Final = _ECDSA[32]
_PSS: Final = {length: padding.PSS(padding.MGF1(hashing), length) for length, hashing in _SHA.items()}
_PKCS1: Final = padding.PKCS1v15()
_OAEP: Final = {
    OaepAlgorithm.RSAES_OAEP_SHA_1: padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),  # noqa: S303  # as AWS KMS names it; OAEP does not lean on collisions
    OaepAlgorithm.RSAES_OAEP_SHA_256: padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
}
_HMAC: Final = {
    MacAlgorithm.HMAC_SHA_224: hashes.SHA224(),
    MacAlgorithm.HMAC_SHA_256: hashes.SHA256(),
    MacAlgorithm.HMAC_SHA_384: hashes.SHA384(),
    MacAlgorithm.HMAC_SHA_512: hashes.SHA512(),
}


class SignsAtOnce(ABC):
    """A key that signs in less time than a thread would take to begin."""

    @abstractmethod
    def sign_now(self, signed: bytes) -> bytes:
        """Sign what ``KeyWork.sign`` does, by the only algorithm of its spec."""


class MacsAtOnce(ABC):
    """A key that makes a MAC in less time than a task would take to begin."""

    @abstractmethod
    def mac_now(self, message: bytes) -> bytes:
        """Make the MAC that ``KeyWork.mac`` makes."""


def software_work(spec: ManagedKeySpec, secret: bytes, slow: SlowWork) -> KeyWork:
    """Put what ``Material.secret`` holds to work. Takes microseconds. Raises UnfitMaterialError."""
    if spec.mac_algorithm is not None:
        return _HmacWork(spec.mac_algorithm, secret)
    key = open_pair(spec, secret)
    if isinstance(key, rsa.RSAPrivateKey):
        return _RsaWork(key, slow)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _P256Work(key, slow) if spec is ManagedKeySpec.ECC_NIST_P256 else _CurveWork(key, slow)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return _Ed25519Work(key)
    return _MlDsaWork(key, slow)


class _Work:
    """Refuses everything; a kind of key does what is its own. Shows nothing of the key when it is printed."""

    public_key = b""

    async def sign(self, algorithm: SigningAlgorithm, signed: bytes, *, is_mu: bool = False) -> bytes:  # noqa: ARG002  # the Protocol's shape
        _refuse(algorithm)

    async def mac(self, message: bytes) -> bytes:  # noqa: ARG002  # the Protocol's shape
        _refuse("HMAC")

    async def derive(self, peer_spki_der: bytes) -> Secret:  # noqa: ARG002  # the Protocol's shape
        _refuse("ECDH")

    async def decrypt_oaep(self, algorithm: OaepAlgorithm, ciphertext: bytes) -> Secret:  # noqa: ARG002  # the Protocol's shape
        _refuse(algorithm)


def _refuse(algorithm: str) -> NoReturn:
    raise HsmRequestError(f"{algorithm} is nothing that this kind of key does")


class _HmacWork(_Work, MacsAtOnce):
    def __init__(self, algorithm: MacAlgorithm, secret: bytes) -> None:
        self._keyed = HMAC(secret, _HMAC[algorithm])

    async def mac(self, message: bytes) -> bytes:
        return self.mac_now(message)

    def mac_now(self, message: bytes) -> bytes:
        work = self._keyed.copy()
        work.update(message)
        return work.finalize()


class _RsaWork(_Work):
    def __init__(self, key: rsa.RSAPrivateKey, slow: SlowWork) -> None:
        self.public_key = public_half(key)
        self._key = key
        self._slow = slow

    async def sign(self, algorithm: SigningAlgorithm, signed: bytes, *, is_mu: bool = False) -> bytes:
        if is_mu:
            _refuse("EXTERNAL_MU")
        length = len(signed)
        scheme = _PSS[length] if "_PSS_" in algorithm else _PKCS1
        return await self._slow.run(partial(self._key.sign, signed, scheme, _PREHASHED[length]))

    async def decrypt_oaep(self, algorithm: OaepAlgorithm, ciphertext: bytes) -> Secret:
        try:
            return Secret(await self._slow.run(partial(self._key.decrypt, ciphertext, _OAEP[algorithm])))
        except ValueError:  # whatever is wrong: length, number, padding or hash
            raise HsmIntegrityError("the ciphertext does not decrypt") from None


class _CurveWork(_Work):
    """ECDSA or ECDH: the usage of the key says which, and nobody asks for the other."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, slow: SlowWork) -> None:
        self.public_key = public_half(key)
        self._key = key
        self._slow = slow

    async def sign(self, algorithm: SigningAlgorithm, signed: bytes, *, is_mu: bool = False) -> bytes:  # noqa: ARG002  # the digest's length says which hash
        if is_mu:
            _refuse("EXTERNAL_MU")
        return await self._slow.run(partial(self._key.sign, signed, _ECDSA[len(signed)]))

    async def derive(self, peer_spki_der: bytes) -> Secret:
        return await self._slow.run(partial(self._agreed, peer_spki_der))

    def _agreed(self, peer_spki_der: bytes) -> Secret:
        try:
            peer = load_der_public_key(peer_spki_der)
            if not isinstance(peer, ec.EllipticCurvePublicKey):
                raise HsmRequestError("the peer's key is none for ECDH")
            return Secret(self._key.exchange(ec.ECDH(), peer))
        except (ValueError, UnsupportedAlgorithm):
            raise HsmRequestError("the peer's key is none of this curve") from None


class _P256Work(_CurveWork, SignsAtOnce):
    """The one curve that is fast enough for the event loop."""

    def sign_now(self, signed: bytes) -> bytes:
        return self._key.sign(signed, _ECDSA_P256)

    async def sign(self, algorithm: SigningAlgorithm, signed: bytes, *, is_mu: bool = False) -> bytes:  # noqa: ARG002  # it has one algorithm
        if is_mu:
            _refuse("EXTERNAL_MU")
        return self.sign_now(signed)

    async def derive(self, peer_spki_der: bytes) -> Secret:
        return self._agreed(peer_spki_der)


class _Ed25519Work(_Work, SignsAtOnce):
    def __init__(self, key: ed25519.Ed25519PrivateKey) -> None:
        self.public_key = public_half(key)
        self._key = key

    async def sign(self, algorithm: SigningAlgorithm, signed: bytes, *, is_mu: bool = False) -> bytes:  # noqa: ARG002  # it has one algorithm
        if is_mu:
            _refuse("EXTERNAL_MU")
        return self.sign_now(signed)

    def sign_now(self, signed: bytes) -> bytes:
        return self._key.sign(signed)


class _MlDsaWork(_Work):
    """ML-DSA with an empty context, hedged (FIPS 204, section 3.4): no two signatures are the same."""

    def __init__(self, key: MlDsaKey, slow: SlowWork) -> None:
        self.public_key = public_half(key)
        self._key = key
        self._slow = slow

    async def sign(self, algorithm: SigningAlgorithm, signed: bytes, *, is_mu: bool = False) -> bytes:  # noqa: ARG002  # it has one algorithm
        return await self._slow.run(partial(self._key.sign_mu if is_mu else self._key.sign, signed))
